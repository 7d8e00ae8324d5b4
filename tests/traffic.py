"""Hand-made traffic for tests: packets of one stream, and what an engine makes of them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from strep.audio import g711
from strep.audio.block import AudioBlock, SampleState
from strep.stream.engine import Engine, EngineConfig
from strep.stream.events import Event, StreamClosed, StreamReport
from strep.wire.batch import DatagramBatch, Endpoint
from strep.wire.rtp import RtpPacket
from strep.wire.strep import StrepHeader

LEG = uuid.UUID("428c31b6-7af4-4bcb-b7f5-5013ef9657c1")
START_NS = 1_700_000_000_000_000_000
MS = 1_000_000
SMALL = EngineConfig(max_streams=8, probation=False, compiled=True)
HERE = (Endpoint("192.0.2.1:9", "192.0.2.2:9", "default"),)


@dataclass
class Sender:
    """Makes the datagrams of one stream, 20 ms of PCMU each unless told otherwise."""

    leg: int = 0
    direction: int = 0
    ssrc: int = 0x1A2B3C4D
    payload_type: int = 0
    sequence_number: int = 1000
    timestamp: int = 50_000
    call_leg_id: uuid.UUID = LEG
    strep: bool = True
    seed: int = 1
    _random: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)

    def wrap(self, rtp: bytes) -> bytes:
        return StrepHeader(self.call_leg_id, self.leg, self.direction).serialize() + rtp if self.strep else rtp

    def packet(self, samples: int = 160, payload: bytes | None = None, ticks: int | None = None, **fields) -> bytes:
        """Make the next packet; sequence number and timestamp go on behind it."""
        if payload is None:
            payload = self._random.integers(0, 127, samples, dtype=np.uint8).tobytes()
        values = {
            "payload_type": self.payload_type,
            "sequence_number": self.sequence_number & 0xFFFF,
            "timestamp": self.timestamp & 0xFFFFFFFF,
            "ssrc": self.ssrc,
            "payload": payload,
        }
        packet = RtpPacket(**(values | fields))
        self.sequence_number += 1
        self.timestamp += samples if ticks is None else ticks
        return self.wrap(packet.serialize())

    def packets(self, count: int, **kinds) -> list[bytes]:
        return [self.packet(**kinds) for _ in range(count)]


@dataclass
class Result:
    """What came out: events in order, each stream's pieces in order, and the counts."""

    events: list[Event]
    pieces: dict[int, list[tuple[int, int, SampleState, bytes]]]
    counts: dict[str, int]
    blocks: list[AudioBlock]

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def report(self) -> StreamReport:
        (closed,) = self.of(StreamClosed)
        return closed.report

    def audio(self, slot: int = 0) -> np.ndarray:
        """One stream's samples, laid where they belong."""
        pieces = self.pieces.get(slot, [])
        total = max((position + len(data) // 2 for position, _, _, data in pieces), default=0)
        out = np.zeros(total, np.int16)
        for position, _, _, data in pieces:
            out[position : position + len(data) // 2] = np.frombuffer(data, np.int16)
        return out

    def states(self, slot: int = 0) -> list[tuple[SampleState, int]]:
        """One stream's labels, equal neighbours joined: (state, samples)."""
        out: list[tuple[SampleState, int]] = []
        for _, _, state, data in self.pieces.get(slot, []):
            if out and out[-1][0] is state:
                out[-1] = (state, out[-1][1] + len(data) // 2)
            else:
                out.append((state, len(data) // 2))
        return out


def per_stream(result: Result) -> tuple:
    """What must not depend on portions: each stream's pieces joined, its events and report, by identity."""
    closed = result.of(StreamClosed)
    pieces = {event.slot: result.pieces.get(event.slot, []) for event in closed}
    return result.counts, sorted(map(str, result.events)), pieces


def result(outputs: Iterable[Event | AudioBlock], engine: Engine) -> Result:
    events, pieces, blocks = [], {}, []
    for output in outputs:
        if isinstance(output, AudioBlock):
            blocks.append(output)
            for frame in output.frames():
                entry = (frame.position, frame.sample_rate_hz, frame.state, frame.samples.tobytes())
                pieces.setdefault(frame.slot, []).append(entry)
        else:
            events.append(output)
    return Result(events, pieces, engine.counts(), blocks)


def feed(engine: Engine, arrivals: Sequence[tuple], endpoints: Sequence[Endpoint] = HERE) -> list[Event | AudioBlock]:
    """Feed datagrams [(milliseconds, bytes)] or [(milliseconds, bytes, source)] as one batch."""
    arrival_ns = [START_NS + int(arrival[0] * MS) for arrival in arrivals]
    source = [arrival[2] if len(arrival) > 2 else 0 for arrival in arrivals]
    return engine.feed(DatagramBatch.from_datagrams([a[1] for a in arrivals], arrival_ns, source, endpoints))


def run(
    arrivals: Sequence[tuple],
    config: EngineConfig | None = None,
    *,
    portions: Iterable[int] = (),
    step_ms: float | None = 20,
    endpoints: Sequence[Endpoint] = HERE,
    until_ms: float = 0,
) -> Result:
    """Feed datagrams (see `feed`) in portions of so many, with a tick every `step_ms`, and close at `until_ms`."""
    engine = Engine(config or SMALL)
    outputs: list[Event | AudioBlock] = []
    portions = iter(portions)
    rest, tick_ms = list(arrivals), 0.0
    while rest:
        size = next(portions, 1)
        some, rest = rest[:size], rest[size:]
        outputs += feed(engine, some, endpoints)
        if step_ms is not None:
            while tick_ms + step_ms <= some[-1][0]:
                tick_ms += step_ms
                outputs += engine.advance(START_NS + int(tick_ms * MS))
    if arrivals:
        outputs += engine.advance(START_NS + int(max(arrivals[-1][0], until_ms) * MS))
    outputs += engine.close()
    assert sum(engine.counts().values()) == len(arrivals), "every datagram has one fate"
    assert engine.faults == 0
    return result(outputs, engine)


#: The rules as they stand take 0.2 ms a packet.
_FEW = 1000 if os.environ.get("STREP_TEST_PROFILE") == "thorough" else 40


def play(arrivals: Sequence[tuple], config: EngineConfig | None = None, **kwargs) -> Result:
    """Run packet by packet, and all at once, and where there are few also by the rules that are not compiled."""
    config = replace(config or SMALL, compiled=True)
    found = run(arrivals, config, **kwargs)
    at_once = run(arrivals, config, portions=[len(arrivals)], step_ms=None, **kwargs)
    assert per_stream(at_once) == per_stream(found)
    if len(arrivals) <= _FEW:
        plain = run(arrivals, replace(config, compiled=False), **kwargs)
        assert per_stream(plain) == per_stream(found)
    return found


def every(datagrams: Iterable[bytes], start_ms: float = 0, step_ms: float = 20) -> list[tuple[float, bytes]]:
    """Give datagrams arrival times."""
    return [(start_ms + n * step_ms, datagram) for n, datagram in enumerate(datagrams)]


def pcmu(datagrams: Iterable[bytes], header: int = 36) -> np.ndarray:
    """Decode what plain PCMU datagrams carry."""
    return g711.decode(np.frombuffer(b"".join(d[header:] for d in datagrams), np.uint8), g711.Law.MU)
