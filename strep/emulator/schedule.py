"""Have things happen later, in call time: `Schedule` keeps what is due, `Pump` turns it with the event loop."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count

#: Timers that were cancelled lie in the heap until they are due, or until there are more than these.
_MOST_CANCELLED = 1000


class Timer:
    """Something that is due at a time, unless it is cancelled before."""

    __slots__ = ("_cancelled", "action", "due_ns")

    def __init__(self, due_ns: int, action: Callable[[], object], cancelled: Callable[[], None]) -> None:
        self.due_ns = due_ns
        self.action: Callable[[], object] | None = action
        self._cancelled = cancelled

    def cancel(self) -> None:
        """Have it not happen. Nothing is done if it has happened already."""
        if self.action is not None:
            self.action = None
            self._cancelled()


class Schedule:
    """What is due later, in order of time; of one time, in the order in which it was asked for.

    A few timers for each call: what bounds the calls bounds them. on_change: is called when a timer was added.
    """

    def __init__(self) -> None:
        self.on_change: Callable[[], None] | None = None
        #: While something happens that was due, when that was: so that a late turn does not delay what follows from it.
        self.running_ns: int | None = None
        self._heap: list[tuple[int, int, Timer]] = []
        self._order = count()
        self._cancelled = 0

    @property
    def next_ns(self) -> int | None:
        """Give when something is due next."""
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
            self._cancelled -= 1
        return self._heap[0][0] if self._heap else None

    def at(self, due_ns: int, action: Callable[[], object]) -> Timer:
        """Have something happen at a time."""
        timer = Timer(due_ns, action, self._count_cancelled)
        heapq.heappush(self._heap, (due_ns, next(self._order), timer))
        if self.on_change:
            self.on_change()
        return timer

    def advance(self, now_ns: int) -> None:
        """Let happen what is due by now, and what then is due by now as well."""
        while (due_ns := self.next_ns) is not None and due_ns <= now_ns:
            timer = heapq.heappop(self._heap)[2]
            action, timer.action = timer.action, None
            assert action is not None, "next_ns has removed those"
            self.running_ns = due_ns
            try:
                action()
            finally:
                self.running_ns = None

    def clear(self) -> None:
        """Let nothing happen any more."""
        self._heap.clear()
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def _count_cancelled(self) -> None:
        self._cancelled += 1
        if self._cancelled > max(_MOST_CANCELLED, len(self._heap) // 2):
            self._heap = [entry for entry in self._heap if entry[2].action is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0


class Pump:
    """A pump that turns a schedule with the event loop that is running when it is started.

    now_ns: the schedule's clock. speed: how much faster than the loop's it goes.
    """

    def __init__(self, schedule: Schedule, now_ns: Callable[[], int], speed: float) -> None:
        self._schedule, self._now_ns, self._speed = schedule, now_ns, speed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._due_ns = 0

    def start(self) -> None:
        """Begin to turn it."""
        self._loop = asyncio.get_running_loop()
        self._schedule.on_change = self._changed
        self._wake()

    def stop(self) -> None:
        """Turn it no more."""
        self._schedule.on_change = None
        if self._handle:
            self._handle.cancel()
        self._handle = self._loop = None

    def _changed(self) -> None:
        if self._loop is None:
            return
        if is_running(self._loop):
            self._wake()
        else:
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        due_ns = self._schedule.next_ns
        if self._loop is None or due_ns is None or (self._handle and self._due_ns <= due_ns):
            return
        if self._handle:
            self._handle.cancel()
        delay_s = max(0, due_ns - self._now_ns()) / 1e9 / self._speed
        self._handle, self._due_ns = self._loop.call_later(delay_s, self._turn), due_ns

    def _turn(self) -> None:
        self._handle = None
        try:
            self._schedule.advance(self._now_ns())
        finally:  # if one thing fails, the loop tells of it, and the others happen all the same
            self._wake()


def is_running(loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether it is this loop that we are called from: another thread must ask it to do what concerns it."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
