"""Tell when someone speaks, many streams at once, by how far a hop stands out from the noise before it.

A hop's energy is that of its sums of two neighbouring samples: speech has most of its energy in the lower half of the
band, noise has not, and 4 kHz and a constant are left out altogether. The mean of a hop and the one before is held
against the floor, which is the least smoothed energy of the last 3 seconds (minimum statistics: R. Martin, "Noise power
spectral density estimation based on optimal smoothing and minimum statistics", IEEE Trans. Speech and Audio Processing
9(5), 2001; here without bands and bias). How far it must stand out is a share of the range between the floor and the
loudest that was heard lately, within limits: so that among other voices only the near one counts.

What stands out is taken for speech, whatever it is: music, a ringing tone, a cough.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.plugins.segments import Segmenter, SegmentLimits, Segments

HOP_SAMPLES = 160
_PAIRS = HOP_SAMPLES // 2
#: Streams at a time: so much stays in the caches, and is too small for the C library to give the memory back each time.
_SLICE = 256
_FULL_SCALE_ENERGY = 4 * 32768.0**2  # of sums of two samples
#: The floor is at least -60 dBFS, which is silence to anyone. In a stream's first 3 s, before what is louder was heard
#: for long enough to be noise, it is at most -30 dBFS.
_LEAST_FLOOR, _FIRST_FLOOR = _FULL_SCALE_ENERGY * 1e-6, _FULL_SCALE_ENERGY * 1e-3
#: The floor's memory: 6 minima of 25 hops each, and what goes on. Longer than a word, so that speech does not raise it;
#: a line that becomes noisier is believed after 3 to 3.5 s.
_WINDOWS, _WINDOW_HOPS = 6, 25
_SMOOTHING = 0.7
#: The loudest is forgotten by 1 dB a second.
_PEAK_DECAY_DB = 0.02


class ActivityLimits(NamedTuple):
    """What says what is speech; see strep.plugins.voice.VoiceConfig and strep.plugins.segments.SegmentLimits."""

    range_share: float = 0.45
    least_db: float = 8.0
    most_db: float = 10.0
    keeping_share: float = 0.7
    onset_hops: int = 2
    hangover_hops: int = 17
    before_hops: int = 2
    after_hops: int = 2


class VoiceActivity(Segmenter):
    """A voice activity that follows so many streams, a row each."""

    def __init__(self, streams: int, limits: ActivityLimits | None = None) -> None:
        self._limits = limits = limits or ActivityLimits()
        ends = SegmentLimits(limits.onset_hops, limits.hangover_hops, limits.before_hops, limits.after_hops)
        super().__init__(streams, ends)
        self._minima = np.full((streams, _WINDOWS), _FIRST_FLOOR)
        self._minimum = np.full(streams, np.inf)  # of the window that goes on
        self._smoothed = np.full(streams, np.nan)
        self._before = np.full(streams, np.nan)  # energy of the hop before
        self._peak_db = np.full(streams, -np.inf)

    def reset(self, stream: int) -> None:
        """Forget a stream."""
        super().reset(stream)
        self._minima[stream] = _FIRST_FLOOR
        self._minimum[stream] = np.inf
        self._smoothed[stream] = self._before[stream] = np.nan
        self._peak_db[stream] = -np.inf

    def take(
        self,
        streams: NDArray[np.int64],
        hop: NDArray[np.int64],
        samples: NDArray[np.int16],
        is_heard: NDArray[np.bool_],
    ) -> tuple[Segments, Segments]:
        """Take a hop of each of n streams, as strep.plugins.conversation.Detector has it."""
        level_db, floor_db = self._follow(streams, hop, hop_energy(samples), is_heard)
        limits = self._limits
        threshold_db = (self._peak_db[streams] - floor_db) * limits.range_share
        threshold_db = np.minimum(np.maximum(threshold_db, limits.least_db), limits.most_db)
        above_db = level_db - floor_db
        threshold_db = np.where(self.is_open(streams), threshold_db * limits.keeping_share, threshold_db)
        return self.segment(streams, hop, is_heard & (above_db > threshold_db))

    def _follow(
        self,
        streams: NDArray[np.int64],
        hop: NDArray[np.int64],
        energy: NDArray[np.float64],
        is_heard: NDArray[np.bool_],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Bring floor and peak up to date; gives the level of two hops and the floor, float64[n] each."""
        before, smoothed = self._before[streams], self._smoothed[streams]
        smoothed = np.where(np.isnan(smoothed), energy, _SMOOTHING * smoothed + (1 - _SMOOTHING) * energy)
        smoothed = np.where(is_heard, smoothed, self._smoothed[streams])
        minimum = np.fmin(self._minimum[streams], smoothed)
        floor = np.fmin(minimum, self._minima[streams].min(axis=1))
        ends = hop % _WINDOW_HOPS == _WINDOW_HOPS - 1
        self._minima[streams[ends], hop[ends] // _WINDOW_HOPS % _WINDOWS] = minimum[ends]
        self._minimum[streams] = np.where(ends, np.inf, minimum)
        self._smoothed[streams], self._before[streams] = smoothed, np.where(is_heard, energy, np.nan)
        level = np.where(np.isnan(before), energy, (energy + before) / 2)
        level_db = _decibels(np.maximum(level, _LEAST_FLOOR))
        peak_db = self._peak_db[streams] - _PEAK_DECAY_DB
        self._peak_db[streams] = np.where(is_heard, np.maximum(peak_db, level_db), peak_db)
        return level_db, _decibels(np.maximum(floor, _LEAST_FLOOR))


def hop_energy(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Give the variance of the sums of two neighbours: int16[n, HOP_SAMPLES] to float64[n].

    Both sums are of integers below 2**53, so exact, in whatever order they are taken.
    """
    total, square = np.empty(len(samples)), np.empty(len(samples))
    for begin in range(0, len(samples), _SLICE):
        some = slice(begin, begin + _SLICE)
        as_floats = samples[some].astype(np.float64)
        pairs = as_floats[:, 0::2] + as_floats[:, 1::2]
        total[some], square[some] = pairs.sum(axis=1), np.einsum("nm,nm->n", pairs, pairs)
    variance: NDArray[np.float64] = square / _PAIRS - (total / _PAIRS) ** 2
    return variance


def _decibels(energy: NDArray[np.float64]) -> NDArray[np.float64]:
    decibels: NDArray[np.float64] = 10 * np.log10(energy)
    return decibels
