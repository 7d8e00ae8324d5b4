"""Allot pairs of ports to calls that are forked to rx and tx."""

from __future__ import annotations

from collections import deque

#: A packet of the call before may still be on its way, and must not be heard in the next one.
_REST_NS = 5_000_000_000


class PortPairs:
    """The pairs of a range: two ports next to each other. The one that rested longest is allotted first."""

    def __init__(self, ports: range) -> None:
        firsts = range(ports.start, ports.stop - 1, 2)
        self._free: deque[tuple[int, tuple[int, int]]] = deque((0, (first, first + 1)) for first in firsts)

    def __len__(self) -> int:
        return len(self._free)

    def take(self, now_ns: int) -> tuple[int, int] | None:
        """Allot a pair; None: all are in use, or rest."""
        if not self._free or self._free[0][0] > now_ns:
            return None
        return self._free.popleft()[1]

    def claim(self, pair: tuple[int, int]) -> bool:
        """Allot a certain pair, for a call that has it already; tell whether it was free."""
        found = next((entry for entry in self._free if entry[1] == pair), None)
        if found is not None:
            self._free.remove(found)
        return found is not None

    def give_back(self, pair: tuple[int, int], now_ns: int) -> None:
        """Take a pair back; it rests before it is allotted again."""
        self._free.append((now_ns + _REST_NS, pair))
