"""Measure the level of speech where there is speech: ITU-T P.56 (2011), method B, many streams at once.

The envelope (rectified, and smoothed twice with a time constant of 30 ms) is held against thresholds 6 dB apart; where
it reached one in the last 200 ms, speech counts as active by that threshold. The level of what is active falls as the
threshold rises; the one that lies 15.9 dB below its level is the right one (section 8). The method's filter is left
out, as telephony has one.

Two ways to save time: the envelope goes on by steps of STEP_SAMPLES, whose mean it takes. And it is not compared with
each threshold, but the highest that it reached in the last 200 ms is counted by its power of two. Held against the
method taken sample by sample by `python -m bench analysis`; strep.plugins.level says what comes of it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ, HOP_SAMPLES = 8000, 160
STEP_SAMPLES = 20
STEPS = HOP_SAMPLES // STEP_SAMPLES
TIME_CONSTANT_S, HANGOVER_S, MARGIN_DB = 0.03, 0.2, 15.9
#: Thresholds are 2**0 to 2**14 of 32768.
THRESHOLDS = 15
_THRESHOLD_DB = 20 * np.log10(2) * np.arange(THRESHOLDS)
_FULL_SCALE_DB = 20 * math.log10(32768)
_BINS = THRESHOLDS + 1  # by the threshold that was reached, the first for none
#: IEEE 754 single precision: 2**n has the exponent n + 127, and 2**0 is the first threshold.
_MANTISSA_BITS, _EXPONENT_OF_HALF = 23, 126
_KEEPS = np.float32(math.exp(-STEP_SAMPLES / SAMPLE_RATE_HZ / TIME_CONSTANT_S))
_TAKES = np.float32(1) - _KEEPS
_HANGOVER_HOPS = round(HANGOVER_S * SAMPLE_RATE_HZ) // HOP_SAMPLES


class ActiveLevel(NamedTuple):
    """Float64[n]: the level of speech, NaN where there was none, and the share of time in which there was."""

    level_dbfs: NDArray[np.float64]
    activity: NDArray[np.float64]


class SpeechLevel:
    """The speech level of so many streams, a row each: how long speech was active by each threshold."""

    def __init__(self, rows: int) -> None:
        self._counts = np.zeros((rows, _BINS), np.int64)  # of steps, by the threshold that the envelope had reached
        self._smoothed = np.zeros((2, rows), np.float32)
        # Of the last hops: what the envelope reached from each step on to the hop's end, and what in all of the hop.
        self._reached = np.zeros((rows, _HANGOVER_HOPS, STEPS), np.float32)
        self._highest = np.zeros((_HANGOVER_HOPS, rows), np.float32)

    def reset(self, row: int) -> None:
        """Forget a stream."""
        self._counts[row] = 0
        self._smoothed[:, row] = 0
        self._reached[row] = 0
        self._highest[:, row] = 0

    def take(self, rows: NDArray[np.int64], hop: NDArray[np.int64], means: NDArray[np.float32]) -> None:
        """Take the next hop of each of n streams, none twice: hop int64[n], its number; means: see step_means."""
        envelope = self._envelope(rows, means)
        place = hop % _HANGOVER_HOPS
        reached = self._reached[rows, place].T.copy()  # in the hop that the 200 ms begin in
        self._highest[place, rows] = 0
        highest = np.zeros(len(rows), np.float32)
        for of_hop in self._highest[:, rows]:  # three times as fast as max(axis=0)
            np.maximum(highest, of_hop, out=highest)
        for step in range(STEPS):  # and now from its beginning on to each step
            np.maximum(highest, envelope[step], out=highest)
            np.maximum(reached[step], highest, out=reached[step])
        for step in range(STEPS - 2, -1, -1):
            np.maximum(envelope[step], envelope[step + 1], out=envelope[step])
        self._reached[rows, place], self._highest[place, rows] = envelope.T, envelope[0]
        exponent = (reached.view(np.int32) >> _MANTISSA_BITS) - _EXPONENT_OF_HALF
        threshold = np.minimum(np.maximum(exponent, 0), THRESHOLDS) + np.arange(0, len(rows) * _BINS, _BINS)
        self._counts[rows] += np.bincount(threshold.ravel(), minlength=len(rows) * _BINS).reshape(-1, _BINS)

    def take_counts(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give how many samples were active by each threshold, int64[n, THRESHOLDS], and begin to count anew."""
        counts: NDArray[np.int64] = np.cumsum(self._counts[rows, :0:-1], axis=1)[:, ::-1] * STEP_SAMPLES
        self._counts[rows] = 0
        return counts

    def _envelope(self, rows: NDArray[np.int64], means: NDArray[np.float32]) -> NDArray[np.float32]:
        """Go on with the envelope: float32[STEPS, n]."""
        steps = means * _TAKES
        once, twice = self._smoothed[:, rows]
        for step in steps:
            once = once * _KEEPS + step
            twice = twice * _KEEPS + once * _TAKES
            step[:] = twice
        self._smoothed[:, rows] = once, twice
        return steps


def step_means(magnitude: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the means of steps of float32[n, HOP_SAMPLES] magnitudes: float32[STEPS, n]."""
    by_step = magnitude.reshape(len(magnitude), STEPS, STEP_SAMPLES)
    # Sums of integers below 2**24 are exact, in whatever order they are taken.
    means: NDArray[np.float32] = np.einsum("nsm->sn", by_step) * np.float32(1 / STEP_SAMPLES)
    return means


def active_level(energy: NDArray[np.float64], samples: NDArray[np.int64], counts: NDArray[np.int64]) -> ActiveLevel:
    """Find the right level between two thresholds'. energy: float64[n], sums of squares of so many samples, int64[n].

    counts: int64[n, THRESHOLDS], samples active by each.
    """
    level_db = 10 * np.log10(np.maximum(energy, 1e-9)[:, None] / np.maximum(counts, 1))
    above_db = level_db - _THRESHOLD_DB - MARGIN_DB
    reached = (above_db <= 0) & (counts > 0)
    n, after = np.arange(len(energy)), np.argmax(reached, axis=1)
    before = np.maximum(after - 1, 0)
    descent = above_db[n, before] - above_db[n, after]
    share = np.where(after > before, above_db[n, before] / np.where(after > before, descent, 1), 0)
    level = level_db[n, before] + share * (level_db[n, after] - level_db[n, before])
    activity = np.minimum(energy / 10 ** (level / 10) / samples, 1)
    is_speech = reached[n, after]
    return ActiveLevel(np.where(is_speech, level - _FULL_SCALE_DB, np.nan), np.where(is_speech, activity, 0.0))
