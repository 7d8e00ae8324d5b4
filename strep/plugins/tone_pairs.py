"""Hear the tone pairs of DTMF (ITU-T Q.23) in windows of 10 ms, for many rows at once.

A Goertzel filter is one column of a matrix product, so all of them, for all windows of all rows, are one product. That
is `Screen`: it tells which windows hold next to nothing but energy at the keys' frequencies. It is cheap, and lets a
hundredth of speech through. What passes three times in a row is looked at through filters
of 20 ms (`glance`), and fitted if it still looks like a key (`fit`): two sinusoids whose frequencies,
levels and phases are free, by Gauss-Newton over 20 ms; then everything that Q.24 sets limits to is measured rather than
guessed from filter outputs. Where the fitted tones begin or end (`find_start`, `find_end`) is the most likely instant
at which tones and noise become noise alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 8000
#: Q.23: each key by its row's and its column's frequency.
ROWS_HZ, COLUMNS_HZ = (697.0, 770.0, 852.0, 941.0), (1209.0, 1336.0, 1477.0, 1633.0)
KEYS = "123A456B789C*0#D"
#: 10 ms: the shortest tone that has to be found (40 ms) fills three of them wherever it begins, the longest that may
#: not be found (23 ms) two at most.
WINDOW_SAMPLES = 80
#: Two windows that the tones fill wholly; they tell 1.5 % from 3.5 % of 697 Hz, which is 14 Hz.
CORE_SAMPLES = 2 * WINDOW_SAMPLES
#: What is looked at of a row when it is fitted; the core begins at CORE_AT_START or CORE_AT_END.
SEGMENT_SAMPLES = 5 * WINDOW_SAMPLES
CORE_AT_START, CORE_AT_END = 3 * WINDOW_SAMPLES, WINDOW_SAMPLES
#: A sine at digital full scale (G.711: 3.17 dBm0 in mu-law, 3.14 in A-law).
FULL_SCALE_DBM0 = 3.17

#: How far off a frequency may be for all of its energy to be let through.
_SCREEN_TOLERANCE = 0.018
#: The smallest singular value of the tones' space that is kept, by the largest: 16 dimensions of 80.
_SCREEN_KEPT = 0.1
#: Factors are whole numbers, and sums of their products with 16 bits exact in a double: in whatever order a library
#: adds, and however many rows it is given, a window passes or does not.
_SCREEN_SCALE = 2.0**14
#: Multiplications up to which OpenBLAS, which numpy comes with, stays in the thread that calls it (its
#: SMP_THRESHOLD_MIN by GEMM_MULTITHREAD_THRESHOLD). Beyond, all cores wait for each other: 2,000 streams took 0.3 to
#: 2 us each in wall time, 1.3 to 3.5 us in processor time, and capture the rest. In slices they take 0.4 us in both.
_UNTHREADED = 4 * 65_536
#: First guesses: coarse enough to be cheap, fine enough for Gauss-Newton to converge from.
_GRID_STEP_HZ = 12.5
_ITERATIONS = 2
#: Divides the lengths of windows, cores and segments.
_STRIDE = 16


class PairFit(NamedTuple):
    """Two sinusoids per row, as fitted to CORE_SAMPLES: all float64[k], but `key`, int64[k], an index of KEYS.

    deviation: the larger one of both frequencies' distances from the key's, as a fraction. share: of the core's energy
    that the two have. coefficients: float64[k, 4], of the cosines and sines about the core's middle.
    """

    key: NDArray[np.int64]
    deviation: NDArray[np.float64]
    row_dbm0: NDArray[np.float64]
    column_dbm0: NDArray[np.float64]
    share: NDArray[np.float64]
    radians: NDArray[np.float64]
    coefficients: NDArray[np.float64]


class Glance(NamedTuple):
    """A first guess at the two tones: radians a sample, float64[k, 2], from a grid of _GRID_STEP_HZ.

    ratio: energy of the higher by that of the lower one. share: of the energy that the two have; both float64[k].
    """

    radians: NDArray[np.float64]
    ratio: NDArray[np.float64]
    share: NDArray[np.float64]


class Screen:
    """A screen that tells which windows hold little but energy near the keys' frequencies.

    least_share: of the window's energy. least_level_dbm0: of both tones together.
    """

    def __init__(self, least_share: float, least_level_dbm0: float) -> None:
        spread = np.linspace(1 - _SCREEN_TOLERANCE, 1 + _SCREEN_TOLERANCE, 7)
        hz = np.multiply.outer(np.array(ROWS_HZ + COLUMNS_HZ), spread).ravel()
        turns = 2 * np.pi * np.outer(np.arange(WINDOW_SAMPLES), hz) / SAMPLE_RATE_HZ
        space, weight, _ = np.linalg.svd(np.hstack([np.cos(turns), np.sin(turns)]), full_matrices=False)
        self._factors = np.round(space[:, weight > _SCREEN_KEPT * weight[0]] * _SCREEN_SCALE)
        self._least_share = least_share
        self._least_energy = WINDOW_SAMPLES * _mean_square(least_level_dbm0)

    def passes(self, samples: NDArray[np.int16]) -> NDArray[np.bool_]:
        """Judge windows: int16[n, w * WINDOW_SAMPLES] to bool[n, w]."""
        windows = samples.reshape(-1, WINDOW_SAMPLES).astype(np.float64)
        energy = np.einsum("nm,nm->n", windows, windows)
        tones = _product(windows, self._factors)
        within = np.einsum("nm,nm->n", tones, tones) * _SCREEN_SCALE**-2
        passed: NDArray[np.bool_] = (within >= self._least_share * energy) & (energy >= self._least_energy)
        return passed.reshape(len(samples), samples.shape[1] // WINDOW_SAMPLES)


def glance(core: NDArray[np.float64]) -> Glance:
    """Find the strongest frequency of each group in each row of float64[k, CORE_SAMPLES], under a Hann window."""
    peaks = [_peak(core, grid) for grid in _GRIDS]
    radians = np.stack([2 * np.pi * hz / SAMPLE_RATE_HZ for hz, _ in peaks], axis=1)
    energy = np.stack([energy for _, energy in peaks], axis=1)
    all_energy = np.maximum(((core * _HANN) ** 2).sum(axis=1), 1e-9)
    return Glance(radians, energy[:, 1] / np.maximum(energy[:, 0], 1e-9), energy.sum(axis=1) / all_energy)


def fit(core: NDArray[np.float64], radians: NDArray[np.float64]) -> PairFit:
    """Fit two sinusoids to each row of float64[k, CORE_SAMPLES], from float64[k, 2] a sample on, as glance gives."""
    for _ in range(_ITERATIONS):
        waves = _waves(radians, _TIME)
        slopes = waves * _TIME
        found = _least_squares(np.concatenate([waves, slopes], axis=1), core)
        cosine, sine, cosine_slope, sine_slope = (found[:, n : n + 2] for n in (0, 2, 4, 6))
        power = np.maximum(cosine**2 + sine**2, 1e-9)
        radians = np.clip(radians + (sine * cosine_slope - cosine * sine_slope) / power, _LOWEST, _HIGHEST)
    waves = _waves(radians, _TIME)
    coefficients = _least_squares(waves, core)
    rest = core - (coefficients[:, None, :] @ waves)[:, 0]
    energy = np.maximum((core**2).sum(axis=1), 1e-9)
    return _measure(radians, coefficients, 1 - (rest**2).sum(axis=1) / energy)


def find_start(segment: NDArray[np.float64], fitted: PairFit) -> NDArray[np.int64]:
    """Find where the tones begin that were fitted at CORE_AT_START of float64[k, SEGMENT_SAMPLES]: int64[k]."""
    gain = _gain(segment, fitted, CORE_AT_START)[:, : CORE_AT_START + WINDOW_SAMPLES]
    before_middle: NDArray[np.int64] = np.argmax(np.cumsum(gain[:, ::-1], axis=1), axis=1)
    begin: NDArray[np.int64] = gain.shape[1] - 1 - before_middle
    return begin


def find_end(segment: NDArray[np.float64], fitted: PairFit) -> NDArray[np.int64]:
    """Find behind which sample the tones end that were fitted at CORE_AT_END of float64[k, SEGMENT_SAMPLES]."""
    gain = _gain(segment, fitted, CORE_AT_END)[:, CORE_AT_END + WINDOW_SAMPLES :]
    last: NDArray[np.int64] = np.argmax(np.cumsum(gain, axis=1), axis=1)
    return CORE_AT_END + WINDOW_SAMPLES + 1 + last


def _gain(segment: NDArray[np.float64], fitted: PairFit, core_start: int) -> NDArray[np.float64]:
    """Give by how much each sample makes it likelier that the tones are there (the log-likelihood ratio, scaled)."""
    time = np.arange(SEGMENT_SAMPLES, dtype=np.float64) - core_start - (CORE_SAMPLES - 1) / 2
    tones: NDArray[np.float64] = (fitted.coefficients[:, None, :] @ _waves(fitted.radians, time))[:, 0]
    return tones * (segment - tones / 2)


def _waves(radians: NDArray[np.float64], time: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give both frequencies' cosines, then both sines: float64[k, 4, m] of float64[k, 2] at m times, one by one.

    A sinusoid goes on by a turn of the one before, so only every 16th is worked out, and 16 turns.
    """
    angle = 1j * radians[:, :, None, None]
    waves = np.exp(angle * time[::_STRIDE, None]) * np.exp(angle * np.arange(_STRIDE))
    waves = waves.reshape(len(radians), 2, len(time))
    return np.concatenate([waves.real, waves.imag], axis=1)


def _product(rows: NDArray[np.float64], factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Multiply float64[n, m] by float64[m, f], in slices that are too small for the library to start threads."""
    step = _UNTHREADED // factors.size
    slices = len(rows) // step
    whole, (length, width) = slices * step, factors.shape
    result = np.empty((len(rows), width))
    np.matmul(rows[:whole].reshape(slices, step, length), factors, out=result[:whole].reshape(slices, step, width))
    np.matmul(rows[whole:], factors, out=result[whole:])
    return result


def _least_squares(basis: NDArray[np.float64], core: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve for float64[k, b]: how much of each row of float64[k, b, m] there is in float64[k, m]."""
    transposed = basis.transpose(0, 2, 1)
    return np.linalg.solve(basis @ transposed, basis @ core[:, :, None])[:, :, 0].astype(np.float64, copy=False)


def _peak(core: NDArray[np.float64], grid: _Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the frequency in a grid at which a row has most energy, in Hz, and the energy under the window."""
    parts = _product(core, grid.filters)
    half = len(grid.hz)
    energy = np.square(parts[:, :half]) + np.square(parts[:, half:])
    best = np.argmax(energy, axis=1)
    # A sinusoid of peak a has the part a * sum(window) / 2, and under the window the energy a**2 * sum(window**2) / 2.
    return grid.hz[best], energy[np.arange(len(core)), best] * (2 * (_HANN**2).sum() / _HANN.sum() ** 2)


def _measure(radians: NDArray[np.float64], coefficients: NDArray[np.float64], share: NDArray[np.float64]) -> PairFit:
    hz = radians * SAMPLE_RATE_HZ / (2 * np.pi)
    row, row_off = _nearest(hz[:, 0], ROWS_HZ)
    column, column_off = _nearest(hz[:, 1], COLUMNS_HZ)
    mean_square = np.maximum((coefficients[:, :2] ** 2 + coefficients[:, 2:] ** 2) / 2, 1e-9)
    level = 10 * np.log10(mean_square / _mean_square(0.0))
    deviation = np.maximum(row_off, column_off)
    return PairFit(4 * row + column, deviation, level[:, 0], level[:, 1], share, radians, coefficients)


def _nearest(hz: NDArray[np.float64], nominal: tuple[float, ...]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Give the number of the frequency that each is nearest to, and how far off it is, as a fraction."""
    off = np.abs(hz[:, None] / np.array(nominal) - 1)
    best = np.argmin(off, axis=1)
    return best, off[np.arange(len(hz)), best]


def _mean_square(level_dbm0: float) -> float:
    return float(32768.0**2 / 2 * 10 ** ((level_dbm0 - FULL_SCALE_DBM0) / 10))


class _Grid(NamedTuple):
    """Filters at frequencies: hz float64[f]; filters float64[CORE_SAMPLES, 2 * f], cosines, then sines."""

    hz: NDArray[np.float64]
    filters: NDArray[np.float64]


def _grid(nominal: tuple[float, ...]) -> _Grid:
    """Make filters for one group, 5 % and more beyond its ends, under a Hann window: it keeps the other group out."""
    hz = np.arange(nominal[0] * 0.95, nominal[-1] * 1.05 + _GRID_STEP_HZ, _GRID_STEP_HZ)
    angle = 2 * np.pi * np.outer(_TIME, hz) / SAMPLE_RATE_HZ
    return _Grid(hz, np.hstack([np.cos(angle), np.sin(angle)]) * _HANN[:, None])


#: Of a core's samples, about its middle, so that frequency and phase do not mix.
_TIME = np.arange(CORE_SAMPLES, dtype=np.float64) - (CORE_SAMPLES - 1) / 2
_HANN = np.hanning(CORE_SAMPLES + 2)[1:-1]
_GRIDS = (_grid(ROWS_HZ), _grid(COLUMNS_HZ))
_LOWEST = 2 * np.pi * np.array([grid.hz[0] for grid in _GRIDS]) / SAMPLE_RATE_HZ
_HIGHEST = 2 * np.pi * np.array([grid.hz[-1] for grid in _GRIDS]) / SAMPLE_RATE_HZ
