"""Receive UDP datagrams by the thousand: Linux's recvmmsg through ctypes, its results read as columns.

Each message has a row in four tables: message headers, buffer vectors, sender addresses, control messages. All of them
are numpy arrays whose rows are laid out as the C structures are, so what the kernel wrote is read without a loop.
ctypes releases the interpreter lock during the call. A read makes calls until it has enough, by these rules:

1. A call takes 1,024 messages at most. Each has a room of its own, which holds the longest message there is, be it a
   datagram or a super-packet (UDP_GRO): nothing is ever cut off.
2. A room begins with lanes. A read fills the first lane of all rooms, then the second, so 4,096 ordinary datagrams need
   no more than 1,024 rooms. A message longer than a lane reaches into those that follow, so no call follows its own.
3. A read gives no more datagrams than it may; what super-packets held beyond that waits for the next one. Calls ask for
   as many messages as there is need for, if they hold as many datagrams as they did last.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import socket
import sys
from collections.abc import Callable

import numpy as np

from strep.errors import ConfigError, ReceiveError
from strep.net.address import UdpAddress
from strep.net.control_messages import CONTROL, SO_TIMESTAMPNS, UDP_GRO, ControlTable
from strep.net.endpoints import EndpointTable, Input
from strep.net.portable import PortableSource
from strep.net.segments import cut_messages
from strep.net.source import (
    BATCH_DATAGRAMS,
    LONGEST_DATAGRAM_BYTES,
    RECEIVE_BUFFER_BYTES,
    BoundSocket,
    DatagramSource,
    SocketSource,
    bind_udp,
)
from strep.net.wallclock import WallClock
from strep.wire.batch import DatagramBatch

#: recvmmsg takes no more (UIO_MAXIOV). Four calls for as many cost 15 to 50 ns more a datagram.
MESSAGES_A_CALL = 1024
#: Bytes of a lane: a whole Ethernet frame (1,500), and the largest audio payload (2,048) with headers before it.
LANE_BYTES = 2048 + 128
#: Together with its lanes, an odd number of cache lines: so rooms do not begin in the same sets of the caches, and fill
#: as fast as slots of 2 KB beside each other (within 10 ns a datagram). 1,024 rooms are 75 MB of addresses; of a deep
#: queue of audio a sixth of that becomes memory.
_ROOM_BYTES = LONGEST_DATAGRAM_BYTES + 64

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
_NOBODY = np.empty(0, np.int64)
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


def _pages(size_bytes: int) -> mmap.mmap:
    """Take memory in small pages: with huge ones, which numpy asks for, a queue that was deep once keeps all of it."""
    pages = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel that has no huge pages
        pages.madvise(mmap.MADV_NOHUGEPAGE)
    return pages


def open_udp(
    address: UdpAddress | BoundSocket,
    *,
    direction: int | None = None,
    conversation: str | None = None,
    receive_buffer_bytes: int = RECEIVE_BUFFER_BYTES,
    batch_datagrams: int = BATCH_DATAGRAMS,
    endpoints: EndpointTable | None = None,
    clock: WallClock | None = None,
    portable: bool = False,
    gro: bool = True,
    strep_only: bool = False,
) -> DatagramSource:
    """Begin to receive on an address, by recvmmsg where there is one and it is not declined by `portable`.

    address: where, or a socket bound before, which the source then closes. receive_buffer_bytes: for one not yet bound.
    direction, conversation: what plain RTP to this address belongs to; see strep.net.endpoints. batch_datagrams: how
    many a read gives at most. endpoints, clock: given to several sources, they share them.
    gro: let the kernel hand over consecutive datagrams of one sender as one message, where it can (UDP_GRO, Linux 5.0)
    and has them so (a network card that coalesces, a local sender with UDP_SEGMENT). Measured on loopback: read() takes
    55 ns a datagram of 64 in a message, instead of 900; those that come alone take as long as without (within 10 ns).
    kernel_drops then counts messages.
    strep_only: mark what is no STREP (strep.net.strep_only); strep.net.steering lets the kernel refuse most of it.
    Raises ReceiveError when the system refuses, ConfigError for what cannot be.
    """
    if not 1 <= batch_datagrams <= BATCH_DATAGRAMS:
        raise ConfigError(f"expected batches of 1 to {BATCH_DATAGRAMS} datagrams, found {batch_datagrams}")
    endpoints = EndpointTable() if endpoints is None else endpoints
    clock = WallClock() if clock is None else clock
    bound = address if isinstance(address, BoundSocket) else bind_udp(address, receive_buffer_bytes)
    try:
        senders = endpoints.add_input(bound.address, conversation=conversation, direction=direction)
    except ConfigError:
        bound.close()
        raise
    if portable or _recvmmsg is None:
        return PortableSource(bound, senders, clock, batch_datagrams, strep_only=strep_only)
    return RecvmmsgSource(bound, senders, clock, batch_datagrams, gro=gro, strep_only=strep_only)


class RecvmmsgSource(SocketSource):
    """A DatagramSource of a few system calls a batch; see the rules of this module."""

    def __init__(
        self,
        bound: BoundSocket,
        senders: Input,
        clock: WallClock,
        batch_datagrams: int = BATCH_DATAGRAMS,
        *,
        gro: bool = True,
        strep_only: bool = False,
    ) -> None:
        super().__init__(bound, senders, clock, batch_datagrams, strep_only=strep_only)
        with contextlib.suppress(OSError):  # where it is refused, receive times are those of the call
            bound.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        # Sockets that share a port never coalesce: a super-packet would go whither its first datagram belongs.
        gro = gro and not bound.socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
        with contextlib.suppress(OSError):  # where it is refused, every message is a datagram
            bound.socket.setsockopt(socket.IPPROTO_UDP, UDP_GRO, int(gro))
        self._lay_out_rooms(batch_datagrams)
        self._lay_out_tables(batch_datagrams, _SOCKADDR_BYTES[socket.AddressFamily(bound.socket.family)])
        self._left: DatagramBatch | None = None
        self._datagrams_a_message = 1

    def _lay_out_rooms(self, rows: int) -> None:
        """Make the buffer: for each row of the tables, a place in a room."""
        rooms = min(rows, MESSAGES_A_CALL)
        lane, room = np.divmod(np.arange(rows), rooms)
        stride = _ROOM_BYTES + int(lane[-1]) * LANE_BYTES
        self._flat = np.frombuffer(_pages(rooms * stride + LONGEST_DATAGRAM_BYTES), np.uint8)
        self._offset = room * stride + lane * LANE_BYTES

    def _lay_out_tables(self, rows: int, sockaddr_bytes: int) -> None:
        """Make the tables and let their rows point at each other, once."""
        self._length = np.zeros(rows, np.int64)
        self._arrival_ns = np.zeros(rows, np.int64)
        sockaddrs = np.zeros((rows, (sockaddr_bytes + 7) // 8), np.uint64)
        self._names = sockaddrs[:, : self._senders.sockaddr_words]
        self._control = ControlTable(rows)
        self._vectors = np.zeros(rows, IOVEC)
        self._vectors["base"] = self._flat.ctypes.data + self._offset.astype(np.uint64)
        self._vectors["length"] = LONGEST_DATAGRAM_BYTES
        index = np.arange(rows, dtype=np.uint64)
        self._headers = np.zeros(rows, MMSGHDR)
        self._headers["name"] = sockaddrs.ctypes.data + index * sockaddrs.strides[0]
        self._headers["namelen"] = sockaddr_bytes  # the kernel writes the same number back
        self._headers["iov"] = self._vectors.ctypes.data + index * IOVEC.itemsize
        self._headers["iovlen"] = 1
        self._headers["control"] = self._control.messages.ctypes.data + index * CONTROL.itemsize
        self._controllen = self._headers["controllen"]
        self._controllen[:] = CONTROL.itemsize
        self._message_length = self._headers["length"]
        self._headers_at = self._headers.ctypes.data

    def close(self) -> None:
        """Close the socket."""
        self._left = None
        super().close()

    def read(self) -> DatagramBatch:
        """Take what is queued; see DatagramSource.read."""
        if self._left is None:
            batch = self._assemble(self._receive())
        else:  # more may have arrived since, so this is no drain
            batch, self._left = self._left, None
        if len(batch) > self._capacity:
            batch, self._left = batch[: self._capacity], batch[self._capacity :]
            self.drained = False
        self._senders.held = _NOBODY if self._left is None else self._left.source
        return self._judged(batch)

    def _receive(self) -> int:
        """Make system calls until there is enough, or no more; returns how many messages there are."""
        self.drained = False
        count = 0
        wanted = -(-self._capacity // self._datagrams_a_message)
        while count < wanted:
            asked = min(MESSAGES_A_CALL, wanted - count)
            received = self._call(count, asked)
            count += received
            if received < asked or (count < wanted and self._message_length[count - asked : count].max() > LANE_BYTES):
                break
        self._look_at_queue()
        return count

    def _call(self, first: int, asked: int) -> int:
        """Make one system call, for the rows from `first` on; returns how many it filled."""
        assert _recvmmsg is not None  # open_udp does not come here without it
        at = self._headers_at + first * MMSGHDR.itemsize
        while (received := _recvmmsg(self._socket.fileno(), at, asked, socket.MSG_DONTWAIT, None)) < 0:
            number = ctypes.get_errno()
            if number == errno.EBADF:
                raise ReceiveError(f"cannot read {self.local_address}: expected an open socket, found it closed")
            if number != errno.EINTR:
                self.drained = number == errno.EAGAIN
                self.socket_errors += not self.drained
                return 0
        if received < asked:  # recvmmsg goes on until it finds nothing, or an error, which it then leaves on the socket
            failed = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
            self.socket_errors += failed
            self.drained = not failed
        return received

    def _assemble(self, count: int) -> DatagramBatch:
        """Make a batch of the first rows, and make them ready for the next call."""
        offset, length, arrival_ns = self._offset[:count], self._length[:count], self._arrival_ns[:count]
        endpoints = self._senders.endpoints
        if not count:
            return DatagramBatch(self._flat, offset, length, arrival_ns, length, endpoints)
        length[:] = self._message_length[:count]
        wall_ns = self._clock.now_ns - self._clock.correction_ns  # like the stamps, not yet corrected
        segment_bytes = self._control.read(self._controllen[:count], arrival_ns, wall_ns)
        self._clock.correct(arrival_ns)
        self._controllen[:count] = CONTROL.itemsize
        source = self._senders.numbers(self._names[:count])
        self._datagrams_a_message = 1
        if segment_bytes is None:
            return DatagramBatch(self._flat, offset, length, arrival_ns, source, endpoints)
        offset, length, message = cut_messages(offset, length, segment_bytes)
        self._datagrams_a_message = len(offset) // count
        return DatagramBatch(self._flat, offset, length, arrival_ns[message], source[message], endpoints)
