"""Open a packet ring (Linux packet(7), TPACKET_V3): the kernel writes frames into blocks of memory that is ours, too.

1. The kernel fills a block and closes it when it is full, or RETIRE_MS after the timer found something in it. Only a
   closed block is read; it is the kernel's again when we say so.
2. A frame is handed over where the protocol would be: each once, after VLAN tags are taken off, on the interface that
   the machine sees it on (behind a bridge or a bond), and not when it goes out.
3. When no block is free, frames are dropped, and counted.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import re
import socket
import struct
import sys
import weakref
from collections.abc import Sequence

import numpy as np

from strep.net.bpf import SO_ATTACH_FILTER, Instruction, attach
from strep.net.ring_walk import BLOCK_OPENED, BLOCK_PACKETS, BLOCK_STATUS

#: A block holds the longest super-packet, and 400 ordinary datagrams of 196 bytes, each with 108 bytes before it.
BLOCK_BYTES = 128 << 10
LEAST_BLOCKS = 32
#: After how long a block that is not full is closed: what the receiver adds to the latency, at most twice. One tick of
#: a kernel that has 250 a second: less would be rounded up to that. A ring of 1,024 blocks then bears a stall of 4 s
#: from whoever reads it, however little arrives.
RETIRE_MS = 4
#: Before, the kernel drops super-packets where a ring asks for PACKET_VNET_HDR (virtio_net_hdr_from_skb).
LEAST_LINUX = (6, 2)

# linux/if_packet.h, linux/if_ether.h; Python's socket module does not name them.
_SOL_PACKET = 263
_PACKET_RX_RING, _PACKET_STATISTICS, _PACKET_VERSION, _PACKET_VNET_HDR = 5, 6, 10, 15
_TPACKET_V3 = 2
_PROTOCOLS = {socket.AF_INET: 0x0800, socket.AF_INET6: 0x86DD}
_STATISTICS = struct.Struct("=III")
_IS_OURS = 1
#: The kernel wants to know a size of frames, though blocks hold them as they come.
_FRAME_BYTES = 2048
_SECOND_NS = 1_000_000_000
_MAP_FAILED = ctypes.c_void_p(-1).value


def is_supported() -> bool:
    """Tell whether this system has such rings; whether we may open one is known when we do."""
    if sys.platform != "linux" or sys.byteorder != "little" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    version = re.match(r"(\d+)\.(\d+)", platform.release())
    return version is not None and tuple(map(int, version.groups())) >= LEAST_LINUX


def may_open() -> bool:
    """Tell whether this user may open a socket of frames here."""
    if not is_supported():
        return False
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except OSError:
        return False
    return True


class Memory:
    """Memory of the kernel's ring with memory of our own behind it, which stays as long as an array refers to it."""

    def __init__(self, descriptor: int, ring_bytes: int, more_bytes: int) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
        libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
        both, access = ring_bytes + more_bytes, mmap.PROT_READ | mmap.PROT_WRITE
        address = libc.mmap(None, both, access, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
        if address in (None, _MAP_FAILED):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        weakref.finalize(self, libc.munmap, address, both)
        fixed = 0x10  # MAP_FIXED: in place of what was taken above
        if libc.mmap(address, ring_bytes, access, mmap.MAP_SHARED | fixed, descriptor, 0) != address:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self.__array_interface__ = {"version": 3, "data": (address, False), "shape": (both,), "typestr": "|u1"}


def _open(family: socket.AddressFamily, interface: str) -> socket.socket:
    """Open a socket of frames. On all interfaces ("") it hears at once, until there is a ring what nobody looks at."""
    heard_at_once = 0 if interface else socket.htons(_PROTOCOLS[family])
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, heard_at_once)


def _listen(sock: socket.socket, family: socket.AddressFamily, interface: str) -> None:
    if interface:
        sock.bind((interface, _PROTOCOLS[family]))


class FrameCounter:
    """A socket of frames that nobody reads: `count`, so far, what its program keeps. Raises OSError."""

    def __init__(self, family: socket.AddressFamily, interface: str, program: Sequence[Instruction]) -> None:
        self.count = 0
        self.socket = _open(family, interface)
        try:
            attach(self.socket, SO_ATTACH_FILTER, program)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # soon full: the rest is only counted
            self.socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
            _listen(self.socket, family, interface)
        except BaseException:
            self.socket.close()
            raise

    def update(self) -> None:
        """Ask the kernel how many there were since it was asked last."""
        raw = self.socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
        self.count += int.from_bytes(raw[:4], sys.byteorder)


class PacketRing:
    """A socket of frames and its ring.

    flat: uint8, the ring and `more_bytes` of our own behind it; words: uint32, the same. drops: what found no free
    block, so far. Raises OSError when the system refuses.
    """

    def __init__(
        self,
        family: socket.AddressFamily,
        interface: str,
        program: Sequence[Instruction],
        ring_bytes: int,
        more_bytes: int,
    ) -> None:
        self.blocks, self.drops = max(LEAST_BLOCKS, ring_bytes // BLOCK_BYTES), 0
        self.socket = _open(family, interface)
        try:
            attach(self.socket, SO_ATTACH_FILTER, program)
            for option, value in ((_PACKET_VERSION, _TPACKET_V3), (_PACKET_VNET_HDR, 1)):
                self.socket.setsockopt(_SOL_PACKET, option, value)
            frames = self.blocks * (BLOCK_BYTES // _FRAME_BYTES)
            request = struct.pack("7I", BLOCK_BYTES, self.blocks, _FRAME_BYTES, frames, RETIRE_MS, 0, 0)
            self.socket.setsockopt(_SOL_PACKET, _PACKET_RX_RING, request)
            memory = Memory(self.socket.fileno(), self.blocks * BLOCK_BYTES, more_bytes)
            self.flat = np.asarray(memory)
            _listen(self.socket, family, interface)
            self.update()
        except BaseException:
            self.socket.close()
            raise
        self.drops = 0
        self.words = self.flat.view(np.uint32)
        self._headers = self.words[: self.blocks * BLOCK_BYTES // 4].reshape(self.blocks, -1)

    def closed(self, first: int, most: int) -> int:
        """Count the blocks that were closed, from one on, `most` at most: in order, so it takes a few looks."""
        status = self._headers[:, BLOCK_STATUS // 4]
        low, high = 0, most
        while low < high:
            middle = (low + high) // 2
            if status[(first + middle) % self.blocks] & _IS_OURS:
                low = middle + 1
            else:
                high = middle
        return low

    def give_back(self, first: int, count: int) -> None:
        """Give blocks back to the kernel; without a count of packets, or that would look like the next ones'."""
        for number in range(first, first + count):
            header = self._headers[number % self.blocks]
            header[BLOCK_PACKETS // 4] = 0
            header[BLOCK_STATUS // 4] = 0

    def opened_ns(self, block: int) -> int | None:
        """Tell when the kernel began with a block; None when there is nothing in it.

        All that the kernel wrote before is in blocks before.
        """
        header = self._headers[block]
        if not header[BLOCK_PACKETS // 4]:
            return None
        second, nanosecond = header[BLOCK_OPENED // 4 : BLOCK_OPENED // 4 + 2].tolist()
        return int(second) * _SECOND_NS + int(nanosecond)

    def update(self) -> None:
        """Ask the kernel what it dropped since it was asked last."""
        raw = self.socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
        self.drops += _STATISTICS.unpack(raw)[1]

    def take_error(self) -> bool:
        """Tell whether the network put an error on the socket, and take it away."""
        return self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
