"""Hold what one task has for another, within a bound, and count what is lost by it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")
#: Streams (or events) that wait for a task to take them.
QUEUED_ITEMS = 10_000


class BoundedQueue(Generic[T]):
    """A queue of at most `limit` items that loses the oldest, and counts that, instead of making anyone wait."""

    def __init__(self, limit: int) -> None:
        self._items: deque[T] = deque()
        self._limit = limit
        self._ready = asyncio.Event()
        self._ended = False
        self.missed = 0

    def put(self, item: T) -> None:
        """Add an item."""
        if len(self._items) >= self._limit:
            self._items.popleft()
            self.missed += 1
        self._items.append(item)
        self._ready.set()

    def end(self) -> None:
        """Say that nothing more will come."""
        self._ended = True
        self._ready.set()

    def __aiter__(self) -> BoundedQueue[T]:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._ended:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._items.popleft()
