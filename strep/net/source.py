"""Open a UDP socket to receive from, and say what every source of live datagrams offers."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from strep.errors import ConfigError, ReceiveError
from strep.net.address import UdpAddress
from strep.net.endpoints import Input
from strep.net.reason import socket_reason
from strep.net.strep_only import mark_others
from strep.net.wallclock import WallClock
from strep.wire.batch import DatagramBatch

#: The kernel charges a 196-byte datagram with 832 bytes and doubles what was asked for, so this holds 640,000 of them:
#: 4,000 calls (400,000 a second) may wait for 1.6 seconds, as when all begin at once. It is taken as it fills.
RECEIVE_BUFFER_BYTES = 256 << 20
#: Beyond this the kernel's doubling leaves an int.
_MAX_RECEIVE_BUFFER_BYTES = (1 << 30) - 1
LEAST_RECEIVE_BUFFER_BYTES = 4096
#: Batches have a fixed cost, most of it behind the socket: up to its samples, a datagram costs 10 to 40 ns less than by
#: 1,024 (of super-packets 130 ns), although the memory for so many does not stay in the processor's cache.
BATCH_DATAGRAMS = 4096
#: Longer than any datagram over UDP can be. Every buffer is readable this far behind every offset.
LONGEST_DATAGRAM_BYTES = 65_536

# Linux, asm-generic/socket.h; Python's socket module does not name them.
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
#: Of SO_MEMINFO: rmem_alloc, rcvbuf, and drops as the ninth word (linux/sock_diag.h).
_MEMINFO = struct.Struct("=II24xI")
_IS_LINUX = sys.platform == "linux"


class DatagramSource(Protocol):
    """A bound socket that is read a batch at a time."""

    @property
    def local_address(self) -> UdpAddress:
        """Give the address that the socket is bound to; its port is never 0."""

    @property
    def receive_buffer_bytes(self) -> int:
        """Give the size of the kernel's buffer that was granted, not counting the kernel's own doubling."""

    @property
    def receive_buffer_wanted_bytes(self) -> int:
        """Give the size that was asked for. More than granted: the system's limit (net.core.rmem_max) is lower."""

    @property
    def kernel_drops(self) -> int | None:
        """Count what found the kernel's buffer full (or had a wrong checksum), as of the latest read().

        These are datagrams; but a super-packet (UDP_GRO) counts once, however many are in it. None where the system
        does not tell.
        """

    @property
    def kernel_refused(self) -> int | None:
        """Count what the kernel refused because it was no STREP, or (a ring) its sender not allowed; as of this read().

        None where the kernel was not asked to, or cannot: then such datagrams have the source NOT_STREP.
        """

    @property
    def queued_share(self) -> float:
        """Tell how much of its room the kernel's queue takes, as of the latest read(); 0 where it does not tell."""

    @property
    def drained(self) -> bool:
        """Tell whether the latest read() left nothing queued: all that arrived before it began has been read.

        An empty batch that did not drain met an error, which is counted: do not try again at once.
        """

    @property
    def unread_since_ns(self) -> int | None:
        """Tell since when what arrived may be still to come, although the latest read() drained; None: nothing is.

        A time as those of arrival. What arrived before has been read.
        """

    @property
    def socket_errors(self) -> int:
        """Count the errors that the network put on the socket (an ICMP message, an interface that went down)."""

    def fileno(self) -> int:
        """Give the socket's descriptor, to wait for readability."""

    def read(self) -> DatagramBatch:
        """Take what is queued, as far as one batch holds it; length 0 when nothing is. Never waits.

        The batch's arrays are views of buffers that the next read() fills anew. Every datagram is whole. Their offsets
        need not ascend. Raises ReceiveError after close().
        """

    def close(self) -> None:
        """Close the socket. Datagrams still queued are lost."""


class QueueMeter:
    """A queue meter that tells how full one socket's queue is, and counts what the kernel dropped, from its 32-bit
    counter.

    SO_MEMINFO (Linux 4.12) is the same number as SO_RXQ_OVFL's control message, but is up to date: the message comes
    with the next datagram only, and tells of the time when that was queued.

    from_now: leave out what was dropped before.
    """

    def __init__(self, sock: socket.socket, *, from_now: bool = False) -> None:
        self.socket = sock
        self._last = 0
        self.queued_share = 0.0
        self.drops: int | None = 0 if _IS_LINUX else None
        self.update()
        if from_now and self.drops:
            self.drops = 0

    def update(self) -> None:
        """Ask the kernel. From then on `drops` is the number since the beginning; None if it does not tell.

        queued_share: what is queued, of what may be; 0 if the kernel does not tell.
        """
        if self.drops is None:
            return
        try:
            raw = self.socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
            queued_bytes, most_bytes, drops = _MEMINFO.unpack(raw)
        except (OSError, struct.error):
            self.drops = None
        else:
            self.drops = self.drops + (drops - self._last & 0xFFFF_FFFF)  # the counter wraps
            self._last = drops
            self.queued_share = queued_bytes / max(most_bytes, 1)


@dataclass(frozen=True, slots=True)
class BoundSocket:
    """A non-blocking socket bound to `address`, with what the system granted it.

    drops: counts what it had no room for. refused: counts what the system refuses for it and for those that share its
    port (strep.net.steering), on a socket that exists for that only; None where nothing is refused.
    is_alone: whether no other socket that is read has the same port.
    """

    socket: socket.socket
    address: UdpAddress
    receive_buffer_bytes: int
    receive_buffer_wanted_bytes: int
    drops: QueueMeter
    refused: QueueMeter | None = None
    is_alone: bool = True

    def close(self) -> None:
        """Close the socket, and the one that counts what is refused."""
        self.socket.close()
        if self.refused is not None:
            self.refused.socket.close()


def bind_udp(
    address: UdpAddress,
    receive_buffer_bytes: int = RECEIVE_BUFFER_BYTES,
    prepare: Callable[[socket.socket], None] | None = None,
) -> BoundSocket:
    """Open a UDP socket. On `[::]` it receives IPv4 too, on every other IPv6 address IPv6 alone.

    prepare: what to do with the socket before it is bound. Raises ReceiveError when the system refuses, ConfigError
    when the size of the receive buffer cannot be.
    """
    if not LEAST_RECEIVE_BUFFER_BYTES <= receive_buffer_bytes <= _MAX_RECEIVE_BUFFER_BYTES:
        limits = f"{LEAST_RECEIVE_BUFFER_BYTES} to {_MAX_RECEIVE_BUFFER_BYTES}"
        raise ConfigError(f"expected a receive buffer of {limits} bytes, found {receive_buffer_bytes}")
    sock = None
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
        )[0]
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address.host != "::"))
        granted = _widen(sock, receive_buffer_bytes)
        if prepare is not None:
            prepare(sock)
        sock.bind(where)
        address = UdpAddress(*sock.getsockname()[:2])
        return BoundSocket(sock, address, granted, receive_buffer_bytes, QueueMeter(sock))
    except OSError as error:
        if sock is not None:
            sock.close()
        raise ReceiveError(f"cannot receive on {address}: {socket_reason(error)}") from error


class SocketSource:
    """What the sources have in common: a bound socket, the senders to it, a clock, and counters.

    What its properties mean is said by DatagramSource.
    """

    def __init__(
        self, bound: BoundSocket, senders: Input, clock: WallClock, batch_datagrams: int, *, strep_only: bool = False
    ) -> None:
        self.local_address = bound.address
        self.receive_buffer_bytes = bound.receive_buffer_bytes
        self.receive_buffer_wanted_bytes = bound.receive_buffer_wanted_bytes
        self.drained = False
        self.unread_since_ns: int | None = None
        self.socket_errors = 0
        self._bound, self._socket, self._queue = bound, bound.socket, bound.drops
        self._strep_only = strep_only
        self._senders = senders
        self._clock = clock
        self._capacity = batch_datagrams

    @property
    def kernel_drops(self) -> int | None:
        """Give what the kernel dropped, as of the latest read()."""
        return self._queue.drops

    @property
    def queued_share(self) -> float:
        """Give how full the kernel's queue was, as of the latest read()."""
        return self._queue.queued_share

    @property
    def kernel_refused(self) -> int | None:
        """Give what the kernel refused, as of the latest read()."""
        return None if self._bound.refused is None else self._bound.refused.drops

    def fileno(self) -> int:
        """Give the socket's descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._bound.close()

    def _look_at_queue(self) -> None:
        """Ask the kernel what it holds, dropped and refused, and the time."""
        self._queue.update()
        if self._bound.refused is not None:
            self._bound.refused.update()
        self._clock.read()

    def _judged(self, batch: DatagramBatch) -> DatagramBatch:
        """Mark what is no STREP, where only that is taken: where the kernel refuses, what it cannot see."""
        return mark_others(batch) if self._strep_only and len(batch) else batch


def _widen(sock: socket.socket, wanted_bytes: int) -> int:
    """Ask for a receive buffer; returns what was granted, not counting the kernel's own doubling."""
    if _IS_LINUX:
        try:  # needs CAP_NET_ADMIN, and heeds no limit
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, wanted_bytes)
        except PermissionError:  # heeds net.core.rmem_max silently
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted_bytes)
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    size_bytes = wanted_bytes
    while size_bytes >= LEAST_RECEIVE_BUFFER_BYTES:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size_bytes)
            break
        except OSError:  # the BSDs refuse what exceeds their limit
            size_bytes //= 2
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
