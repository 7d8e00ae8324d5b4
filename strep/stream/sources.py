"""Hold the sources that are open: their records, and what changes seldom about each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strep.stream.formats import UNKNOWN_CLOCK_HZ
from strep.stream.records import CELL, CELLS, EMPTY, LONG_AGO_NS, SOURCE, Records, columns_of, records

#: What a source's list of payload types says of one that nobody named.
UNKNOWN_TYPE = "unknown"


def _new_source() -> np.void:
    (source,) = records(1, SOURCE)
    source.last_arrival_ns, source.run_begin = LONG_AGO_NS, EMPTY
    source.wild_successor = source.next_source = -1
    source.rtp_clock_hz = UNKNOWN_CLOCK_HZ
    return np.void(source)


_NEW_SOURCE = _new_source()


class SourceState:
    """What changes seldom about a source: a fact an attribute, beside its record. moved_from: its earlier senders."""

    __slots__ = ("first_arrival_ns", "moved_from", "payload_types", "sender", "ssrc")

    def __init__(self, ssrc: int, sender: int, first_arrival_ns: int) -> None:
        self.ssrc, self.sender = ssrc, sender
        self.first_arrival_ns = first_arrival_ns
        self.payload_types: dict[int, str] = {}
        self.moved_from: list[int] = []


class Sources:
    """The rows of all sources, handed out by `take` and given back by `give_back`."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.records: Records = records(capacity, SOURCE)
        self.cells: Records = records(capacity * CELLS, CELL)
        self.columns = columns_of(self.records)
        self.columns["latest_arrival_ns"][:] = LONG_AGO_NS
        self._cell_sequences = columns_of(self.cells)["sequence"]
        self.state: list[SourceState | None] = [None] * capacity
        self._free = list(range(capacity - 1, -1, -1))

    def __len__(self) -> int:
        return self.capacity - len(self._free)

    def take(self) -> int | None:
        """Take a fresh row, or None when all are in use."""
        if not self._free:
            return None
        row = self._free.pop()
        generation = self.columns["generation"][row] + 1
        np.asarray(self.records)[row] = _NEW_SOURCE
        self.columns["generation"][row] = generation
        self._cell_sequences[row * CELLS : (row + 1) * CELLS] = EMPTY
        return row

    def silent_since(self, before_ns: int) -> NDArray[np.int64]:
        """Give the rows in use of which nothing was heard after a time."""
        latest_ns = self.columns["latest_arrival_ns"]
        return np.flatnonzero((latest_ns <= before_ns) & (latest_ns != LONG_AGO_NS))

    def give_back(self, row: int) -> None:
        """Let a row serve again."""
        self.state[row] = None
        self.columns["latest_arrival_ns"][row] = LONG_AGO_NS
        self.columns["generation"][row] += 1  # packets of it that are still in the ring are nobody's
        self._free.append(row)
