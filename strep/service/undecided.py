"""Remember the answered calls that no rule can decide yet, within bounds. No clock: the time is an argument."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from strep.service.calls import Call


class UndecidedCalls:
    """A queue of calls that wait for the webhook which says what a rule asks for.

    capacity: so many at a time; when there are more, the ones that have waited longest are given up. wait_ns: for so
    long. given_up: how many were. Times are of one steady clock.
    """

    def __init__(self, capacity: int, wait_ns: int) -> None:
        self.given_up = 0
        self._capacity, self._wait_ns = capacity, wait_ns
        self._since_ns: OrderedDict[Call, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._since_ns)

    def add(self, call: Call, now_ns: int) -> None:
        """Let a call wait from now on, if it does not do so already."""
        self._since_ns.setdefault(call, now_ns)

    def discard(self, call: Call) -> None:
        """Let it wait no more."""
        self._since_ns.pop(call, None)

    def over(self, now_ns: int) -> Iterator[tuple[Call, str]]:
        """Take out the calls that are to be given up, each with the reason."""
        while self._since_ns:
            call, since_ns = next(iter(self._since_ns.items()))
            if now_ns - since_ns >= self._wait_ns:
                reason = f"limits.undecided_s: {self._wait_ns / 1e9:g} s are over"
            elif len(self._since_ns) > self._capacity:
                reason = f"limits.undecided: {self._capacity} calls wait already"
            else:
                return
            del self._since_ns[call]
            self.given_up += 1
            yield call, reason
