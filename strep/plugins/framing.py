"""Cut the engine's audio into the hops that a plugin wants, for many streams at once.

1. Hops lie on a grid from the stream's first sample on, and none is skipped: what was lost, or was silence, is zeros
   with its state. The last hop of a stream is filled up with zeros.
2. Audio for a place that has gone out already is dropped and counted.
3. A stream at the wanted rate goes through columns, and where its pieces are hops already, nothing is copied. One at
   another rate is resampled (strep.plugins.row_framing), as is one whose pieces do not go on from one another.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from strep.audio.block import AudioBlock, SampleState
from strep.plugins.base import Hops, PlacedEvent, Wants
from strep.plugins.row_framing import CAME, RowFramer, RowHop
from strep.stream.events import (
    AnchorMoved,
    Direction,
    Event,
    FormatChanged,
    StreamClosed,
    StreamIdentity,
    StreamOpened,
)
from strep.wire.batch import windows

#: As many streams as the engine has at most, unless told otherwise; memory is only taken by those there are.
MOST_ROWS = 20_000
_NS = 1_000_000_000
_NOBODY = -1


class Taker(Protocol):
    """A taker that takes what a plugin is given: a stream's hops and events between its `open` and its `close`."""

    def open(self, row: int, identity: StreamIdentity, time_ns: int) -> None:
        """Begin a stream, at a wall time."""

    def process(self, hops: Hops) -> None:
        """Take audio."""

    def event(self, row: int, placed: PlacedEvent) -> None:
        """Take what the engine says of a stream."""

    def close(self, row: int) -> None:
        """End a stream."""


class _Pieces(NamedTuple):
    """An AudioBlock by rows."""

    rows: NDArray[np.int64]
    position: NDArray[np.int64]
    samples: NDArray[np.int16]
    state: NDArray[np.uint8]
    arrival_ns: NDArray[np.int64]

    def select(self, some: NDArray[np.int64]) -> _Pieces:
        return _Pieces._make(column[some] for column in self)


class Framer:
    """A sink that cuts streams into hops, each direction in a row of its own.

    rows: how many streams at a time. late_samples: how many came for a place that had gone out; refused_streams: how
    many found no row.
    """

    def __init__(self, wants: Wants, taker: Taker, rows: int = MOST_ROWS) -> None:
        self._rate_hz, self._hop, self._taker = wants.sample_rate_hz, wants.hop_samples, taker
        self._free = list(range(rows))  # a heap: low rows first, so that a plugin's columns stay dense
        self._row_of_slot = np.full(1, _NOBODY, np.int64)  # the last one stays so: `take` clips unknown slots to it
        self._next = np.zeros(rows, np.int64)  # where the row's next sample goes
        self._offset = np.zeros(rows, np.int64)
        self._anchor_ns = np.zeros(rows, np.int64)
        self._zero_ns = np.zeros(rows, np.int64)  # wall time of position 0
        self._direction = np.zeros(rows, np.uint8)
        self._event_hz = np.zeros(rows, np.int64)  # in which the positions of a row's events count
        self._worst = np.zeros(rows, np.uint8)
        self._is_odd = np.zeros(rows, np.bool_)
        self._odd: dict[int, RowFramer] = {}
        self._order = np.zeros(rows, np.int64)
        self._held = np.zeros(rows * 2 * self._hop, np.int16)  # a hop and what is beyond it, of each row
        self._late_samples = self.refused_streams = 0

    @property
    def late_samples(self) -> int:
        """Count the samples that came for a place that had gone out."""
        return self._late_samples + sum(framer.late_samples for framer in self._odd.values())

    def event(self, event: Event) -> None:
        """Take an event, and hand it on in its place among the hops."""
        if isinstance(event, StreamOpened):
            self._open(event)
            return
        row = self.row_of(event.slot)
        if row == _NOBODY:
            return
        if isinstance(event, StreamClosed):
            self._close(row, event.slot)
            return
        if isinstance(event, AnchorMoved):
            self._anchor_ns[row] = min(int(self._anchor_ns[row]), event.anchor_ns)
            self._set_zero(row)
        if isinstance(event, FormatChanged) and event.format is not None:
            self._event_hz[row] = event.format.sample_rate_hz
        place = self.place_of(row, int(self._event_hz[row]), getattr(event, "position", 0))
        self._taker.event(row, PlacedEvent(event, Direction(int(self._direction[row])), place))

    def block(self, block: AudioBlock) -> None:
        """Take audio."""
        rows = self.rows_of(block.slots)
        pieces = _Pieces(rows, block.position, block.samples, block.state, block.arrival_ns)
        known = rows != _NOBODY
        if not known.all():
            pieces = pieces.select(np.flatnonzero(known))
        count = np.arange(len(pieces.rows))
        self._order[pieces.rows] = count
        if (self._order[pieces.rows] == count).all():
            self._take(block.sample_rate_hz, pieces)
            return
        for wave in _waves(pieces.rows):
            self._take(block.sample_rate_hz, pieces.select(wave))

    def flush(self, now_ns: int) -> None:
        """Do nothing: hops go out as soon as they are full."""

    def close(self) -> None:
        """Do nothing: streams are closed by their events."""

    def row_of(self, slot: int) -> int:
        """Give the row of a stream, -1 for none."""
        return int(self._row_of_slot[min(slot, len(self._row_of_slot) - 1)])

    def rows_of(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the rows of streams, -1 for none."""
        return self._row_of_slot.take(slots, mode="clip")

    def anchor_ns(self, row: int) -> int:
        """Give the wall time of a stream's first sample, as far as known."""
        return int(self._anchor_ns[row])

    def shift(self, row: int, offset: int) -> None:
        """Let a stream's first sample lie so many samples behind position 0 (before, if negative).

        To be called before its first audio. The hops before that sample do not go out.
        """
        self._offset[row] = offset
        self._begin_at(row, max(0, offset))
        self._set_zero(row)

    def _begin_at(self, row: int, position: int) -> None:
        """Let a row go on at a position, with nothing of its hop before that."""
        self._next[row] = position
        held = row * 2 * self._hop
        self._held[held : held + position % self._hop] = 0

    def places_of(self, rows: NDArray[np.int64], sample_rate_hz: int, position: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give where positions of streams, counted at that rate, lie among the hops."""
        return position * self._rate_hz // sample_rate_hz + self._offset[rows]

    def place_of(self, row: int, sample_rate_hz: int, position: int) -> int:
        """Give where a position of a stream, counted at that rate, lies among the hops."""
        return position * self._rate_hz // sample_rate_hz + int(self._offset[row])

    def pass_over(self, row: int, sample_rate_hz: int, position: int, samples: int) -> bool:
        """Leave out silence that is of no use any more, where that is simple; tell whether it was."""
        place = self.place_of(row, sample_rate_hz, position)
        if sample_rate_hz != self._rate_hz or self._is_odd[row] or place != self._next[row]:
            return False
        self._begin_at(row, place + samples)
        self._worst[row] = SampleState.SILENCE if self._next[row] % self._hop else 0
        return True

    def _open(self, opened: StreamOpened) -> None:
        if not self._free:
            self.refused_streams += 1
            return
        row, slot = heapq.heappop(self._free), opened.slot
        if slot + 1 >= len(self._row_of_slot):
            self._row_of_slot = np.append(self._row_of_slot, np.full(slot + 1, _NOBODY, np.int64))
        self._row_of_slot[slot] = row
        self._anchor_ns[row], self._worst[row] = opened.time_ns, 0
        self._direction[row], self._event_hz[row] = opened.identity.direction, self._rate_hz
        self.shift(row, 0)
        self._taker.open(row, opened.identity, opened.time_ns)

    def _close(self, row: int, slot: int) -> None:
        framer = self._odd.pop(row, None) or self._row_framer(row)
        self._put(np.array([row]), [framer.finish()])
        self._late_samples += framer.late_samples
        self._is_odd[row] = False
        self._taker.close(row)
        self._row_of_slot[slot] = _NOBODY
        heapq.heappush(self._free, row)

    def _set_zero(self, row: int) -> None:
        self._zero_ns[row] = int(self._anchor_ns[row]) - int(self._offset[row]) * _NS // self._rate_hz

    def _take(self, sample_rate_hz: int, pieces: _Pieces) -> None:
        """Take pieces of one length of n streams, none of them twice."""
        odd = self._is_odd[pieces.rows]
        odd |= pieces.position + self._offset[pieces.rows] != self._next[pieces.rows]
        if sample_rate_hz != self._rate_hz:
            odd[:] = True
        if odd.any():
            self._take_odd(sample_rate_hz, pieces.select(np.flatnonzero(odd)))
            pieces = pieces.select(np.flatnonzero(~odd))
        rows, _, samples, state, arrival_ns = pieces
        if not len(rows):
            return
        if (state != SampleState.RECEIVED).any():
            arrival_ns = arrival_ns * np.isin(state, CAME)
        for begin in range(0, samples.shape[1], self._hop):
            self._columns(rows, samples[:, begin : begin + self._hop], state, arrival_ns)

    def _columns(
        self,
        rows: NDArray[np.int64],
        samples: NDArray[np.int16],
        state: NDArray[np.uint8],
        arrival_ns: NDArray[np.int64],
    ) -> None:
        """Take what goes on from the piece before, a hop long at most: so at most one hop of each goes out."""
        hop, length, position = self._hop, samples.shape[1], self._next[rows]
        fill = position % hop
        self._next[rows] = position + length
        if length == hop and not fill.any():
            self._emit(rows, position, samples, state, arrival_ns)
            return
        pieces = windows(self._held.view(np.uint8), 2 * length, 2)
        pieces[rows * 2 * hop + fill] = np.ascontiguousarray(samples).view(pieces.dtype)[:, 0]
        worst, full = np.maximum(self._worst[rows], state), fill + length >= hop
        self._worst[rows] = np.where(full, state * (fill + length > hop), worst)
        if full.any():
            some = np.flatnonzero(full)
            halves = windows(self._held.view(np.uint8), 2 * hop, 2)
            cells = rows[some] * 2 * hop
            whole = halves[cells].view(np.int16).reshape(len(some), hop)
            halves[cells] = halves[cells + hop]
            self._emit(rows[some], (position - fill)[some], whole, worst[some], arrival_ns[some])

    def _row_framer(self, row: int) -> RowFramer:
        """Begin to take a stream by itself, from where the columns have come to with it."""
        framer = RowFramer(self._rate_hz, self._hop, int(self._offset[row]))
        position, start = int(self._next[row]), row * 2 * self._hop
        framer.go_on(position, self._held[start : start + position % self._hop], int(self._worst[row]))
        return framer

    def _take_odd(self, sample_rate_hz: int, pieces: _Pieces) -> None:
        hops = []
        columns = (pieces.rows.tolist(), pieces.position.tolist(), pieces.samples, pieces.state.tolist())
        for row, position, samples, state, arrival_ns in zip(*columns, pieces.arrival_ns.tolist(), strict=True):
            if row not in self._odd:
                self._odd[row] = self._row_framer(row)
                self._is_odd[row] = True
            hops.append(self._odd[row].feed(sample_rate_hz, position, samples, state, arrival_ns))
        self._put(pieces.rows, hops)

    def _put(self, rows: NDArray[np.int64], hops: list[list[RowHop]]) -> None:
        """Hand on the hops of each row, the first of all together, then the second."""
        for wave in range(max(map(len, hops))):
            some = [n for n, of_row in enumerate(hops) if len(of_row) > wave]
            position, samples, state, arrival_ns = zip(*(hops[n][wave] for n in some), strict=True)
            self._emit(
                rows[some],
                np.array(position, np.int64),
                np.stack(samples),
                np.array(state, np.uint8),
                np.array(arrival_ns, np.int64),
            )

    def _emit(
        self,
        rows: NDArray[np.int64],
        position: NDArray[np.int64],
        samples: NDArray[np.int16],
        state: NDArray[np.uint8],
        arrival_ns: NDArray[np.int64],
    ) -> None:
        samples = samples.view()
        samples.flags.writeable = False  # what passed through is also what others are given
        time_ns = self._zero_ns[rows] + duration_ns(position, self._rate_hz)
        self._taker.process(Hops(self._rate_hz, rows, position, time_ns, samples, state, arrival_ns))


def duration_ns(samples: NDArray[np.int64], sample_rate_hz: int) -> NDArray[np.int64]:
    """Give how long so many samples last, however many: their product with 10^9 need not fit 64 bits."""
    if _NS % sample_rate_hz == 0:
        return samples * (_NS // sample_rate_hz)
    whole_ns: NDArray[np.int64] = samples // sample_rate_hz * _NS
    return whole_ns + samples % sample_rate_hz * _NS // sample_rate_hz


def _waves(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Split n rows so that none is twice in one part, and each stream's stay in order."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    lengths = np.diff(np.append(begins, len(rows)))
    wave = np.arange(len(rows)) - np.repeat(begins, lengths)
    return [np.sort(order[wave == number]) for number in range(int(lengths.max()))]
