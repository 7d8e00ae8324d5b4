"""Read what a socket received before a packet ring took its place, so that nothing is lost or read twice.

The ring is there first, and then the socket is told to drop what comes. What came between the two is in both, with the
same time of arrival, for the kernel has stamped it once.
"""

from __future__ import annotations

import contextlib
import socket
from collections import Counter

import numpy as np

from strep.net.endpoints import Input
from strep.net.source import BoundSocket
from strep.net.udp import RecvmmsgSource
from strep.net.wallclock import WallClock
from strep.wire.batch import DatagramBatch

#: What arrived so late before the last one that the socket has may be in the ring as well; and so late behind it, the
#: ring has nothing more that the socket had. From the ring to the filter it is some microseconds.
_TOGETHER_NS = 100_000_000
_Seen = tuple[int, int, bytes]


class Handover:
    """A look at what waits in a socket, and a memory of it."""

    def __init__(self) -> None:
        self._source: RecvmmsgSource | None = None
        self._seen: Counter[_Seen] = Counter()
        self._last_ns = 0

    def begin(self, bound: BoundSocket, senders: Input, clock: WallClock, batch_datagrams: int) -> None:
        """Begin, if anything waits in the socket."""
        with contextlib.suppress(OSError):
            bound.socket.recv(1, socket.MSG_PEEK)
            self._source = RecvmmsgSource(bound, senders, clock, batch_datagrams)

    @property
    def is_going_on(self) -> bool:
        """Tell whether something may wait in the socket."""
        return self._source is not None

    def read(self) -> DatagramBatch:
        """Take what waits, a batch at a time; one of length 0 is the end."""
        assert self._source is not None
        batch = self._source.read()
        if not len(batch) and self._source.drained:
            self._source = None
            return batch
        if len(batch):
            self._last_ns = int(batch.arrival_ns[-1])
            late = np.flatnonzero(batch.arrival_ns >= self._last_ns - _TOGETHER_NS)
            self._seen.update(_rows(batch, late.tolist()))
        return batch

    def leave_out_seen(self, batch: DatagramBatch) -> DatagramBatch:
        """Take out of the ring's datagrams those that the socket had."""
        if not self._seen or not len(batch):
            return batch
        near = np.flatnonzero(batch.arrival_ns <= self._last_ns)
        left_out = []
        for row, seen in zip(near.tolist(), _rows(batch, near.tolist()), strict=True):
            if self._seen[seen] > 0:
                self._seen[seen] -= 1
                left_out.append(row)
        if batch.arrival_ns[-1] > self._last_ns + _TOGETHER_NS:
            self._seen.clear()
        return batch[np.delete(np.arange(len(batch)), left_out)] if left_out else batch


def _rows(batch: DatagramBatch, rows: list[int]) -> list[_Seen]:
    return [(int(batch.arrival_ns[row]), int(batch.source[row]), batch.datagram(row)) for row in rows]
