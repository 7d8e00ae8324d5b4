"""Hand packets on in order, a playout delay after they came, and place their audio.

Packets wait in their source's ring. When the watermark has passed a packet's arrival by the playout delay, everything
up to its sequence number is handed on: what is there is placed, what is missing is given up. So what is handed on is a
function of arrival times and the watermark alone. A packet that simply goes on from the one before, in G.711, is placed
and decoded here with all others like it, one in another codec by strep.stream.coded, and one behind a plain loss by
strep.stream.gaps; any other goes through strep.stream.placing.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from strep.stream import table as t
from strep.stream.coded import Coded
from strep.stream.due import Due, gather
from strep.stream.faults import Faults
from strep.stream.gaps import Gaps
from strep.stream.intake import Accepted
from strep.stream.outbox import Outbox
from strep.stream.placed import Placed, decode, kind_of
from strep.stream.placing import Placer
from strep.stream.state import StreamState

if TYPE_CHECKING:
    from strep.stream.compiled.straight import StraightPath

#: Below this many rows the scalar path is quicker than the columns' fixed cost.
SMALL = 6
#: How long payloads stay where they are after they were handed on. A stream that goes on has had three more packets by
#: then (strep.stream.table.HISTORY_CELLS); of the others, those three are kept apart.
KEPT_NS = 200_000_000


class Timeline:
    """Holds back what was accepted and hands it on."""

    def __init__(
        self,
        sources: t.Sources,
        streams: t.Streams,
        streams_state: list[StreamState | None],
        outbox: Outbox,
        playout_delay_ns: int,
        faults: Faults,
        straight_path: StraightPath | None = None,
    ) -> None:
        self._faults = faults
        self._sources, self._streams, self._outbox, self._state = sources, streams, outbox, streams_state
        self._straight_path = straight_path
        self._delay_ns = playout_delay_ns
        self._waiting: deque[list[Accepted]] = deque()  # by batch
        self.placer = Placer(sources, streams, streams_state, outbox, playout_delay_ns, faults)
        self._coded = Coded(sources, streams, streams_state, outbox, self.placer)
        self._gaps = Gaps(sources, streams, streams_state, outbox, self.placer)

    def begin_batch(self) -> None:
        """Say that what is held from now on came in one batch, after all that is held."""
        if not self._waiting or self._waiting[-1]:
            self._waiting.append([])

    def hold(self, accepted: Accepted) -> None:
        """Take packets that were laid into cells; of each stream, in order of arrival."""
        if len(accepted.row):
            self._waiting[-1].append(accepted)

    def hold_one(self, row: int, sequence: int, arrival_ns: int) -> None:
        """Take one packet that was laid into its cell."""
        self.hold(Accepted(np.array([row]), np.array([sequence]), np.array([arrival_ns])))

    def make_room(self, row: int, sequence: int) -> None:
        """Hand on a source's packets up to `sequence` before their time, because its ring is full.

        What its stream's other sources hold from before is handed on first, as it would be in time.
        """
        if sequence < self._sources.release[row, t.CURSOR]:
            return
        stream = self._state[int(self._sources.release[row, t.STREAM])]
        assert stream is not None
        if len(stream.rows) == 1:
            self.placer.walk(row, sequence)
            return
        siblings = set(stream.rows)
        for batch in self._waiting:
            for n, accepted in enumerate(batch):
                batch[n] = self._hand_on_before(accepted, siblings, row, sequence)
            batch[:] = [accepted for accepted in batch if len(accepted.row)]
            if self._sources.release[row, t.CURSOR] > sequence:
                return

    def _hand_on_before(self, accepted: Accepted, siblings: set[int], row: int, sequence: int) -> Accepted:
        """Hand on what some sources hold, until one of them has come beyond `sequence`; give what still waits.

        What is handed on must not be looked at again, or whoever fills rings makes each packet cost all that wait.
        """
        if len(accepted.row) == 1:
            mine = [0] if int(accepted.row[0]) in siblings else []
        else:
            mine = np.flatnonzero(np.isin(accepted.row, list(siblings))).tolist()
        handed_on = []
        for n in mine:
            if self._sources.release[row, t.CURSOR] > sequence:
                break
            self.placer.walk(int(accepted.row[n]), int(accepted.sequence[n]))
            handed_on.append(n)
        return accepted.select(np.delete(np.arange(len(accepted.row)), handed_on)) if handed_on else accepted

    def drain(self, rows: set[int]) -> None:
        """Hand on all that is held back of some sources, in order of arrival."""
        wanted = np.array(sorted(rows), np.int64)
        for batch in self._waiting:
            for n, accepted in enumerate(batch):
                mine = np.isin(accepted.row, wanted)
                if mine.any():
                    self.release(accepted.select(mine))
                    batch[n] = accepted.select(~mine)
            batch[:] = [accepted for accepted in batch if len(accepted.row)]

    @property
    def is_waiting(self) -> bool:
        """Tell whether anything is held back."""
        return any(self._waiting)

    def advance(self, watermark_ns: int, *, exactly: bool = False) -> None:
        """Hand on what arrived a playout delay before the watermark.

        What came in one batch is handed on together, when all of it is due: half as many columns cost nearly as much.
        With `exactly`, all that is due is handed on, for whoever looks at the state that this leaves.
        """
        limit_ns = watermark_ns - self._delay_ns
        while self._waiting:
            batch = self._waiting[0]
            while batch and batch[0].arrival_ns[-1] <= limit_ns:
                self.release(batch.pop(0))
            if batch:
                if exactly:
                    self._waiting[0] = self._release_due(batch, limit_ns)
                break
            self._waiting.popleft()
        self._sources.let_go(limit_ns - KEPT_NS)

    def _release_due(self, batch: list[Accepted], limit_ns: int) -> list[Accepted]:
        """Hand on what came until then; give what is left."""
        for accepted in batch:
            self.release(accepted.select(accepted.arrival_ns <= limit_ns))
        left = [accepted.select(accepted.arrival_ns > limit_ns) for accepted in batch]
        return [accepted for accepted in left if len(accepted.row)]

    def release(self, accepted: Accepted) -> None:
        """Hand on each source up to the packet that was accepted of it.

        What goes on from the packet before, and then what is behind a plain loss, in turns: the one makes way for the
        other. What is neither is handed on one by one.
        """
        try:
            accepted = self._release_together(accepted)
        except Exception:
            self._faults.note_many("handing packets on")
        self._walk(accepted)  # what the columns did hand on before they failed is done with

    def _release_together(self, accepted: Accepted) -> Accepted:
        """Hand on what is plain, many packets at a time; give what is left."""
        while accepted.cells is not None and len(accepted.row) >= SMALL:
            left = self._release_straight(accepted)
            accepted = accepted.select(left)
            if len(left) < SMALL:
                break
            taken = self._coded.take(accepted)
            if not taken.any():
                taken = self._gaps.take(accepted)
            if not taken.any():
                break
            accepted = accepted.select(np.flatnonzero(~taken))
        return accepted

    def _release_straight(self, accepted: Accepted) -> NDArray[np.int64]:
        """Hand on what goes on from the packet before; give which packets are left."""
        if self._straight_path is not None:
            placed, moved, left = self._straight_path.hand_on(accepted)
            for slot in moved.tolist():
                self.placer.tell_anchor(slot)
            self._put(placed)
            return left
        due = gather(accepted, self._sources, self._streams)
        straight = due.cells[:, t.CELL_LENGTH_AND_TYPE] >> t.TYPE_SHIFT == due.stream[:, t.COLUMNAR_TYPE]
        straight &= due.goes_on()
        if straight.all():
            self._straight(due)
            return np.zeros(0, np.int64)
        if straight.any():
            self._straight(due.select(np.flatnonzero(straight)))
        return np.flatnonzero(~straight)

    def _walk(self, accepted: Accepted) -> None:
        for row, target in zip(accepted.row.tolist(), accepted.sequence.tolist(), strict=True):
            self.placer.walk(row, target)

    def _straight(self, due: Due) -> None:
        """Place and decode packets that go on from the one before; one stream may have one row only."""
        position, moved = due.move_on(self._sources, self._streams)
        for slot in moved:
            self.placer.tell_anchor(slot)
        law = due.stream[:, t.LAW]
        kind = kind_of(due.length, law, due.stream[:, t.NS_PER_SAMPLE])
        self._put(Placed(kind, due.slots, position, decode(due.payload, law), due.arrival_ns))

    def _put(self, placed: Placed) -> None:
        for block in placed.blocks():
            self._outbox.block(block)
