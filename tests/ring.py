"""What tests of packet rings need: a ring beside a socket, reading what comes in a moment, own networks."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from strep.net.opening import why_no_ring
from strep.net.packet_ring import may_open
from strep.net.source import BoundSocket, DatagramSource, bind_udp
from tests.receiving import BOUND_S

T = TypeVar("T")
_CLONE_NEWNET = 0x4000_0000
_SIOCSIFADDR, _SIOCSIFFLAGS, _SIOCSIFMTU, _SIOCSIFHWADDR = 0x8916, 0x8914, 0x8922, 0x8924
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI, _IFF_UP = 0x4004_54CA, 0x0002, 0x1000, 0x0001
#: On a busy machine each datagram may have a block for itself (the kernel closes one after 4 ms): room for 512 of them.
RING_BYTES = 128 << 20
MAC = bytes.fromhex("020000000020")


needs_ring = pytest.mark.skipif(not may_open(), reason="needs CAP_NET_RAW and Linux 6.2")
needs_network = pytest.mark.skipif(
    not may_open() or sys.platform != "linux" or os.geteuid() != 0 or not os.access("/dev/net/tun", os.W_OK),
    reason="needs root, Linux 6.2 and /dev/net/tun",
)


def beside(bound: BoundSocket) -> BoundSocket:
    """Give what a ring can be opened with that is to have the same datagrams as a socket."""
    assert why_no_ring(bound) is None
    other = bind_udp(type(bound.address)(bound.address.host, 0))
    return BoundSocket(other.socket, bound.address, other.receive_buffer_bytes, RING_BYTES, other.drops)


Row = tuple[bytes, str, int]


def read_rows(source: DatagramSource, until: Callable[[list[Row]], bool]) -> list[Row]:
    """Read until a condition comes true; gives payload, sender and time of arrival of each datagram."""
    rows: list[Row] = []
    given_up_s = time.monotonic() + BOUND_S
    while not until(rows):
        assert time.monotonic() < given_up_s, f"found {len(rows)} datagrams"
        batch = source.read()
        for n in range(len(batch)):
            sender = batch.endpoints[batch.source[n]].source if batch.source[n] >= 0 else str(batch.source[n])
            rows.append((batch.datagram(n), sender, int(batch.arrival_ns[n])))
        time.sleep(0 if len(batch) else 0.001)
    return rows


class Network:
    """A network that is nobody else's: what runs in it finds a loopback, and a card that frames can be put into."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self.run(self._make)

    def run(self, do: Callable[[], T]) -> T:
        """Do something in there; sockets that it opens belong there."""
        return self._thread.submit(do).result()

    def _make(self) -> None:
        if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        self._card = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self._card, _TUNSETIFF, struct.pack("16sH22x", b"card", _IFF_TAP | _IFF_NO_PI))
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as v4,
            socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as v6,
        ):
            fcntl.ioctl(v4, _SIOCSIFHWADDR, struct.pack("16sH14s8x", b"card", 1, MAC))
            Path("/proc/sys/net/ipv6/conf/card/accept_dad").write_text("0")
            for name in (b"lo", b"card"):
                fcntl.ioctl(v4, _SIOCSIFFLAGS, struct.pack("16sH22x", name, _IFF_UP))
            here = socket.inet_aton("10.0.2.20")
            fcntl.ioctl(v4, _SIOCSIFADDR, struct.pack("16sHH4s16x", b"card", socket.AF_INET, 0, here))
            there = socket.inet_pton(socket.AF_INET6, "2001:db8::2")
            fcntl.ioctl(v6, _SIOCSIFADDR, struct.pack("16sIi", there, 64, socket.if_nametoindex("card")))

    def carry_at_most(self, mtu_bytes: int) -> None:
        """Let the loopback carry no longer packets, so that datagrams become fragments."""

        def shrink() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as v4:
                fcntl.ioctl(v4, _SIOCSIFMTU, struct.pack("16si20x", b"lo", mtu_bytes))

        self.run(shrink)

    def put(self, frame: bytes) -> None:
        """Let a frame arrive at the card."""
        os.write(self._card, frame)

    def close(self) -> None:
        """Let it go."""
        os.close(self._card)
        self._thread.shutdown()
