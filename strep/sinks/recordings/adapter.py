"""Bring a stream to the sample rate of its recording."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strep.audio.block import is_silence, silence
from strep.audio.resample import Resampler

Piece = tuple[int, NDArray[np.int16]]


class RateAdapter:
    """Resamples one stream's rows, and keeps them where they lie in time.

    Rows that go on from the one before are one sound; after a gap or a step back, the resampler begins anew. So it does
    within a silence of more than 3 s in one row, of which only the first and the last second are resampled: no filter
    rings longer, and none begins to ring earlier.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self.from_hz = from_hz
        self._to_hz = to_hz
        self._resampler = Resampler(from_hz, to_hz)
        self._next_position: int | None = None
        self._next_output = 0

    def feed(self, position: int, samples: NDArray[np.int16]) -> list[Piece]:
        """Take int16[m] at a position of the stream; give what is ready, with positions at the recording's rate."""
        if len(samples) > 3 * self.from_hz and is_silence(samples):
            return self._feed_silence(position, samples)
        pieces: list[Piece] = []
        if position != self._next_position:
            pieces = self.finish()
            self._next_output = (position * self._to_hz + self.from_hz // 2) // self.from_hz
        self._next_position = position + len(samples)
        return pieces + self._placed(self._resampler.process(samples))

    def _feed_silence(self, position: int, samples: NDArray[np.int16]) -> list[Piece]:
        """Let what was heard fade away, and begin anew at a whole second, where the samples of both rates coincide."""
        pieces = self.feed(position, samples[: self.from_hz]) + self.finish()
        anew_s = (position + len(samples)) // self.from_hz - 1
        pieces.append((self._next_output, silence(anew_s * self._to_hz - self._next_output)))
        return pieces + self.feed(anew_s * self.from_hz, samples[anew_s * self.from_hz - position :])

    def finish(self) -> list[Piece]:
        """Give what the resampler still holds."""
        if self._next_position is None:
            return []
        self._next_position = None
        return self._placed(self._resampler.finish())

    def _placed(self, samples: NDArray[np.int16]) -> list[Piece]:
        if not len(samples):
            return []
        position, self._next_output = self._next_output, self._next_output + len(samples)
        return [(position, samples)]
