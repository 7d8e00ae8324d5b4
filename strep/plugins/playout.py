"""Play packets out from buffers that a listener could have, and tell which would have come too late, in columns.

Two kinds: one that waits as long for every packet, and one that adapts to what it sees: R. Ramjee, J. Kurose,
D. Towsley and H. Schulzrinne, "Adaptive playout mechanisms for packetized audio applications in wide-area networks",
INFOCOM 1994, algorithm 1, which estimates delay and its variation and waits for the one and four times the other.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

#: Of the paper: how much an estimate keeps of what it was. It is of 1994 and long paths: 0.998002.
KEEP = 0.998002
_SPREADS = 4.0
#: What a phone waits at least, and what no phone waits longer than.
_LEAST_MS, _MOST_MS = 20.0, 500.0


class PlayoutBuffer(Protocol):
    """A buffer that a listener could have."""

    def is_late(self, rows: NDArray[np.int64], delay_ms: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which packets, one of each of n streams, come too late; delay_ms: beyond the least delay."""

    def mean_delay_ms(self, row: int) -> float:
        """Give how long it waited in this interval, on average."""

    def begin_interval(self, row: int) -> None:
        """Begin another interval of a stream, which changes nothing in how long it waits."""

    def reset(self, row: int) -> None:
        """Begin anew with a row, for another stream."""


class FixedBuffer:
    """A fixed buffer that waits so long for each packet, beyond the least delay that was seen."""

    def __init__(self, delay_ms: float) -> None:
        self.delay_ms = delay_ms

    def is_late(self, rows: NDArray[np.int64], delay_ms: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which packets, one of each of n streams, are later than that."""
        return delay_ms > self.delay_ms

    def mean_delay_ms(self, row: int) -> float:
        """Give how long it waits."""
        return self.delay_ms

    def begin_interval(self, row: int) -> None:
        """Do nothing."""

    def reset(self, row: int) -> None:
        """Do nothing."""


class AdaptiveBuffer:
    """An adaptive buffer that waits as long as the delays of the packets before suggest, for so many streams, a row
    each.
    """

    def __init__(self, rows: int) -> None:
        self._delay_ms = np.full(rows, np.nan)
        self._spread_ms = np.zeros(rows)
        self._total_ms = np.zeros(rows)
        self._packets = np.zeros(rows, np.int64)

    def is_late(self, rows: NDArray[np.int64], delay_ms: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which packets, one of each of n streams, are later than was waited; then learn from them."""
        before = self._delay_ms[rows]
        before = np.where(np.isnan(before), delay_ms, before)
        waited = np.clip(before + _SPREADS * self._spread_ms[rows], _LEAST_MS, _MOST_MS)
        estimate = KEEP * before + (1 - KEEP) * delay_ms
        self._spread_ms[rows] = KEEP * self._spread_ms[rows] + (1 - KEEP) * np.abs(estimate - delay_ms)
        self._delay_ms[rows] = estimate
        self._total_ms[rows] += waited
        self._packets[rows] += 1
        return delay_ms > waited

    def mean_delay_ms(self, row: int) -> float:
        """Give how long it waited in this interval, on average."""
        return float(self._total_ms[row] / self._packets[row]) if self._packets[row] else _LEAST_MS

    def begin_interval(self, row: int) -> None:
        """Begin another interval: what was learnt stays, as it takes longer than an interval (500 packets)."""
        self._total_ms[row], self._packets[row] = 0.0, 0

    def reset(self, row: int) -> None:
        """Begin anew with a row, for another stream."""
        self._delay_ms[row], self._spread_ms[row] = np.nan, 0.0
        self.begin_interval(row)
