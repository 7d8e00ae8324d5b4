"""Hold the state of all sources and streams as columns: one row a source (an SSRC), one row a stream (a direction).

A stream is one direction of one call leg. Within it, sources follow each other: an SSRC change is a new source of the
same stream. Columns that one step reads together lie together in a row of one array, so that each packet costs one
cache line and one fancy index instead of ten.

A source remembers its last CELLS packets in a ring by sequence number; their payloads are in strep.stream.payloads. A
cell outlives its release until it is overwritten, so the ring also tells a duplicate from a late packet.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from strep.audio.formats import AudioFormat
from strep.stream.payloads import LOOSE, Payloads

#: Packets a source remembers: 1.28 s at 20 ms, more than the RFC 3550 A.1 MAX_MISORDER needs at telephone rates.
CELLS = 64

#: Packets before the cursor that concealment may look at: 30 ms at 10 ms each.
HISTORY_CELLS = 3

# Columns of Sources.intake: what a packet's arrival reads and writes.
HIGHEST_SEQUENCE, LAST_TIMESTAMP, LAST_ARRIVAL_NS, PACKETS, PAYLOAD_BYTES = 0, 1, 2, 3, 4
JITTER_NS, JITTER_SUM_NS, JITTER_COUNT, JITTER_MAX_NS, DELTA_MAX_NS = 5, 6, 7, 8, 9
NS_PER_TICK, STRAIGHT_PAYLOAD_TYPE, CLAIM_MODE, LATEST_ARRIVAL_NS = 10, 11, 12, 13
LONGEST_BYTES, INTAKE_COLUMNS = 14, 15
# Columns of Sources.release: what handing a packet on reads and writes.
CURSOR, NEXT_TIMESTAMP, NEXT_POSITION, STREAM, RELEASE_COLUMNS = 0, 1, 2, 3, 4
# Columns of Sources.cells.
CELL_SEQUENCE, CELL_TIMESTAMP, CELL_ARRIVAL_NS, CELL_LENGTH_AND_TYPE, CELL_PAYLOAD, CELL_COLUMNS = 0, 1, 2, 3, 4, 5
#: The payload type lies above the length in their common column.
TYPE_SHIFT = 16
LENGTH_MASK = (1 << TYPE_SHIFT) - 1
#: In CELL_LENGTH_AND_TYPE: a packet that came too late to be placed, kept to know its duplicates.
LATE_CELL = -1
#: In CELL_SEQUENCE: nothing since its row was taken. Below any sequence number: those may go below 0, where a
#: packet numbered 65535 was overtaken by the first one, numbered 0.
EMPTY_CELL = -(1 << 62)
#: In LAST_ARRIVAL_NS: no packet yet to hold the next one against. In LATEST_ARRIVAL_NS: the row is not in use.
LONG_AGO_NS = -(1 << 62)
# Columns of Streams.release.
END_POSITION, ANCHOR_NS, PUBLISHED_ANCHOR_NS, WINDOW_ANCHOR_NS, COLUMNAR_TYPE, NS_PER_SAMPLE, LAW = range(7)
ACTIVE_ROW, STREAM_COLUMNS = 7, 8
# Columns of Streams.coding: what the columns need to know of a stream that is not in G.711.
CODED_TYPE, FORMAT, CODING_COLUMNS = 0, 1, 2
#: Values of CLAIM_MODE: whether the CC and X bits of a source are to be believed.
UNDECIDED, BELIEVED, DISBELIEVED = 0, 1, 2
#: What a source's list of payload types says of one that nobody named.
UNKNOWN_TYPE = "unknown"
NEVER = np.iinfo(np.int64).max


class Sources:
    """Is the columns of all sources. Rows are handed out by `take` and given back by `give_back`.

    intake, release: int64[rows, columns above]; JITTER_* and NS_PER_TICK are float64 in the same bytes (`intake_f`).
    cells: int64[rows * CELLS, columns above].
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.intake = np.zeros((capacity, INTAKE_COLUMNS), np.int64)
        self.intake[:, LATEST_ARRIVAL_NS] = LONG_AGO_NS
        self.intake_f = self.intake.view(np.float64)
        self.release = np.zeros((capacity, RELEASE_COLUMNS), np.int64)
        # The system hands out zeroed pages when they are touched, so an empty table costs address space only.
        self.cells = np.zeros((capacity * CELLS, CELL_COLUMNS), np.int64)
        self.payloads = Payloads()
        self.state: list[SourceState | None] = [None] * capacity
        self._free = list(range(capacity - 1, -1, -1))

    def __len__(self) -> int:
        return self.capacity - len(self._free)

    def take(self) -> int | None:
        """Take a fresh row, or None when the table is full."""
        if not self._free:
            return None
        row = self._free.pop()
        self.intake[row] = 0
        self.intake[row, LAST_ARRIVAL_NS] = LONG_AGO_NS
        self.release[row] = 0
        self.cells[row * CELLS : (row + 1) * CELLS, CELL_SEQUENCE] = EMPTY_CELL
        return row

    def read_sequence(self, row: int, sequence: int) -> tuple[int, bytes]:
        """Give payload type and payload of a packet by its sequence number; (-1, b"") when it is not there."""
        cell_sequence, _, _, length_and_type, number = self.cells[row * CELLS + sequence % CELLS].tolist()
        if cell_sequence == sequence and length_and_type != LATE_CELL and number != LOOSE:
            payload = self.payloads.read(number, length_and_type & LENGTH_MASK, row, sequence)
            if payload is not None:
                return length_and_type >> TYPE_SHIFT, payload
        return self.payloads.read_loose(row, sequence) or (-1, b"")

    def lay_loose(self, row: int, sequence: int, payload_type: int, payload: bytes) -> None:
        """Keep one payload by itself."""
        needed_from = int(self.release[row, CURSOR]) - HISTORY_CELLS
        self.payloads.put_loose(row, sequence, payload_type, payload, needed_from)

    def keep(self, row: int, sequence: int) -> None:
        """Keep a packet's payload when its cell is about to be overwritten."""
        payload_type, payload = self.read_sequence(row, sequence)
        if payload_type >= 0:
            self.lay_loose(row, sequence, payload_type, payload)

    def let_go(self, arrived_before_ns: int) -> None:
        """Let go of payloads that came before a time and were handed on, but for the last ones of each source."""
        while chunk := self.payloads.oldest(arrived_before_ns):
            needed = np.flatnonzero(chunk.sequence >= self.release[chunk.row, CURSOR] - HISTORY_CELLS)
            cells = cell_rows(chunk.row[needed], chunk.sequence[needed])
            for k, cell in zip(needed.tolist(), cells.tolist(), strict=True):
                row, sequence, number = int(chunk.row[k]), int(chunk.sequence[k]), chunk.first + k
                if self.cells[cell, [CELL_SEQUENCE, CELL_PAYLOAD]].tolist() == [sequence, number]:
                    self.keep(row, sequence)
                    self.cells[cell, CELL_PAYLOAD] = LOOSE
            self.payloads.drop_oldest()

    def silent_since(self, before_ns: int) -> NDArray[np.int64]:
        """Give the rows in use of which nothing was heard after a time."""
        latest_ns = self.intake[:, LATEST_ARRIVAL_NS]
        return np.flatnonzero((latest_ns <= before_ns) & (latest_ns != LONG_AGO_NS))

    def give_back(self, row: int) -> None:
        """Let a row serve again."""
        self.payloads.forget(row)
        self.state[row] = None
        self.intake[row, LATEST_ARRIVAL_NS] = LONG_AGO_NS
        self._free.append(row)


class SourceState:
    """Is what changes seldom about a source: an attribute a fact, next to its columns in Sources."""

    __slots__ = (
        "after_pause",
        "bad_sequence",
        "base_sequence",
        "duplicates",
        "expected_before",
        "first_arrival_ns",
        "late",
        "located",
        "missing",
        "moved_from",
        "payload_types",
        "rejected",
        "released",
        "reordered",
        "restarts",
        "row",
        "runs",
        "sender",
        "slot",
        "ssrc",
        "undecoded",
    )

    def __init__(self, row: int, slot: int, ssrc: int, sender: int, first_arrival_ns: int) -> None:
        self.row, self.slot, self.ssrc, self.sender = row, slot, ssrc, sender
        self.first_arrival_ns = first_arrival_ns
        self.base_sequence = 0
        self.expected_before = 0  # packets expected of the runs before the last restart
        self.bad_sequence = -1  # the wild sequence number's successor, which would confirm it
        self.runs: deque[int] = deque()  # where restarted runs begin, of those not handed on yet
        self.released = False  # whether any packet was handed on
        self.after_pause = False  # whether the last packet was comfort noise or a telephone event
        self.located = False  # whether NEXT_TIMESTAMP and NEXT_POSITION say anything
        self.missing = 0  # packets missed since the last audio that was placed
        self.duplicates = self.late = self.reordered = self.rejected = self.undecoded = self.restarts = 0
        self.payload_types: dict[int, str] = {}
        self.moved_from: list[int] = []  # its senders before this one

    @property
    def has_known_type(self) -> bool:
        """Tell whether any of its payload types so far is known."""
        return any(name != UNKNOWN_TYPE for name in self.payload_types.values())


class Streams:
    """Is the columns of all streams: release and coding are int64[rows, columns above].

    formats: what FORMAT says; as many as streams had, and nobody has more than a few.
    """

    def __init__(self, capacity: int) -> None:
        self.release = np.zeros((capacity, STREAM_COLUMNS), np.int64)
        self.coding = np.zeros((capacity, CODING_COLUMNS), np.int64)
        self.formats: list[AudioFormat] = []

    def number_of(self, format: AudioFormat) -> int:
        """Give a format's number; a new one gets the next."""
        if format not in self.formats:
            self.formats.append(format)
        return self.formats.index(format)


def cell_rows(rows: NDArray[np.int64], sequence: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give each packet's cell number."""
    return rows * CELLS + (sequence & (CELLS - 1))
