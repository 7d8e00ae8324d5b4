"""Hold the last seconds of many streams of one sample rate, each in its ring, all in one flat buffer.

A block of rows is placed by one strided copy. A ring is a window of `capacity` samples over its stream, from `start`;
the sample at a position lies in cell `position % capacity`, and cells that nobody wrote are zero. So what a ring gives
is right whatever order its rows came in, and moving the window is clearing the cells that it leaves.

The buffer grows by mapping more memory behind it, so nothing is copied and a ring costs memory only where it was
written to. Rings that were given back are clean and serve again; memory follows the most streams there were at a time.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from strep.wire.batch import windows

#: A flush leaves at most 1 s behind and comes again within 1 s, and there must be room for a tick that is late. 2.4 s
#: are whole packets of 10, 20, 30, 40 and 60 ms, so that packets do not straddle the end of the ring. 38 KB at 8 kHz.
RING_MS = 2400
_FIRST_ROWS = 64
#: Row 0 belongs to no stream: rows of the slow path fall into it, which is cheaper than picking the others out.
_NOBODY = 0
_BEYOND_ANY_POSITION = 2**62
_NONE = np.zeros(0, np.int64)


class Rings:
    """The rings of all streams of one sample rate: those that are open, and those that wait to be finished.

    start, head: int64[rows], positions: where the window of the row begins, and where its last sample ends.
    has_news: bool[rows], whether anything was placed in it since whoever reads it set this to False.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.capacity = max(sample_rate_hz * RING_MS // 1000, 1)
        self.start = np.full(_FIRST_ROWS, _BEYOND_ANY_POSITION, np.int64)
        self.head = np.zeros(_FIRST_ROWS, np.int64)
        self.has_news = np.zeros(_FIRST_ROWS, np.bool_)
        self._memory = _map(_FIRST_ROWS * self.capacity * 2)
        self._flat = np.frombuffer(self._memory, np.int16)
        self._free = list(range(_FIRST_ROWS - 1, _NOBODY, -1))
        self._row_of_slot = np.zeros(1, np.int64)  # the last one stays zero: `take` clips unknown slots to it
        self._scratch = np.zeros(0, np.int16)

    def open(self, slot: int | None) -> int:
        """Give a stream an empty ring whose window begins at 0; return its row. `place` needs its slot."""
        if not self._free:
            self._grow()
        row = self._free.pop()
        self.start[row] = self.head[row] = 0
        if slot is not None:
            if slot + 1 >= len(self._row_of_slot):
                self._row_of_slot = np.append(self._row_of_slot, np.zeros(slot + 1, np.int64))
            self._row_of_slot[slot] = row
        return row

    def detach(self, slot: int) -> None:
        """Place nothing more for a stream, as its slot may serve again; what its ring holds stays there."""
        self._row_of_slot[slot] = _NOBODY

    def close(self, row: int) -> None:
        """Take the ring of a detached stream back."""
        self.advance(row, max(int(self.head[row]), int(self.start[row])))
        self.start[row] = _BEYOND_ANY_POSITION
        self._free.append(row)

    def place(
        self, slots: NDArray[np.int64], position: NDArray[np.int64], samples: NDArray[np.int16]
    ) -> NDArray[np.int64]:
        """Copy rows int16[n, m] to their streams' rings; return which rows were not placed, int64, in order.

        Left for `write` are rows that fall outside of the window or straddle the end of the ring, rows of streams that
        have no ring here, and all other rows of those streams, so that of two rows in one place the later one stays.
        """
        length = samples.shape[1]
        if not samples.size or length > self.capacity:
            return np.arange(len(slots)) if samples.size else _NONE
        row = self._row_of_slot.take(slots, mode="clip")
        cell = position % self.capacity
        ahead = position - self.start[row]
        fits = (ahead >= 0) & (ahead <= self.capacity - length) & (cell <= self.capacity - length)
        left = _NONE
        if not fits.all():
            odd = np.zeros(len(self.start), np.bool_)
            odd[row[~fits]] = True
            slow = odd[row]
            left = np.flatnonzero(slow)
            row = np.where(slow, _NOBODY, row)
            cell[slow] = 0
        cells = windows(self._flat.view(np.uint8), 2 * length, 2)
        cells[row * self.capacity + cell] = np.ascontiguousarray(samples).view(cells.dtype)[:, 0]
        np.maximum.at(self.head, row, position + length)
        self.has_news[row] = True
        return left

    def write(self, row: int, position: int, samples: NDArray[np.int16]) -> None:
        """Copy int16[m] to one ring; all of it must lie in the window. This is `place` for a single row, exactly."""
        begin, first, base = self._cut(row, position, len(samples))
        self._flat[begin : begin + first] = samples[:first]
        if first < len(samples):
            self._flat[base : base + len(samples) - first] = samples[first:]
        self.head[row] = max(int(self.head[row]), position + len(samples))
        self.has_news[row] = True

    def read(self, row: int, position: int, out: NDArray[np.int16]) -> None:
        """Copy samples from one ring to `out`, int16[m]; all of it must lie in the window."""
        begin, first, base = self._cut(row, position, len(out))
        out[:first] = self._flat[begin : begin + first]
        if first < len(out):
            out[first:] = self._flat[base : base + len(out) - first]

    def interleave(self, sources: Sequence[tuple[int, int] | None], count: int) -> NDArray[np.int16]:
        """Read `count` samples of each (row, position), or silence for None, as int16[count, channels].

        What is returned is overwritten by the next call.
        """
        channels = len(sources)
        size = count * channels
        if len(self._scratch) < size:
            self._scratch = np.zeros(size, np.int16)
        for channel, source in enumerate(sources):
            if source is None:
                self._scratch[channel:size:channels] = 0
            else:
                self.read(*source, self._scratch[channel:size:channels])
        return self._scratch[:size].reshape(count, channels)

    def advance(self, row: int, start: int) -> None:
        """Move the window of one ring on, and forget what lies before it."""
        left_behind = int(self.start[row])
        length = min(start - left_behind, self.capacity)
        begin, first, base = self._cut(row, left_behind, length)
        self._flat[begin : begin + first] = 0
        if first < length:
            self._flat[base : base + length - first] = 0
        self.start[row] = start

    def _cut(self, row: int, position: int, length: int) -> tuple[int, int, int]:
        """Cut an interval at the end of the ring: where it begins, how much fits, and where the rest begins."""
        base = row * self.capacity
        cell = position % self.capacity
        return base + cell, min(length, self.capacity - cell), base

    def _grow(self) -> None:
        """Make room for twice as many."""
        rows = len(self.start)
        del self._flat  # memory that is looked at cannot be mapped elsewhere
        try:
            self._memory = _enlarge(self._memory, 2 * rows * self.capacity * 2)
        finally:
            self._flat = np.frombuffer(self._memory, np.int16)
        self.start = np.append(self.start, np.full(rows, _BEYOND_ANY_POSITION, np.int64))
        self.head = np.append(self.head, np.zeros(rows, np.int64))
        self.has_news = np.append(self.has_news, np.zeros(rows, np.bool_))
        self._free.extend(range(2 * rows - 1, rows - 1, -1))


def _map(size_bytes: int) -> mmap.mmap:
    """Map memory, all zero, in small pages: whoever touches a huge page first waits until 2 MB are cleared."""
    memory = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return memory


def _enlarge(memory: mmap.mmap, size_bytes: int) -> mmap.mmap:
    """Map more memory behind what there is; where the system cannot (not Linux), copy it."""
    try:
        memory.resize(size_bytes)
    except SystemError:
        larger = _map(size_bytes)
        larger[: len(memory)] = memory[:]
        return larger
    return memory
