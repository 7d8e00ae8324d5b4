"""Bound how much is done at a time: what thousands of calls need at once is spread over some turns."""

from __future__ import annotations


class Allowance:
    """Allows so many things a second and so many at once, by the time that it is told: a token bucket.

    So a turn can take no longer than what is allowed at once, and a loop that is late does not fall behind for it.
    """

    def __init__(self, per_s: int, at_once: int) -> None:
        self._ns_each = 10**9 // per_s
        self._most_ns = at_once * self._ns_each
        self._left_ns = self._most_ns
        self._now_ns = 0

    def refill(self, now_ns: int) -> None:
        """Say what time it is."""
        self._left_ns = min(self._left_ns + max(now_ns - self._now_ns, 0), self._most_ns)
        self._now_ns = max(now_ns, self._now_ns)

    def use(self, count: int = 1) -> bool:
        """Do one thing, if it is allowed. One that is as much work as `count` is not divided: the rest is owed."""
        if self._left_ns < self._ns_each:
            return False
        self._left_ns -= count * self._ns_each
        return True
