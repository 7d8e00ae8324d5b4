"""Record in a thread of its own, behind a bounded queue: who receives never waits for a disk.

    engine -> WriterThread -> queue -> thread: RecordingSink -> files

The rules:

- Whoever calls `event`, `block` and `flush` only puts into the queue. The thread gives all of it to the RecordingSink,
  in order, so the files are the same as without a thread. Nothing else touches that sink, once something was put.
- The queue is bounded in seconds and in bytes. While it is full, audio is left out: what is remembered of it is its
  stream and place, so that the sidecar lists it as `unwritten`, exactly. A queue that was full takes audio again when
  a tenth of it is free: a few long holes are better than thousands of short ones.
- Events are small, and go on to be queued. From MOST_EVENTS on, only the ends of streams are; a stream that opens then
  is not recorded, and the others' notes in the sidecar lack what came.
- Whatever is left out is in `failures` at once, while the thread may still be stuck.
- What the sink raises ends the thread, and is raised by the next call here (strep.live.pipeline says what comes of it).
- `about` is asked by who calls `event` and `flush`, never by the thread: what is known of calls lives in his. The
  answers go through the queue.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, NamedTuple

from strep.audio.block import AudioBlock
from strep.errors import ConfigError
from strep.sinks.base import Backlog
from strep.sinks.recordings.about import CallAbout
from strep.sinks.recordings.asking import Asking
from strep.sinks.recordings.dropped import DroppedAudio, Missing
from strep.sinks.recordings.recording import Failure, Recording
from strep.sinks.recordings.sink import RecordingSink
from strep.stream.events import Event, StreamClosed, StreamIdentity, StreamOpened

#: With 65,536 streams, some for each; most of them take 400 bytes, so 80 MB.
MOST_EVENTS = 200_000
#: Of a full queue, what is left when it takes audio again.
_TAKES_AGAIN = 0.9
#: What an item takes besides the samples and columns of a block: objects, array headers. By tracemalloc.
_ITEM_BYTES = 820
_SWITCH_INTERVAL_S = 0.001
#: A disk that wrote nothing for so long is not slow: it stalls.
_STANDS_STILL_NS = 1_000_000_000
#: A step of the time is believed so far: who was asleep, or read a capture, has queued no more for that.
_LONGEST_STEP_NS = 1_000_000_000


def share_interpreter() -> None:
    """Let the thread have its turn while the receiver is busy: for programs, since it holds for all of Python.

    The thread lets go of the interpreter with each system call, and gets it back when the switch interval is over, 5 ms
    by default. With a receiver that used all of a core, the thread of 1,000 calls fell behind by 0.3 s a second; with
    1 ms by 0.06 s, with 0.2 ms not at all, but turns became three times as long.
    """
    sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_INTERVAL_S))


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """The bounds of what waits to be written: so many seconds, and so many bytes, whichever is reached first.

    30 s outlast most of what disks, controllers and network file systems do to recover (time-outs of 10 to 30 s); with
    1,000 stereo calls of 8 kHz they take 1 GB. Raises ConfigError for what cannot be.
    """

    seconds: float = 30.0
    bytes: int = 1 << 30

    def __post_init__(self) -> None:
        if not 2 <= self.seconds <= 3600:  # one long step of the time must not fill it
            raise ConfigError(f"a queue must be 2 to 3600 s long, got {self.seconds}")
        if not 1 << 20 <= self.bytes <= 1 << 40:
            raise ConfigError(f"a queue must have {1 << 20} to {1 << 40} bytes, got {self.bytes}")


class _Item(NamedTuple):
    """An item of the queue: what the thread does next. time_ns: of the queue, when it was put."""

    act: Callable[[Any], object]
    value: Any
    size_bytes: int
    time_ns: int
    is_event: bool = False


class _Results(NamedTuple):
    """The results of one step of the sink."""

    recordings: list[Recording]
    failures: list[Failure]
    recording_count: int
    failure_count: int


class WriterThread:
    """A sink that hands everything to a RecordingSink, which it owns, in a thread of its own.

    limits: of the queue. about: as RecordingSink's, asked when a stream opens, shortly before its file is begun, every
    10 s and when it closes; here, not in the thread. keep: how many `recordings` and `failures` to remember.

    recordings, failures, recording_count, failure_count: as RecordingSink's, as of the last `flush`, `settle` or
    `close`. left_out_samples: that were not queued. dropped_events, refused_streams: that were not, either.
    """

    def __init__(
        self,
        sink: RecordingSink,
        *,
        limits: QueueLimits | None = None,
        about: Callable[[StreamIdentity], CallAbout | None] | None = None,
        keep: int = 1000,
    ) -> None:
        self.recordings: deque[Recording] = deque(maxlen=keep)
        self.failures: deque[Failure] = deque(maxlen=keep)
        self.recording_count = self.failure_count = 0
        self.dropped_events = self.refused_streams = 0
        self._sink = sink
        self._limits = limits or QueueLimits()
        self._asking = Asking(about, self._note_failure) if about else None
        self._dropped = DroppedAudio()
        self._calls: dict[int, str] = {}  # by slot, of the streams that are open
        self._refused: set[int] = set()
        self._is_full = False
        self._time_ns = self._now_ns = 0
        self._seen_bytes = self._moved_ns = 0
        self._settled = False
        self._is_raised = False
        # What only this side writes, then what only the thread writes; either may read both.
        self._put_bytes = self._put_events = 0
        self._taken_bytes = self._taken_events = self._taken_ns = 0
        self._told = (0, 0)
        self._is_busy = False
        self._error: Exception | None = None
        self._queue: SimpleQueue[_Item | None] = SimpleQueue()
        self._results: deque[_Results] = deque()  # no more than what is queued leads to
        self._thread: threading.Thread | None = None

    @property
    def open_count(self) -> int:
        """Count the recordings under way."""
        return self._sink.open_count

    @property
    def ending_count(self) -> int:
        """Count the recordings whose streams have ended and that wait to be finished."""
        return self._sink.ending_count

    @property
    def orphan_rows(self) -> int:
        """Count the rows of streams whose StreamOpened never came here."""
        return self._sink.orphan_rows

    @property
    def left_out_samples(self) -> int:
        """Count the samples that were left out because the queue was full."""
        return self._dropped.samples

    @property
    def queued_bytes(self) -> int:
        """Tell how much waits."""
        return self._put_bytes - self._taken_bytes

    @property
    def queued_s(self) -> float:
        """Tell how long what is written next has waited."""
        return (self._time_ns - self._taken_ns) / 1e9 if self.queued_bytes else 0.0

    def event(self, event: Event) -> None:
        """Take one event."""
        self._raise_error()
        slot, is_crowded = event.slot, self._put_events - self._taken_events >= MOST_EVENTS
        if isinstance(event, StreamOpened):
            if is_crowded:
                self._refuse(event)
                return
            self._put_event(event)
            self._calls[slot] = event.identity.call
            self._tell_about(self._asking.opened(event) if self._asking else {})
        elif slot in self._refused:
            if isinstance(event, StreamClosed):
                self._refused.discard(slot)
        elif isinstance(event, StreamClosed):
            self._tell_about(self._asking.closed(slot) if self._asking else {})
            self._tell_dropped(slot, self._dropped.take(slot))
            self._put_event(event)
            self._calls.pop(slot, None)
        elif is_crowded:
            self.dropped_events += 1
        else:
            self._put_event(event)

    def block(self, block: AudioBlock) -> None:
        """Take decoded audio of many streams, whose arrays nobody changes any more."""
        self._raise_error()
        if self._has_no_room():
            for slot in self._dropped.add(block):
                self._note_failure(Failure(self._calls.get(slot, f"stream {slot}"), self._why()))
            return
        if self._dropped:
            for slot, missing in self._dropped.take_all().items():
                self._tell_dropped(slot, missing)
        self._put(self._sink.block, block, _size_of(block))

    def flush(self, now_ns: int) -> bool:
        """Let the thread write what is due, and take what came of it. True: it has more to do than it did."""
        self._raise_error()
        if self._now_ns:
            self._time_ns += min(max(now_ns - self._now_ns, 0), _LONGEST_STEP_NS)
        self._now_ns = max(now_ns, self._now_ns)
        if self._taken_bytes != self._seen_bytes:
            self._seen_bytes, self._moved_ns = self._taken_bytes, self._time_ns
        if self._asking:
            self._tell_about(self._asking.due(now_ns))
        if not self._has_no_room():
            self._put(self._flush_sink, now_ns, 0)
        self._collect()
        return self._is_busy

    def backlog(self) -> Backlog:
        """Tell how much waits to be written, and whether anything was written within the last second."""
        moves = self._time_ns - self._moved_ns <= _STANDS_STILL_NS
        return Backlog(self._share(), int(self.queued_s * 1e9), moves)

    def settle(self) -> None:
        """Wait until all is written and every file is finished. Any thread may wait; only `close` may follow."""
        if self._settled:
            return
        self._settled = True
        for slot, missing in self._dropped.take_all().items():
            self._tell_dropped(slot, missing)
        if self._thread is None:
            self._finish()
            return
        self._queue.put(None)
        self._thread.join()

    def close(self) -> None:
        """Wait for the same, and take what came of it. Raises what the sink raised, if nothing has yet."""
        self.settle()
        self._collect()
        self._raise_error()

    def _put(self, act: Callable[[Any], object], value: object, size_bytes: int, *, is_event: bool = False) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="strep-writer", daemon=True)
            self._thread.start()
        self._put_bytes += size_bytes + _ITEM_BYTES
        self._queue.put(_Item(act, value, size_bytes + _ITEM_BYTES, self._time_ns, is_event))

    def _put_event(self, event: Event) -> None:
        self._put_events += 1
        self._put(self._sink.event, event, 0, is_event=True)

    def _has_no_room(self) -> bool:
        self._is_full = self._share() >= (_TAKES_AGAIN if self._is_full else 1)
        return self._is_full

    def _share(self) -> float:
        return max(self.queued_bytes / self._limits.bytes, self.queued_s / self._limits.seconds)

    def _why(self) -> str:
        return f"{self.queued_s:.0f} s of audio wait to be written, what comes now is left out"

    def _refuse(self, opened: StreamOpened) -> None:
        self._refused.add(opened.slot)
        self.refused_streams += 1
        self._note_failure(Failure(opened.identity.call, f"{MOST_EVENTS} events wait to be written, it is left out"))

    def _tell_dropped(self, slot: int, missing: Sequence[Missing]) -> None:
        for interval in missing:
            self._put(self._miss, (slot, interval), 0)

    def _tell_about(self, answers: Mapping[int, CallAbout]) -> None:
        for answer in answers.items():
            self._put(self._know, answer, 0)

    def _note_failure(self, failure: Failure) -> None:
        self.failures.append(failure)
        self.failure_count += 1

    def _collect(self) -> None:
        """Take what came out of the sink."""
        while self._results:
            results = self._results.popleft()
            self.recordings += results.recordings
            self.failures += results.failures
            self.recording_count += results.recording_count
            self.failure_count += results.failure_count

    def _raise_error(self) -> None:
        if self._error is not None and not self._is_raised:
            self._is_raised = True
            raise self._error

    # What runs in the thread

    def _run(self) -> None:
        try:
            while (item := self._queue.get()) is not None:
                item.act(item.value)
                self._taken_bytes += item.size_bytes
                self._taken_events += item.is_event
                self._taken_ns = item.time_ns
                self._hand_over()
        except Exception as error:  # every call raises it where it can be dealt with
            self._error = error
            with contextlib.suppress(Exception):  # it is broken already; this is for the files that it has open
                self._sink.close()
            self._hand_over()
            return
        self._finish()

    def _finish(self) -> None:
        try:
            self._sink.close()
        except Exception as error:
            self._error = error
        self._hand_over()

    def _flush_sink(self, now_ns: int) -> None:
        self._is_busy = bool(self._sink.flush(now_ns))

    def _miss(self, value: tuple[int, Missing]) -> None:
        self._sink.miss(*value)

    def _know(self, value: tuple[int, CallAbout]) -> None:
        self._sink.tell_about(*value)

    def _hand_over(self) -> None:
        """Give what came out of the sink to whoever feeds this."""
        sink, told = self._sink, self._told
        self._told = sink.recording_count, sink.failure_count
        if self._told == told:
            return
        results = _Results(list(sink.recordings), list(sink.failures), self._told[0] - told[0], self._told[1] - told[1])
        sink.recordings.clear()
        sink.failures.clear()
        self._results.append(results)


def _size_of(block: AudioBlock) -> int:
    """Tell how much memory a block takes; silence that is a broadcast takes none."""
    columns = block.slots.nbytes + block.position.nbytes + block.state.nbytes + block.arrival_ns.nbytes
    return columns if block.samples.strides[-1] == 0 else columns + block.samples.nbytes
