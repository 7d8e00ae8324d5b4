"""The payload type, and how much a packet holds, may change in mid-stream: positions go on from the same instant."""

import numpy as np
import pytest

from strep.audio import g711
from strep.audio.block import AudioBlock, SampleState
from strep.audio.decoders import new_decoder
from strep.audio.formats import STATIC_PAYLOAD_TYPES, AudioFormat
from strep.stream.engine import Engine, EngineConfig
from strep.stream.events import FormatChanged, Gap
from tests.traffic import SMALL, Sender, every, feed, pcmu, play

RECEIVED, CONCEALED, UNDECODED = SampleState.RECEIVED, SampleState.CONCEALED, SampleState.UNDECODED


def changed(first: int, second: int, count: int = 10) -> tuple[list[bytes], list[bytes]]:
    sender = Sender(payload_type=first)
    before = sender.packets(count)
    sender.payload_type = second
    return before, sender.packets(count)


def pcma(packets: list[bytes]) -> np.ndarray:
    return g711.decode(np.frombuffer(b"".join(packet[36:] for packet in packets), np.uint8), g711.Law.A)


def g722(packets: list[bytes]) -> np.ndarray:
    decoder = new_decoder(STATIC_PAYLOAD_TYPES[9])
    return np.concatenate([decoder.decode(packet[36:]) for packet in packets])


def test_from_one_law_to_the_other_each_packet_is_decoded_by_its_own() -> None:
    before, after = changed(0, 8)
    result = play(every(before + after))
    assert result.audio().tolist() == np.concatenate((pcmu(before), pcma(after))).tolist()
    formats = result.of(FormatChanged)
    assert [(event.position, event.payload_type, str(event.format)) for event in formats] == [
        (0, 0, "PCMU/8000"),
        (1600, 8, "PCMA/8000"),
    ]


def test_packets_of_both_laws_may_alternate() -> None:
    sender = Sender()
    packets = [sender.packet(payload_type=8 * (n % 2)) for n in range(20)]
    decoded = [(pcma if n % 2 else pcmu)([packet]) for n, packet in enumerate(packets)]
    assert play(every(packets)).audio().tolist() == np.concatenate(decoded).tolist()


def test_positions_double_where_the_rate_does() -> None:
    before, after = changed(0, 9)
    result = play(every(before + after))
    narrow = [piece for piece in result.pieces[0] if piece[1] == 8000]
    wide = [piece for piece in result.pieces[0] if piece[1] == 16_000]
    assert [position for position, *_ in narrow] == [n * 160 for n in range(10)]
    assert [position for position, *_ in wide] == [3200 + n * 320 for n in range(10)]
    assert b"".join(piece[3] for piece in wide) == g722(after).tobytes()
    assert result.of(FormatChanged)[1].position == 3200
    report = result.report
    assert (report.length_samples, report.sample_rate_hz) == (20 * 320, 16_000)
    assert report.end_ns - report.anchor_ns == 400_000_000


def test_positions_shrink_where_the_rate_does_rounded_up_so_that_nothing_overlaps() -> None:
    sender = Sender(payload_type=11)
    before = sender.packets(3, samples=442, payload=bytes(2 * 442))
    sender.payload_type = 0
    after = sender.packets(3)
    result = play([*every(before, step_ms=10), *every(after, start_ms=30)])
    assert pytest.approx(240.5, abs=0.1) == 3 * 442 * 8000 / 44_100
    assert result.of(FormatChanged)[1].position == 241
    assert [position for position, rate, *_ in result.pieces[0] if rate == 8000] == [241, 401, 561]
    assert result.report.overlapped_samples == 0
    assert result.report.length_samples == 721


def test_samples_by_cause_are_counted_at_the_rate_of_the_report() -> None:
    before, after = changed(0, 9)
    report = play([a for n, a in enumerate(every(before + after)) if n != 5]).report
    assert report.samples_by_state["concealed"] == 320, "160 at 8 kHz are 320 at 16 kHz"
    assert report.samples_by_state["received"] == 19 * 320


def test_a_loss_at_the_change_is_measured_in_the_new_rate() -> None:
    before, after = changed(0, 9)
    result = play([a for n, a in enumerate(every(before + after)) if n != 9])
    (gap,) = result.of(Gap)
    assert (gap.position, gap.length_samples, gap.sample_rate_hz) == (9 * 320, 320, 16_000)


def test_what_came_in_the_old_format_goes_out_before_the_change_is_told() -> None:
    before, after = changed(0, 9, count=3)
    engine = Engine(SMALL)
    outputs = [*feed(engine, every(before + after)), *engine.close()]
    told = [
        output.sample_rate_hz if isinstance(output, AudioBlock) else output.format.sample_rate_hz
        for output in outputs
        if isinstance(output, AudioBlock | FormatChanged)
    ]
    assert told == sorted(told)
    assert told[0] == 8000 and told[-1] == 16_000


@pytest.mark.parametrize("payload_type", [97, 127, 35, 15])
def test_what_nothing_decodes_is_zeros_of_the_right_length_never_noise(payload_type: int) -> None:
    sender = Sender()
    before = sender.packets(10)
    unknown = sender.packets(10, payload_type=payload_type)
    after = sender.packets(10)
    result = play(every(before + unknown + after))
    assert result.states() == [(RECEIVED, 1600), (UNDECODED, 1600), (RECEIVED, 1600)]
    assert not result.audio()[1600:3200].any()
    assert result.audio()[3200:].tolist() == pcmu(after).tolist()
    assert result.report.sources[0].undecoded == 10
    expected = STATIC_PAYLOAD_TYPES.get(payload_type)
    assert result.of(FormatChanged)[1].format == expected
    assert result.report.sources[0].payload_types[payload_type] == (str(expected) if expected else "unknown")


def test_the_caller_may_say_what_a_payload_type_means() -> None:
    packets = Sender(payload_type=97).packets(5)
    config = EngineConfig(max_streams=8).with_payload_types({97: AudioFormat("PCMU", 8000, 8000)})
    assert play(every(packets), config).audio().tolist() == pcmu(packets).tolist()


def test_the_time_in_a_packet_may_change() -> None:
    sender = Sender()
    pieces = [sender.packets(5, samples=samples) for samples in (160, 240, 80, 160, 480)]
    times, now_ms = [], 0.0
    for piece in pieces:
        for packet in piece:
            times.append((now_ms, packet))
            now_ms += (len(packet) - 36) / 8
    result = play(times)
    packets = [packet for piece in pieces for packet in piece]
    assert result.audio().tolist() == pcmu(packets).tolist()
    assert result.states() == [(RECEIVED, len(pcmu(packets)))]
    assert not result.of(FormatChanged)[1:]
    assert result.report.sources[0].mean_jitter_ms == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("first", "then"), [(160, 80), (80, 160), (80, 240), (240, 160)])
def test_after_a_change_of_length_a_loss_is_as_long_as_the_packets_now_are(first: int, then: int) -> None:
    sender = Sender()
    before, after = sender.packets(10, samples=first), sender.packets(20, samples=then)
    start_ms, step_ms = 10 * first / 8, then / 8
    arrivals = [*every(before, step_ms=first / 8), *every(after, start_ms=start_ms, step_ms=step_ms)]
    result = play([arrival for n, arrival in enumerate(arrivals) if n != 20])
    (gap,) = result.of(Gap)
    assert (gap.position, gap.length_samples, gap.state) == (10 * first + 10 * then, then, CONCEALED)
