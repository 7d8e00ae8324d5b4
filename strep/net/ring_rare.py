"""Find the datagrams in IP packets that a packet ring's walk leaves aside: fragments, and IPv6 with extension headers.

They are rare where audio goes by, so they are taken apart one by one, as those of capture files are. The parts of a
datagram lie in blocks that go back to the kernel before the last part has come, and so they are copied.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from strep.net.capture.dissect import IPV4, UDP, UDP_HEADER_BYTES, Datagram, Fragment, dissect
from strep.net.capture.fragments import Reassembly, WholeDatagram
from strep.net.capture.packets import LinkType

#: No IP packet is longer than that: so far apart lie the packets that parts are kept in.
_PLACE_BITS = 17
_PLACE_MASK = (1 << _PLACE_BITS) - 1
#: Parts that are kept, in bytes: 256 datagrams of 64 KiB, which is how many may wait (strep.net.capture.fragments).
MOST_KEPT_BYTES = 16 << 20
_VERSION_AT = 39


@dataclass(frozen=True, slots=True)
class Found:
    """A datagram that came in such packets: payload, and where it was sent from. source: 4 or 16 bytes."""

    payload: bytes
    source: bytes
    source_port: int
    is_damaged: bool


class KeptParts:
    """Copies of packets, as if they lay in one file; beyond MOST_KEPT_BYTES, the oldest read as nothing."""

    def __init__(self) -> None:
        self._packets: OrderedDict[int, bytes] = OrderedDict()
        self._next = self._bytes = 0

    def keep(self, packet: bytes) -> int:
        """Keep a packet; gives where its first byte lies."""
        number, self._next = self._next, self._next + 1
        self._packets[number] = packet
        self._bytes += len(packet)
        while self._bytes > MOST_KEPT_BYTES:
            self._bytes -= len(self._packets.popitem(last=False)[1])
        return number << _PLACE_BITS

    def __getitem__(self, place: slice) -> bytes:
        packet = self._packets.get(place.start >> _PLACE_BITS, b"")
        begin = place.start & _PLACE_MASK
        return packet[begin : begin + place.stop - place.start]

    def let_go(self) -> None:
        """Let go of everything."""
        self._packets.clear()
        self._bytes = 0


class RarePackets:
    """A look at IP packets one by one, which gives the datagrams for one port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._parts = KeptParts()
        self._reassembly = Reassembly(self._parts)

    def take(self, packet: bytes, arrival_ns: int, *, has_checksum: bool) -> Found | None:
        """Take a packet; gives the datagram in it, or that it makes whole."""
        what = dissect(memoryview(packet), LinkType.RAW, 0, len(packet))
        if isinstance(what, Datagram):
            begin = what.offset - UDP_HEADER_BYTES
            udp = packet[begin : what.offset + what.length]
            return self._found(udp, what.flow, has_checksum=has_checksum)
        if not isinstance(what, Fragment):
            return None
        at = self._parts.keep(packet)
        part = Fragment(what.key, at + what.start, at + what.end, what.offset, what.last)
        whole = self._reassembly.add(part, arrival_ns)
        if not isinstance(whole, WholeDatagram):
            return None
        udp = whole.read_all(self._parts)
        if self._reassembly.is_empty:
            self._parts.let_go()
        return self._found(udp, whole.flow, has_checksum=True)

    def _found(self, udp: bytes, flow: bytes, *, has_checksum: bool) -> Found | None:
        if len(udp) < UDP_HEADER_BYTES or int.from_bytes(udp[2:4], "big") != self._port:
            return None
        address_bytes = 4 if flow[_VERSION_AT] == IPV4 else 16
        source, destination = flow[:address_bytes], flow[16 : 16 + address_bytes]
        is_short = len(udp) < int.from_bytes(udp[4:6], "big")  # a part of it had to make room for others'
        is_damaged = is_short or (has_checksum and not is_right(udp, source, destination))
        return Found(udp[UDP_HEADER_BYTES:], source, int.from_bytes(udp[:2], "big"), is_damaged)


def is_right(udp: bytes, source: bytes, destination: bytes) -> bool:
    """Tell whether a UDP datagram's checksum is right, or it has none, as only IPv4 may (RFC 768, 8200)."""
    if udp[6:8] == b"\0\0":
        return len(source) == 4
    summed = source + destination + UDP.to_bytes(2, "big") + len(udp).to_bytes(2, "big") + udp
    words = np.frombuffer(summed + bytes(len(summed) % 2), ">u2")
    return int(words.sum(dtype=np.int64)) % 0xFFFF == 0
