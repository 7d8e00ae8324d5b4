"""Read datagrams one by one into a batch, where the system has no recvmmsg."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from strep.errors import ReceiveError
from strep.net.endpoints import Input, displayed_host
from strep.net.source import BATCH_DATAGRAMS, LONGEST_DATAGRAM_BYTES, BoundSocket, SocketSource
from strep.net.wallclock import WallClock
from strep.wire.batch import DatagramBatch

#: Room for a full batch of the longest audio datagrams; a batch that fills it sooner simply ends there.
_BYTES_PER_DATAGRAM = 2048


class PortableSource(SocketSource):
    """Is a DatagramSource of plain recvfrom calls: some 2 µs a datagram, on any system.

    Datagrams lie one behind the other in the buffer, each with room for the longest, so none is ever truncated.
    `arrival_ns` is the time of the call, not the kernel's receive time.
    """

    def __init__(
        self, bound: BoundSocket, senders: Input, clock: WallClock, batch_datagrams: int = BATCH_DATAGRAMS
    ) -> None:
        super().__init__(bound, senders, clock, batch_datagrams)
        self._fill_bytes = batch_datagrams * _BYTES_PER_DATAGRAM
        self._flat = np.zeros(self._fill_bytes + LONGEST_DATAGRAM_BYTES, np.uint8)
        self._memory = self._flat.data

    def read(self) -> DatagramBatch:
        """Take what is queued; see DatagramSource.read."""
        if self._socket.fileno() < 0:
            raise ReceiveError(f"cannot read {self.local_address}: expected an open socket, found it closed")
        lengths: list[int] = []
        stamps_ns: list[int] = []
        numbers: list[int] = []
        end = 0
        self.drained = False
        while len(lengths) < self._capacity and end <= self._fill_bytes:
            try:
                length, sender = self._socket.recvfrom_into(self._memory[end:], LONGEST_DATAGRAM_BYTES)
            except BlockingIOError:
                self.drained = True
                break
            except OSError:  # what an ICMP message or an interface did to the socket
                self.socket_errors += 1
                break
            stamps_ns.append(time.time_ns())
            lengths.append(length)
            numbers.append(self._number(sender))
            end += length
        self._queue.update()
        self._clock.read()
        return self._batch(lengths, stamps_ns, numbers)

    def _batch(self, lengths: list[int], stamps_ns: list[int], numbers: list[int]) -> DatagramBatch:
        length = np.array(lengths, np.int64)
        arrival_ns = np.array(stamps_ns, np.int64)
        self._clock.correct(arrival_ns)
        source = np.array(numbers, np.int64)
        return DatagramBatch(self._flat, length.cumsum() - length, length, arrival_ns, source, self._senders.endpoints)

    def _number(self, sender: tuple[Any, ...]) -> int:
        """Number a sender, given as the socket module does: (host, port), for IPv6 with flow and scope behind it."""
        scope_id = sender[3] if len(sender) > 3 else 0
        return self._senders.number(displayed_host(sender[0], scope_id), sender[1])
