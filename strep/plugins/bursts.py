"""Tell bursts of loss from single losses, as RFC 3611 section 4.7.2 defines them, for many streams at once.

A burst begins and ends with a lost packet, has two at least, and never Gmin or more in a row between them that came.
Everything else is gap, single losses included. What comes after the last loss decides whether a burst went on, so it is
held open until Gmin packets came.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: RFC 3611 recommends 16: with 20 ms a packet, a loss every third of a second is no burst.
GMIN = 16
_OPEN_LOSSES, _OPEN_PACKETS, _SINCE, _LOST, _RUNS, _BURSTS, _BURST_PACKETS, _BURST_LOST, _LAST = range(9)


class LossMetrics(NamedTuple):
    """What became of packets. Densities are shares: of what is in bursts (in gaps), so much was lost.

    burst_ratio: how much longer losses in a row are than they would be at random, G.107's BurstR; 1 without losses.
    """

    packets: int
    lost: int
    bursts: int
    burst_packets: int
    burst_density: float
    gap_density: float
    burst_ratio: float

    @property
    def loss_percent(self) -> float:
        """Give how many per cent were lost."""
        return 100 * self.lost / self.packets if self.packets else 0.0


class LossBursts:
    """The bursts of loss of so many streams, a row each."""

    def __init__(self, rows: int, gmin: int = GMIN) -> None:
        self._gmin = gmin
        self._packets = np.zeros(rows, np.int64)
        self._is_open = np.zeros(rows, np.bool_)  # since a loss, fewer than gmin packets came in a row
        self._count = np.zeros((rows, 9), np.int64)

    def take(self, rows: NDArray[np.int64], lost: NDArray[np.bool_]) -> None:
        """Take the next packet of each of n streams, rows int64[n], none twice; lost: bool[n]."""
        self._packets[rows] += 1
        some = np.flatnonzero(lost | self._is_open[rows])  # for the others, nothing else changes
        if len(some):
            self._take_open(rows[some], lost[some])

    def _take_open(self, rows: NDArray[np.int64], lost: NDArray[np.bool_]) -> None:
        """Take packets that are lost, or may be within a burst."""
        count = self._count.take(rows, axis=0)
        count[:, _LOST] += lost
        count[:, _RUNS] += lost & (count[:, _LAST] == 0)
        count[:, _LAST] = lost
        is_open = count[:, _OPEN_LOSSES] > 0
        count[:, _OPEN_PACKETS] += np.where(lost, 1 + count[:, _SINCE] * is_open, 0)
        count[:, _OPEN_LOSSES] += lost
        count[:, _SINCE] = np.where(lost, 0, count[:, _SINCE] + 1)
        _end(count, count[:, _SINCE] >= self._gmin)
        self._count[rows] = count
        self._is_open[rows] = count[:, _OPEN_LOSSES] > 0

    def metrics(self, row: int) -> LossMetrics:
        """Tell what became of a stream's packets so far, as if it ended here."""
        count = self._count[row : row + 1].copy()
        _end(count, np.ones(1, np.bool_))
        lost, runs, bursts, inside, lost_inside = (
            int(count[0, column]) for column in (_LOST, _RUNS, _BURSTS, _BURST_PACKETS, _BURST_LOST)
        )
        packets = int(self._packets[row])
        outside = packets - inside
        return LossMetrics(
            packets,
            lost,
            bursts,
            inside,
            lost_inside / inside if inside else 0.0,
            (lost - lost_inside) / outside if outside else 0.0,
            lost / runs * (1 - lost / packets) if 0 < lost < packets else 1.0,
        )

    def reset(self, row: int) -> None:
        """Begin anew with a row."""
        self._packets[row], self._is_open[row], self._count[row] = 0, False, 0


def _end(count: NDArray[np.int64], ends: NDArray[np.bool_]) -> None:
    """Close what is open and ends: it was a burst if it has two losses."""
    burst = ends & (count[:, _OPEN_LOSSES] >= 2)
    count[:, _BURSTS] += burst
    count[:, _BURST_PACKETS] += burst * count[:, _OPEN_PACKETS]
    count[:, _BURST_LOST] += burst * count[:, _OPEN_LOSSES]
    count[:, [_OPEN_LOSSES, _OPEN_PACKETS]] *= ~ends[:, None]
