"""Measure what single datagrams of a sequence cost: bytes on disk, time of ours, and length of a recording.

Both directions speak for a second, in whatever fixes the rate of the file, and then the datagrams come, one a turn:
through the engine, and into a RecordingSink. Of a datagram are measured:

bytes: by how much more disk the folder's files take in the end than without it, of the last one of a sequence.
time: of the thread (feed, advance, flush) from its arrival until it is handed on, and written if nothing comes before
that; those that come meanwhile share it, and so do those that were held back until one of them proved who sends. What
it takes that a leg ends is shared by all that came of it. The sidecar that is written anew once a minute, whatever
comes, is no datagram's.
length: by how much the recording is longer than the time since its beginning, or than the audio that was sent (and an
eighth), whichever is more; 5 s of that are believed by rule (strep.stream.clock).
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from strep.audio.decoders import is_decodable, packet_samples
from strep.audio.formats import AudioFormat, PayloadTypeMap, parse_format
from strep.live.pipeline import Pipeline
from strep.sinks.recordings import RecordingSink
from strep.sinks.recordings.open_recording import OpenRecording
from strep.stream.engine import Engine, EngineConfig
from strep.wire.batch import DatagramBatch, Endpoint
from strep.wire.fate import Fate
from strep.wire.rtp import RtpPacket
from strep.wire.strep import StrepHeader

_HERE = (Endpoint("192.0.2.1:4000", "192.0.2.9:9000", "default"),)
_LEG = uuid.UUID("428c31b6-7af4-4bcb-b7f5-5013ef9657c1")
_START_NS = 1_700_000_000_000_000_000
_NS = 10**9
#: What dynamic payload types mean here: everything that decodes.
DYNAMIC: Mapping[int, AudioFormat] = MappingProxyType(
    {
        number: parse_format(name)
        for number, name in {
            96: "G726-40/8000",
            97: "iLBC/8000",
            98: "speex/32000",
            99: "speex/8000",
            100: "amr-wb/16000",
            101: "telephone-event/8000",
            102: "amr/8000;octet-align=1",
            103: "L16/48000/2",
            104: "L16/16000",
            105: "L16/48000",
            111: "opus/48000/2",
            121: "red/8000",
        }.items()
    }
)
PAYLOAD_TYPES = PayloadTypeMap(DYNAMIC)
#: What fixes the rate of the file (8, 16, 44.1, 48 kHz): payload types, and bytes of 20 ms.
OPENINGS: Mapping[int, int] = MappingProxyType({0: 160, 104: 640, 11: 1764, 105: 1920})
#: When a packet has been handed on (100 ms later), and written (0.6 s after that at most, 0.8 s the first time).
_RELEASED_MS, _WRITTEN_MS, _SETTLED_MS = 101, 900, 1000
_HELD_BACK = (Fate.REJECTED_PROBATION, Fate.OVER_LIMIT_STREAMS)


@dataclass(frozen=True, slots=True)
class Step:
    """A datagram: how long after the one before, and how its fields go on from those of its direction's last.

    fill: of the payload, by a byte; None: random, by `seed`.
    """

    pause_ms: int = 20
    direction: int = 0
    ssrc: int = 1
    payload_type: int = 0
    length: int = 160
    sequence_step: int = 1
    ticks: int = 160
    fill: int | None = 0x55
    seed: int = 0
    marker: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """Datagrams behind an opening in one payload type."""

    steps: tuple[Step, ...]
    opening: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a sequence cost. disk: bytes in the end; all_ms: of those that were handed on together, in order.

    held_back: datagrams that nothing came of so far.
    """

    disk: int
    all_ms: tuple[float, ...]
    ahead_s: float
    held_back: int = 0

    @property
    def ms(self) -> float:
        """Give the time of the worst datagram."""
        return max(self.all_ms, default=0.0)

    def least(self, other: Cost) -> Cost:
        """Take of another time that the same was played what took less: the machine is others', too."""
        return replace(self, all_ms=tuple(map(min, self.all_ms, other.all_ms)))

    def disk_beyond(self, earlier: Cost) -> int:
        """Give the bytes of the last datagram, by the cost without it: those that it freed have a share of them."""
        return (self.disk - earlier.disk) // (1 + max(0, earlier.held_back - self.held_back))


def opening(payload_type: int) -> tuple[Step, ...]:
    """Let both directions speak before anything else comes; a second later the file is there."""
    clock_hz, length = _clock_hz(payload_type), OPENINGS[payload_type]
    return tuple(
        Step(pause_ms * (1 - direction), direction, 1, payload_type, length, ticks=clock_hz * pause_ms // 1000)
        for pause_ms in (20, 20, 20, 1000, 20)
        for direction in (0, 1)
    )


class _Group:
    """Datagrams whose time cannot be told apart, and that time."""

    def __init__(self, held: int = 0) -> None:
        self.ms, self._held, self._came = 0.0, held, 0

    def come(self) -> None:
        """Take note of a datagram."""
        self._came += 1

    def share(self, held: int) -> float:
        """Give the time of each, with those that were held back before and are no more."""
        return self.ms / max(1, self._came + max(0, self._held - held))


class _Recorder(RecordingSink):
    """A sink that says how long it was busy with what it does once a minute, whatever comes."""

    minutely_ns = 0

    def _describe_again(self, take: OpenRecording) -> None:
        before_ns = time.thread_time_ns()
        super()._describe_again(take)
        self.minutely_ns += time.thread_time_ns() - before_ns


class Play:
    """An engine and a sink to which datagrams come, one a turn."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._engine = Engine(EngineConfig(max_streams=64, payload_types=PAYLOAD_TYPES, compiled=True))
        self._recorder = _Recorder(directory)
        self._pipeline = Pipeline(self._engine, [self._recorder])
        self._now_ns = _START_NS
        self._handed_on, self._leg = _Group(), _Group()
        self._all_ms = list[float]()
        self._audio_s = [0.0, 0.0]

    def run(self, sequence: Sequence) -> Cost:
        """Play a sequence; gives what it cost behind its opening."""
        before = opening(sequence.opening)
        steps = (*before, *sequence.steps)
        number, timestamp = [0, 0], [0, 0]
        pauses_ms = [*(step.pause_ms for step in steps[1:]), _SETTLED_MS]
        for place, (step, pause_ms) in enumerate(zip(steps, pauses_ms, strict=True)):
            if place == len(before):
                self._all_ms.clear()
            number[step.direction] += step.sequence_step
            timestamp[step.direction] += step.ticks
            datagram = _datagram(step, number[step.direction], timestamp[step.direction])
            self._audio_s[step.direction] += _audio_s(step, datagram)
            for group in (self._handed_on, self._leg):
                group.come()
            self._handed_on.ms += self._turn_ms(datagram)
            self._pass(pause_ms)
        elapsed_s = (self._now_ns - _START_NS) / _NS
        self._pipeline.close()
        disk = sum(entry.stat().st_blocks * 512 for entry in os.scandir(self._directory))
        believed_s = max(elapsed_s, max(self._audio_s) * 9 / 8)
        return Cost(disk, tuple(self._all_ms), self._longest_s() - believed_s, self._held_back)

    def _turn_ms(self, datagram: bytes | None = None) -> float:
        """Let a turn be, and give its time."""
        before_ns = time.thread_time_ns() - self._recorder.minutely_ns
        if datagram is not None:
            self._pipeline.feed(DatagramBatch.from_datagrams([datagram], [self._now_ns], endpoints=_HERE))
        self._pipeline.advance(self._now_ns)
        return (time.thread_time_ns() - self._recorder.minutely_ns - before_ns) / 1e6

    def _pass(self, pause_ms: int) -> None:
        """Let time pass: where it is long enough, what came so far is handed on, then written, and at last legs end."""
        begins_ns = self._now_ns
        for settled_ms in (_RELEASED_MS, _WRITTEN_MS):
            if pause_ms >= settled_ms:
                self._now_ns = begins_ns + settled_ms * 1_000_000
                self._handed_on.ms += self._turn_ms()
        if pause_ms >= _RELEASED_MS:
            self._all_ms.append(self._handed_on.share(self._held_back))
            self._handed_on = _Group(self._held_back)
        self._now_ns = begins_ns + pause_ms * 1_000_000
        if pause_ms > _SETTLED_MS:
            self._leg.ms = self._turn_ms()
            self._all_ms.append(self._leg.share(0))
            if not self._engine.open_calls:
                self._leg = _Group()

    @property
    def _held_back(self) -> int:
        return int(self._engine.fates[list(_HELD_BACK)].sum())

    def _longest_s(self) -> float:
        """Give the length of the longest recording."""
        lengths = [0.0]
        for path in self._directory.glob("*.wav"):
            with path.open("rb") as file:
                bytes_a_second = int.from_bytes(file.read(44)[28:32], "little")
            lengths.append((path.stat().st_size - 44) / max(1, bytes_a_second))
        return max(lengths)


def _clock_hz(payload_type: int) -> int:
    format = PAYLOAD_TYPES[payload_type]
    assert format is not None
    return format.rtp_clock_hz


def _audio_s(step: Step, datagram: bytes) -> float:
    """Give how much audio a datagram holds by what it says itself."""
    format = PAYLOAD_TYPES[step.payload_type]
    if format is None or not is_decodable(format):
        return 0.0
    return packet_samples(format, datagram[len(datagram) - step.length :]) / format.sample_rate_hz


def _datagram(step: Step, sequence: int, timestamp: int) -> bytes:
    if step.fill is None:
        payload = np.random.default_rng(step.seed).bytes(step.length)
    else:
        payload = bytes([step.fill]) * step.length
    rtp = RtpPacket(
        payload_type=step.payload_type,
        sequence_number=sequence & 0xFFFF,
        timestamp=timestamp & 0xFFFF_FFFF,
        ssrc=step.ssrc,
        payload=payload,
        marker=step.marker,
    )
    return StrepHeader(_LEG, 0, step.direction).serialize() + rtp.serialize()
