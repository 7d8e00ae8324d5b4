"""Reduce audio to what can be seen of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strep.pictures.sheet import Side

DYNAMIC_RANGE_DB = 70
#: Audio is drawn as what it is at each of so many places; more cannot be seen.
_PLACES = 1400
_WINDOW_S, _LEAST_WINDOW_SAMPLES = 0.032, 16
#: A window is transformed at least this often in its own length, so that nothing falls between two.
_OVERLAP = 2
#: So many windows are transformed at a time: some MB, however long the call is.
_PORTION = 4096


def envelope(side: Side) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Give the least and the largest sample, as a share of full scale, at each of at most 1400 places."""
    samples = side.samples if len(side.samples) else np.zeros(1, np.int16)
    edges = np.unique(np.linspace(0, len(samples), _PLACES + 1).astype(np.int64))[:-1]
    low, high = (edge.reduceat(samples, edges) / 32768.0 for edge in (np.minimum, np.maximum))
    return side.start_s + edges / side.sample_rate_hz, low, high


def spectrogram(side: Side) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Give the power, dB below the strongest, [frequencies, times], and the edges of both: seconds and kHz.

    Windows of 32 ms; at each of at most 1400 times, the most of those that lie there. No samples: no times.
    """
    rate, count = side.sample_rate_hz, len(side.samples)
    window = max(int(_WINDOW_S * rate), _LEAST_WINDOW_SAMPLES)
    edges = np.unique(np.linspace(0, count, min(_PLACES, count) + 1).astype(np.int64))
    power = np.zeros((max(len(edges) - 1, 0), window // 2 + 1))
    # A window stands in the middle of what it tells of, at the beginning and the end too.
    samples = np.pad(side.samples, window // 2 + 1)
    views = np.lib.stride_tricks.sliding_window_view(samples, window)
    per_place = -(-_OVERLAP * count // max(len(power) * window, 1))
    centres = (edges[:-1, None] + np.diff(edges)[:, None] * (np.arange(per_place) + 0.5) / max(per_place, 1)).astype(
        int
    )
    places = max(_PORTION // max(per_place, 1), 1)
    for begin in range(0, len(power), places):
        frames = views[centres[begin : begin + places] + 1] * np.hanning(window)
        power[begin : begin + places] = (np.abs(np.fft.rfft(frames)) ** 2).max(axis=1)
    floor = 10 ** (-DYNAMIC_RANGE_DB / 10)
    power_db = 10 * np.log10(np.maximum(power / max(power.max(initial=0), 1.0), floor))
    return power_db.T, side.start_s + edges / rate, np.linspace(0, rate / 2000, power.shape[1] + 1)
