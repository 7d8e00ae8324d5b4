"""Search for the datagram that costs most: bytes on disk, time of ours, and length of a recording.

Sequences of datagrams to one leg, both directions, any payload type, length, sequence number, timestamp, SSRC and
pause: at random, or as senders do that change their format and pause, with or without loss. What is worst is kept and
changed further (hill climbing), for each of the three by itself; bench.datagram_cost says how they are measured. Of
the worst found, each datagram's time is the least of repeats.
"""

from __future__ import annotations

import functools
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from bench.claims import Claim
from bench.datagram_cost import DYNAMIC, OPENINGS, PAYLOAD_TYPES, Cost, Play, Sequence, Step

_MOST_BYTES = 65_536
_MOST_MS = 2.0
_MOST_AHEAD_S = 5.0
_REPEATS = 9
_ELITE, _SETTLED = 8, 4
_FRESH_SHARE, _ORDERLY_SHARE = 0.2, 0.5
_LONGEST = 40
_MEMORY = Path("/dev/shm")
_TYPES = (0, 2, 3, 4, 8, 9, 10, 11, 13, 18, 77, *DYNAMIC)
_LENGTHS = (0, 1, 2, 4, 10, 20, 33, 38, 50, 160, 320, 640, 1000, 1440, 1900, 2012)
_FILLS = (None, 0, 0x55, 0x7F, 0x80, 0xFF, 0x3C, 0x0F)
_PAUSES_MS = (0, 0, 1, 5, 20, 20, 20, 60, 250, 1000, 4000, 20_000, 59_000, 3_000_000)
_JUMPS = (1, 1, 1, 0, 2, 10, 64, 100, 1000, 2999, 3001, 32_767, -1, -63, -100)
_TICKS = (160, 160, 160, 0, 960, 8000, 40_000, 400_000, 1 << 20, 1 << 27, 1 << 31, -160, -8000, -400_000)
_ORDERLY_PAUSES_MS = (20, 20, 60, 250, 1000, 4000, 20_000, 59_000)
_USUAL = Sequence((Step(pause_ms=20), Step(pause_ms=1000)))
_KINDS: Mapping[str, Callable[[Cost], float]] = MappingProxyType(
    {"ms": lambda cost: cost.ms, "ahead_s": lambda cost: cost.ahead_s}
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
            f"longest time, the least of {_REPEATS} repeats (of speech: {report['usual_ms']:.2f} ms)",
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
        self._elite: dict[str, list[tuple[float, Sequence]]] = {kind: [] for kind in ("bytes", *_KINDS)}
        self._played = self.datagrams = 0

    def run(self, seconds: float) -> dict[str, Any]:
        for payload_type in _TYPES:  # whatever is slow the first time only
            self.play(Sequence(tuple(Step(payload_type=payload_type, length=length) for length in (160, 33))))
        usual_ms = self._play_often(_USUAL, _REPEATS).ms
        ends_s = time.monotonic() + seconds
        while time.monotonic() < ends_s:
            for kind in self._elite:
                self._try(kind)
        worst = {kind: self._settle(kind) for kind in self._elite}
        return {"worst": worst, "usual_ms": usual_ms, "sequences": self._played, "datagrams": self.datagrams}

    def _try(self, kind: str) -> None:
        elite = self._elite[kind]
        if not elite or self._random.random() < _FRESH_SHARE:
            sequence = self._fresh()
        else:
            sequence = self._changed(elite[int(self._random.integers(len(elite)))][1])
        cost = self.play(sequence)
        for other, of in _KINDS.items():
            self._keep(other, cost, of(cost), sequence)
        if kind == "bytes":
            self._keep(kind, cost, self._bytes(cost, sequence), sequence)

    def _bytes(self, cost: Cost, sequence: Sequence) -> int:
        return cost.disk_beyond(self.play(replace(sequence, steps=sequence.steps[:-1])))

    def _keep(self, kind: str, cost: Cost, figure: float, sequence: Sequence) -> None:
        elite = self._elite[kind]
        if len(elite) == _ELITE and figure <= elite[-1][0]:
            return
        if kind == "ms":  # others have the machine's caches, too: once more, and the less of both
            figure = cost.least(self.play(sequence)).ms
        elite.append((figure, sequence))
        elite.sort(key=lambda one: -one[0])
        del elite[_ELITE:]

    def _settle(self, kind: str) -> dict[str, Any]:
        """Measure the worst of a kind again, and give the one that stays worst."""
        settled = self._elite[kind][:_SETTLED]
        if kind == "ms":  # the others are the same each time
            settled = [(self._play_often(sequence, _REPEATS).ms, sequence) for _, sequence in settled]
        cost, sequence = max(settled, key=lambda one: one[0])
        return {"cost": cost, "opening": sequence.opening, "sequence": [str(step) for step in sequence.steps]}

    def _play_often(self, sequence: Sequence, repeats: int) -> Cost:
        return functools.reduce(Cost.least, (self.play(sequence) for _ in range(repeats)))

    def _one_of(self, values: tuple[Any, ...]) -> Any:
        return values[int(self._random.integers(len(values)))]

    def _fresh(self) -> Sequence:
        steps = self._orderly() if self._random.random() < _ORDERLY_SHARE else self._steps(12)
        return Sequence(steps, self._one_of(tuple(OPENINGS)))

    def _steps(self, most: int) -> tuple[Step, ...]:
        return tuple(self._step() for _ in range(int(self._random.integers(1, most))))

    def _orderly(self) -> tuple[Step, ...]:
        """Let both directions speak in changing formats, pause and lose packets, and tell the truth of that."""
        steps, since_ms = list[Step](), [0, 0]
        for step in self._steps(20):
            format = PAYLOAD_TYPES[step.payload_type]
            pause_ms, clock_hz = self._one_of(_ORDERLY_PAUSES_MS), format.rtp_clock_hz if format else 8000
            since_ms = [passed_ms + pause_ms for passed_ms in since_ms]
            ticks, since_ms[step.direction] = since_ms[step.direction] * clock_hz // 1000, 0
            number = {"ssrc": 1, "sequence_step": self._one_of((1, 1, 1, 2, 4)), "ticks": ticks}
            steps.append(replace(step, pause_ms=pause_ms, **number))
        return tuple(steps)

    def _step(self) -> Step:
        return Step(
            pause_ms=self._one_of(_PAUSES_MS),
            direction=int(self._random.integers(2)),
            ssrc=self._one_of((1, 1, 1, 2, 3, int(self._random.integers(1 << 32)))),
            payload_type=self._one_of(_TYPES),
            length=self._one_of(_LENGTHS),
            sequence_step=self._one_of(_JUMPS),
            ticks=self._one_of(_TICKS),
            fill=self._one_of(_FILLS),
            seed=int(self._random.integers(1 << 30)),
            marker=bool(self._random.integers(2)),
        )

    def _changed(self, sequence: Sequence) -> Sequence:
        """Change a sequence a little: a step or a field of one, or steps doubled, removed, exchanged."""
        steps, opening = list(sequence.steps), sequence.opening
        for _ in range(int(self._random.integers(1, 4))):
            place = int(self._random.integers(len(steps) + 1))
            kind = int(self._random.integers(6))
            if kind == 0 or place == len(steps):
                steps.insert(place, self._step())
            elif kind == 1 and len(steps) > 1:
                del steps[place]
            elif kind == 2:
                steps[place:place] = steps[place : place + int(self._random.integers(1, 9))]
            elif kind == 3:
                steps[place] = self._step()
            elif kind == 4:
                opening = self._one_of(tuple(OPENINGS))
            else:
                name = list(Step.__dataclass_fields__)[int(self._random.integers(len(Step.__dataclass_fields__)))]
                steps[place] = replace(steps[place], **{name: getattr(self._step(), name)})
        return Sequence(tuple(steps[:_LONGEST]), opening)

    def play(self, sequence: Sequence) -> Cost:
        """Play a sequence in a folder of its own."""
        self._played += 1
        self.datagrams += len(sequence.steps)
        directory = self._folder / str(self._played)
        cost = Play(directory).run(sequence)
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()
        return cost
