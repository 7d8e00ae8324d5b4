"""Measure how loud streams are: RMS, peak, level of speech, clipping, a constant offset, and dead air.

Levels are in dBFS of 32768: a sine that just fits has a peak of 0 and an RMS of -3. The level of speech is that of
ITU-T P.56 method B (strep.plugins.speech_level), within 0.01 dB (and 0.0003 of the activity) of the method taken sample
by sample, on ten calls made of prompts; RMS, peak, offset and clipping are exact. `python -m bench analysis` prints it,
and what a hop costs: some 450 ns at 2,000 streams.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from strep.plugins.base import BlockPlugin, Finding, Hops, PluginConfig, Wants
from strep.plugins.speech_level import (
    HOP_SAMPLES,
    SAMPLE_RATE_HZ,
    STEPS,
    THRESHOLDS,
    SpeechLevel,
    active_level,
    step_means,
)
from strep.stream.events import StreamIdentity

_FULL_SCALE = 32768
_HOP_NS = HOP_SAMPLES * 1_000_000_000 // SAMPLE_RATE_HZ
#: Of what is nothing but zeros; a single 1 in ten seconds is -139 dBFS.
SILENCE_DBFS = -150.0
#: Streams at a time: what is worked out of their samples stays in the caches, and is too small for the C library to
#: give the memory back to the system each time, which made it four times as dear.
_SLICE = 256
#: Three in a row at the top are no longer the tip of a wave.
_LEAST_RUN = 3


class LevelConfig(PluginConfig):
    """A level config that says how often to tell, and what is clipped or dead.

    clip_level: of 32768; the default is the highest value of mu-law, which is below those of A-law and L16.
    dead_air_dbfs: below this a hop is silent; dead_air_s: so long silence is told of.
    """

    interval_s: float = Field(default=10.0, ge=0.1, le=3600)
    clip_level: int = Field(default=32124, ge=1, le=32767)
    dead_air_dbfs: float = Field(default=-55.0, ge=-100, le=0)
    dead_air_s: float = Field(default=10.0, ge=0.1, le=3600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level(Finding):
    """The level of an interval, or with is_total of all of a stream.

    offset: mean of the samples, as a share of full scale. clipped_samples, clipped_runs: in runs of 3 and more at
    clip_level. active_dbfs: level of speech; None if there is none. activity: share of time in which there is.
    """

    KIND: ClassVar[str] = "level"

    is_total: bool
    rms_dbfs: float
    peak_dbfs: float
    offset: float
    clipped_samples: int
    clipped_runs: int
    active_dbfs: float | None
    activity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadAir(Finding):
    """Silence: told when it has lasted for dead_air_s, and, with is_over, with its whole length when it is over."""

    KIND: ClassVar[str] = "dead_air"

    is_over: bool


class _Sums:
    """What adds up: a row a stream."""

    def __init__(self, rows: int) -> None:
        self.energy, self.sum = np.zeros(rows), np.zeros(rows)
        self.peak, self.samples, self.clipped, self.runs = (np.zeros(rows, np.int64) for _ in range(4))
        self.active = np.zeros((rows, THRESHOLDS), np.int64)

    def reset(self, rows: NDArray[np.int64] | int) -> None:
        for column in (self.energy, self.sum, self.peak, self.samples, self.clipped, self.runs, self.active):
            column[rows] = 0

    def add(self, rows: NDArray[np.int64], other: _Sums) -> None:
        for name in ("energy", "sum", "samples", "clipped", "runs", "active"):
            getattr(self, name)[rows] += getattr(other, name)[rows]
        self.peak[rows] = np.maximum(self.peak[rows], other.peak[rows])


class LevelPlugin(BlockPlugin):
    """A level plugin that measures every stream."""

    NAME: ClassVar[str] = "level"
    CONFIG: ClassVar[type[PluginConfig]] = LevelConfig
    wants = Wants(sample_rate_hz=SAMPLE_RATE_HZ, hop_samples=HOP_SAMPLES)

    def start(self, rows: int) -> None:
        """Make the state."""
        config: LevelConfig = self.config
        self._now, self._total = _Sums(rows), _Sums(rows)
        self._speech = SpeechLevel(rows)
        self._run = np.zeros(rows, np.int64)  # samples at the top that the hop before ended with; negative: the bottom
        self._silent = np.zeros(rows, np.int64)  # hops in a row
        self._end = np.zeros(rows, np.int64)  # position that a stream has come to, and when that was
        self._end_ns = np.zeros(rows, np.int64)
        self._is_dead = np.zeros(rows, np.bool_)  # and that was told
        self._interval = max(round(config.interval_s * SAMPLE_RATE_HZ) // HOP_SAMPLES, 1) * HOP_SAMPLES
        self._dead_hops = max(math.ceil(config.dead_air_s * SAMPLE_RATE_HZ / HOP_SAMPLES), 1)
        self._silent_energy = HOP_SAMPLES * _FULL_SCALE**2 * 10 ** (config.dead_air_dbfs / 10)

    def open(self, row: int, identity: StreamIdentity) -> None:
        """Begin a stream."""
        self._now.reset(row)
        self._total.reset(row)
        self._speech.reset(row)
        self._run[row] = self._silent[row] = self._end[row] = 0
        self._is_dead[row] = False

    def process(self, hops: Hops) -> Iterable[Finding]:
        """Take a hop of each stream."""
        rows, now = hops.rows, self._now
        energy, total, peak, steps = _measured(hops.samples)
        now.energy[rows] += energy
        now.sum[rows] += total
        now.samples[rows] += HOP_SAMPLES
        now.peak[rows] = np.maximum(now.peak[rows], peak)
        self._speech.take(rows, hops.position // HOP_SAMPLES, steps)
        self._clip(hops, peak)
        self._end[rows] = hops.position + HOP_SAMPLES
        self._end_ns[rows] = hops.time_ns + _HOP_NS
        found = self._listen_for_silence(rows, energy < self._silent_energy)
        ended = rows[now.samples[rows] >= self._interval]
        return [*found, *self._end_interval(ended)] if len(ended) else found

    def close(self, row: int) -> Iterable[Finding]:
        """Tell of the rest of an interval, and of all of the stream."""
        end = int(self._end[row])
        if not end:
            return []
        found = list[Finding]()
        if self._is_dead[row]:
            found.append(self._dead_air(row, int(self._silent[row]), end, is_over=True))
        rows = np.array([row])
        if self._now.samples[row]:
            found += self._end_interval(rows)
        found += _levels(rows, self._end[rows], self._total, is_total=True)
        self._end[row] = 0
        return found

    def finish(self) -> Iterable[Finding]:
        """Close what is open."""
        return [finding for row in np.flatnonzero(self._end).tolist() for finding in self.close(row)]

    def _clip(self, hops: Hops, peak: NDArray[np.uint16]) -> None:
        """Count runs; only rows that reach the top are looked at sample by sample."""
        for n in np.flatnonzero(peak >= self.config.clip_level).tolist():
            row = int(hops.rows[n])
            clipped, runs, carried = count_runs(hops.samples[n], self.config.clip_level, int(self._run[row]))
            self._now.clipped[row] += clipped
            self._now.runs[row] += runs
            self._run[row] = carried
        self._run[hops.rows[peak < self.config.clip_level]] = 0

    def tick(self, time_ns: int) -> Iterable[Finding]:
        """Tell of silence that has lasted, also where nothing comes; its hops come when something does."""
        unheard = (time_ns - self._end_ns) // _HOP_NS
        is_dead = (self._end > 0) & ~self._is_dead & (self._silent + unheard >= self._dead_hops)
        found = list[Finding]()
        for row in np.flatnonzero(is_dead).tolist():
            self._is_dead[row] = True
            end = int(self._end[row] - self._silent[row] * HOP_SAMPLES) + self._dead_hops * HOP_SAMPLES
            found.append(self._dead_air(row, self._dead_hops, end, is_over=False))
        return found

    def _listen_for_silence(self, rows: NDArray[np.int64], is_silent: NDArray[np.bool_]) -> list[Finding]:
        before, was_dead = self._silent[rows], self._is_dead[rows]
        now = self._silent[rows] = np.where(is_silent, before + 1, 0)
        is_dead = self._is_dead[rows] = is_silent & (was_dead | (now >= self._dead_hops))
        found = list[Finding]()
        for n in np.flatnonzero(is_dead != was_dead).tolist():
            row, is_over = int(rows[n]), not is_silent[n]
            end = int(self._end[row]) - (HOP_SAMPLES if is_over else 0)
            found.append(self._dead_air(row, int(before[n] if is_over else now[n]), end, is_over=is_over))
        return found

    def _dead_air(self, row: int, hops: int, end: int, *, is_over: bool) -> DeadAir:
        length = hops * HOP_SAMPLES
        return DeadAir(row=row, position=end - length, length_samples=length, is_over=is_over)

    def _end_interval(self, rows: NDArray[np.int64]) -> list[Level]:
        self._now.active[rows] = self._speech.take_counts(rows)
        found = _levels(rows, self._end[rows], self._now, is_total=False)
        self._total.add(rows, self._now)
        self._now.reset(rows)
        return found


def _measured(
    samples: NDArray[np.int16],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint16], NDArray[np.float32]]:
    """Give energy, sum and peak of int16[n, HOP_SAMPLES], and what SpeechLevel takes."""
    count = len(samples)
    energy, total, peak = np.empty(count), np.empty(count), np.empty(count, np.uint16)
    steps = np.empty((STEPS, count), np.float32)
    for begin in range(0, count, _SLICE):
        some = slice(begin, begin + _SLICE)
        part = np.ascontiguousarray(samples[some])
        magnitude = np.abs(part).view(np.uint16)  # unsigned, as there is no int16 for the opposite of -32768
        peak[some] = np.maximum.reduceat(magnitude.ravel(), np.arange(0, magnitude.size, HOP_SAMPLES))
        wide = part.astype(np.float64)  # sums of integers below 2**53 are exact
        energy[some], total[some] = np.vecdot(wide, wide), np.einsum("nm->n", wide)
        steps[:, some] = step_means(magnitude.astype(np.float32))
    return energy, total, peak, steps


def count_runs(samples: NDArray[np.int16], clip_level: int, carried: int) -> tuple[int, int, int]:
    """Count clipped samples and runs in int16[m], and give the run that it ends with, negative at the bottom.

    carried: that of what came before. A run counts when it is long enough, with all its samples up to then.
    """
    side = (samples >= clip_level).astype(np.int64) - (samples <= -clip_level)
    places = np.flatnonzero(np.diff(side, prepend=2, append=2))
    clipped = runs = 0
    for begin, end in zip(places[:-1].tolist(), places[1:].tolist(), strict=True):
        sign, length = int(side[begin]), end - begin
        before = abs(carried) if begin == 0 and carried * sign > 0 else 0
        if sign and before + length >= _LEAST_RUN:
            runs += before < _LEAST_RUN
            clipped += length if before >= _LEAST_RUN else before + length
    last = int(side[-1])
    length = len(samples) - int(places[-2])
    if last and len(places) == 2 and carried * last > 0:
        length += abs(carried)
    return clipped, runs, last * length


def _levels(rows: NDArray[np.int64], end: NDArray[np.int64], sums: _Sums, *, is_total: bool) -> list[Level]:
    """Sum up some rows: all at once, as thousands of streams may end an interval in the same call."""
    samples, energy = sums.samples[rows], sums.energy[rows]
    active = active_level(energy, samples, sums.active[rows])
    columns: tuple[NDArray[Any], ...] = (
        rows,
        end - samples,
        samples,
        _dbfs(np.sqrt(energy / samples)),
        _dbfs(sums.peak[rows]),
        np.round(sums.sum[rows] / samples / _FULL_SCALE, 6),
        sums.clipped[rows],
        sums.runs[rows],
        np.round(active.level_dbfs, 2),
        np.round(active.activity, 4),
    )
    return [
        Level(
            row=row,
            position=position,
            length_samples=length,
            is_total=is_total,
            rms_dbfs=rms_dbfs,
            peak_dbfs=peak_dbfs,
            offset=offset,
            clipped_samples=clipped,
            clipped_runs=runs,
            active_dbfs=None if math.isnan(active_dbfs) else active_dbfs,
            activity=activity,
        )
        for row, position, length, rms_dbfs, peak_dbfs, offset, clipped, runs, active_dbfs, activity in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]


def _dbfs(value: NDArray[Any]) -> NDArray[np.float64]:
    level: NDArray[np.float64] = 20 * np.log10(np.maximum(value / _FULL_SCALE, 10 ** (SILENCE_DBFS / 20)))
    return np.round(level, 2)
