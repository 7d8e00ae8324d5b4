"""Loss is a value that flows: a Gap with its place, up to 60 ms made up, the rest zeros, all of it in the report."""

import numpy as np
import pytest

from strep.audio.block import SampleState
from strep.audio.conceal import conceal
from strep.audio.decoders import new_decoder
from strep.audio.formats import STATIC_PAYLOAD_TYPES
from strep.stream.engine import Engine
from strep.stream.events import Gap
from tests.traffic import LEG, SMALL, Sender, every, feed, pcmu, play, result

RECEIVED, CONCEALED, LOST, SILENCE = SampleState.RECEIVED, SampleState.CONCEALED, SampleState.LOST, SampleState.SILENCE


def without(packets: list[bytes], *lost: int, step_ms: float = 20) -> list[tuple[float, bytes]]:
    return [arrival for n, arrival in enumerate(every(packets, step_ms=step_ms)) if n not in lost]


def made_up_from(history: np.ndarray, length: int, sample_rate_hz: int = 8000) -> list[int]:
    made_up = np.zeros(length, np.int16)
    conceal(history, sample_rate_hz, made_up)
    return made_up.tolist()


def test_one_lost_packet_is_made_up_from_what_came_before() -> None:
    packets = Sender().packets(20)
    played = play(without(packets, 8))
    assert played.states() == [(RECEIVED, 8 * 160), (CONCEALED, 160), (RECEIVED, 11 * 160)]
    expected = pcmu(packets)
    expected[8 * 160 : 9 * 160] = made_up_from(expected[: 8 * 160], 160)
    assert played.audio().tolist() == expected.tolist()
    assert expected[8 * 160 : 9 * 160].any()


def test_a_gap_says_where_it_is_how_long_and_why() -> None:
    (gap,) = play(without(Sender().packets(20), 8, 9)).of(Gap)
    assert (gap.position, gap.length_samples, gap.sample_rate_hz) == (8 * 160, 320, 8000)
    assert (gap.lost_packets, gap.state) == (2, CONCEALED)


def test_60_ms_are_made_up_whole() -> None:
    played = play(without(Sender().packets(20), 8, 9, 10))
    assert played.states()[1] == (CONCEALED, 480)
    assert [gap.state for gap in played.of(Gap)] == [CONCEALED]


def test_of_a_longer_loss_the_first_60_ms_are_made_up_and_the_rest_is_zeros() -> None:
    packets = Sender().packets(20)
    played = play(without(packets, 8, 9, 10, 11, 12))
    assert played.states() == [(RECEIVED, 1280), (CONCEALED, 480), (LOST, 320), (RECEIVED, 7 * 160)]
    (gap,) = played.of(Gap)
    assert (gap.position, gap.length_samples, gap.lost_packets, gap.state) == (1280, 800, 5, LOST)
    audio = played.audio()
    assert audio[1280:1760].tolist() == made_up_from(pcmu(packets)[:1280], 480)
    assert not audio[1760:2080].any()


def test_the_report_counts_lost_packets_and_samples_by_their_cause() -> None:
    report = play(without(Sender().packets(30), 3, 10, 11, 12, 13, 20)).report
    source = report.sources[0]
    assert (source.expected, source.packets, source.lost) == (30, 24, 6)
    assert report.samples_by_state == {
        "received": 24 * 160,
        "concealed": 160 + 480 + 160,
        "silence": 0,
        "lost": 160,
        "undecoded": 0,
    }
    assert report.length_samples == 30 * 160


def test_each_loss_is_a_gap_of_its_own() -> None:
    gaps = play(without(Sender().packets(30), 3, 5, 20)).of(Gap)
    assert [gap.position for gap in gaps] == [3 * 160, 5 * 160, 20 * 160]


def test_short_packets_are_made_up_from_several_of_them() -> None:
    packets = Sender().packets(30, samples=80)
    played = play(without(packets, 12, step_ms=10))
    assert played.audio()[960:1040].tolist() == made_up_from(pcmu(packets)[:960], 80)


def test_what_is_lost_after_the_last_packet_that_came_cannot_be_known() -> None:
    report = play(every(Sender().packets(20))[:15]).report
    assert (report.length_samples, report.sources[0].lost) == (15 * 160, 0)


def test_loss_before_a_pause_is_told_apart_from_the_pause() -> None:
    sender = Sender()
    packets = sender.packets(10)
    sender.timestamp += 8000
    arrivals = [*without(packets, 9), *every(sender.packets(5), start_ms=1200)]
    assert play(arrivals).states() == [(RECEIVED, 1440), (CONCEALED, 160), (SILENCE, 8000), (RECEIVED, 800)]


def test_loss_while_the_network_is_slow_moves_nothing() -> None:
    """A queue that fills up makes packets both late and lost; the timestamps after a loss are as good as any."""
    packets = Sender().packets(200)
    arrivals = [
        (n * 20 + min(5 * max(0, n - 30), 700), packet) for n, packet in enumerate(packets) if n not in (100, 130, 160)
    ]
    played = play(arrivals)
    assert [(gap.position, gap.length_samples) for gap in played.of(Gap)] == [(n * 160, 160) for n in (100, 130, 160)]
    assert played.report.length_samples == 200 * 160
    assert played.report.overlapped_samples == 0


def test_a_lost_telephone_event_packet_leaves_no_gap_in_the_audio() -> None:
    sender = Sender()
    before = sender.packets(5)
    _, end = sender.packets(2, payload=bytes((5, 0x8A, 0, 160)), payload_type=101, ticks=0)
    packets = [*before, end, *sender.packets(5)]
    sender.timestamp += 800
    after_pause = sender.packets(5)
    played = play([*every(packets), *every(after_pause, start_ms=320)])
    assert played.states() == [(RECEIVED, 1600), (SILENCE, 800), (RECEIVED, 800)]
    assert [gap.lost_packets for gap in played.of(Gap)] == [0], "what was lost long before is not in the pause"
    assert played.report.sources[0].lost == 1


def test_a_codec_with_a_past_is_made_up_from_what_it_decoded() -> None:
    packets = Sender(payload_type=9).packets(20)
    played = play(without(packets, 8))
    decoder = new_decoder(STATIC_PAYLOAD_TYPES[9])
    heard = np.concatenate([decoder.decode(packet[36:]) for packet in packets[:8]])
    assert played.states() == [(RECEIVED, 8 * 320), (CONCEALED, 320), (RECEIVED, 11 * 320)]
    made_up = played.audio()[8 * 320 : 9 * 320]
    assert made_up.tolist() == made_up_from(heard, 320, 16_000)
    assert made_up.any()


@pytest.mark.parametrize("first", [0, 1, 2])
def test_nothing_is_made_up_from_another_call_that_had_the_row_before(first: int) -> None:
    engine = Engine(SMALL)
    feed(engine, every(Sender(seed=7).packets(70)))
    engine.end_call(f"{LEG}-A")
    packets = Sender(sequence_number=first).packets(6)
    arrivals = [(2000 + ms, packet) for ms, packet in without(packets, 1)]
    after = result([*feed(engine, arrivals), *engine.close()], engine)
    assert after.pieces[0] == play(without(packets, 1)).pieces[0]
    assert after.audio()[160:320].tolist() == made_up_from(pcmu(packets[:1]), 160)


def test_nothing_is_made_up_from_a_codec_that_is_long_gone() -> None:
    sender = Sender(payload_type=3)
    gsm = [sender.packet(payload=bytes((0xD5,)) + bytes(range(32))) for _ in range(5)]
    sender.payload_type = 0
    audio = sender.packets(10)
    event = sender.packet(payload=bytes((5, 10, 0, 160)), payload_type=101, ticks=0)
    lost, rest = sender.packet(), sender.packets(3)
    arrivals = [a for a in every([*gsm, *audio, event, lost, *rest]) if a[1] != lost]
    made_up = play(arrivals).audio()[15 * 160 : 16 * 160]
    assert made_up.tolist() == made_up_from(pcmu(audio), 160), "an event is no break between what was heard"
