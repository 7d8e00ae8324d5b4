"""Count durations in equal steps, so that millions of them take no more memory than a few."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Nothing here is asked for more exactly: a receiver's loop turns every 10 ms.
STEP_NS = 100_000
#: 5 s; what is longer counts as that. A receiver so far behind drops what it should deliver.
_STEPS = 50_000


class Histogram:
    """A histogram that counts nanoseconds; what is below 0 counts as 0. `count` says how many there were."""

    def __init__(self) -> None:
        self._counts = np.zeros(_STEPS, np.int64)

    def add(self, values_ns: NDArray[np.int64]) -> None:
        """Count n values, int64[n]."""
        if len(values_ns):
            binned = np.bincount(np.clip(values_ns // STEP_NS, 0, _STEPS - 1))
            self._counts[: len(binned)] += binned

    @property
    def count(self) -> int:
        """Count all values."""
        return int(self._counts.sum())

    def quantile_ms(self, share: float) -> float:
        """Give what a share (0 to 1) of all values is not longer than, to the end of its step; 0 without any."""
        if not self.count:
            return 0.0
        needed = max(1, int(np.ceil(share * self.count)))
        step = int(self._counts.cumsum().searchsorted(needed))
        return round((step + 1) * STEP_NS / 1e6, 6)
