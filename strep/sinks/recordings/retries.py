"""Try again what the system refused when a recording was over, until it works or the program ends.

The first time after FIRST_DELAY_NS, then after twice as long each time, but at least every LONGEST_DELAY_NS: a disk
that is full now may have room in a minute, and what is tried in vain must not keep the others waiting.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import NamedTuple

FIRST_DELAY_NS = 10**9
LONGEST_DELAY_NS = 300 * 10**9
#: Documents wait in them, 3 to 60 KB of JSON each. Beyond this, what fails stays as it is, for `strep recover`.
MOST_WAITING = 4096


class Retry(NamedTuple):
    """An act to be tried again at `due_ns`, which is then given this; `number` makes no two alike."""

    due_ns: int
    number: int
    delay_ns: int
    act: Callable[[Retry], object]


class Retries:
    """The acts that wait to be tried again, in order of their time."""

    def __init__(self) -> None:
        self._waiting: list[Retry] = []
        self._number = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, act: Callable[[Retry], object], now_ns: int, last: Retry | None = None) -> bool:
        """Let an act be tried later, after `last` failed if there was one; refuse it (False) when too many wait."""
        if len(self._waiting) >= MOST_WAITING:
            return False
        self._number += 1
        delay_ns = min(last.delay_ns * 2, LONGEST_DELAY_NS) if last else FIRST_DELAY_NS
        heapq.heappush(self._waiting, Retry(now_ns + delay_ns, self._number, delay_ns, act))
        return True

    def due(self, now_ns: int) -> Iterator[Retry]:
        """Give and forget what it is time to try; whoever fails adds it again."""
        while self._waiting and self._waiting[0].due_ns <= now_ns:
            yield heapq.heappop(self._waiting)

    def take_all(self) -> list[Retry]:
        """Give and forget all of it: for the last try."""
        waiting, self._waiting = sorted(self._waiting), []
        return waiting
