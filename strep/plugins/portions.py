"""Give what comes of a stream all at once in portions, so that nobody else has to wait for it.

The engine knows how long a pause was when it is over, and puts out all of its silence then: minutes of it, a hop of
which costs a plugin as much as one of speech does.

1. Audio longer than PORTION_MS waits, and so does all that comes of its stream behind it, events too.
2. Each flush gives PORTION_MS of every stream that waits, less where many do. What a leg has gone past already is given
   besides: the other direction did not wait for it.
3. A stream that ends is given whole.

What waits is bounded by the pause: a frame for each second of it, and what the stream says while it catches up, which
at a flush every 20 ms takes an eighth as long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from strep.audio.block import AudioBlock, AudioFrame, SampleState
from strep.plugins.framing import Framer
from strep.plugins.pairs import PairFramer
from strep.stream.events import AnchorMoved, Event, StreamClosed

#: 8 hops of 20 ms: some 1 ms of the three plugins that listen unless told otherwise.
PORTION_MS = 160
#: So many streams get as much; of more, each gets less, but twice what it is behind by in the meantime.
_MANY, _LEAST_PORTION_MS = 500, 40.0

_Item = AudioFrame | Event


class Portions:
    """Is a sink before a framer."""

    def __init__(self, framer: Framer | PairFramer) -> None:
        self._framer = framer
        self._waiting: dict[int, deque[_Item]] = {}  # by slot

    def event(self, event: Event) -> None:
        """Take an event of a stream."""
        waiting = self._waiting.get(event.slot)
        if waiting is None or isinstance(event, AnchorMoved):  # which is about the first sample, not about this place
            self._framer.event(event)
        elif isinstance(event, StreamClosed):
            for item in self._waiting.pop(event.slot):
                self._give([item])
            self._framer.event(event)
        else:
            waiting.append(event)

    def block(self, block: AudioBlock) -> None:
        """Take audio."""
        is_long = block.samples.shape[1] * 1000 > PORTION_MS * block.sample_rate_hz
        if not is_long and not self._waiting:
            self._framer.block(block)
            return
        waits = np.isin(block.slots, list(self._waiting)) | is_long
        for frame in block.select(np.flatnonzero(waits)).frames():
            self._waiting.setdefault(frame.slot, deque()).append(_kept(frame))
        if not waits.all():
            self._framer.block(block.select(np.flatnonzero(~waits)))

    def flush(self, now_ns: int) -> None:
        """Give a portion of each stream that waits."""
        for wave in self._portion() if self._waiting else ():
            self._give(wave)

    def close(self) -> None:
        """Do nothing: streams are closed by their events."""

    def _portion(self) -> Iterator[list[_Item]]:
        """Take out what is to be given, in waves that have each stream once at most."""
        portion_ms = max(PORTION_MS * min(1.0, _MANY / max(len(self._waiting), 1)), _LEAST_PORTION_MS)
        left_ms = dict.fromkeys(self._waiting, portion_ms)
        while left_ms:
            wave = list[_Item]()
            for slot in list(left_ms):
                waiting = self._waiting[slot]
                item = waiting.popleft()
                if isinstance(item, AudioFrame) and not self._is_past(item):
                    item, rest = _cut(item, left_ms[slot])
                    left_ms[slot] -= _duration_ms(item)
                    if rest is not None:
                        waiting.appendleft(rest)
                wave.append(item)
                if not waiting:
                    del self._waiting[slot], left_ms[slot]
                elif left_ms[slot] <= 0:
                    del left_ms[slot]
            yield wave

    def _is_past(self, frame: AudioFrame) -> bool:
        end = frame.position + len(frame.samples)
        return isinstance(self._framer, PairFramer) and self._framer.is_past(frame.slot, frame.sample_rate_hz, end)

    def _pass_over(self, frame: AudioFrame) -> bool:
        """Let silence that nobody waited for be past without a look at it; tell whether that could be done."""
        if frame.state != SampleState.SILENCE or not self._is_past(frame):
            return False
        assert isinstance(self._framer, PairFramer)
        return self._framer.pass_over(frame.slot, frame.sample_rate_hz, frame.position, len(frame.samples))

    def _give(self, wave: list[_Item]) -> None:
        """Hand on a wave; frames of one length go together."""
        alike: dict[tuple[int, int], list[AudioFrame]] = {}
        for item in wave:
            if not isinstance(item, AudioFrame):
                self._framer.event(item)
            elif not self._pass_over(item):
                alike.setdefault((item.sample_rate_hz, len(item.samples)), []).append(item)
        for frames in alike.values():
            self._framer.block(AudioBlock.of(frames))


def _cut(frame: AudioFrame, most_ms: float) -> tuple[AudioFrame, AudioFrame | None]:
    """Cut off what is beyond so long; None when nothing is."""
    most = max(1, int(most_ms * frame.sample_rate_hz / 1000))
    if len(frame.samples) <= most:
        return frame, None
    rest = replace(frame, position=frame.position + most, samples=frame.samples[most:])
    return replace(frame, samples=frame.samples[:most]), rest


def _duration_ms(frame: AudioFrame) -> float:
    return len(frame.samples) * 1000 / frame.sample_rate_hz


def _kept(frame: AudioFrame) -> AudioFrame:
    """Take a frame out of its block, which others may write to; zeros take no memory."""
    zeros = np.broadcast_to(np.int16(0), len(frame.samples))
    return replace(frame, samples=frame.samples.copy() if frame.samples.any() else zeros)
