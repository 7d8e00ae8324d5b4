"""Search for the datagram that costs most: bytes on disk, time of ours, and length of a recording.

Sequences of datagrams to one leg, both directions, any payload type, length, sequence number, timestamp, SSRC and
pause, go one by one through the engine and a RecordingSink. What is worst is kept and changed further (hill climbing),
for each of the three by itself. Of a datagram are measured:

bytes: by how much the folder's files grew on disk in its turn, and those since something last was written share that.
time: processor time (feed, advance, flush) from its arrival until it is handed on, and written if nothing comes before
that; those that come meanwhile share it. Of the worst found, the median of repeats.
length: by how much the recording is longer than the time since its beginning, or than the audio that was sent (and an
eighth), whichever is more; 5 s of that are believed by rule (strep.stream.clock).
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from bench.claims import Claim
from strep.audio.decoders import is_decodable, packet_samples
from strep.audio.formats import AudioFormat, PayloadTypeMap, parse_format
from strep.engine import Engine, EngineConfig
from strep.pipeline import Pipeline
from strep.sinks.recordings import RecordingSink
from strep.wire.batch import DatagramBatch, Endpoint
from strep.wire.rtp import RtpPacket
from strep.wire.strep import StrepHeader

_MOST_BYTES = 65_536
_MOST_MS = 2.0
_MOST_AHEAD_S = 5.0
_REPEATS = 9
_ELITE, _SETTLED = 8, 4
_FRESH_SHARE = 0.2
_LONGEST = 40
_MEMORY = Path("/dev/shm")
_HERE = (Endpoint("192.0.2.1:4000", "192.0.2.9:9000", "default"),)
_LEG = uuid.UUID("428c31b6-7af4-4bcb-b7f5-5013ef9657c1")
_START_NS = 1_700_000_000_000_000_000
_NS = 10**9
#: What dynamic payload types mean here: everything that decodes.
_DYNAMIC: Mapping[int, AudioFormat] = MappingProxyType(
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
            111: "opus/48000/2",
            121: "red/8000",
        }.items()
    }
)
_MAP = PayloadTypeMap(_DYNAMIC)
_TYPES = (0, 2, 3, 4, 8, 9, 10, 11, 13, 18, 77, *_DYNAMIC)
_LENGTHS = (0, 1, 2, 4, 10, 20, 33, 38, 50, 160, 320, 640, 1000, 1440, 1900, 2012)
_FILLS = (None, 0, 0x55, 0x7F, 0x80, 0xFF, 0x3C, 0x0F)
_PAUSES_MS = (0, 0, 1, 5, 20, 20, 20, 60, 250, 1000, 4000, 20_000, 59_000, 3_000_000)
_JUMPS = (1, 1, 1, 0, 2, 10, 64, 100, 1000, 2999, 3001, 32_767, -1, -63, -100)
_TICKS = (160, 160, 160, 0, 960, 8000, 40_000, 400_000, 1 << 20, 1 << 27, 1 << 31, -160, -8000, -400_000)


@dataclass(frozen=True, slots=True)
class Step:
    """Is one datagram: how long after the one before, and how its fields go on from those of its direction's last.

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
class Cost:
    """Is what the worst datagram of a sequence cost, each of the three by itself."""

    bytes: float
    ms: float
    ahead_s: float


#: Both directions speak before anything else comes, and a second later the file is there.
_PRELUDE = tuple(
    Step(pause_ms=pause_ms * (1 - direction), direction=direction, ticks=8 * pause_ms)
    for pause_ms in (20, 20, 20, 1000, 20)
    for direction in (0, 1)
)
Sequence = tuple[Step, ...]
_USUAL = (Step(pause_ms=20), Step(pause_ms=1000))
#: When a packet has been handed on (100 ms later), and written (0.75 s after that at most).
_RELEASED_MS, _WRITTEN_MS, _SETTLED_MS = 101, 900, 1000
_KINDS: Mapping[str, Callable[[Cost], float]] = MappingProxyType(
    {"bytes": lambda cost: cost.bytes, "ms": lambda cost: cost.ms, "ahead_s": lambda cost: cost.ahead_s}
)


def measure(seconds: float = 20.0, seed: int = 0) -> dict[str, Any]:
    """Search for so long."""
    random = np.random.default_rng(seed)
    parent = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="strep-fortress-", dir=parent) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _Search(random, Path(folder)).run(seconds) | {"seed": seed, "seconds": seconds}


def rows(report: dict[str, Any]) -> list[Claim]:
    """Say of a report what was promised, and whether it was kept."""
    worst, tried = report["worst"], f"of {report['datagrams']:,} datagrams in {report['sequences']:,} sequences"
    written, spent, ahead = worst["bytes"]["cost"], worst["ms"]["cost"], worst["ahead_s"]["cost"]
    return [
        Claim(f"most bytes written, {tried}", f"{written:,.0f}", f"{_MOST_BYTES:,}", written <= _MOST_BYTES),
        Claim(
            f"longest time, the median of {_REPEATS} repeats (of speech: {report['usual_ms']:.2f} ms)",
            f"{spent:.2f} ms",
            f"{_MOST_MS:g} ms",
            spent <= _MOST_MS,
        ),
        Claim(
            "longest recording, beyond the time or the audio sent",
            f"{ahead:.2f} s",
            f"{_MOST_AHEAD_S:g} s",
            ahead <= _MOST_AHEAD_S,
        ),
    ]


class _Search:
    """A search for the worst sequences, in a folder of its own."""

    def __init__(self, random: np.random.Generator, folder: Path) -> None:
        self._random, self._folder = random, folder
        self._elite: dict[str, list[tuple[float, Sequence]]] = {kind: [] for kind in _KINDS}
        self._played = self.datagrams = 0

    def run(self, seconds: float) -> dict[str, Any]:
        for payload_type in _TYPES:  # whatever is slow the first time only
            self.play(tuple(Step(payload_type=payload_type, length=length) for length in (160, 33)))
        usual_ms = statistics.median(self.play(_USUAL).ms for _ in range(_REPEATS))
        ends_s = time.monotonic() + seconds
        while time.monotonic() < ends_s:
            for kind in _KINDS:
                self._try(kind)
        worst = {kind: self._settle(kind) for kind in _KINDS}
        return {"worst": worst, "usual_ms": usual_ms, "sequences": self._played, "datagrams": self.datagrams}

    def _try(self, kind: str) -> None:
        elite = self._elite[kind]
        if not elite or self._random.random() < _FRESH_SHARE:
            sequence: Sequence = tuple(self._step() for _ in range(int(self._random.integers(1, 12))))
        else:
            sequence = self._changed(elite[int(self._random.integers(len(elite)))][1])
        cost = self.play(sequence)
        for other, of in _KINDS.items():
            self._keep(other, of(cost), sequence)

    def _keep(self, kind: str, cost: float, sequence: Sequence) -> None:
        elite = self._elite[kind]
        if len(elite) == _ELITE and cost <= elite[-1][0]:
            return
        if kind == "ms":  # others have the machine's caches, too: once more, and the less of both
            cost = min(cost, self.play(sequence).ms)
        elite.append((cost, sequence))
        elite.sort(key=lambda one: -one[0])
        del elite[_ELITE:]

    def _settle(self, kind: str) -> dict[str, Any]:
        """Measure the worst of a kind again, and give the median of the one that stays worst."""
        settled, repeats = [], _REPEATS if kind == "ms" else 1  # the others are the same each time
        for _, sequence in self._elite[kind][:_SETTLED]:
            costs = [_KINDS[kind](self.play(sequence)) for _ in range(repeats)]
            settled.append((statistics.median(costs), sequence))
        cost, sequence = max(settled, key=lambda one: one[0])
        return {"cost": cost, "sequence": [str(step) for step in sequence]}

    def _step(self) -> Step:
        def one_of(values: tuple[Any, ...]) -> Any:
            return values[int(self._random.integers(len(values)))]

        return Step(
            pause_ms=one_of(_PAUSES_MS),
            direction=int(self._random.integers(2)),
            ssrc=one_of((1, 1, 1, 2, 3, int(self._random.integers(1 << 32)))),
            payload_type=one_of(_TYPES),
            length=one_of(_LENGTHS),
            sequence_step=one_of(_JUMPS),
            ticks=one_of(_TICKS),
            fill=one_of(_FILLS),
            seed=int(self._random.integers(1 << 30)),
            marker=bool(self._random.integers(2)),
        )

    def _changed(self, sequence: Sequence) -> Sequence:
        """Change a sequence a little: a step or a field of one, or steps doubled, removed, exchanged."""
        steps = list(sequence)
        for _ in range(int(self._random.integers(1, 4))):
            place = int(self._random.integers(len(steps) + 1))
            kind = int(self._random.integers(5))
            if kind == 0 or place == len(steps):
                steps.insert(place, self._step())
            elif kind == 1 and len(steps) > 1:
                del steps[place]
            elif kind == 2:
                steps[place:place] = steps[place : place + int(self._random.integers(1, 9))]
            elif kind == 3:
                steps[place] = self._step()
            else:
                name = list(Step.__dataclass_fields__)[int(self._random.integers(len(Step.__dataclass_fields__)))]
                steps[place] = replace(steps[place], **{name: getattr(self._step(), name)})
        return tuple(steps[:_LONGEST])

    def play(self, sequence: Sequence) -> Cost:
        """Play a sequence behind the prelude."""
        self._played += 1
        self.datagrams += len(sequence)
        directory = self._folder / str(self._played)
        cost = _Play(directory).run((*_PRELUDE, *sequence))
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()
        return cost


class _Play:
    """An engine and a sink to which datagrams come, one a turn."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        engine = Engine(EngineConfig(max_streams=64, payload_types=_MAP))
        self._pipeline = Pipeline(engine, [RecordingSink(directory)])
        self._now_ns, self._disk, self._waiting = _START_NS, 0, 0
        self._spent_ms, self._group, self._costs_ms = 0.0, 0, [0.0]
        self._audio_s = [0.0, 0.0]

    def run(self, steps: Sequence) -> Cost:
        sequence, timestamp = [0, 0], [0, 0]
        most_bytes, pauses_ms = 0.0, [step.pause_ms for step in steps[1:]]
        for number, (step, pause_ms) in enumerate(zip(steps, [*pauses_ms, _SETTLED_MS], strict=True)):
            if number == len(_PRELUDE):
                self._costs_ms = [0.0]
            sequence[step.direction] += step.sequence_step
            timestamp[step.direction] += step.ticks
            datagram = _datagram(step, sequence[step.direction], timestamp[step.direction])
            self._audio_s[step.direction] += _audio_s(step, datagram)
            self._group += 1
            self._waiting += 1
            self._turn(datagram)
            self._pass(pause_ms)
            grown = self._grown()
            if number >= len(_PRELUDE):
                most_bytes = max(most_bytes, grown)
        elapsed_s = (self._now_ns - _START_NS) / _NS
        self._pipeline.close()
        believed_s = max(elapsed_s, max(self._audio_s) * 9 / 8)
        return Cost(max(most_bytes, self._grown()), max(self._costs_ms), self._longest_s() - believed_s)

    def _turn(self, datagram: bytes | None = None) -> None:
        """Let a turn be, and take its time."""
        before_s = time.process_time()
        if datagram is not None:
            self._pipeline.feed(DatagramBatch.from_datagrams([datagram], [self._now_ns], endpoints=_HERE))
        self._pipeline.advance(self._now_ns)
        self._spent_ms += (time.process_time() - before_s) * 1000

    def _pass(self, pause_ms: int) -> None:
        """Let time pass: where it is long enough, what came so far is handed on, and then written, each in a turn."""
        begins_ns = self._now_ns
        for settled_ms in (_RELEASED_MS, _WRITTEN_MS):
            if pause_ms >= settled_ms:
                self._now_ns = begins_ns + settled_ms * 1_000_000
                self._turn()
        if pause_ms >= _RELEASED_MS:
            self._costs_ms.append(self._spent_ms / self._group)
            self._spent_ms, self._group = 0.0, 0
        self._now_ns = begins_ns + pause_ms * 1_000_000

    def _grown(self) -> float:
        """Give the bytes that the folder grew by since something was last written, for each datagram since then."""
        disk = sum(entry.stat().st_blocks * 512 for entry in os.scandir(self._directory))
        if disk <= self._disk:
            return 0.0
        grown = (disk - self._disk) / max(1, self._waiting)
        self._disk, self._waiting = disk, 0
        return grown

    def _longest_s(self) -> float:
        """Give the length of the longest recording."""
        lengths = [0.0]
        for path in self._directory.glob("*.wav"):
            with path.open("rb") as file:
                bytes_a_second = int.from_bytes(file.read(44)[28:32], "little")
            lengths.append((path.stat().st_size - 44) / max(1, bytes_a_second))
        return max(lengths)


def _audio_s(step: Step, datagram: bytes) -> float:
    """Give how much audio a datagram holds by what it says itself."""
    format = _MAP[step.payload_type]
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
