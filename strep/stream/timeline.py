"""Hand packets on in order, a playout delay after they came, and place their audio.

Packets wait in their source's ring. When the watermark has passed a packet's arrival by the playout delay, everything
up to its sequence number is handed on: what is there is placed, what is missing is given up. So what is handed on is a
function of arrival times and the watermark alone. A packet that simply goes on from the one before, in G.711, is placed
and decoded here with all others like it; any other goes through strep.stream.placing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strep.audio import g711
from strep.audio.block import AudioBlock, SampleState
from strep.stream import table as t
from strep.stream.clock import STALL_NS
from strep.stream.intake import Accepted
from strep.stream.outbox import Outbox
from strep.stream.placing import COLUMNAR_LAWS, TELL_ANCHOR_NS, Placer
from strep.stream.state import StreamState
from strep.wire.batch import scatter, windows

_LAWS = {code: {"PCMU": g711.Law.MU, "PCMA": g711.Law.A}[name] for name, code in COLUMNAR_LAWS.items()}
#: Below this many rows the scalar path is quicker than the columns' fixed cost.
SMALL = 6


@dataclass(frozen=True, slots=True)
class _Due:
    """Is packets to hand on, with their sources' and streams' rows of strep.stream.table, copied to be changed."""

    row: NDArray[np.int64]
    source: NDArray[np.int64]
    slots: NDArray[np.int64]
    stream: NDArray[np.int64]
    cells: NDArray[np.int64]
    payload: NDArray[np.void]
    length: NDArray[np.int64]
    anchor_ns: NDArray[np.int64]

    def select(self, some: NDArray[np.int64]) -> _Due:
        """Copy some of the packets."""
        return _Due(
            self.row[some],
            self.source[some],
            self.slots[some],
            self.stream[some],
            self.cells[some],
            self.payload[some],
            self.length[some],
            self.anchor_ns[some],
        )


class Timeline:
    """Holds back what was accepted and hands it on."""

    def __init__(
        self,
        sources: t.Sources,
        streams: t.Streams,
        streams_state: list[StreamState | None],
        outbox: Outbox,
        playout_delay_ns: int,
    ) -> None:
        self._sources, self._streams, self._outbox, self._state = sources, streams, outbox, streams_state
        self._delay_ns = playout_delay_ns
        self._waiting: deque[Accepted] = deque()
        self.placer = Placer(sources, streams, streams_state, outbox, playout_delay_ns)

    def hold(self, accepted: Accepted) -> None:
        """Take packets that were laid into the rings."""
        if len(accepted.row):
            self._waiting.append(accepted)

    def hold_one(self, row: int, sequence: int, arrival_ns: int) -> None:
        """Take one packet that was laid into its ring."""
        self._waiting.append(Accepted(np.array([row]), np.array([sequence]), np.array([arrival_ns])))

    def make_room(self, row: int, sequence: int) -> None:
        """Hand on a source's packets up to `sequence` before their time, because its ring is full.

        What its stream's other sources hold from before is handed on first, as it would be in time.
        """
        if sequence < self._sources.release[row, t.CURSOR]:
            return
        stream = self._state[int(self._sources.release[row, t.STREAM])]
        assert stream is not None
        if len(stream.rows) > 1:
            siblings = np.array(stream.rows)
            for accepted in self._waiting:
                for n in np.flatnonzero(np.isin(accepted.row, siblings)).tolist():
                    if self._sources.release[row, t.CURSOR] <= sequence:
                        self.placer.walk(int(accepted.row[n]), int(accepted.sequence[n]))
        else:
            self.placer.walk(row, sequence)

    def drain(self, rows: set[int]) -> None:
        """Hand on all that is held back of some sources, in order of arrival."""
        wanted, kept = np.array(sorted(rows), np.int64), deque[Accepted]()
        while self._waiting:
            accepted = self._waiting.popleft()
            mine = np.isin(accepted.row, wanted)
            if mine.any():
                self.release(accepted.select(mine))
                accepted = accepted.select(~mine)
            if len(accepted.row):
                kept.append(accepted)
        self._waiting = kept

    @property
    def is_waiting(self) -> bool:
        """Tell whether anything is held back."""
        return bool(self._waiting)

    def advance(self, watermark_ns: int, *, exactly: bool = False) -> None:
        """Hand on what arrived a playout delay before the watermark.

        What was accepted together is handed on together, when all of it is due: half as many columns cost nearly as
        much. With `exactly`, all that is due is handed on, for whoever looks at the state that this leaves.
        """
        limit_ns = watermark_ns - self._delay_ns
        kept: list[Accepted] = []
        # Batches come in order of arrival, so the first that is not due is the last that has to be looked at.
        while self._waiting and self._waiting[0].arrival_ns[0] <= limit_ns:
            accepted = self._waiting.popleft()
            due = accepted.arrival_ns <= limit_ns
            if due.all():
                self.release(accepted)
                continue
            if not exactly:
                kept.append(accepted)
                break
            self.release(accepted.select(due))
            kept.append(accepted.select(~due))
        self._waiting.extendleft(reversed(kept))

    def release(self, accepted: Accepted) -> None:
        """Hand on each source up to the packet that was accepted of it."""
        rows, targets = accepted.row, accepted.sequence
        if len(rows) < SMALL:
            for row, target in zip(rows.tolist(), targets.tolist(), strict=True):
                self.placer.walk(row, target)
            return
        due = self._gather(accepted)
        straight = due.source[:, t.CURSOR] == targets
        straight &= due.cells[:, t.CELL_TIMESTAMP] == due.source[:, t.NEXT_TIMESTAMP]
        straight &= due.source[:, t.NEXT_POSITION] == due.stream[:, t.END_POSITION]
        straight &= due.stream[:, t.ACTIVE_ROW] == rows
        straight &= due.cells[:, t.CELL_LENGTH_AND_TYPE] >> t.TYPE_SHIFT == due.stream[:, t.COLUMNAR_TYPE]
        straight &= (due.length > 0) & (due.length <= t.CELL_BYTES)
        straight &= due.anchor_ns - due.stream[:, t.ANCHOR_NS] <= STALL_NS
        if straight.all():
            self._straight(due)
            return
        some = np.flatnonzero(straight)
        if len(some):
            self._straight(due.select(some))
        odd = np.flatnonzero(~straight)
        for row, target in zip(rows[odd].tolist(), targets[odd].tolist(), strict=True):
            self.placer.walk(row, target)

    def _gather(self, accepted: Accepted) -> _Due:
        source = self._sources.release.take(accepted.row, axis=0)
        slots = source[:, t.STREAM]
        stream = self._streams.release.take(slots, axis=0)
        cells, payload = accepted.cells, accepted.payload
        if cells is None or payload is None:
            cell = t.cell_rows(accepted.row, accepted.sequence)
            cells = self._sources.cells.take(cell, axis=0)
            payload = windows(self._sources.payload, t.CELL_BYTES, t.CELL_BYTES)[cell]
        return _Due(
            row=accepted.row,
            source=source,
            slots=slots,
            stream=stream,
            cells=cells,
            payload=payload,
            length=cells[:, t.CELL_LENGTH_AND_TYPE] & t.LENGTH_MASK,
            anchor_ns=cells[:, t.CELL_ARRIVAL_NS] - stream[:, t.END_POSITION] * stream[:, t.NS_PER_SAMPLE],
        )

    def _straight(self, due: _Due) -> None:
        """Place and decode packets that go on from the one before; one stream may have one row only."""
        source, stream, length = due.source, due.stream, due.length
        position = stream[:, t.END_POSITION].copy()
        source[:, t.CURSOR] += 1
        source[:, t.NEXT_TIMESTAMP] += length
        source[:, t.NEXT_POSITION] += length
        stream[:, t.END_POSITION] += length
        np.minimum(stream[:, t.ANCHOR_NS], due.anchor_ns, out=stream[:, t.ANCHOR_NS])
        np.minimum(stream[:, t.WINDOW_ANCHOR_NS], due.anchor_ns, out=stream[:, t.WINDOW_ANCHOR_NS])
        scatter(self._sources.release, due.row, source)
        scatter(self._streams.release, due.slots, stream)
        better = stream[:, t.ANCHOR_NS] < stream[:, t.PUBLISHED_ANCHOR_NS] - TELL_ANCHOR_NS
        for slot in due.slots[better].tolist():
            self.placer.tell_anchor(slot)
        kind = length | stream[:, t.LAW] << t.TYPE_SHIFT | stream[:, t.NS_PER_SAMPLE] << (t.TYPE_SHIFT + 1)
        if (kind == kind[0]).all():
            self._decode(int(kind[0]), due, position)
            return
        for value in np.unique(kind).tolist():
            some = np.flatnonzero(kind == value)
            self._decode(value, due.select(some), position[some])

    def _decode(self, kind: int, due: _Due, position: NDArray[np.int64]) -> None:
        """Decode packets of one length, law and rate."""
        length, law = kind & t.LENGTH_MASK, kind >> t.TYPE_SHIFT & 1
        payload = np.ascontiguousarray(due.payload.view(np.uint8).reshape(len(position), -1)[:, :length])
        self._outbox.block(
            AudioBlock(
                sample_rate_hz=1_000_000_000 // (kind >> (t.TYPE_SHIFT + 1)),
                slots=due.slots,
                position=position,
                samples=g711.decode(payload, _LAWS[law]),
                state=np.full(len(position), SampleState.RECEIVED, np.uint8),
                arrival_ns=due.cells[:, t.CELL_ARRIVAL_NS],
            )
        )
