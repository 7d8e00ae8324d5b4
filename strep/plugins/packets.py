"""Tell where packets begin among hops, for many streams at once.

A packet begins where the time of arrival is another than that of the hop before, and after as many hops as the
packets of the stream last: neighbours may have come at one time (the kernel joins them, or the clock of a capture is
coarse), and what was lost goes on at that pace. The pace is learnt from runs of hops with one arrival: it is the
shortest that came twice in a row, as a single one may have been cut; but where no more of these come, packets have
become longer. Until it is known, one arrival is one packet, and lost ones last 20 ms (RFC 3551 section 4.2).

Known limits. Packets count as one hop at least: with hops of 10 ms, two Opus frames of 5 ms are one packet. Where two
packets came at one time always, they are taken for one of twice the length. Where packets become longer, each counts
as several until the pace is found out, after two windows at most.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strep.audio.block import SampleState
from strep.plugins.base import Hops

#: Hops of lost packets, and hops that are of no packet: silence that was meant, and what a last hop is filled up with.
LOST, NO_PACKET = 0, -1
#: After so many runs without two of the pace, packets last longer. Were half of them to come together with the one
#: before, one window in 25 would be misled so, and mended as soon as two in a row came by themselves.
WINDOW_RUNS = 16
_UNKNOWN = np.iinfo(np.int64).max
_CUSTOMARY_MS = 20


def packet_arrivals(hops: Hops) -> NDArray[np.int64]:
    """Give int64[n], of each hop the arrival of its last sample's packet, or LOST, or NO_PACKET."""
    is_lost = (hops.state == SampleState.LOST) | (hops.state == SampleState.CONCEALED)
    without = np.where(is_lost, LOST, NO_PACKET)
    if hops.arrival_ns is None:
        return without
    return np.where(hops.arrival_ns > 0, hops.arrival_ns, without)


class PacketBegins:
    """The beginnings of packets of so many streams, a row each. hop_ms: how long a hop is."""

    def __init__(self, rows: int, hop_ms: int) -> None:
        self._customary = max(1, _CUSTOMARY_MS // hop_ms)
        self._last = np.full(rows, NO_PACKET, np.int64)  # arrival of the hop before
        self._age = np.zeros(rows, np.int64)  # hops of the packet so far
        self._run = np.zeros(rows, np.int64)  # hops of one arrival so far
        self._run_before = np.full(rows, _UNKNOWN)
        self._pace = np.full(rows, _UNKNOWN)
        self._least = np.full(rows, _UNKNOWN)  # the pace of this window
        self._runs = np.zeros(rows, np.int64)  # in this window

    def take(self, rows: NDArray[np.int64], arrival_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell in which hops a packet begins; the next one of each of n streams, none twice; see packet_arrivals."""
        last, age, pace = self._last[rows], self._age[rows], self._pace[rows]
        is_same = arrival_ns == last
        pace = np.where((arrival_ns == LOST) & (pace == _UNKNOWN), self._customary, pace)
        begins: NDArray[np.bool_] = (arrival_ns != NO_PACKET) & (~is_same | (age >= pace))
        ended = ~is_same & (last > 0)
        if ended.any():
            self._learn(rows[ended])
        self._age[rows] = np.where(begins, 1, age + 1)
        self._run[rows] = np.where(is_same, self._run[rows] + 1, 1)
        self._last[rows] = arrival_ns
        return begins

    def _learn(self, rows: NDArray[np.int64]) -> None:
        """Learn from runs that ended."""
        run = self._run[rows]
        least = np.minimum(self._least[rows], np.maximum(run, self._run_before[rows]))
        runs = self._runs[rows] + 1
        is_over = runs == WINDOW_RUNS
        self._run_before[rows] = run
        self._pace[rows] = np.where(is_over, least, np.minimum(self._pace[rows], least))
        self._least[rows] = np.where(is_over, _UNKNOWN, least)
        self._runs[rows] = np.where(is_over, 0, runs)

    def reset(self, row: int) -> None:
        """Begin anew with a row."""
        self._last[row], self._age[row], self._run[row] = NO_PACKET, 0, 0
        self.forget_pace(row)

    def forget_pace(self, row: int) -> None:
        """Learn anew how long packets of a row last."""
        self._run_before[row] = self._pace[row] = self._least[row] = _UNKNOWN
        self._runs[row] = 0
