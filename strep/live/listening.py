"""Hand live audio to tasks in the same program: streams as they open, frames as they come.

Every queue is bounded. A task that is too slow misses the oldest frames, which is counted; capture never waits for it.
What nobody holds any more (an iteration that was broken off, a stream that was looked at and left) gets nothing.
"""

from __future__ import annotations

from typing import TypeVar
from weakref import WeakSet

from strep.analysis.bounded_queue import QUEUED_ITEMS, BoundedQueue
from strep.audio.block import AudioBlock, AudioFrame
from strep.stream.events import Event, StreamClosed, StreamIdentity, StreamOpened, StreamReport
from strep.stream.outbox import Output

T = TypeVar("T")
#: 5 s of 20 ms frames: a task that is later than that does not analyse live audio any more.
QUEUED_FRAMES = 250


class Stream:
    """One open stream: iterate it for its AudioFrames until it closes; then `report` has its totals.

    Every iteration of it takes from the same queue: a frame goes to one of them.
    """

    def __init__(self, opened: StreamOpened, queued_frames: int = QUEUED_FRAMES) -> None:
        self.identity: StreamIdentity = opened.identity
        self.opened = opened
        self.report: StreamReport | None = None
        self._frames: BoundedQueue[AudioFrame] = BoundedQueue(queued_frames)

    @property
    def missed_frames(self) -> int:
        """Count the frames that were dropped because nobody took them in time."""
        return self._frames.missed

    def __aiter__(self) -> Stream:
        return self  # not the queue alone: who iterates holds the stream

    async def __anext__(self) -> AudioFrame:
        return await self._frames.__anext__()

    def put(self, frame: AudioFrame) -> None:
        """Add a frame: the receiver's side."""
        self._frames.put(frame)

    def end(self, report: StreamReport | None = None) -> None:
        """Say that the stream closed: the receiver's side."""
        self.report = report
        self._frames.end()


class Listeners:
    """What hands the engine's output to whoever asked for it; costs nothing while nobody did."""

    def __init__(self) -> None:
        self._streams: WeakSet[BoundedQueue[Stream]] = WeakSet()
        self._events: WeakSet[BoundedQueue[Event]] = WeakSet()
        self._open: dict[int, WeakSet[Stream]] = {}
        self._ended = False

    def streams(self) -> BoundedQueue[Stream]:
        """Give a queue of the streams that open from now on."""
        return self._join(self._streams)

    def events(self) -> BoundedQueue[Event]:
        """Give a queue of the events from now on."""
        return self._join(self._events)

    def _join(self, queues: WeakSet[BoundedQueue[T]]) -> BoundedQueue[T]:
        queue: BoundedQueue[T] = BoundedQueue(QUEUED_ITEMS)
        queues.add(queue)
        if self._ended:
            queue.end()
        return queue

    def take(self, output: Output) -> None:
        """Take one output of the engine."""
        if isinstance(output, AudioBlock):
            if self._open:
                self._deal(output)
            return
        for queue in self._events:
            queue.put(output)
        if isinstance(output, StreamOpened) and self._streams:
            streams = self._open[output.slot] = WeakSet()
            for waiting in self._streams:
                stream = Stream(output)
                streams.add(stream)
                waiting.put(stream)
        elif isinstance(output, StreamClosed):
            for stream in self._open.pop(output.slot, ()):
                stream.end(output.report)

    def _deal(self, block: AudioBlock) -> None:
        for row, slot in enumerate(block.slots.tolist()):
            if streams := self._open.get(slot):
                frame = block.frame(row)
                for stream in streams:
                    stream.put(frame)

    def end(self) -> None:
        """End every queue."""
        self._ended = True
        for streams in self._open.values():
            for stream in streams:
                stream.end()
        for waiting in self._streams:
            waiting.end()
        for events in self._events:
            events.end()
