"""Search for the largest load that is carried: double until one is not, then halve the interval.

One failure may be the machine's: a load is given up when it has failed twice, and what is found is confirmed at the end
by a longer attempt. Where that fails, a step (10 %) less is tried, and so on.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

#: How close the ends of the interval come, as a share of the lower one.
PRECISION = 0.1
_TRIES = 2


class Verdict(enum.Enum):
    """How an attempt at a load ended. NOT_OFFERED: the sender did not keep pace, so nothing was learned."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_OFFERED = "not offered"


@dataclass(slots=True)
class Knee:
    """What a search found. calls: the largest load that passed, 0: none did.

    limited_by: what kept it from being larger: "receiver", "sender", "time", or "most", beyond which is not searched.
    confirmed: whether the longer attempt passed too.
    """

    calls: int = 0
    limited_by: str = "time"
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """How to search. attempt: tries a load, and is told whether it is the longer attempt.

    has_time: whether there is time for another attempt, and is told the same.
    """

    attempt: Callable[[int, bool], Verdict]
    has_time: Callable[[bool], bool]
    first: int
    most: int

    def run(self) -> Knee:
        """Search, then confirm."""
        knee = self._search()
        while knee.calls and not knee.confirmed and self.has_time(True):
            knee.confirmed = self.attempt(knee.calls, True) is Verdict.PASSED
            if not knee.confirmed:
                knee.calls = min(round(knee.calls * (1 - PRECISION)), knee.calls - 1)
        return knee

    def _search(self) -> Knee:
        knee, too_many, calls = Knee(), self.most + 1, min(self.first, self.most)
        while self.has_time(False):
            verdict = self._try(calls)
            if verdict is Verdict.PASSED:
                knee.calls = calls
            else:
                too_many = calls
                knee.limited_by = "receiver" if verdict is Verdict.FAILED else "sender"
            if too_many - knee.calls <= max(1, PRECISION * knee.calls):
                if too_many > self.most:
                    knee.limited_by = "most"
                return knee
            calls = min(2 * calls, self.most) if too_many > self.most else (knee.calls + too_many) // 2
        knee.limited_by = "time"
        return knee

    def _try(self, calls: int) -> Verdict:
        verdict = Verdict.FAILED
        for _ in range(_TRIES):
            verdict = self.attempt(calls, False)
            if verdict is Verdict.PASSED:
                break
        return verdict
