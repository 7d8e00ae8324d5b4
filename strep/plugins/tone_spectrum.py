"""Tell in each of many streams, every 40 ms, whether there is a tone, or two, and at which frequencies.

A window of 120 ms under a Hann window, its spectrum, and of that between LOWEST_HZ and HIGHEST_HZ the two strongest
peaks. One tone: what is within 42 Hz about the strongest peak has nearly all the energy; it may beat, then it is wider.
Two: the two peaks have it together. A row's result depends on its own samples alone, to the last bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.plugins.tone_table import CLOSE_HZ

SAMPLE_RATE_HZ, HOP_SAMPLES = 8000, 320
WINDOW_SAMPLES = 3 * HOP_SAMPLES
BIN_HZ = SAMPLE_RATE_HZ / WINDOW_SAMPLES
#: Below the lowest tone (350 Hz) and above the highest (2100 Hz), with room for their lobes.
LOWEST_HZ, HIGHEST_HZ = 300.0, 2250.0
#: Of the energy, that one tone or two must have: a noise of 20 dB less, and what leaks when the window is part full.
LEAST_SHARE = 0.85
#: The weaker of two tones by the stronger one, in energy: 11 dB.
LEAST_SECOND = 0.08
#: Bins to each side that belong to a peak (a Hann window's lobe), and to a beating tone (sidebands at 25 Hz).
_LOBE, _CLUSTER = 2, 5
_FIRST = round(LOWEST_HZ / BIN_HZ)
_LAST = round(HIGHEST_HZ / BIN_HZ)
_HANN = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)).astype(np.float32)
#: From a sum of squares over the spectrum to the mean square of a tone that fills the window: Parseval, one side.
_TO_MEAN_SQUARE = np.float32(2 / WINDOW_SAMPLES / float((_HANN.astype(np.float64) ** 2).sum()))
#: Keep from dividing by nothing, and nothing from being a tone.
_SMALLEST, _SMALLEST_TOTAL = np.float32(1e-6), np.float32(1e-3)


class Frames(NamedTuple):
    """What is heard in windows, float32[k] each, but `tones`, int8[k]: how many, 0 where it is something else.

    total: mean square of all there is, under the window. first_hz, first, second_hz, second: the two peaks, and their
    mean squares. middle_hz, cluster: of what is about the first peak. width: its variance, in bins squared; 0.33 where
    it does not beat.
    """

    tones: NDArray[np.int8]
    total: NDArray[np.float32]
    first_hz: NDArray[np.float32]
    first: NDArray[np.float32]
    second_hz: NDArray[np.float32]
    second: NDArray[np.float32]
    middle_hz: NDArray[np.float32]
    cluster: NDArray[np.float32]
    width: NDArray[np.float32]


def look(windows: NDArray[np.int16]) -> Frames:
    """Analyse windows: int16[k, WINDOW_SAMPLES]."""
    weighed = windows * _HANN
    spectrum = np.fft.rfft(weighed, axis=1)[:, _FIRST - _CLUSTER : _LAST + _CLUSTER + 1]
    power = np.square(spectrum.real)
    power += np.square(spectrum.imag)
    power *= _TO_MEAN_SQUARE
    np.square(weighed, out=weighed)
    total = weighed.sum(axis=1) * (_TO_MEAN_SQUARE * np.float32(WINDOW_SAMPLES / 2)) + _SMALLEST_TOTAL
    first_bin, first_hz, first = _strongest(power)
    middle_hz, cluster, width = _about(power, first_bin)
    np.put_along_axis(power, first_bin[:, None] + _OFFSETS, 0, axis=1)
    _, second_hz, second = _strongest(power)
    is_pair = (
        (first + second >= LEAST_SHARE * total)
        & (second >= LEAST_SECOND * first)
        & (np.abs(second_hz - first_hz) >= CLOSE_HZ)
    )
    tones = np.where(is_pair, 2, cluster >= LEAST_SHARE * total).astype(np.int8)
    return Frames(tones, total, first_hz, first, second_hz, second, middle_hz, cluster, width)


_OFFSETS = np.arange(-_LOBE, _LOBE + 1)
_AROUND = np.arange(-_CLUSTER, _CLUSTER + 1)


def _strongest(
    power: NDArray[np.float32],
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Give the strongest bin of each row, the frequency there, and the energy of its lobe.

    A Hann window's lobe is such that the larger neighbour by the peak, in amplitude, gives the place between them.
    """
    best: NDArray[np.int64] = np.argmax(power[:, _CLUSTER:-_CLUSTER], axis=1) + _CLUSTER
    lobe = np.take_along_axis(power, best[:, None] + _OFFSETS, axis=1)
    amplitude = np.sqrt(lobe[:, _LOBE - 1 : _LOBE + 2] + _SMALLEST)
    below, peak, above = amplitude[:, 0], amplitude[:, 1], amplitude[:, 2]
    ratio = np.maximum(below, above) / peak
    shift = np.maximum((2 * ratio - 1) / (ratio + 1), 0) * np.sign(above - below)
    hz = (best + (_FIRST - _CLUSTER) + shift).astype(np.float32) * np.float32(BIN_HZ)
    return best, hz, lobe.sum(axis=1)


def _about(
    power: NDArray[np.float32], peak: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Give centroid in Hz, energy and variance in bins squared of what is _CLUSTER bins about each row's peak."""
    cluster = np.take_along_axis(power, peak[:, None] + _AROUND, axis=1)
    energy = cluster.sum(axis=1) + _SMALLEST
    places = _AROUND.astype(np.float32)
    mean = (cluster * places).sum(axis=1) / energy
    width = (cluster * np.square(places)).sum(axis=1) / energy - np.square(mean)
    return (peak + (_FIRST - _CLUSTER) + mean).astype(np.float32) * np.float32(BIN_HZ), energy, width
