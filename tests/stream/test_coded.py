"""Any codec but G.711: what comes out is what its decoder makes of it, whatever the network does."""

import functools
import uuid
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.amr import FRAME_BITS
from strep.audio.block import AudioBlock
from strep.audio.decoders import new_decoder
from strep.audio.formats import AudioFormat, PayloadTypeMap, parse_format
from strep.compiler import compiled_twin
from strep.stream.clock import NS, duration_ns
from strep.stream.engine import Engine, EngineConfig
from strep.stream.events import FormatChanged, Gap, SourceChanged
from strep.stream.formats import Formats
from tests.audio.amr_payloads import bits_of, efficient
from tests.audio.signals import encoded, random_payloads, speech_like
from tests.traffic import LEG, START_NS, Sender, every, feed, per_stream, play, result, run

#: Payload types here, and by what payloads they go on: 20 ms each.
FORMATS = {
    9: "G722",
    3: "GSM",
    18: "G729",
    97: "opus/48000/2",
    98: "L16/44100",
    99: "L16/16000/2",
    100: "PCMU/48000",
    110: "AMR-WB/16000",
    111: "speex/32000",
    112: "iLBC/8000",
    113: "G726-24/8000",
}
CODED = EngineConfig(max_streams=64, probation=False).with_payload_types(
    {n: parse_format(name) for n, name in FORMATS.items()}
)
each_format = pytest.mark.parametrize("payload_type", list(FORMATS), ids=list(FORMATS.values()))

compiled = functools.cache(compiled_twin)


@functools.cache
def payloads(payload_type: int) -> list[bytes]:
    if payload_type == 97:
        return encoded("libopus", speech_like(0.6, 48000), 48000, 960)[:25]
    if payload_type == 110:
        speech = [bits_of(one) for one in random_payloads(25, 60, seed=110)]
        return [efficient([(n % 9, 1, one[: FRAME_BITS["AMR-WB"][n % 9]])]) for n, one in enumerate(speech)]
    if payload_type == 111:  # narrowband mode 3 is 20 bytes, and then nothing of the bands above
        return [b"\x18" + payload for payload in random_payloads(25, 19, seed=111)]
    bytes_ = {9: 160, 3: 33, 18: 20, 98: 2 * 882, 99: 4 * 320, 100: 960, 112: 38, 113: 60}[payload_type]
    return random_payloads(25, bytes_, seed=payload_type)


def ticks(payload_type: int) -> int:
    return parse_format(FORMATS[payload_type]).rtp_clock_hz // 50


def packets(payload_type: int, sender: Sender | None = None) -> list[bytes]:
    sender = sender or Sender()
    return [
        sender.packet(payload=payload, ticks=ticks(payload_type), payload_type=payload_type)
        for payload in payloads(payload_type)
    ]


@each_format
def test_each_packet_comes_out_as_its_decoder_makes_it(payload_type: int) -> None:
    heard = play(every(packets(payload_type)), CODED)
    format = parse_format(FORMATS[payload_type])
    decoder = new_decoder(format)
    expected = np.concatenate([decoder.decode(payload) for payload in payloads(payload_type)])
    assert heard.audio().tolist() == expected.tolist()
    assert heard.audio().any()
    assert {block.sample_rate_hz for block in heard.blocks} == {format.sample_rate_hz}


def test_streams_of_one_format_and_length_make_one_block() -> None:
    engine, senders = Engine(CODED), []
    for n in range(40):
        payload_type = 9 if n % 4 else 97
        senders.append(packets(payload_type, Sender(call_leg_id=uuid.UUID(int=n + 1), ssrc=n)))
    turns = [[(20 * turn, sender[turn]) for sender in senders] for turn in range(12)]
    outputs = [
        output
        for turn in turns
        for output in [*feed(engine, turn), *engine.advance(START_NS + turn[0][0] * NS // 1000)]
    ]
    last = [output for output in outputs if isinstance(output, AudioBlock)][-2:]
    assert sorted((block.sample_rate_hz, *block.samples.shape) for block in last) == [
        (16_000, 30, 320),
        (48_000, 10, 960),
    ]
    assert per_stream(result([*outputs, *engine.close()], engine)) == per_stream(
        run([arrival for turn in turns for arrival in turn], CODED, portions=[1000], step_ms=None)
    )


@each_format
def test_what_is_lost_is_made_up_from_what_was_decoded(payload_type: int) -> None:
    arrivals = [arrival for n, arrival in enumerate(every(packets(payload_type))) if n not in (10, 17, 18)]
    heard = play(arrivals, CODED)
    assert [gap.lost_packets for gap in heard.of(Gap)] == [1, 2]
    (first, *_) = heard.of(Gap)
    assert heard.audio()[first.position :][: first.length_samples].any()


@each_format
def test_a_payload_that_is_no_audio_is_counted_and_the_rest_is_heard(payload_type: int) -> None:
    sender, some = Sender(), payloads(payload_type)
    fields = {"payload_type": payload_type, "ticks": ticks(payload_type)}
    bad = b"" if payload_type in (9, 100, 111) else b"\x03"
    sent = [sender.packet(payload=bad if n == 10 else payload, **fields) for n, payload in enumerate(some)]
    outcome = play(every(sent), CODED)
    assert outcome.report.sources[0].undecoded == (bad != b"")
    rate_hz = parse_format(FORMATS[payload_type]).sample_rate_hz
    assert outcome.report.samples_by_state["received"] == (len(some) - 1) * rate_hz // 50


def test_another_ssrc_and_another_codec_are_told() -> None:
    sender = Sender()
    sent = packets(9, sender)
    sender.ssrc += 1
    sent += packets(9, sender)
    sent += packets(3, sender)
    heard = play(every(sent), CODED)
    assert [event.position for event in heard.of(SourceChanged)] == [25 * 320]
    assert [event.format.encoding for event in heard.of(FormatChanged)] == ["G722", "GSM"]


@given(st.integers(0, 1 << 42), st.sampled_from(sorted(FORMATS)))
def test_how_long_samples_last_is_exact_however_long_a_stream_is(samples: int, number: int) -> None:
    rate_hz = parse_format(FORMATS[number]).sample_rate_hz
    assert duration_ns(samples, rate_hz) == samples * NS // rate_hz
    assert compiled(duration_ns, 0, 0)(samples, rate_hz) == samples * NS // rate_hz


@st.composite
def network(draw: st.DrawFn) -> list[tuple[float, bytes]]:
    """Streams of any codec through a bad network, mostly going on from the packet before."""
    arrivals = []
    for n in range(draw(st.integers(1, 3))):
        sender, ms = Sender(call_leg_id=LEG, direction=n % 2, leg=n // 2, ssrc=n), draw(st.integers(0, 40))
        payload_type = draw(st.sampled_from([0, *FORMATS]))
        for turn in range(draw(st.integers(1, 20))):
            kind = draw(st.sampled_from(["plain"] * 12 + ["lost", "event", "bad", "half", "ssrc", "codec", "pause"]))
            if kind == "codec":
                payload_type = draw(st.sampled_from([0, *FORMATS]))
            if kind == "ssrc":
                sender.ssrc += 10
            payload = bytes(160) if payload_type == 0 else payloads(payload_type)[turn]
            clock = 160 if payload_type == 0 else ticks(payload_type)
            if kind == "pause":
                ms += 1000
                sender.timestamp += draw(st.sampled_from([0, 50 * clock]))
            fields = {"payload": payload, "ticks": clock, "payload_type": payload_type}
            if kind == "event":
                fields = {"payload": bytes((5, 0x8A, 0, 160)), "ticks": 0, "payload_type": 101}
            elif kind == "bad":
                fields["payload"] = draw(st.binary(max_size=6))
            elif kind == "half":
                fields |= {"payload": payload[: len(payload) // 2], "ticks": clock // 2}
            datagram = sender.packet(**fields)
            ms += 20
            if kind != "lost":
                late_ms = draw(st.sampled_from([0, 0, 0, 0, 0, 0, 5, 45, 150]))
                arrivals.append((ms + late_ms, datagram))
    return sorted(arrivals, key=lambda arrival: arrival[0])


@pytest.mark.thorough
@given(network(), st.integers(1, 40), st.sampled_from([20, 250, None]))
def test_portions_and_ticks_compiled_or_not_change_nothing(arrivals, portion: int, step_ms) -> None:
    one_by_one = run(arrivals, replace(CODED, compiled=False))
    for compiled in (False, True):
        other = run(arrivals, replace(CODED, compiled=compiled), portions=[portion] * 100, step_ms=step_ms)
        assert per_stream(other) == per_stream(one_by_one)


def test_a_format_that_many_streams_have_is_numbered_once() -> None:
    formats = Formats()
    named = [parse_format("G722"), parse_format("opus"), AudioFormat("G722", 8000, 16_000)]
    assert [formats.number_of(format) for format in named] == [1, 2, 1]
    assert [formats[number] for number in range(3)] == [None, *named[:2]]
    told = [PayloadTypeMap().with_overrides({96: named[n]}) for n in (0, 1, 2)]
    assert [formats.number_of_map(some) for some in told] == [0, 1, 0]


def test_more_formats_and_maps_than_there_was_room_for_keep_their_numbers() -> None:
    formats = Formats()
    named = [parse_format(f"L16/{rate_hz}") for rate_hz in range(8000, 9000, 25)]
    numbers = [formats.number_of(format) for format in named]
    maps = [formats.number_of_map(PayloadTypeMap().with_overrides({96: format})) for format in named]
    assert formats.records.sample_rate_hz[numbers].tolist() == [format.sample_rate_hz for format in named]
    assert formats.meanings[maps, 96].tolist() == numbers
