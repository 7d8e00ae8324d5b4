"""Make segments of hops of which it is known whether they are speech, many streams at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_NONE = -1


class SegmentLimits(NamedTuple):
    """What says where a segment begins and ends.

    onset_hops: of speech in a row, with which it begins. hangover_hops: a pause of fewer ends nothing. before_hops,
    after_hops: added to its ends.
    """

    onset_hops: int = 2
    hangover_hops: int = 17
    before_hops: int = 2
    after_hops: int = 2


class Segments(NamedTuple):
    """K segments: streams, begin and end int64[k], in hops; end is the hop behind the last."""

    streams: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]


class Segmenter:
    """A segmenter that follows so many streams, a row each."""

    def __init__(self, streams: int, limits: SegmentLimits) -> None:
        self.segment_limits = limits
        self._run = np.zeros(streams, np.int64)  # hops of speech in a row
        self._begin = np.full(streams, _NONE)  # of the segment that goes on
        self._last = np.zeros(streams, np.int64)  # hop of it that was speech

    def reset(self, stream: int) -> None:
        """Forget a stream."""
        self._run[stream] = self._last[stream] = 0
        self._begin[stream] = _NONE

    def is_open(self, streams: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell in which streams a segment goes on."""
        open_ones: NDArray[np.bool_] = self._begin[streams] != _NONE
        return open_ones

    def segment(
        self, streams: NDArray[np.int64], hop: NDArray[np.int64], is_speech: NDArray[np.bool_]
    ) -> tuple[Segments, Segments]:
        """Take whether the next hop of each of n streams is speech; gives segments that have begun, and that are over.

        streams: int64[n], none twice; hop: int64[n], its number since the stream began. A segment that has begun has
        its latest hop for an end.
        """
        limits, begin = self.segment_limits, self._begin[streams]
        is_open = begin != _NONE
        run = np.where(is_speech, self._run[streams] + 1, 0)
        begins = ~is_open & (run >= limits.onset_hops)
        last = np.where(begins | (is_open & is_speech), hop, self._last[streams])
        ends = is_open & (hop - last >= limits.hangover_hops)
        begin = np.where(begins, np.maximum(hop - run + 1 - limits.before_hops, 0), begin)
        begun = Segments(streams[begins], begin[begins], hop[begins] + 1)
        over = Segments(streams[ends], begin[ends], last[ends] + 1 + limits.after_hops)
        self._run[streams], self._last[streams] = run, last
        self._begin[streams] = np.where(ends, _NONE, begin)
        return begun, over

    def begin_of_open(self, stream: int) -> int | None:
        """Give the hop from which on someone speaks, if so."""
        begin = int(self._begin[stream])
        return None if begin == _NONE else begin

    def close(self, stream: int, hops: int) -> Segments:
        """End a stream of so many hops; gives the segment that goes on, if any."""
        streams = np.array([stream])[self._begin[[stream]] != _NONE]
        end = np.minimum(self._last[streams] + 1 + self.segment_limits.after_hops, hops)
        over = Segments(streams, self._begin[streams], end)
        self._begin[streams] = _NONE
        return over
