"""Hand out the rows of tables, each as new."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

#: So many are made new at a time: what numpy takes for one row is mostly what a call of it costs.
_AT_A_TIME = 64


class Rows:
    """A pool of the rows of some tables.

    renew: makes rows of these numbers, int64[n], as new.
    """

    def __init__(self, capacity: int, renew: Callable[[NDArray[np.int64]], object]) -> None:
        self.capacity = capacity
        self._renew = renew
        self._unused, self._new = list(range(capacity - 1, -1, -1)), list[int]()

    def __len__(self) -> int:
        return self.capacity - len(self._unused) - len(self._new)

    @property
    def has_room(self) -> bool:
        """Tell whether a row is free."""
        return bool(self._new or self._unused)

    def take(self) -> int:
        """Take a row that is as new. Raises IndexError when all are in use."""
        if not self._new:
            rows = self._unused[-_AT_A_TIME:]
            del self._unused[-_AT_A_TIME:]
            self.give_back(rows)
        return self._new.pop()

    def give_back(self, rows: Sequence[int]) -> None:
        """Let rows serve again, the last one first."""
        self._renew(np.array(rows, np.int64))
        self._new.extend(rows)
