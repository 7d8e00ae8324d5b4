"""Follow tone pairs over time, many rows at once: where each begins and ends, and which interruptions it survives.

A row whose windows pass the screen is fitted after the third in a row, and again where they cease to pass; that gives
the beginning and the end. Between tones a row costs its screen alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.plugins.tone_pairs import (
    CORE_AT_END,
    CORE_AT_START,
    CORE_SAMPLES,
    SAMPLE_RATE_HZ,
    SEGMENT_SAMPLES,
    WINDOW_SAMPLES,
    Glance,
    PairFit,
    Screen,
    find_end,
    find_start,
    fit,
    glance,
)

_SAMPLES_PER_MS = SAMPLE_RATE_HZ // 1000
_WINDOWS = 2
HOP_SAMPLES = _WINDOWS * WINDOW_SAMPLES
#: As many hops as SEGMENT_SAMPLES need, whichever window of the newest one the segment ends with.
_KEPT_HOPS = 3
#: Windows in a row that pass before a row is fitted; see WINDOW_SAMPLES.
_PASSES = 3
#: What has passed for longer, and was no key's, is another tone or music, which may last: it is fitted at times only.
_PATIENT_PASSES, _PASSES_A_FIT = 10, 8
#: A tone and its octave are of one voice; keys' tones stay 0.024 away from it, though they be 1.5 % off both.
_OCTAVE = 0.018
#: Tones that go on after no more than 25 ms are the same key: Q.24 has 10 ms bridged, and 40 ms part two keys.
_BRIDGED_SAMPLES = 25 * _SAMPLES_PER_MS
#: Tones that go on are known to so many windows after they broke off: four that are bridged, and three that pass.
_PATIENCE_WINDOWS = 7
#: Of lost audio, 200 ms are bridged too.
_MOST_LOST_WINDOWS = 20
#: What partly filled windows and neighbours of the keys' frequencies may lack of the share that a key needs.
_SCREEN_SLACK = 0.1
#: What a glance may be wrong by: the next frequency of its grid, and noise.
_TWIST_SLACK = 2.0
_START_CORE = slice(CORE_AT_START, CORE_AT_START + CORE_SAMPLES)
_END_CORE = slice(CORE_AT_END, CORE_AT_END + CORE_SAMPLES)
_NONE = -1


class Limits(NamedTuple):
    """What says which fits are keys: what each limit means is said in strep.plugins.dtmf.DtmfConfig."""

    least_level_dbm0: float
    least_twist_db: float
    most_twist_db: float
    most_deviation: float
    least_share: float

    def admit(self, fitted: PairFit) -> NDArray[np.bool_]:
        """Tell which rows of a fit are keys."""
        twist_db = fitted.column_dbm0 - fitted.row_dbm0
        admitted: NDArray[np.bool_] = fitted.share >= self.least_share
        admitted &= fitted.deviation <= self.most_deviation
        admitted &= np.abs(fitted.radians[:, 1] / fitted.radians[:, 0] - 2) > _OCTAVE
        admitted &= (twist_db >= self.least_twist_db) & (twist_db <= self.most_twist_db)
        admitted &= np.minimum(fitted.row_dbm0, fitted.column_dbm0) >= self.least_level_dbm0
        return admitted

    def suggest(self, seen: Glance) -> NDArray[np.bool_]:
        """Tell which rows may turn out to be keys."""
        least, most = (
            10 ** (db / 10) for db in (self.least_twist_db - _TWIST_SLACK, self.most_twist_db + _TWIST_SLACK)
        )
        return (seen.share >= self.least_share - _SCREEN_SLACK) & (seen.ratio >= least) & (seen.ratio <= most)


class Tones(NamedTuple):
    """A key's tones from sample `begin` of a row's stream up to `end`; level_dbm0: of both together."""

    row: int
    key: int
    begin: int
    end: int
    level_dbm0: float


class ToneTracker:
    """A tone tracker that keeps columns for `rows` streams, and 60 ms of audio of each."""

    def __init__(self, rows: int, limits: Limits) -> None:
        self._limits = limits
        self._screen = Screen(limits.least_share - _SCREEN_SLACK, limits.least_level_dbm0)
        self._kept = np.zeros((rows, _KEPT_HOPS, HOP_SAMPLES), np.int16)
        self._run = np.zeros(rows, np.int64)  # windows in a row that passed
        self._sounds = np.zeros(rows, np.bool_)  # those were fitted, and are a key's
        self._key = np.full(rows, _NONE)  # that sounds, or did until a moment ago
        self._begin, self._end = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        self._level_dbm0 = np.zeros(rows)
        self._misses, self._lost = np.zeros(rows, np.int64), np.zeros(rows, np.int64)  # windows since it broke off

    def open(self, row: int) -> None:
        """Forget what a row held."""
        self._key[row] = _NONE
        for column in (self._kept, self._run, self._sounds):
            column[row] = 0

    def close(self, row: int) -> list[Tones]:
        """Give the tones that the end of a stream cuts off."""
        return self._take(np.array([row])) if self._key[row] != _NONE else []

    def take(
        self,
        rows: NDArray[np.int64],
        position: NDArray[np.int64],
        samples: NDArray[np.int16],
        is_lost: NDArray[np.bool_],
    ) -> list[Tones]:
        """Take a hop of each row, int16[n, HOP_SAMPLES]; gives the tones that are known to be over.

        is_lost: bool[n]; a tone does not end by what was lost.
        """
        self._kept[rows, position // HOP_SAMPLES % _KEPT_HOPS] = samples
        passed = self._screen.passes(samples)
        some = np.flatnonzero(passed.any(axis=1) | (self._run[rows] > 0) | (self._key[rows] != _NONE))
        if not len(some):
            return []
        rows, position, passed, is_lost = rows[some], position[some], passed[some], is_lost[some]
        over = list[Tones]()
        for window in range(_WINDOWS):
            over += self._follow(rows, position + window * WINDOW_SAMPLES, passed[:, window], is_lost)
        return over

    def _follow(
        self,
        rows: NDArray[np.int64],
        start: NDArray[np.int64],
        passed: NDArray[np.bool_],
        is_lost: NDArray[np.bool_],
    ) -> list[Tones]:
        """Go on by the window that begins at `start`, int64[n]."""
        sounds = self._sounds[rows]
        run = self._run[rows] = np.where(passed, self._run[rows] + 1, 0)
        goes_on = sounds & passed
        self._end[rows[goes_on]] = start[goes_on] + WINDOW_SAMPLES
        breaks_off = sounds & ~passed
        self._break_off(rows[breaks_off], start[breaks_off])
        begins = ~sounds & (run >= _PASSES) & ((run <= _PATIENT_PASSES) | (run % _PASSES_A_FIT == 0))
        over = self._begin_some(rows[begins], start[begins])
        waits = (self._key[rows] != _NONE) & ~self._sounds[rows]
        self._misses[rows] += waits & ~is_lost
        self._lost[rows] += waits & is_lost
        waits &= (self._misses[rows] >= _PATIENCE_WINDOWS) | (self._lost[rows] >= _MOST_LOST_WINDOWS)
        return over + self._take(rows[waits])

    def _break_off(self, rows: NDArray[np.int64], start: NDArray[np.int64]) -> None:
        """Find the end of tones whose row did not pass in the window at `start`; where unsure, it is that window."""
        if not len(rows):
            return
        segment = self._segment(rows, start)
        core = segment[:, _END_CORE]
        fitted = fit(core, glance(core).radians)
        is_same = (fitted.key == self._key[rows]) & (fitted.share >= self._limits.least_share - _SCREEN_SLACK)
        end = start + WINDOW_SAMPLES - SEGMENT_SAMPLES + find_end(segment, fitted)
        self._end[rows] = np.where(is_same, end, start)
        self._sounds[rows] = False
        self._misses[rows] = self._lost[rows] = 0

    def _begin_some(self, rows: NDArray[np.int64], start: NDArray[np.int64]) -> list[Tones]:
        """Find the beginning where there are tones; gives those before, of another key or too long ago to be the same.

        The rows passed in the window at `start` and those before.
        """
        if not len(rows):
            return []
        segment = self._segment(rows, start)
        seen = glance(segment[:, _START_CORE])
        likely = np.flatnonzero(self._limits.suggest(seen))
        if not len(likely):
            return []
        fitted = fit(segment[likely, _START_CORE], seen.radians[likely])
        admitted = self._limits.admit(fitted)
        some, fitted = likely[admitted], PairFit._make(column[admitted] for column in fitted)
        rows, stop = rows[some], start[some] + WINDOW_SAMPLES
        return self._go_on(rows, stop - SEGMENT_SAMPLES + find_start(segment[some], fitted), stop, fitted)

    def _go_on(
        self, rows: NDArray[np.int64], begin: NDArray[np.int64], stop: NDArray[np.int64], fitted: PairFit
    ) -> list[Tones]:
        """Take up tones from `begin` to `stop`, as new ones or as those that broke off; gives what new ones follow."""
        bridged = _BRIDGED_SAMPLES + self._lost[rows] * WINDOW_SAMPLES
        is_new = (self._key[rows] != fitted.key) | (begin - self._end[rows] > bridged)
        over = self._take(rows[is_new & (self._key[rows] != _NONE)])
        new = rows[is_new]
        self._key[new], self._begin[new] = fitted.key[is_new], begin[is_new]
        both = 10 ** (fitted.row_dbm0 / 10) + 10 ** (fitted.column_dbm0 / 10)
        self._level_dbm0[new] = 10 * np.log10(both[is_new])
        self._sounds[rows], self._end[rows] = True, stop
        return over

    def _segment(self, rows: NDArray[np.int64], start: NDArray[np.int64]) -> NDArray[np.float64]:
        """Give what was heard up to the end of the window at `start`: float64[k, SEGMENT_SAMPLES]."""
        hop, within = start // HOP_SAMPLES, start[0] % HOP_SAMPLES
        order = (hop[:, None] + np.arange(1, _KEPT_HOPS + 1)) % _KEPT_HOPS
        heard = self._kept[rows[:, None], order].reshape(len(rows), -1)
        stop = heard.shape[1] - HOP_SAMPLES + within + WINDOW_SAMPLES
        segment: NDArray[np.float64] = heard[:, stop - SEGMENT_SAMPLES : stop].astype(np.float64)
        return segment

    def _take(self, rows: NDArray[np.int64]) -> list[Tones]:
        """Give the tones of some rows, and forget them."""
        columns = (self._key, self._begin, self._end, self._level_dbm0)
        over = [Tones._make(values) for values in zip(rows.tolist(), *(c[rows].tolist() for c in columns), strict=True)]
        self._key[rows], self._sounds[rows] = _NONE, False
        return over
