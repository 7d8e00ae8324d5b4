"""Change the sample rate of mono int16 audio, as a stream, by soxr.

soxr is given float32 and its output is rounded here, because soxr dithers int16 output from a random seed: it would
turn silence into noise of one bit, and no two runs would be the same. In float32 the result does not depend on how the
input falls into pieces either.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import soxr  # type: ignore[import-untyped]  # it ships none
from numpy.typing import NDArray

from strep.errors import ConfigError

_INT16 = np.iinfo(np.int16)


class Resampler:
    """A resampler that resamples one stream. Output sample k is the sound at time k / to_hz: there is no delay between
    input and output.

    soxr looks ahead, so output comes late and in bursts (some 0.1 s); `finish` brings the rest. After `finish`, n
    samples have become exactly `round(n * to_hz / from_hz)`, and the next stream may begin. Equal rates pass the
    samples through: the same array, not a copy.
    Raises ConfigError when a rate is not positive, or samples are not int16[m].
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        if from_hz <= 0 or to_hz <= 0:
            raise ConfigError(f"sample rates must be positive, got {from_hz} and {to_hz} Hz")
        self._ratio = Fraction(to_hz, from_hz)
        self._soxr = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")
        self._taken = self._given = 0
        self._has_finished = False

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Take int16[m]; return what is ready, int16[any number], perhaps none yet."""
        if samples.dtype != np.int16 or samples.ndim != 1:
            raise ConfigError(f"the resampler takes int16[m], got {samples.dtype} with {samples.ndim} dimensions")
        if self._ratio == 1:
            return samples
        if self._has_finished:  # which takes as long as a new one, and most are not needed any more
            self._soxr.clear()
            self._has_finished = False
        self._taken += len(samples)
        ready = _to_int16(self._soxr.resample_chunk(samples.astype(np.float32)))
        self._given += len(ready)
        return ready

    def finish(self) -> NDArray[np.int16]:
        """Return the rest of the stream, int16[any number], and be as new."""
        if not self._taken:
            return np.zeros(0, np.int16)
        rest = _to_int16(self._soxr.resample_chunk(np.zeros(0, np.float32), last=True))
        due = round(self._taken * self._ratio) - self._given
        self._taken = self._given = 0
        self._has_finished = True
        return rest[:due]


def resample(samples: NDArray[np.int16], from_hz: int, to_hz: int) -> NDArray[np.int16]:
    """Resample int16[n] to int16[round(n * to_hz / from_hz)]. Raises ConfigError as Resampler does."""
    resampler = Resampler(from_hz, to_hz)
    return np.concatenate([resampler.process(samples), resampler.finish()])


def _to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Round, and clip what overshoots: a filtered square wave at full scale does."""
    return np.clip(np.rint(samples), _INT16.min, _INT16.max).astype(np.int16)
