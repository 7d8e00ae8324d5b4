"""Read datagrams one by one into a batch, where the system has no recvmmsg."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from strep.errors import ReceiveError
from strep.net.endpoints import Input
from strep.net.source import BATCH_DATAGRAMS, LONGEST_DATAGRAM_BYTES, BoundSocket, SocketSource
from strep.net.wallclock import WallClock
from strep.wire.batch import DatagramBatch

#: Room for a full batch of the longest audio datagrams; a batch that fills it sooner simply ends there.
_BYTES_PER_DATAGRAM = 2048


class PortableSource(SocketSource):
    """A DatagramSource of plain recvfrom calls: some 2 µs a datagram, on any system.

    Datagrams lie one behind the other in the buffer, each with room for the longest, so none is ever truncated.
    `arrival_ns` is the time of the call, not the kernel's receive time.
    """

    def __init__(
        self,
        bound: BoundSocket,
        senders: Input,
        clock: WallClock,
        batch_datagrams: int = BATCH_DATAGRAMS,
        *,
        strep_only: bool = False,
    ) -> None:
        super().__init__(bound, senders, clock, batch_datagrams, strep_only=strep_only)
        self._fill_bytes = batch_datagrams * _BYTES_PER_DATAGRAM
        self._flat = np.zeros(self._fill_bytes + LONGEST_DATAGRAM_BYTES, np.uint8)
        self._memory = self._flat.data

    def read(self) -> DatagramBatch:
        """Take what is queued; see DatagramSource.read."""
        if self._socket.fileno() < 0:
            raise ReceiveError(f"cannot read {self.local_address}: expected an open socket, found it closed")
        lengths: list[int] = []
        stamps_ns: list[int] = []
        senders: list[tuple[str, int, int]] = []
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
            senders.append(_sender(sender))
            end += length
        self._look_at_queue()
        return self._judged(self._batch(lengths, stamps_ns, senders))

    def _batch(self, lengths: list[int], stamps_ns: list[int], senders: list[tuple[str, int, int]]) -> DatagramBatch:
        length = np.array(lengths, np.int64)
        arrival_ns = np.array(stamps_ns, np.int64)
        self._clock.correct(arrival_ns)
        source = self._senders.numbers(self._senders.spelled(senders)) if senders else length
        return DatagramBatch(self._flat, length.cumsum() - length, length, arrival_ns, source, self._senders.endpoints)


def _sender(told: tuple[Any, ...]) -> tuple[str, int, int]:
    """Give host, port and scope of a sender, told as the socket module does: for IPv6, flow and scope come last."""
    return told[0], told[1], told[3] if len(told) > 3 else 0
