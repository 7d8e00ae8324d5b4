"""The compiled steps say the same as the columns, which are their readable twins."""

import uuid
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.audio import g711
from strep.audio.block import AudioBlock
from strep.engine import Engine, EngineConfig
from strep.errors import ConfigError
from strep.stream import compiled
from strep.stream.index import UNKNOWN
from strep.wire.batch import DatagramBatch, Endpoint
from strep.wire.fate import Fate
from strep.wire.headers import parse_headers
from tests.test_engine_laws import network
from tests.traffic import LEG, SMALL, START_NS, Sender, feed, per_stream, run, small_is

straight = pytest.importorskip("strep.stream.compiled.straight", reason="needs numba")
ENDPOINTS = [Endpoint("192.0.2.1:9", "192.0.2.2:9", "one"), Endpoint("192.0.2.1:8", "192.0.2.2:9", "two", 1)]
COMPILED = replace(SMALL, compiled=True)


@given(network(), st.integers(1, 40), st.sampled_from([1, 20, 250, None]), st.sampled_from([1, 3, straight.BLOCK]))
def test_any_traffic_comes_out_as_by_the_columns(arrivals, portion: int, step_ms, block: int) -> None:
    with small_is(1), pytest.MonkeyPatch.context() as patch:
        patch.setattr(straight, "BLOCK", block)
        result = run(arrivals, COMPILED, portions=[portion] * 100, step_ms=step_ms)
        twin = run(arrivals, replace(SMALL, compiled=False), portions=[portion] * 100, step_ms=step_ms)
    assert per_stream(result) == per_stream(twin)


@st.composite
def datagrams(draw: st.DrawFn) -> list[bytes]:
    """Packets of known and unknown sources, plain and wrapped, some of them bent or cut."""
    made = []
    for _ in range(draw(st.integers(1, 12))):
        sender = Sender(
            call_leg_id=uuid.UUID(int=draw(st.sampled_from([1, 2, 1 << 100]))),
            direction=draw(st.integers(0, 1)),
            leg=draw(st.integers(0, 1)),
            ssrc=draw(st.sampled_from([0, 1, 0xFFFF_FFFF])),
            payload_type=draw(st.integers(0, 127)),
            sequence_number=draw(st.sampled_from([0, 255, 256, 65535])),
            timestamp=draw(st.sampled_from([0, 0x0102_0304, 0xFFFF_FFFF])),
        )
        packet = bytearray(sender.packet(draw(st.integers(0, 40))))
        if draw(st.booleans()):
            packet = packet[24:]
        if draw(st.booleans()):
            packet[draw(st.integers(0, min(40, len(packet)) - 1))] = draw(st.integers(0, 255))
        made.append(bytes(packet[: draw(st.sampled_from([1, 11, 12, 13, 24, 35, 36, 999, 999, 999]))]))
    return made


@given(datagrams(), st.lists(st.integers(0, 1), min_size=12, max_size=12))
def test_any_bytes_are_identified_as_by_the_columns_or_left_to_them(bytes_: list[bytes], sources: list[int]) -> None:
    engine = Engine(COMPILED)
    batch = DatagramBatch.from_datagrams(bytes_, range(len(bytes_)), sources[: len(bytes_)], ENDPOINTS)
    keys, headers = engine._keys.of(batch, parse_headers(batch)), parse_headers(batch)
    known = sorted({key.tobytes() for key, fate in zip(keys, headers.fate, strict=True) if not fate})[:4]
    if known:
        engine._legs.index.add(known, list(range(len(known))))
    assert engine._straight_path is not None
    packets, missed = engine._straight_path.identify(batch)
    assert missed == np.count_nonzero(packets.row == UNKNOWN)
    expected = engine._legs.index.look_up(keys)
    plain = (headers.fate == Fate.ACCEPTED) & (headers.claim == 0)
    for n in range(len(batch)):
        if packets.row[n] == UNKNOWN:
            odd = (
                not plain[n]
                or batch.flat[headers.rtp_start[n]] != 0x80
                or headers.rtp_start[n]
                not in (
                    batch.offset[n],
                    batch.offset[n] + 24,
                )
            )
            assert odd or expected[n] == UNKNOWN
            continue
        assert plain[n]
        assert packets.row[n] == expected[n]
        for name in ("payload_type", "marker", "sequence_number", "timestamp", "rtp_start"):
            assert getattr(packets, name)[n] == getattr(headers, name)[n]
        assert packets.payload_start[n] == headers.payload_start[n]
        assert packets.payload_length[n] == headers.payload_length[n]


@pytest.mark.parametrize(("payload_type", "law"), [(0, g711.Law.MU), (8, g711.Law.A)])
@pytest.mark.parametrize("length", [1, 79, 160, 256])
def test_every_code_is_decoded_as_by_the_table(payload_type: int, law: g711.Law, length: int) -> None:
    codes = np.arange(512, dtype=np.int64).astype(np.uint8)
    sender = Sender(payload_type=payload_type, call_leg_id=LEG)
    payloads = [codes[n : n + length].tobytes() for n in range(256)]
    packets = [sender.packet(payload=payload, ticks=length) for payload in payloads]
    engine = Engine(EngineConfig(probation=False, max_streams=1, compiled=True))
    arrivals = [(length / 8 * n, packet) for n, packet in enumerate(packets)]
    outputs = [out for some in (arrivals[:1], arrivals[1:]) for out in feed(engine, some)]
    outputs += engine.advance(START_NS + 60 * 10**9)
    samples = np.concatenate([out.samples.ravel() for out in outputs if isinstance(out, AudioBlock)])
    assert np.array_equal(samples, g711.decode(np.frombuffer(b"".join(payloads), np.uint8), law))


def test_to_ask_for_what_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="needs numba"):
        EngineConfig(compiled=True)
