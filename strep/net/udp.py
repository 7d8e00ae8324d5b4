"""Receive UDP datagrams by the thousand: Linux's recvmmsg through ctypes, its results read as columns.

One call fills up to 1,024 slots of one buffer, and four tables of the same number of rows beside it: message headers,
buffer vectors, sender addresses, control messages. All of them are numpy arrays whose rows are laid out as the C
structures are, so what the kernel wrote is read without a loop. ctypes releases the interpreter lock during the call.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import socket
import sys
from collections.abc import Callable

import numpy as np

from strep.errors import ConfigError, ReceiveError
from strep.net.address import UdpAddress
from strep.net.endpoints import EndpointTable, Input
from strep.net.portable import PortableSource
from strep.net.source import (
    BATCH_DATAGRAMS,
    LONGEST_DATAGRAM_BYTES,
    RECEIVE_BUFFER_BYTES,
    BoundSocket,
    DatagramSource,
    DropCounter,
    bind_udp,
)
from strep.net.stamps import CONTROL, SO_TIMESTAMPNS, StampTable
from strep.net.wallclock import WallClock
from strep.wire.batch import DatagramBatch

#: Bytes of a slot: a whole Ethernet frame (1,500), and the largest audio payload (2,048) with headers before it.
#: Slots of 512 bytes fill 5 % faster while the buffer stays in the cache, and no faster when the queue is deep.
SLOT_BYTES = 2048 + 64

# struct mmsghdr of a 64-bit Linux (recvmmsg(2), recvmsg(2)): 64 bytes.
MMSGHDR = np.dtype(
    {
        "names": ["name", "namelen", "iov", "iovlen", "control", "controllen", "flags", "length"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
IOVEC = np.dtype([("base", "u8"), ("length", "u8")])
_SOCKADDR_BYTES = {socket.AF_INET: 16, socket.AF_INET6: 28}


def _load_recvmmsg() -> Callable[[int, int, int, int, None], int] | None:
    """Find recvmmsg in the C library; None where it is missing, or where its structures are not those above."""
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    recvmmsg = getattr(ctypes.CDLL(None, use_errno=True), "recvmmsg", None)
    if recvmmsg is not None:
        recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
    return recvmmsg


_recvmmsg = _load_recvmmsg()


def open_udp(
    address: UdpAddress,
    *,
    direction: int | None = None,
    conversation: str | None = None,
    receive_buffer_bytes: int = RECEIVE_BUFFER_BYTES,
    batch_datagrams: int = BATCH_DATAGRAMS,
    endpoints: EndpointTable | None = None,
    clock: WallClock | None = None,
    portable: bool = False,
) -> DatagramSource:
    """Begin to receive on an address, by recvmmsg where there is one and it is not declined by `portable`.

    direction, conversation: what plain RTP to this address belongs to; see strep.net.endpoints. endpoints, clock: given
    to several sources, they share them. Raises ReceiveError when the system refuses, ConfigError for what cannot be.
    """
    if not 1 <= batch_datagrams <= BATCH_DATAGRAMS:
        raise ConfigError(f"expected batches of 1 to {BATCH_DATAGRAMS} datagrams, found {batch_datagrams}")
    endpoints = EndpointTable() if endpoints is None else endpoints
    clock = WallClock() if clock is None else clock
    bound = bind_udp(address, receive_buffer_bytes)
    try:
        senders = endpoints.add_input(bound.address, conversation=conversation, direction=direction)
    except ConfigError:
        bound.socket.close()
        raise
    kind = PortableSource if portable or _recvmmsg is None else RecvmmsgSource
    return kind(bound, senders, endpoints, clock, batch_datagrams)


class RecvmmsgSource:
    """Is a DatagramSource of one system call a batch; a slot holds SLOT_BYTES of a datagram."""

    def __init__(
        self,
        bound: BoundSocket,
        senders: Input,
        endpoints: EndpointTable,
        clock: WallClock,
        batch_datagrams: int = BATCH_DATAGRAMS,
    ) -> None:
        self.local_address = bound.address
        self.receive_buffer_bytes = bound.receive_buffer_bytes
        self.receive_buffer_wanted_bytes = bound.receive_buffer_wanted_bytes
        self.drained = False
        self.truncated = 0
        self.socket_errors = 0
        self._socket = bound.socket
        self._drops = DropCounter(bound.socket)
        self._senders = senders
        self._endpoints = endpoints
        self._clock = clock
        self._capacity = batch_datagrams
        with contextlib.suppress(OSError):  # where it is refused, receive times are those of the call
            bound.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._lay_out(batch_datagrams, _SOCKADDR_BYTES[socket.AddressFamily(bound.socket.family)])

    def _lay_out(self, slots: int, sockaddr_bytes: int) -> None:
        """Make the tables and let their rows point at each other, once."""
        self._flat = np.zeros(slots * SLOT_BYTES + LONGEST_DATAGRAM_BYTES, np.uint8)
        self._offset = np.arange(slots, dtype=np.int64) * SLOT_BYTES
        self._length = np.zeros(slots, np.int64)
        self._arrival_ns = np.zeros(slots, np.int64)
        sockaddrs = np.zeros((slots, (sockaddr_bytes + 7) // 8), np.uint64)
        self._names = sockaddrs[:, : self._senders.sockaddr_words]
        self._stamps = StampTable(slots)
        control = self._stamps.messages
        self._vectors = np.zeros(slots, IOVEC)
        self._vectors["base"] = self._flat.ctypes.data + self._offset.astype(np.uint64)
        self._vectors["length"] = SLOT_BYTES
        rows = np.arange(slots, dtype=np.uint64)
        self._headers = np.zeros(slots, MMSGHDR)
        self._headers["name"] = sockaddrs.ctypes.data + rows * sockaddrs.strides[0]
        self._headers["namelen"] = sockaddr_bytes  # the kernel writes the same number back
        self._headers["iov"] = self._vectors.ctypes.data + rows * IOVEC.itemsize
        self._headers["iovlen"] = 1
        self._headers["control"] = control.ctypes.data + rows * CONTROL.itemsize
        self._controllen = self._headers["controllen"]
        self._controllen[:] = CONTROL.itemsize
        self._message_length = self._headers["length"]
        self._headers_at = self._headers.ctypes.data

    @property
    def kernel_drops(self) -> int | None:
        """Give what the kernel dropped, as of the latest read()."""
        return self._drops.drops

    def fileno(self) -> int:
        """Give the socket's descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def read(self) -> DatagramBatch:
        """Take what is queued; see DatagramSource.read."""
        count = self._receive()
        self._drops.update()
        self._clock.read()
        return self._assemble(count)

    def _receive(self) -> int:
        """Make the system call; returns how many slots it filled."""
        assert _recvmmsg is not None  # open_udp does not come here without it
        # MSG_TRUNC makes the length of a datagram its real one, also when the slot is shorter.
        flags = socket.MSG_DONTWAIT | socket.MSG_TRUNC
        self.drained = False
        while (count := _recvmmsg(self._socket.fileno(), self._headers_at, self._capacity, flags, None)) < 0:
            number = ctypes.get_errno()
            if number == errno.EBADF:
                raise ReceiveError(f"cannot read {self.local_address}: expected an open socket, found it closed")
            if number != errno.EINTR:
                self.drained = number == errno.EAGAIN
                self.socket_errors += not self.drained
                return 0
        self.drained = count < self._capacity  # recvmmsg goes on until a slot finds nothing
        return count

    def _assemble(self, count: int) -> DatagramBatch:
        """Make a batch of the first slots, and make them ready for the next call."""
        length, arrival_ns = self._length[:count], self._arrival_ns[:count]
        if count:
            length[:] = self._message_length[:count]
            if length.max() > SLOT_BYTES:
                self.truncated += int((length > SLOT_BYTES).sum())
            wall_ns = self._clock.now_ns - self._clock.correction_ns  # like the stamps, not yet corrected
            self._stamps.read(self._controllen[:count], arrival_ns, wall_ns)
            self._clock.correct(arrival_ns)
            self._controllen[:count] = CONTROL.itemsize
            source = self._senders.numbers(self._names[:count])
        else:
            source = length
        return DatagramBatch(self._flat, self._offset[:count], length, arrival_ns, source, self._endpoints.endpoints)
