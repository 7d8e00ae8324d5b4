"""Hold the sources that are open: their records, and what changes seldom about each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strep.stream.formats import UNKNOWN_CLOCK_HZ
from strep.stream.records import CELL, CELLS, EMPTY, LONG_AGO_NS, SOURCE, Records, columns_of, records
from strep.stream.rows import Rows

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
        self._rows = Rows(capacity, self._renew)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def has_room(self) -> bool:
        """Tell whether there is a row for another source."""
        return self._rows.has_room

    def take(self, state: SourceState) -> int:
        """Take a row for a source. There must be room."""
        row = self._rows.take()
        self.state[row] = state
        return row

    def _renew(self, rows: NDArray[np.int64]) -> None:
        generation = self.columns["generation"][rows]
        np.asarray(self.records)[rows] = _NEW_SOURCE
        self.columns["generation"][rows] = generation
        self.columns["latest_arrival_ns"][rows] = LONG_AGO_NS
        self._cell_sequences.reshape(-1, CELLS)[rows] = EMPTY

    def silent_since(self, before_ns: int) -> NDArray[np.int64]:
        """Give the rows in use of which nothing was heard after a time."""
        latest_ns = self.columns["latest_arrival_ns"]
        return np.flatnonzero((latest_ns <= before_ns) & (latest_ns != LONG_AGO_NS))

    def give_back(self, rows: list[int]) -> None:
        """Let rows serve again."""
        for row in rows:
            self.state[row] = None
        self.columns["latest_arrival_ns"][rows] = LONG_AGO_NS
        self.columns["generation"][rows] += 1  # packets of it that are still in the ring are nobody's
        self._rows.give_back(rows)
