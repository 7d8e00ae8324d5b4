"""Bring a stream to the sample rate of its recording."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from strep.audio.block import is_silence, silence
from strep.audio.resample import Resampler

#: When rounded to int16, soxr's filter rings for up to 92 samples of the slower rate before and after full scale,
#: whatever the two rates are (measured for pairs from 1 to 192 kHz).
_RINGING_SAMPLES = 256

Piece = tuple[int, NDArray[np.int16]]


class RateAdapter:
    """What resamples one stream's rows, and keeps them where they lie in time.

    Rows that go on from the one before are one sound; after a gap or a step back, the resampler begins anew. So it does
    within a silence in one row, of which only some ms at both ends are resampled: no filter rings longer, and none
    begins to ring earlier. Until there is sound, nothing is resampled.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self.from_hz = from_hz
        self._to_hz = to_hz
        self._next_position: int | None = None
        self._next_output = 0
        self._lead = 0  # samples of silence, the last ones so far, that wait for the sound that they lead to
        self._is_quiet = True  # all of this sound so far is silence
        # Whole steps of it are whole samples at both rates.
        step = from_hz // math.gcd(from_hz, to_hz)
        ringing = _RINGING_SAMPLES * from_hz // min(from_hz, to_hz)
        self._step, self._ringing = step, -(-ringing // step) * step

    @cached_property
    def _resampler(self) -> Resampler:
        """Make the resampler when there is sound: of what one packet may cost, making one is much."""
        return Resampler(self.from_hz, self._to_hz)

    def feed(self, position: int, samples: NDArray[np.int16]) -> list[Piece]:
        """Take int16[m] at a position of the stream; give what is ready, with positions at the recording's rate."""
        pieces = self._begin_anew(position)
        if self._is_quiet and (is_silence(samples) or not samples.any()):
            return pieces + self._wait_for_sound(position, len(samples))
        if len(samples) > 3 * self._ringing and is_silence(samples):
            return self._fade_away(position, samples)
        self._is_quiet = False
        if self._lead:
            samples = np.concatenate((np.zeros(self._lead, np.int16), samples))
            position, self._lead = position - self._lead, 0
        self._next_position = position + len(samples)
        return pieces + self._placed(self._resampler.process(samples))

    def _fade_away(self, position: int, samples: NDArray[np.int16]) -> list[Piece]:
        """Let what was heard ring out in a silence, and begin anew in it."""
        pieces = self._placed(self._resampler.process(samples[: self._ringing]))
        pieces += self._placed(self._resampler.finish())
        self._is_quiet = True
        return pieces + self._wait_for_sound(position + self._ringing, len(samples) - self._ringing)

    def _wait_for_sound(self, position: int, count: int) -> list[Piece]:
        """Give so much silence, but what leads to the sound behind it, from where samples of both rates coincide."""
        end = position + count
        begins = max((end - self._ringing) // self._step * self._step, position - self._lead)
        pieces = []
        if begins > position - self._lead:
            pieces = self._placed(silence(max(begins * self._to_hz // self.from_hz - self._next_output, 0)))
        self._next_position, self._lead = end, end - begins
        return pieces

    def finish(self) -> list[Piece]:
        """Give what the resampler still holds."""
        if self._next_position is None:
            return []
        rest = silence(self._output_at(self._lead)) if self._is_quiet else self._resampler.finish()
        self._lead, self._next_position, self._is_quiet = 0, None, True
        return self._placed(rest)

    def _begin_anew(self, position: int) -> list[Piece]:
        """Give what came before, unless what comes now goes on from it."""
        if position == self._next_position:
            return []
        pieces = self.finish()
        self._next_output = self._output_at(position)
        return pieces

    def _output_at(self, position: int) -> int:
        return (position * self._to_hz + self.from_hz // 2) // self.from_hz

    def _placed(self, samples: NDArray[np.int16]) -> list[Piece]:
        if not len(samples):
            return []
        position, self._next_output = self._next_output, self._next_output + len(samples)
        return [(position, samples)]
