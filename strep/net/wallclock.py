"""Take steps out of the wall clock, so that kernel receive times never jump.

The kernel stamps datagrams with CLOCK_REALTIME, which an operator or a time daemon can set. CLOCK_MONOTONIC is never
set, and slews together with it, so the difference of the two changes only when the wall clock stepped. The rules:

1. Between two observations, a change of that difference by more than STEP_NS is a step; from then on `correction_ns`
   takes it out again. A smaller one is followed: it is less than the jitter of a network.
2. A datagram can have been stamped before the step and read after it. So a stamp is corrected for the clock under which
   it would have arrived between the last observation before the step and now; failing that, for the clock before.
3. `now_ns` never goes backwards.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

#: Larger than any error of reading two clocks one after the other (see read_clocks), smaller than a packet interval.
STEP_NS = 5_000_000
#: By how much a stamp may lie outside of two observations all the same: their own error.
_TOLERANCE_NS = 1_000_000
#: The two readings of the monotonic clock around a good observation lie less than this apart (usually 100 ns).
_UNDISTURBED_NS = 50_000
_TRIES = 4


def read_clocks() -> tuple[int, int]:
    """Read (realtime_ns, monotonic_ns) as if at one instant.

    A thread can be suspended between two readings, which would look like a step: of a few tries, the one with the
    least time around it counts.
    """
    shortest, best = -1, (0, 0)
    for _ in range(_TRIES):
        before = time.monotonic_ns()
        realtime = time.time_ns()
        took = time.monotonic_ns() - before
        if shortest < 0 or took < shortest:
            shortest, best = took, (realtime, before + took // 2)
        if took < _UNDISTURBED_NS:
            break
    return best


class WallClock:
    """Wall time without its steps, as of the latest observation.

    now_ns: nanoseconds since the Unix epoch at the latest observation. correction_ns: what to add to the wall clock.
    steps: how many were taken out. Pure: every time is an argument, except in `read`.
    """

    def __init__(self) -> None:
        self.now_ns = 0
        self.correction_ns = 0
        self.steps = 0
        self._offset_ns: int | None = None
        self._correction_before_ns = 0
        self._stepped_after_ns = 0

    def observe(self, realtime_ns: int, monotonic_ns: int) -> int:
        """Take one reading of both clocks; returns `now_ns`. Readings are given in the order of their making."""
        offset_ns = realtime_ns - monotonic_ns
        moved_ns = 0 if self._offset_ns is None else offset_ns - self._offset_ns
        self._offset_ns = offset_ns
        if abs(moved_ns) > STEP_NS:
            self.steps += 1
            self._stepped_after_ns = self.now_ns
            self._correction_before_ns = self.correction_ns
            self.correction_ns -= moved_ns
        self.now_ns = max(self.now_ns, realtime_ns + self.correction_ns)
        return self.now_ns

    def read(self) -> int:
        """Observe the clocks of this machine; returns `now_ns`."""
        return self.observe(*read_clocks())

    def correct(self, stamps_ns: NDArray[np.int64]) -> None:
        """Take the steps out of kernel receive times int64[n], in place, by rule 2 of this module."""
        if not self.steps or not len(stamps_ns):
            return
        stamps_ns += self.correction_ns
        low_ns, high_ns = self._stepped_after_ns - _TOLERANCE_NS, self.now_ns + _TOLERANCE_NS
        if stamps_ns.min() < low_ns or stamps_ns.max() > high_ns:
            stamps_ns[(stamps_ns < low_ns) | (stamps_ns > high_ns)] += self._correction_before_ns - self.correction_ns

    def corrected(self, stamp_ns: int) -> int:
        """Take the steps out of one kernel receive time: the scalar twin of `correct`."""
        if not self.steps:
            return stamp_ns
        after_ns = stamp_ns + self.correction_ns
        if self._stepped_after_ns - _TOLERANCE_NS <= after_ns <= self.now_ns + _TOLERANCE_NS:
            return after_ns
        return stamp_ns + self._correction_before_ns
