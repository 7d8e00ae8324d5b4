"""Any codec but G.711: what goes on from the packet before takes the columns, and comes out as one by one."""

import functools
import uuid
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.amr import FRAME_BITS
from strep.audio.block import AudioBlock
from strep.audio.decoders import new_decoder
from strep.audio.formats import AudioFormat, parse_format
from strep.engine import Engine, EngineConfig
from strep.stream import compiled
from strep.stream import table as t
from strep.stream.clock import NS
from strep.stream.due import as_coded, gather
from strep.stream.events import FormatChanged, Gap, SourceChanged
from strep.stream.intake import Accepted
from strep.stream.placing import Placer
from tests.audio.amr_payloads import bits_of, efficient
from tests.audio.signals import encoded, random_payloads, speech_like
from tests.traffic import LEG, SMALL, START_NS, Sender, every, feed, per_stream, play, result, run, small_is

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


@pytest.fixture
def walked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Give the sequence numbers that are handed on one by one."""
    numbers: list[int] = []

    def walk(placer: Placer, row: int, target: int) -> None:
        numbers.append(target)
        walk_before(placer, row, target)

    walk_before = Placer.walk
    monkeypatch.setattr(Placer, "walk", walk)
    yield numbers


@each_format
def test_all_but_the_first_packet_take_the_columns_and_decode_the_same(payload_type: int, walked: list[int]) -> None:
    with small_is(1):
        heard = run(every(packets(payload_type)), CODED)
    assert walked == [1000]
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
def test_what_is_lost_is_made_up_from_what_the_columns_decoded(payload_type: int) -> None:
    arrivals = [arrival for n, arrival in enumerate(every(packets(payload_type))) if n not in (10, 17, 18)]
    heard = play(arrivals, CODED)
    assert [gap.lost_packets for gap in heard.of(Gap)] == [1, 2]
    (first, *_) = heard.of(Gap)
    assert heard.audio()[first.position :][: first.length_samples].any()


@each_format
def test_a_payload_that_is_no_audio_is_left_to_the_scalar_path(payload_type: int, walked: list[int]) -> None:
    sender, some = Sender(), payloads(payload_type)
    fields = {"payload_type": payload_type, "ticks": ticks(payload_type)}
    bad = b"" if payload_type in (9, 100, 111) else b"\x03"
    sent = [sender.packet(payload=bad if n == 10 else payload, **fields) for n, payload in enumerate(some)]
    with small_is(1):
        run(every(sent), CODED)
    assert 1010 in walked
    assert 1005 not in walked
    assert 1020 not in walked
    assert play(every(sent), CODED).report.sources[0].undecoded == (bad != b"")


def test_another_ssrc_and_another_codec_are_told_and_go_on_by_columns(walked: list[int]) -> None:
    sender = Sender()
    sent = packets(9, sender)
    sender.ssrc += 1
    sent += packets(9, sender)
    sent += packets(3, sender)
    arrivals = every(sent)
    with small_is(1):
        heard = run(arrivals, CODED)
    assert walked == [1000, 1025, 1050]
    assert [event.position for event in heard.of(SourceChanged)] == [25 * 320]
    assert [event.format.encoding for event in heard.of(FormatChanged)] == ["G722", "GSM"]
    play(arrivals, CODED)


@given(st.integers(0, 1 << 42), st.integers(0, 1 << 61), st.sampled_from(sorted(FORMATS)))
def test_the_anchor_is_the_scalar_paths_however_long_a_stream_is(position: int, arrival_ns: int, number: int) -> None:
    sources, streams = t.Sources(1), t.Streams(1)
    streams.release[0, t.END_POSITION] = position
    cells = np.array([[5, 0, arrival_ns, number << t.TYPE_SHIFT | 160, 0]], np.int64)
    accepted = Accepted(np.zeros(1, np.int64), cells[:, 0], cells[:, 2], cells, np.zeros((1, 160), np.uint8))
    format = parse_format(FORMATS[number])
    due = as_coded(gather(accepted, sources, streams), format)
    assert due.anchor_ns.tolist() == [arrival_ns - position * NS // format.sample_rate_hz]


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


@given(network(), st.integers(1, 40), st.sampled_from([20, 250, None]))
def test_columns_compiled_or_not_equal_the_scalar_path(arrivals, portion: int, step_ms) -> None:
    with small_is(10**9):
        scalar = run(arrivals, replace(CODED, compiled=False))
    for way in [False, True][: 1 + compiled.is_available()]:
        with small_is(1):
            columns = run(arrivals, replace(CODED, compiled=way), portions=[portion] * 100, step_ms=step_ms)
        assert per_stream(columns) == per_stream(scalar)


def test_a_format_that_many_streams_have_is_numbered_once() -> None:
    streams = t.Streams(1)
    formats = [parse_format("G722"), parse_format("opus"), AudioFormat("G722", 8000, 16_000)]
    assert [streams.number_of(format) for format in formats] == [0, 1, 0]


def test_small_batches_of_coded_packets_take_the_scalar_path(walked: list[int]) -> None:
    run(every(packets(9)), replace(SMALL))
    assert len(walked) == 25
