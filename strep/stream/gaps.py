"""Hand on packets behind a plain loss, many at a time: the gap is concealed, labelled and told.

A loss is plain when sequence number and timestamp jump by the same whole packets, each as long as the one before, in
G.711 at 8 kHz. All other packets are placed one by one by strep.stream.placing, which does the same with these. A bad
network, or a receiver with too much to do, means a loss in most streams: one by one, that would be much more to do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.audio.block import AudioBlock, SampleState
from strep.audio.conceal import CONCEAL_LIMIT_MS, conceal_columns, history_samples
from strep.stream import table as t
from strep.stream.clock import NS, STALL_NS, TELL_ANCHOR_NS
from strep.stream.due import rows_of
from strep.stream.events import Gap
from strep.stream.intake import Accepted
from strep.stream.outbox import Outbox
from strep.stream.payloads import LOOSE
from strep.stream.placed import Placed, by_kind, decode, kind_of
from strep.stream.placing import Placer
from strep.stream.state import StreamState
from strep.wire.batch import scatter

_RATE_HZ = 8000
_HISTORY = history_samples(_RATE_HZ)
_LIMIT = CONCEAL_LIMIT_MS * _RATE_HZ // 1000
#: Packets that a plain loss may miss. Each is looked for among those that came, a column at a time.
_MOST_MISSING = 32


class _Behind(NamedTuple):
    """Is packets behind a loss, with their sources' and streams' rows of strep.stream.table, copied to be changed.

    frame: samples of each packet that is missing; 0 where that is not known. lost: samples of all of them.
    frames: packets of that length, one after the other, that came right before them.
    """

    row: NDArray[np.int64]
    slots: NDArray[np.int64]
    source: NDArray[np.int64]
    stream: NDArray[np.int64]
    cells: NDArray[np.int64]
    payload: NDArray[np.uint8]
    missing: NDArray[np.int64]
    frame: NDArray[np.int64]
    lost: NDArray[np.int64]
    frames: NDArray[np.int64]

    def select(self, some: NDArray[np.int64]) -> _Behind:
        """Copy some of the packets."""
        return _Behind._make(column[some] for column in self)

    @property
    def length(self) -> NDArray[np.int64]:
        """Give the packets' own lengths, samples."""
        return self.cells[:, t.CELL_LENGTH_AND_TYPE] & t.LENGTH_MASK

    @property
    def arrival_ns(self) -> NDArray[np.int64]:
        """Give when they came."""
        return self.cells[:, t.CELL_ARRIVAL_NS]

    @property
    def position(self) -> NDArray[np.int64]:
        """Give where their samples begin, which is where those that are lost end."""
        return self.stream[:, t.END_POSITION] + self.lost

    @property
    def anchor_ns(self) -> NDArray[np.int64]:
        """Give the wall time of their streams' sample 0, by them."""
        return self.arrival_ns - self.position * self.stream[:, t.NS_PER_SAMPLE]


class Gaps:
    """Takes what is behind a plain loss."""

    def __init__(
        self,
        sources: t.Sources,
        streams: t.Streams,
        streams_state: list[StreamState | None],
        outbox: Outbox,
        placer: Placer,
    ) -> None:
        self._sources, self._streams, self._state = sources, streams, streams_state
        self._outbox, self._placer = outbox, placer

    def take(self, accepted: Accepted) -> NDArray[np.bool_]:
        """Hand on packets behind a plain loss, of each stream the first at most; tells which those are, bool[n]."""
        behind = self._gather(accepted)
        some = np.flatnonzero(self._is_plain(behind))
        some = some[self._is_settled(behind.select(some))]
        if len(some):
            plain = behind.select(some)
            self._tell(plain)
            self._conceal(plain)
            self._receive(plain)
        taken = np.zeros(len(accepted.row), np.bool_)
        taken[some] = True
        return taken

    def _gather(self, accepted: Accepted) -> _Behind:
        assert accepted.cells is not None
        assert accepted.payload is not None
        source, slots, stream = rows_of(accepted, self._sources, self._streams)
        missing = accepted.sequence - source[:, t.CURSOR]
        frame, frames = self._frames_before(accepted.row, source, stream)
        return _Behind(
            accepted.row,
            slots,
            source,
            stream,
            accepted.cells,
            accepted.payload,
            missing,
            frame,
            missing * frame,
            frames,
        )

    def _frames_before(
        self, row: NDArray[np.int64], source: NDArray[np.int64], stream: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give the length of the packets before a loss (0: we cannot tell), and how many to conceal by."""
        frame, frames = np.zeros(len(row), np.int64), np.zeros(len(row), np.int64)
        for back in range(1, t.HISTORY_CELLS + 1):
            length, number = self._before(row, source, stream, back)
            frame = np.where(back == 1, length, frame)
            wanted = (frames == back - 1) & (frames * frame < _HISTORY) & (length != 0)
            frames += wanted & (length == frame)
            frame[wanted & ((length != frame) | (number == LOOSE))] = 0  # not for the columns
        return frame, frames

    def _before(
        self, row: NDArray[np.int64], source: NDArray[np.int64], stream: NDArray[np.int64], back: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give the length of a packet before a loss, and its payload's number.

        length: 0 where there is none of its stream's type; -1 where it is empty, or kept apart since a later one has
        its cell.
        back: 1 for the last one before it.
        """
        sequence = source[:, t.CURSOR] - back
        cells = self._sources.cells.take(t.cell_rows(row, sequence), axis=0)
        length_and_type = cells[:, t.CELL_LENGTH_AND_TYPE]
        there = cells[:, t.CELL_SEQUENCE] == sequence
        there &= length_and_type >> t.TYPE_SHIFT == stream[:, t.COLUMNAR_TYPE]
        number = cells[:, t.CELL_PAYLOAD]
        there &= (number >= self._sources.payloads.oldest_number) | (number == LOOSE)
        length = np.where(there, length_and_type & t.LENGTH_MASK, 0)
        odd = (cells[:, t.CELL_SEQUENCE] > sequence) | (there & (length == 0))
        return np.where(odd, -1, length), number

    def _is_plain(self, behind: _Behind) -> NDArray[np.bool_]:
        """Tell by the columns where nothing but a loss lies before a packet, and its stream has no earlier one here."""
        source, stream, cells, missing = behind.source, behind.stream, behind.cells, behind.missing
        plain = np.zeros(len(missing), np.bool_)
        plain[np.unique(behind.slots, return_index=True)[1]] = True
        plain &= (missing > 0) & (missing <= _MOST_MISSING) & (behind.length > 0) & (behind.frame > 0)
        plain &= cells[:, t.CELL_TIMESTAMP] == source[:, t.NEXT_TIMESTAMP] + behind.lost
        plain &= source[:, t.NEXT_POSITION] == stream[:, t.END_POSITION]
        plain &= stream[:, t.ACTIVE_ROW] == behind.row
        plain &= cells[:, t.CELL_LENGTH_AND_TYPE] >> t.TYPE_SHIFT == stream[:, t.COLUMNAR_TYPE]
        plain &= stream[:, t.NS_PER_SAMPLE] == NS // _RATE_HZ
        plain &= behind.anchor_ns - stream[:, t.ANCHOR_NS] <= STALL_NS
        for step in range(int(missing[plain].max(initial=0))):  # what came out of order is still to be handed on
            sequence = source[:, t.CURSOR] + step
            came = self._sources.cells[t.cell_rows(behind.row, sequence), t.CELL_SEQUENCE] == sequence
            plain &= ~came | (step >= missing)
        return plain

    def _is_settled(self, behind: _Behind) -> NDArray[np.bool_]:
        """Tell where nothing is open from before the loss either, and the time allows for what was lost."""
        columns = (behind.row, behind.slots, behind.stream[:, t.END_POSITION], behind.lost, behind.arrival_ns)
        settled: list[bool] = []
        for row, slot, end, lost, arrival_ns in zip(*(column.tolist() for column in columns), strict=True):
            source, stream = self._sources.state[row], self._state[slot]
            assert source is not None
            assert stream is not None
            allowed = end + lost <= stream.latest_position(arrival_ns, end)
            settled.append(allowed and not source.missing and not source.runs)
        return np.array(settled, np.bool_)

    def _tell(self, behind: _Behind) -> None:
        columns = (behind.slots, behind.arrival_ns, behind.stream[:, t.END_POSITION], behind.lost, behind.missing)
        for slot, arrival_ns, start, lost, missing in zip(*(column.tolist() for column in columns), strict=True):
            state = SampleState.CONCEALED if lost <= _LIMIT else SampleState.LOST
            self._outbox.event(Gap(arrival_ns, slot, start, lost, _RATE_HZ, missing, state))
            stream = self._state[slot]
            assert stream is not None
            stream.samples_by_state[SampleState.CONCEALED] += min(lost, _LIMIT)
            stream.samples_by_state[SampleState.LOST] += max(0, lost - _LIMIT)

    def _conceal(self, behind: _Behind) -> None:
        """Put out what is made up, and then the silence of what is beyond that."""
        made = np.minimum(behind.lost, _LIMIT)
        samples = np.empty((len(made), int(made.max())), np.int16)
        for kind, some in by_kind(behind.frame << t.TYPE_SHIFT | behind.frames):
            history = self._history(behind.select(_rows(some, len(made))), kind >> t.TYPE_SHIFT, kind & t.LENGTH_MASK)
            samples[some] = conceal_columns(history, samples.shape[1], sample_rate_hz=_RATE_HZ)
        for length, some in by_kind(made):
            rows = _rows(some, len(made))
            start = behind.stream[rows, t.END_POSITION]
            self._put(behind, rows, start, np.ascontiguousarray(samples[some, :length]), SampleState.CONCEALED)
        for length, some in by_kind(behind.lost - made):
            if length:
                rows = _rows(some, len(made))
                zeros = np.broadcast_to(np.int16(0), (len(rows), length))
                self._put(behind, rows, behind.stream[rows, t.END_POSITION] + _LIMIT, zeros, SampleState.LOST)

    def _put(
        self,
        behind: _Behind,
        rows: NDArray[np.int64],
        position: NDArray[np.int64],
        samples: NDArray[np.int16],
        state: SampleState,
    ) -> None:
        states = np.full(len(rows), state, np.uint8)
        block = AudioBlock(_RATE_HZ, behind.slots[rows], position, samples, states, behind.arrival_ns[rows])
        self._outbox.block(block)

    def _history(self, behind: _Behind, frame: int, frames: int) -> NDArray[np.int16]:
        """Decode what came before each loss, int16[n, frame * frames]."""
        codes = []
        for back in range(frames, 0, -1):
            _, number = self._before(behind.row, behind.source, behind.stream, back)
            codes.append(self._sources.payloads.gather(number, frame))
        return decode(np.concatenate(codes, axis=1), behind.stream[:, t.LAW])

    def _receive(self, behind: _Behind) -> None:
        """Place and decode the packets themselves."""
        source, stream, length, position = behind.source, behind.stream, behind.length, behind.position
        anchor_ns = behind.anchor_ns
        source[:, t.CURSOR] += behind.missing + 1
        source[:, t.NEXT_TIMESTAMP] = behind.cells[:, t.CELL_TIMESTAMP] + length
        source[:, t.NEXT_POSITION] = stream[:, t.END_POSITION] = position + length
        np.minimum(stream[:, t.ANCHOR_NS], anchor_ns, out=stream[:, t.ANCHOR_NS])
        np.minimum(stream[:, t.WINDOW_ANCHOR_NS], anchor_ns, out=stream[:, t.WINDOW_ANCHOR_NS])
        scatter(self._sources.release, behind.row, source)
        scatter(self._streams.release, behind.slots, stream)
        better = stream[:, t.ANCHOR_NS] < stream[:, t.PUBLISHED_ANCHOR_NS] - TELL_ANCHOR_NS
        for slot in behind.slots[better].tolist():
            self._placer.tell_anchor(slot)
        kind = kind_of(length, stream[:, t.LAW], stream[:, t.NS_PER_SAMPLE])
        samples = decode(behind.payload, stream[:, t.LAW])
        for block in Placed(kind, behind.slots, position, samples, behind.arrival_ns).blocks():
            self._outbox.block(block)


def _rows(some: slice | NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Give the numbers of the rows that by_kind picked out of n."""
    return np.arange(n)[some]
