"""Remember which frames of a recording something is true of, within a bound."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator


class Intervals:
    """A set of intervals of frames: those that touch or overlap are one.

    most: how many to list. Those that come after that and touch none of the listed ones are only counted.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._begins: list[int] = []
        self._ends: list[int] = []
        self._unlisted_count = self._unlisted_frames = 0
        self._unlisted_end: int | None = None

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Give what is listed, in order: from, and up to but without."""
        return zip(self._begins, self._ends, strict=True)

    @property
    def count(self) -> int:
        """Count the intervals, listed or not."""
        return len(self._begins) + self._unlisted_count

    @property
    def frames(self) -> int:
        """Count the frames in them."""
        return sum(self._ends) - sum(self._begins) + self._unlisted_frames

    def add(self, begin: int, end: int) -> None:
        """Add the frames from `begin` up to but without `end`."""
        if end <= begin:
            return
        first, last = bisect_left(self._ends, begin), bisect_right(self._begins, end)
        if first == last and len(self._begins) >= self._most:
            self._unlisted_count += begin != self._unlisted_end
            self._unlisted_frames += end - begin
            self._unlisted_end = end
            return
        if first < last:
            begin, end = min(begin, self._begins[first]), max(end, self._ends[last - 1])
        self._begins[first:last], self._ends[first:last] = [begin], [end]
