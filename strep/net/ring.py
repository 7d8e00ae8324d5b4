"""Receive UDP datagrams from a packet ring: the kernel writes them into our memory, and they are read where they lie.

A socket costs a copy and some hundred nanoseconds a datagram, on both sides of it; a ring a tenth of that
(`python -m bench receive`). The rules:

1. The bound socket keeps the port, so that nobody is told that it is closed; a filter lets it drop everything. What it
   received before the ring was there is read first, and what came to both at that time, once.
2. A batch's datagrams lie in the ring. The blocks that they are in go back to the kernel with the next read().
3. What arrived last is in a block that the kernel still fills (strep.net.packet_ring). So a read that drained leaves
   nothing behind but what arrived after `unread_since_ns`, when that block was begun.
4. What reaches a ring is what the network brought, before the host's firewall, address translation and routing (see
   strep.net.ring_filter). So whom to hear is for us to say: strep.net.opening takes a ring where that is told.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket

import numpy as np
from numpy.typing import NDArray

from strep.errors import ReceiveError
from strep.net.address import UdpAddress
from strep.net.bpf import DROP_ALL, SO_ATTACH_FILTER, attach
from strep.net.control_messages import SO_TIMESTAMPNS, UDP_GRO
from strep.net.endpoints import Input
from strep.net.networks import Networks
from strep.net.packet_ring import BLOCK_BYTES, FrameCounter, PacketRing
from strep.net.ring_filter import refused_program, ring_program
from strep.net.ring_handover import Handover
from strep.net.ring_rare import RarePackets
from strep.net.ring_rules import rules_now
from strep.net.ring_walk import MOST_RARE, STATE, Ring
from strep.net.source import BATCH_DATAGRAMS, LONGEST_DATAGRAM_BYTES, BoundSocket, SocketSource
from strep.net.wallclock import WallClock
from strep.stream.records import records
from strep.wire.batch import DatagramBatch

_LOOPBACK = "lo"
#: Behind the ring: the datagrams that a read's rare packets come to, and what must be readable behind every offset.
_ROOM_BYTES = (MOST_RARE + 1) * LONGEST_DATAGRAM_BYTES


class RingSource(SocketSource):
    """A DatagramSource of a ring; see the rules of this module.

    allow: what `senders` have been told, for the kernel to heed. The size of the ring is half the receive buffer's: in
    a ring, an ordinary datagram takes less than half of the room. Raises OSError when the system refuses.
    """

    def __init__(
        self,
        bound: BoundSocket,
        senders: Input,
        clock: WallClock,
        batch_datagrams: int = BATCH_DATAGRAMS,
        *,
        allow: Networks | None = None,
        strep_only: bool = False,
    ) -> None:
        super().__init__(bound, senders, clock, batch_datagrams, strep_only=strep_only)
        address = bound.address
        self._ring = PacketRing(
            socket.AddressFamily(bound.socket.family),
            interface_of(address),
            ring_program(address.host, address.port, allow),
            bound.receive_buffer_wanted_bytes // 2,
            _ROOM_BYTES,
        )
        self.receive_buffer_bytes = self.receive_buffer_wanted_bytes = self._ring.blocks * BLOCK_BYTES
        self._handover = Handover()
        self._refused: FrameCounter | None = None
        try:
            if allow is not None:
                program = refused_program(address.host, address.port, allow)
                family = socket.AddressFamily(bound.socket.family)
                self._refused = FrameCounter(family, interface_of(address), program)
            self._close_socket_to_all(bound.socket)
            self._handover.begin(bound, senders, clock, batch_datagrams)
        except BaseException:
            self._close_ring()
            raise
        self._rare = RarePackets(address.port)
        self._damaged = 0
        self._queued_share = 0.0
        self._complete_ns = 0  # up to when all was read, as far as a block that was empty told
        self._make_columns(batch_datagrams)

    @staticmethod
    def _close_socket_to_all(sock: socket.socket) -> None:
        """Let the socket drop what comes. It still says what the kernel may do for it before the ring sees anything."""
        for level, option in ((socket.SOL_SOCKET, SO_TIMESTAMPNS), (socket.IPPROTO_UDP, UDP_GRO)):
            with contextlib.suppress(OSError):
                sock.setsockopt(level, option, 1)
        attach(sock, SO_ATTACH_FILTER, DROP_ALL)

    def _make_columns(self, rows: int) -> None:
        self._state = records(1, STATE)
        self._state[0].blocks, self._state[0].block_bytes = self._ring.blocks, BLOCK_BYTES
        self._held = 0  # the first block that was not given back, counted on for ever
        offset, length, arrival_ns = (np.zeros(rows, np.int64) for _ in range(3))
        names, rare = np.zeros((rows, self._senders.sockaddr_words), np.uint64), np.zeros((MOST_RARE, 2), np.int64)
        self._tables = Ring(self._ring.flat, self._ring.words, self._state, offset, length, arrival_ns, names, rare)
        self._rules = rules_now()
        self._packed = self._rules.pack(self._tables)

    @property
    def kernel_drops(self) -> int | None:
        """Count what found no room in the ring or had a wrong checksum, as of the latest read()."""
        return self._ring.drops + int(self._state[0].bad) + self._damaged

    @property
    def kernel_refused(self) -> int | None:
        """Count what came from no allowed network, as of the latest read(). What is no STREP is not refused."""
        return None if self._refused is None else self._refused.count

    @property
    def queued_share(self) -> float:
        """Give how much of the ring was to be read, as of the latest read()."""
        return self._queued_share

    def fileno(self) -> int:
        """Give the descriptor of the ring's socket: readable when a block was closed."""
        return self._ring.socket.fileno()

    def close(self) -> None:
        """Close the ring and the socket. Batches that somebody still has stay as they are."""
        self._close_ring()
        super().close()

    def _close_ring(self) -> None:
        self._ring.socket.close()
        if self._refused is not None:
            self._refused.socket.close()

    def read(self) -> DatagramBatch:
        """Take what is in closed blocks; see DatagramSource.read."""
        if self._ring.socket.fileno() < 0:
            raise ReceiveError(f"cannot read {self.local_address}: expected an open socket, found it closed")
        if self._handover.is_going_on:
            self.drained = False
            batch = self._handover.read()
            if len(batch):
                return self._judged(batch)
        self._give_back()
        state, ring = self._state[0], self._ring
        first = int(state.next_block)
        # System calls come between looking whose a block is and reading it: so no processor swaps the two.
        closed = ring.closed(first % ring.blocks, ring.blocks - (first - self._held))
        failed = self._look_at_ring()
        if (rules := rules_now()) is not self._rules:
            self._rules, self._packed = rules, rules.pack(self._tables)
        count = self._rules.walk(self._packed, closed, self._capacity)
        self.drained = int(state.next_block) == first + closed and not state.left and not failed
        self._queued_share = closed / ring.blocks
        self._look_at_open_block(int(state.next_block) % ring.blocks)
        return self._judged(self._batch(count))

    def _look_at_open_block(self, block: int) -> None:
        """Tell since when something may be in it: not before it was begun, nor before it was last found empty."""
        opened_ns = self._ring.opened_ns(block)
        if opened_ns is None:
            self._complete_ns, self.unread_since_ns = self._clock.now_ns, None
        else:
            self.unread_since_ns = max(self._complete_ns, self._clock.corrected(opened_ns))

    def _give_back(self) -> None:
        """Give back the blocks of the batch before, but for one that was not walked through to its end."""
        until = int(self._state[0].next_block) - (1 if self._state[0].left else 0)
        self._ring.give_back(self._held, until - self._held)
        self._held = until

    def _look_at_ring(self) -> bool:
        """Ask the kernel what it dropped, whether anything failed (which is told), and the time."""
        self._ring.update()
        if self._refused is not None:
            self._refused.update()
        failed = self._ring.take_error()
        self.socket_errors += failed
        self._clock.read()
        return failed

    def _batch(self, count: int) -> DatagramBatch:
        """Make a batch of the first rows."""
        tables, endpoints = self._tables, self._senders.endpoints
        offset, length, arrival_ns = tables.offset[:count], tables.length[:count], tables.arrival_ns[:count]
        if not count:
            return DatagramBatch(tables.flat, offset, length, arrival_ns, length, endpoints)
        self._clock.correct(arrival_ns)
        names = tables.names[:count]
        if self._state[0].rare:
            kept = self._take_rare(int(self._state[0].rare), count)
            offset, length, arrival_ns, names = offset[kept], length[kept], arrival_ns[kept], names[kept]
        source = self._senders.numbers(names) if len(names) else length
        batch = DatagramBatch(tables.flat, offset, length, arrival_ns, source, endpoints)
        return self._handover.leave_out_seen(batch)

    def _take_rare(self, listed: int, count: int) -> NDArray[np.bool_]:
        """Put the datagrams of rare packets into the room behind the ring; tell which of the first rows have one."""
        tables, room = self._tables, len(self._ring.flat) - _ROOM_BYTES
        kept = np.ones(count, np.bool_)
        for row, has_checksum in tables.rare[:listed].tolist():
            begin = int(tables.offset[row])
            packet = tables.flat[begin : begin + int(tables.length[row])].tobytes()
            found = self._rare.take(packet, int(tables.arrival_ns[row]), has_checksum=bool(has_checksum))
            if found is None or found.is_damaged:
                self._damaged += found is not None
                kept[row] = False
                continue
            tables.flat[room : room + len(found.payload)] = np.frombuffer(found.payload, np.uint8)
            tables.offset[row], tables.length[row] = room, len(found.payload)
            port = found.source_port.to_bytes(2, "big")
            tables.names[row, 0] |= np.uint64(int.from_bytes(port, "little") << 16)
            room += LONGEST_DATAGRAM_BYTES
        return kept


def interface_of(address: UdpAddress) -> str:
    """Name the interface that datagrams for an address must come by, "" for any.

    The loopback's never come from outside: a socket can rely on that, and a ring sees to it by listening nowhere else.
    A link-local address belongs to one link (RFC 4291), which is written behind it.
    """
    host, _, scope = address.host.partition("%")
    if ipaddress.ip_address(host).is_loopback:
        return _LOOPBACK
    return socket.if_indextoname(int(scope)) if scope.isdigit() else scope
