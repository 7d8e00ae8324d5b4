"""Walk through the blocks of a packet ring (TPACKET_V3), and describe the datagrams in them by columns.

These are rules (strep.compiler): the walk costs 20 ns a datagram compiled, and 20 µs as it stands, until it is.

A frame is what the kernel would check before a socket has it, and the filter (strep.net.ring_filter) did not:

1. Lengths fit into each other: those of IP and UDP, and what was captured (RFC 791, 768, 8200).
2. The checksum of the IPv4 header is right; that of UDP, too, unless the kernel says that it is, or that it never left
   this machine and has none yet. An IPv4 sender may leave it out. What is wrong is counted, and left out.
3. A super-packet is cut at the size that the kernel says (strep.net.segments).
4. Fragments and IPv6 packets with extension headers become rows all the same, of the whole IP packet, and are listed:
   whoever called looks at them one by one (strep.net.ring_rare). So a walk ends when the list is full.
"""

from __future__ import annotations

import socket
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.compiler import rule

#: What the kernel writes before a frame (struct virtio_net_hdr), see PACKET_VNET_HDR.
VNET_BYTES = 10
#: IP packets of a walk that are not plain ones. Each may become one datagram of 64 KiB.
MOST_RARE = 16
#: Where things lie in a block (struct tpacket_block_desc), in bytes.
BLOCK_STATUS, BLOCK_PACKETS, BLOCK_FIRST, BLOCK_OPENED = 8, 12, 16, 32
#: And in a packet (struct tpacket3_hdr, and the sockaddr_ll behind it).
_NEXT, _SECOND, _NANOSECOND, _CAPTURED, _STATUS, _PLACES, _INTERFACE = 0, 4, 8, 12, 20, 24, 52
#: Bits of a packet's status: nobody has computed its checksum yet; it is known to be right.
_NO_CHECKSUM_YET, _CHECKSUM_RIGHT = 1 << 3, 1 << 7
_GSO_UDP_L4 = 5
_UDP, _UDP_BYTES, _IPV4_BYTES, _IPV6_BYTES = 17, 8, 20, 40
_AF_INET, _AF_INET6 = int(socket.AF_INET), int(socket.AF_INET6)
_SECOND_NS = 1_000_000_000
#: What `_find_udp` says in place of where UDP begins.
_BAD, _RARE = -1, -2

#: Where a walk is. Whoever opens the ring writes the first two.
STATE = np.dtype(
    [
        ("blocks", "i8"),
        ("block_bytes", "i8"),
        ("next_block", "i8"),  # the next one to begin with, counted on for ever
        ("left", "i8"),  # packets of the block before that are still to be walked through
        ("at", "i8"),  # where the first of them lies
        ("cut", "i8"),  # how many bytes of its payload have become datagrams
        ("bad", "i8"),  # frames that no socket would have got, so far
        ("rare", "i8"),  # of this walk, how many rows are listed
    ],
    align=True,
)


class Ring(NamedTuple):
    """What a walk reads and writes.

    flat: uint8, the ring, and words: uint32, the same. state: one record of STATE.
    offset, length, arrival_ns: int64[n], and names: uint64[n, 1] for IPv4 or uint64[n, 4] for IPv6 (as a sockaddr, see
    strep.net.endpoints): a row for each datagram.
    rare: int64[MOST_RARE, 2], the rows that are whole IP packets, and whether the checksums in them say something.
    """

    flat: NDArray[np.uint8]
    words: NDArray[np.uint32]
    state: Any
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    arrival_ns: NDArray[np.int64]
    names: NDArray[np.uint64]
    rare: NDArray[np.int64]


@rule
def walk(ring: Ring, blocks: int, limit: int) -> int:
    """Describe up to `limit` datagrams of the next `blocks` blocks; gives how many there are."""
    state = ring.state[0]
    n, opened = 0, 0
    state.rare = 0
    while n < limit and state.rare < MOST_RARE:
        if state.left > 0:
            n = _describe(ring, n, limit)
        elif opened < blocks:
            begin = state.next_block % state.blocks * state.block_bytes
            state.left = _word(ring.words, begin + BLOCK_PACKETS)
            state.at = begin + _word(ring.words, begin + BLOCK_FIRST)
            state.next_block += 1
            opened += 1
        else:
            break
    return n


@rule
def _describe(ring: Ring, n: int, limit: int) -> int:
    """Describe the datagrams of one frame from row n on; gives the row behind them."""
    state = ring.state[0]
    at = state.at
    places = _word(ring.words, at + _PLACES)
    frame, ip = at + (places & 0xFFFF), at + (places >> 16)
    end = frame + _word(ring.words, at + _CAPTURED)
    is_ipv6 = ring.names.shape[1] > 1
    begin = _find_udp_of_ipv6(ring.flat, ip, end) if is_ipv6 else _find_udp_of_ipv4(ring.flat, ip, end)
    if begin == _RARE:
        ring.rare[state.rare, 0] = n
        ring.rare[state.rare, 1] = int(_word(ring.words, at + _STATUS) & (_NO_CHECKSUM_YET | _CHECKSUM_RIGHT) == 0)
        state.rare += 1
        begin, size, step = ip, end - ip, end - ip
    elif begin != _BAD:
        size, step = _u16(ring.flat, begin + 4) - _UDP_BYTES, _segment_bytes(ring.flat, frame - VNET_BYTES)
        if _word(ring.words, at + _STATUS) & (_NO_CHECKSUM_YET | _CHECKSUM_RIGHT) == 0:
            begin = _verified(ring.flat, ip, begin, is_ipv6)
    if begin == _BAD:
        state.bad += 1
        state.at, state.left = at + _word(ring.words, at + _NEXT), state.left - 1
        return n
    if begin == ip:
        port = 0
    else:
        port = _wide(ring.flat[begin]) << 16 | _wide(ring.flat[begin + 1]) << 24
        begin += _UDP_BYTES
    arrival_ns = _word(ring.words, at + _SECOND) * _SECOND_NS + _word(ring.words, at + _NANOSECOND)
    while n < limit:
        piece = size - state.cut
        if 0 < step < piece:
            piece = step
        ring.offset[n], ring.length[n], ring.arrival_ns[n] = begin + state.cut, piece, arrival_ns
        if is_ipv6:
            _name_ipv6(ring, n, ip, port, _word(ring.words, at + _INTERFACE))
        else:
            ring.names[n, 0] = np.uint64(_AF_INET | port) | _little(ring.flat, ip + 12, 4) << np.uint64(32)
        n += 1
        state.cut += piece
        if state.cut >= size:
            state.cut = 0
            state.at, state.left = at + _word(ring.words, at + _NEXT), state.left - 1
            return n
    return n


@rule
def _name_ipv6(ring: Ring, n: int, ip: int, port: int, interface: int) -> None:
    """Write a sender as the kernel does: a link-local one has the number of its interface (RFC 4007)."""
    ring.names[n, 0] = np.uint64(_AF_INET6 | port)
    ring.names[n, 1] = _little(ring.flat, ip + 8, 8)
    ring.names[n, 2] = _little(ring.flat, ip + 16, 8)
    is_link_local = _u16(ring.flat, ip + 8) & 0xFFC0 == 0xFE80
    ring.names[n, 3] = np.uint64(interface if is_link_local else 0)


@rule
def _find_udp_of_ipv4(flat: NDArray[np.uint8], ip: int, end: int) -> int:
    if ip + _IPV4_BYTES > end or flat[ip] >> 4 != 4:
        return _BAD
    header, size = (_wide(flat[ip]) & 15) * 4, _u16(flat, ip + 2)
    if header < _IPV4_BYTES or size < header + _UDP_BYTES or ip + size > end:
        return _BAD
    if _summed(flat, ip, ip + header, 0) != 0xFFFF:
        return _BAD
    if _u16(flat, ip + 6) & 0x3FFF:  # "more fragments", or an offset
        return _RARE
    return _fitting(flat, ip + header, ip + size)


@rule
def _find_udp_of_ipv6(flat: NDArray[np.uint8], ip: int, end: int) -> int:
    if ip + _IPV6_BYTES + _UDP_BYTES > end or flat[ip] >> 4 != 6:
        return _BAD
    behind = ip + _IPV6_BYTES + _u16(flat, ip + 4)
    if behind > end:
        return _BAD
    return _fitting(flat, ip + _IPV6_BYTES, behind) if flat[ip + 6] == _UDP else _RARE


@rule
def _fitting(flat: NDArray[np.uint8], udp: int, end: int) -> int:
    """Give where UDP begins if its length can be."""
    if udp + _UDP_BYTES > end:
        return _BAD
    size = _u16(flat, udp + 4)
    return udp if _UDP_BYTES <= size <= end - udp else _BAD


@rule
def _verified(flat: NDArray[np.uint8], ip: int, udp: int, is_ipv6: bool) -> int:
    """Give where UDP begins if its checksum is right. Without one, only IPv4 comes through (RFC 8200 section 8.1)."""
    if _u16(flat, udp + 6) == 0:
        return _BAD if is_ipv6 else udp
    size = _u16(flat, udp + 4)
    addresses, addresses_end = (ip + 8, ip + 40) if is_ipv6 else (ip + 12, ip + 20)
    total = _summed(flat, addresses, addresses_end, _UDP + size)
    return udp if _summed(flat, udp, udp + size, total) == 0xFFFF else _BAD


@rule
def _summed(flat: NDArray[np.uint8], begin: int, end: int, total: int) -> int:
    """Add bytes to a sum of 16 bits in ones' complement (RFC 1071)."""
    even_end = end - ((end - begin) & 1)
    for k in range(begin, even_end, 2):
        total += _u16(flat, k)
    if even_end < end:
        total += _wide(flat[even_end]) << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@rule
def _segment_bytes(flat: NDArray[np.uint8], vnet: int) -> int:
    """Give the length of the datagrams in a super-packet (gso_type, gso_size of virtio_net_hdr), 0 for one datagram."""
    return _wide(flat[vnet + 4]) | _wide(flat[vnet + 5]) << 8 if flat[vnet + 1] & 0x7F == _GSO_UDP_L4 else 0


@rule
def _word(words: NDArray[np.uint32], at: int) -> int:
    return np.int64(words[at >> 2])  # type: ignore[return-value] # Python's own int here


@rule
def _wide(byte: np.uint8) -> int:
    return np.int64(byte)  # type: ignore[return-value]


@rule
def _u16(flat: NDArray[np.uint8], at: int) -> int:
    return _wide(flat[at]) << 8 | _wide(flat[at + 1])


@rule
def _little(flat: NDArray[np.uint8], at: int, size: int) -> np.uint64:
    """Read bytes as a number, the least significant one first: as they lie in memory."""
    number = np.uint64(0)
    for k in range(size):
        number |= np.uint64(flat[at + k]) << np.uint64(8 * k)
    return number
