"""Run an application's code beside the service, so that it cannot hurt: it may fail, be slow, or never come back.

1. What is to be done for a hook waits in a queue of its own, which is bounded. When it is full, the newest is missed.
2. An async hook runs in the service's event loop, one call after the other, and is cancelled when it takes too long.
   It must not block: that holds up all that runs there, capture included.
3. Any other hook runs in a thread of its own, one call after the other; it may block. A thread cannot be cancelled:
   one that never comes back ends with the program, and what waits for it is missed.
4. What a hook raises is logged and counted; the next call is made all the same.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import queue
import threading
from collections.abc import Awaitable, Callable
from typing import Any

_log = logging.getLogger(__name__)
#: A hook that takes longer for one call than this is not keeping up with anything.
HOOK_TIMEOUT_S = 10.0
#: A hook that fails each time shall not fill the log.
_MOST_LOGGED = 20


class Hook:
    """One hook: a function, and what waits for it. `put` never waits and never raises.

    done, failed, missed: calls that came back, that raised (or took too long), and that were not made.
    """

    def __init__(
        self, name: str, function: Callable[..., Any] | None, limit: int, timeout_s: float = HOOK_TIMEOUT_S
    ) -> None:
        self.name = name
        self.done = self.failed = self.missed = 0
        self._function, self._timeout_s = function, timeout_s
        self._waiting: queue.Queue[tuple[Any, ...] | None] = queue.Queue(limit)
        self._ready = asyncio.Event()
        self._is_ending = False
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_set(self) -> bool:
        """Tell whether there is a function."""
        return self._function is not None

    def start(self) -> None:
        """Begin to run what is put, in the running event loop or in a thread."""
        if self._function is None:
            return
        if is_async(self._function):
            self._task = asyncio.create_task(self._run(self._function), name=f"strep {self.name}")
        else:
            self._thread = threading.Thread(target=self._work, args=(self._function,), name=self.name, daemon=True)
            self._thread.start()

    def put(self, *arguments: Any) -> None:
        """Have the function called with these arguments, when its turn comes."""
        if self._function is None:
            return
        try:
            self._waiting.put_nowait(arguments)
        except queue.Full:
            self.missed += 1
        self._ready.set()

    async def stop(self, grace_s: float) -> None:
        """Give it so long for what waits, and then let go of it."""
        self._is_ending = True
        self._ready.set()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=grace_s)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._thread is not None:
            await asyncio.to_thread(self._end_thread, grace_s)
        self.missed += self._waiting.qsize()

    async def _run(self, function: Callable[..., Awaitable[Any]]) -> None:
        while True:
            while self._waiting.empty():
                if self._is_ending:
                    return
                self._ready.clear()
                await self._ready.wait()
            arguments = self._waiting.get_nowait()
            assert arguments is not None, "None is for threads"
            try:
                async with asyncio.timeout(self._timeout_s):
                    await function(*arguments)
                self.done += 1
            except Exception as error:
                self._note(error)

    def _work(self, function: Callable[..., Any]) -> None:
        while (arguments := self._waiting.get()) is not None:
            try:
                function(*arguments)
                self.done += 1
            except Exception as error:
                self._note(error)

    def _end_thread(self, grace_s: float) -> None:
        assert self._thread is not None
        try:
            self._waiting.put(None, timeout=grace_s)
        except queue.Full:
            return
        self._thread.join(grace_s)

    def _note(self, error: Exception) -> None:
        self.failed += 1
        if self.failed <= _MOST_LOGGED:
            _log.error("%s failed: %s", self.name, type(error).__name__, exc_info=error)


class StreamHook:
    """A hook that has a task (or a thread) for each stream, for as long as it likes; `most` of them at one time."""

    def __init__(self, name: str, function: Callable[..., Any] | None, most: int) -> None:
        self.name = name
        self.done = self.failed = self.missed = 0
        self._function, self._most = function, most
        self._running: set[asyncio.Task[None]] = set()

    @property
    def is_set(self) -> bool:
        """Tell whether there is a function."""
        return self._function is not None

    def put(self, *arguments: Any) -> None:
        """Have the function called with these arguments, at once."""
        if self._function is None:
            return
        if len(self._running) >= self._most:
            self.missed += 1
            return
        task = asyncio.create_task(self._run(self._function, arguments), name=f"strep {self.name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def stop(self, grace_s: float) -> None:
        """Give them so long to finish, and then let go of them."""
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=grace_s)
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        try:
            await function(*arguments)
            self.done += 1
        except Exception as error:
            self.failed += 1
            if self.failed <= _MOST_LOGGED:
                _log.error("%s failed: %s", self.name, type(error).__name__, exc_info=error)


def is_async(function: Callable[..., Any]) -> bool:
    """Tell whether calling it gives something to await."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
