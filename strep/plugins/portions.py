"""Give what comes of streams all at once in portions, so that nobody else has to wait for it.

The engine knows how long a pause was when it is over, and puts out all of its silence then: minutes of it, a hop of
which costs a plugin as much as one of speech does. After an outage it does so for all streams together.

1. Audio longer than PORTION_MS waits, and so does all that comes of its streams behind it, events too. Streams that
   begin to wait together do so in one lane: their blocks stay blocks, and are cut along time.
2. Each flush gives of every lane PORTION_MS, or twice as long as it is since the last flush; so a lane catches up,
   however seldom that is. What a leg has gone past already is given besides: the other direction did not wait for it.
3. A stream that ends is given whole.

What waits is bounded by the pause: a block for each second of it, and what the streams say while they catch up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from strep.audio.block import AudioBlock, SampleState
from strep.plugins.framing import Framer
from strep.plugins.pairs import PairFramer
from strep.stream.events import AnchorMoved, Event, StreamClosed

#: 8 hops of 20 ms: of one stream, some 1 ms of the three plugins that listen unless told otherwise; of 2,000, 20 ms.
PORTION_MS = 160

#: What is longer between two flushes was an outage, and is not to be caught up with at one go.
_LONGEST_TURN_MS = 500.0
_Item = AudioBlock | Event


@dataclass(slots=True, eq=False)
class _Lane:
    """Streams that wait together, and what comes next of them, in order."""

    slots: set[int]
    items: deque[_Item] = field(default_factory=deque)

    def take_out(self, slot: int) -> Iterator[_Item]:
        """Take out all of one stream."""
        kept = deque[_Item]()
        for item in self.items:
            if not isinstance(item, AudioBlock):
                if item.slot == slot:
                    yield item
                else:
                    kept.append(item)
                continue
            is_its = item.slots == slot
            if is_its.any():
                yield item.select(np.flatnonzero(is_its))
            if not is_its.all():
                kept.append(item.select(np.flatnonzero(~is_its)) if is_its.any() else item)
        self.items = kept
        self.slots.discard(slot)


class Portions:
    """A sink before a framer."""

    def __init__(self, framer: Framer | PairFramer) -> None:
        self._framer = framer
        self._lanes: dict[int, _Lane] = {}  # by slot
        self._flushed_ns = 1 << 62  # until the first one

    @property
    def are_waiting(self) -> bool:
        """Tell whether there is more to give than was given."""
        return bool(self._lanes)

    def event(self, event: Event) -> None:
        """Take an event of a stream."""
        lane = self._lanes.get(event.slot)
        if lane is None or isinstance(event, AnchorMoved):  # which is about the first sample, not about this place
            self._framer.event(event)
        elif isinstance(event, StreamClosed):
            del self._lanes[event.slot]
            for item in lane.take_out(event.slot):
                self._give([item])
            self._framer.event(event)
        else:
            lane.items.append(event)

    def block(self, block: AudioBlock) -> None:
        """Take audio."""
        is_long = _duration_ms(block) > PORTION_MS
        if not is_long and not self._lanes:
            self._framer.block(block)
            return
        lanes = [self._lanes.get(slot) for slot in block.slots.tolist()]
        free = np.array([lane is None for lane in lanes])
        if free.any():
            straight = _some(block, free)
            if is_long:
                self._open_lane(straight)
            else:
                self._framer.block(straight)
        for lane in {id(lane): lane for lane in lanes if lane is not None}.values():
            lane.items.append(_kept(_some(block, np.array([other is lane for other in lanes]))))

    def flush(self, now_ns: int) -> None:
        """Give a portion of each lane."""
        since_ms = min(max(now_ns - self._flushed_ns, 0) / 1e6, _LONGEST_TURN_MS)
        self._flushed_ns = now_ns
        if self._lanes:
            for wave in self._portions(max(PORTION_MS, 2 * since_ms)):
                self._give(wave)

    def close(self) -> None:
        """Do nothing: streams are closed by their events."""

    def _open_lane(self, block: AudioBlock) -> None:
        lane = _Lane(set(block.slots.tolist()))
        lane.items.append(_kept(block))
        self._lanes.update(dict.fromkeys(lane.slots, lane))

    def _portions(self, portion_ms: float) -> Iterator[list[_Item]]:
        """Take out what is to be given, in waves that have one item of each lane at most."""
        left_ms = dict.fromkeys(self._lanes.values(), portion_ms)
        while left_ms:
            wave = list[_Item]()
            for lane in list(left_ms):
                item = self._next(lane, left_ms)
                if item is not None:
                    wave.append(item)
                if not lane.items:
                    for slot in lane.slots:
                        del self._lanes[slot]
                    del left_ms[lane]
                elif left_ms[lane] <= 0:
                    del left_ms[lane]
            yield wave

    def _next(self, lane: _Lane, left_ms: dict[_Lane, float]) -> _Item | None:
        """Take a lane's next item, cut to what is left of its portion; None for what is past for all of them."""
        item = lane.items.popleft()
        if not isinstance(item, AudioBlock):
            return item
        item = self._without_what_is_past(item)
        if not len(item):
            return None
        item, rest = _cut(item, left_ms[lane])
        left_ms[lane] -= _duration_ms(item)
        if rest is not None:
            lane.items.appendleft(rest)
        return item

    def _without_what_is_past(self, block: AudioBlock) -> AudioBlock:
        """Give the rows of a block at once that nobody waited for, and leave the others."""
        if not isinstance(self._framer, PairFramer):
            return block
        end = block.position + block.samples.shape[1]
        past = self._framer.are_past(block.slots, block.sample_rate_hz, end)
        if not past.any():
            return block
        gone = _some(block, past)
        passed = [
            state == SampleState.SILENCE
            and self._framer.pass_over(slot, block.sample_rate_hz, position, block.samples.shape[1])
            for slot, position, state in zip(
                gone.slots.tolist(), gone.position.tolist(), gone.state.tolist(), strict=True
            )
        ]
        if not all(passed):
            self._framer.block(_some(gone, ~np.array(passed)))
        return _some(block, ~past)

    def _give(self, wave: list[_Item]) -> None:
        """Hand on a wave; blocks of one length go together."""
        alike: dict[tuple[int, int], list[AudioBlock]] = {}
        for item in wave:
            if isinstance(item, AudioBlock):
                alike.setdefault((item.sample_rate_hz, item.samples.shape[1]), []).append(item)
            else:
                self._framer.event(item)
        for blocks in alike.values():
            self._framer.block(AudioBlock.joined(blocks))


def _cut(block: AudioBlock, most_ms: float) -> tuple[AudioBlock, AudioBlock | None]:
    """Cut off what is beyond so long; None when nothing is."""
    most = max(1, int(most_ms * block.sample_rate_hz / 1000))
    if block.samples.shape[1] <= most:
        return block, None
    rest = replace(block, position=block.position + most, samples=block.samples[:, most:])
    return replace(block, samples=block.samples[:, :most]), rest


def _duration_ms(block: AudioBlock) -> float:
    length: int = block.samples.shape[1]
    return length * 1000 / block.sample_rate_hz


def _some(block: AudioBlock, which: NDArray[np.bool_]) -> AudioBlock:
    return block if which.all() else block.select(np.flatnonzero(which))


def _kept(block: AudioBlock) -> AudioBlock:
    """Take a block away from others, who may write to it; zeros take no memory."""
    if block.samples.strides == (0, 0) or not block.samples.any():
        return replace(block, samples=np.broadcast_to(np.int16(0), block.samples.shape))
    return block.select(np.arange(len(block)))
