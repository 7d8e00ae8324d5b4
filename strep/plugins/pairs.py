"""Put both directions of a leg side by side, aligned in time.

1. A leg's position 0 is the first sample of the direction that began first. The other lies where the anchors of both
   (strep.stream.events.AnchorMoved) say when its first audio comes; it stays there, so nothing is heard twice.
2. A hop goes out when both directions have come to its end, or when one is ahead of the other by WAIT_MS. Where a
   direction has nothing by then, there are zeros, of state SILENCE.
3. What comes later, for a hop that has gone out, is dropped and counted, unless it is silence.
"""

from __future__ import annotations

import heapq
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from strep.audio.block import AudioBlock, SampleState
from strep.plugins.base import Hops, PlacedEvent, Wants
from strep.plugins.framing import MOST_ROWS, Framer, Taker, duration_ns
from strep.stream.events import AnchorMoved, Direction, Event, StreamClosed, StreamIdentity, StreamOpened

#: The directions of a call come within the jitter of each other, some 100 ms; a direction that is silent on purpose
#: sends nothing at all, and the other one is held up by so much.
WAIT_MS = 400
_NS = 1_000_000_000
_NEVER = np.iinfo(np.int64).max


class PairFramer:
    """A sink that cuts legs into hops of both directions, a leg in a row. rows: how many directions at a time."""

    def __init__(self, wants: Wants, taker: Taker, rows: int = MOST_ROWS, wait_ms: int = WAIT_MS) -> None:
        hop = self._hop = wants.hop_samples
        self._rate_hz, self._taker = wants.sample_rate_hz, taker
        self._framer = Framer(replace(wants, is_pair=False), _Directions(self), rows)
        self._wait = max(1, -(-wait_ms * wants.sample_rate_hz // (1000 * hop)))  # hops
        self._depth = self._wait + 1
        self._free = list(range(rows))  # a leg has a direction at least, so these cannot run out
        self._row_of_call: dict[str, int] = {}
        self._call_of_row: dict[int, str] = {}
        self._unplaced: set[int] = set()  # slots of streams that had no audio yet
        self._pair, self._side = np.zeros(rows, np.int64), np.zeros(rows, np.int64)  # by the framer's rows
        self._zero_ns = np.full(rows, _NEVER, np.int64)  # wall time of position 0
        self._next = np.zeros(rows, np.int64)  # hops that went out
        self._head = np.zeros((rows, 2), np.int64)  # hops that came
        self._is_open = np.zeros((rows, 2), np.bool_)
        self._ended = np.zeros((rows, 2), np.bool_)
        self._samples = np.zeros((rows, self._depth, 2, hop), np.int16)
        self._state = np.full((rows, self._depth, 2), SampleState.SILENCE, np.uint8)
        self._arrival_ns = np.zeros((rows, self._depth, 2), np.int64)
        self._late_samples = 0

    @property
    def late_samples(self) -> int:
        """Count the samples that came for a place that had gone out."""
        return self._late_samples + self._framer.late_samples

    @property
    def refused_streams(self) -> int:
        """Count the streams that found no row."""
        return self._framer.refused_streams

    def event(self, event: Event) -> None:
        """Take an event of a stream."""
        if isinstance(event, StreamOpened):
            self._unplaced.add(event.slot)
        elif isinstance(event, StreamClosed):
            self._unplaced.discard(event.slot)
        elif event.slot in self._unplaced and not isinstance(event, AnchorMoved):
            self._shift(self._framer.row_of(event.slot))  # for where the event is told to be
        self._framer.event(event)

    def block(self, block: AudioBlock) -> None:
        """Take audio."""
        if self._unplaced:
            for slot in self._unplaced.intersection(block.slots.tolist()):
                self._unplaced.discard(slot)
                self._place(self._framer.row_of(slot))
        self._framer.block(block)

    def flush(self, now_ns: int) -> None:
        """Do nothing: how far the other direction is decides what goes out."""

    def close(self) -> None:
        """Do nothing: streams are closed by their events."""

    def are_past(self, slots: NDArray[np.int64], sample_rate_hz: int, end: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell of which streams the leg has gone out up to these positions of theirs, int64[n]; bool[n]."""
        rows = self._framer.rows_of(slots)
        gone_out = self._next[self._pair[rows]] * self._hop
        past: NDArray[np.bool_] = (rows >= 0) & (self._framer.places_of(rows, sample_rate_hz, end) <= gone_out)
        if self._unplaced:
            past &= ~np.isin(slots, list(self._unplaced))
        return past

    def pass_over(self, slot: int, sample_rate_hz: int, position: int, samples: int) -> bool:
        """Take silence that is past, where that can be done at once; tell whether it was done."""
        return self._framer.pass_over(self._framer.row_of(slot), sample_rate_hz, position, samples)

    def _place(self, row: int) -> None:
        """Fix where a direction lies in its leg."""
        if row < 0:
            return
        pair = int(self._pair[row])
        if self._zero_ns[pair] == _NEVER:
            self._zero_ns[pair] = self._framer.anchor_ns(row)
        self._shift(row)

    def _shift(self, row: int) -> None:
        """Lay a direction where its anchor says, if its leg has begun."""
        zero_ns = int(self._zero_ns[self._pair[row]])
        if row >= 0 and zero_ns != _NEVER:
            apart_ns = self._framer.anchor_ns(row) - zero_ns
            self._framer.shift(row, (apart_ns * self._rate_hz + _NS // 2) // _NS)

    def open_direction(self, row: int, identity: StreamIdentity, time_ns: int) -> None:
        """Begin a direction, and with the first of a leg the leg."""
        pair = self._row_of_call.get(identity.call)
        side = int(identity.direction)
        if pair is None:
            pair = self._row_of_call[identity.call] = heapq.heappop(self._free)
            self._call_of_row[pair] = identity.call
            self._taker.open(pair, replace(identity, direction=Direction.INBOUND), time_ns)
        self._pair[row], self._side[row] = pair, side
        self._is_open[pair, side], self._ended[pair, side] = True, False

    def tell(self, row: int, placed: PlacedEvent) -> None:
        """Hand on an event of a direction as one of its leg."""
        self._taker.event(int(self._pair[row]), placed)

    def join(self, hops: Hops) -> None:
        """Lay directions' hops beside the others', and give what is complete."""
        pair, side, number = self._pair[hops.rows], self._side[hops.rows], hops.position // self._hop
        late = number < self._next[pair]
        if late.any():
            self._late_samples += int(np.count_nonzero(late & (hops.state != SampleState.SILENCE))) * self._hop
        some: NDArray[np.int64] | slice = np.flatnonzero(~late) if late.any() else slice(None)
        pair, side, number = pair[some], side[some], number[some]
        pairs = np.unique(pair)
        ahead = np.zeros_like(self._next)
        np.maximum.at(ahead, pair, number + 1)
        self._give(pairs, ahead[pairs] - self._wait)  # so that there is room
        place = number % self._depth
        self._samples[pair, place, side] = hops.samples[some]
        self._state[pair, place, side] = hops.state[some]
        if hops.arrival_ns is not None:
            self._arrival_ns[pair, place, side] = hops.arrival_ns[some]
        self._head[pair, side] = number + 1
        self._give(pairs, self._complete(pairs))

    def close_direction(self, row: int) -> None:
        """End a direction, and with the last of a leg the leg."""
        pair, side = int(self._pair[row]), int(self._side[row])
        self._is_open[pair, side], self._ended[pair, side] = False, True
        pairs = np.array([pair])
        if self._is_open[pair].any():
            self._give(pairs, self._complete(pairs))
            return
        self._give(pairs, self._head[pairs].max(axis=1))
        self._taker.close(pair)
        self._zero_ns[pair], self._next[pair], self._head[pair], self._ended[pair] = _NEVER, 0, 0, False
        del self._row_of_call[self._call_of_row.pop(pair)]
        heapq.heappush(self._free, pair)

    def _complete(self, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tell up to which hop each leg has all that will come of it; a direction that ended is not waited for."""
        head = self._head[pairs]
        highest = head.max(axis=1)
        complete: NDArray[np.int64] = np.minimum(np.where(self._ended[pairs], _NEVER, head).min(axis=1), highest)
        return complete

    def _give(self, pairs: NDArray[np.int64], end: NDArray[np.int64]) -> None:
        """Hand on the hops of legs up to so many."""
        while len(pairs):
            some = self._next[pairs] < end
            pairs, end = pairs[some], end[some]
            if not len(pairs):
                return
            number = self._next[pairs]
            place = number % self._depth
            position = number * self._hop
            cells = (pairs, place)
            hops = Hops(
                self._rate_hz,
                pairs,
                position,
                self._zero_ns[pairs] + duration_ns(position, self._rate_hz),
                self._samples[cells],
                self._state[cells],
                self._arrival_ns[cells],
            )
            self._samples[cells], self._state[cells], self._arrival_ns[cells] = 0, SampleState.SILENCE, 0
            self._next[pairs] = number + 1
            self._taker.process(hops)


class _Directions:
    """What takes the hops of each direction."""

    def __init__(self, pairs: PairFramer) -> None:
        self.open, self.process = pairs.open_direction, pairs.join
        self.event, self.close = pairs.tell, pairs.close_direction
