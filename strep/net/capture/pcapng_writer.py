"""Write received datagrams as pcapng blocks (draft-ietf-opsawg-pcapng), many at a time, in one pass over columns.

What the socket did not show us is filled in: headers of raw IPv4 (without a UDP checksum, as RFC 768 allows) or IPv6,
with the address of the socket as the destination, which can be 0.0.0.0 or [::]. What came to an IPv6 socket is an IPv6
packet, from ::ffff:192.0.2.1 where it was IPv4. The scope of a link-local sender is in the third and fourth byte of its
address, where KAME has it.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from strep.net.address import UdpAddress
from strep.net.capture.dissect import IPV4_HEADER_BYTES, IPV6_HEADER_BYTES, UDP, UDP_HEADER_BYTES
from strep.net.capture.packets import LinkType
from strep.wire.batch import DatagramBatch, gather, windows

SECTION, INTERFACE, STATISTICS, ENHANCED = 0x0A0D0D0A, 1, 5, 6
OPTION_COMMENT: Final = 1
_OPTION_RESOLUTION: Final = 9
_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_UNKNOWN_LENGTH = -1
_NANOSECONDS = 9
_HOPS = 64
_TRAILER_BYTES = 4
_BLOCK: Final = [(name, "<u4") for name in ("kind", "size", "interface", "high", "low", "captured", "original")]
_UDP: Final = [("from_port", "S2"), ("to_port", ">u2"), ("udp_length", ">u2"), ("checksum", ">u2")]
_IPV4: Final = np.dtype(
    [
        *_BLOCK,
        ("first", ">u2"),
        ("total", ">u2"),
        ("place", ">u4"),
        ("hops", "u1"),
        ("protocol", "u1"),
        ("ip_checksum", ">u2"),
        ("from", ">u2", 2),
        ("to", ">u2", 2),
        *_UDP,
    ]
)
_IPV6: Final = np.dtype(
    [
        *_BLOCK,
        ("first", ">u4"),
        ("total", ">u2"),
        ("protocol", "u1"),
        ("hops", "u1"),
        ("from", ">u2", 8),
        ("to", ">u2", 8),
        *_UDP,
    ]
)
_FIRST_IPV4, _FIRST_IPV6 = 0x4500, 6 << 28
Words = NDArray[np.uint64]


def begin_section(comment: str) -> bytes:
    """Write a section header with a comment, and the only interface: raw IP, times in nanoseconds."""
    header = struct.pack("<IHHq", _BYTE_ORDER_MAGIC, 1, 0, _UNKNOWN_LENGTH)
    interface = struct.pack("<HHI", LinkType.RAW, 0, 0)
    return _block(SECTION, header + _option(OPTION_COMMENT, comment.encode())) + _block(
        INTERFACE, interface + _option(_OPTION_RESOLUTION, bytes([_NANOSECONDS]))
    )


def statistics(time_ns: int) -> bytes:
    """Write an interface statistics block that says no more than a time."""
    return _block(STATISTICS, struct.pack("<III", 0, time_ns >> 32, time_ns & 0xFFFF_FFFF))


def packet_blocks(batch: DatagramBatch, names: Words, to: UdpAddress) -> bytes:
    """Write the datagrams of a batch that came to one socket.

    names: uint64[n, 4], the senders' sockaddrs as the kernel fills them (strep.net.endpoints).
    """
    heads = _heads(batch, names.view(np.uint8).reshape(len(batch), -1), to)
    head_bytes = heads.dtype.itemsize
    head_rows = heads.view(np.uint8).reshape(len(batch), head_bytes)  # numpy copies structures field by field
    size = heads["size"].astype(np.int64)
    end = size.cumsum()
    out = np.zeros(int(end[-1]) + 8, np.uint8)
    for block_bytes in np.unique(size).tolist():
        rows = np.flatnonzero(size == block_bytes)
        blocks = np.zeros((len(rows), block_bytes), np.uint8)
        payload = blocks[:, head_bytes:-_TRAILER_BYTES]
        payload[:] = gather(batch.flat, batch.offset[rows], payload.shape[1])
        for back in range(1, min(4, payload.shape[1] + 1)):  # what lies behind a payload in the buffer is not its own
            payload[batch.length[rows] <= payload.shape[1] - back, -back] = 0
        if heads.dtype == _IPV6:
            _sum_up(heads, rows, payload)
        blocks[:, :head_bytes] = head_rows[rows]
        blocks[:, -_TRAILER_BYTES:] = np.frombuffer(struct.pack("<I", block_bytes), np.uint8)
        windows(out, block_bytes)[end[rows] - block_bytes] = blocks.view((np.void, block_bytes))[:, 0]
    return out[: end[-1]].tobytes()


def _heads(batch: DatagramBatch, names: NDArray[np.uint8], to: UdpAddress) -> NDArray[np.void]:
    """Fill in all that goes before the payloads, but for the checksums of IPv6."""
    address = ipaddress.ip_address(to.host).packed
    is_ipv6 = len(address) > 4
    heads = np.zeros(len(batch), _IPV6 if is_ipv6 else _IPV4)
    datagram = batch.length + UDP_HEADER_BYTES
    packet = datagram + (IPV6_HEADER_BYTES if is_ipv6 else IPV4_HEADER_BYTES)
    heads["kind"], heads["captured"], heads["original"] = ENHANCED, packet, packet
    heads["size"] = heads.dtype.itemsize + (batch.length + 3 & ~3) + _TRAILER_BYTES
    heads["high"], heads["low"] = batch.arrival_ns >> 32, batch.arrival_ns & 0xFFFF_FFFF
    heads["protocol"], heads["hops"] = UDP, _HOPS
    heads["first"] = _FIRST_IPV6 if is_ipv6 else _FIRST_IPV4
    heads["total"] = datagram if is_ipv6 else packet
    sender = names[:, 8:24].copy() if is_ipv6 else names[:, 4:8].copy()
    if is_ipv6:
        scoped = np.flatnonzero((sender[:, 0] == 0xFE) & (sender[:, 1] & 0xC0 == 0x80))
        sender[scoped, 2:4] = names[scoped, 24:28].view(np.uint32).astype(">u2").view(np.uint8).reshape(-1, 2)
    heads["from"], heads["to"] = sender.view(">u2"), np.frombuffer(address, ">u2")
    heads["from_port"], heads["to_port"] = names[:, 2:4].copy().view("S2")[:, 0], to.port
    heads["udp_length"] = datagram
    if not is_ipv6:
        ends = heads["from"].sum(axis=1, dtype=np.int64) + heads["to"].sum(axis=1, dtype=np.int64)
        heads["ip_checksum"] = _complement(ends + packet + (_FIRST_IPV4 + (_HOPS << 8) + UDP))
    return heads


def _sum_up(heads: NDArray[np.void], rows: NDArray[np.intp], payload: NDArray[np.uint8]) -> None:
    """Fill in the UDP checksums, which IPv6 demands (RFC 8200 section 8.1): payloads end in zeros that add nothing."""
    total = heads["from"][rows].sum(axis=1, dtype=np.int64) + heads["to"][rows].sum(axis=1, dtype=np.int64)
    total += 2 * heads["udp_length"][rows].astype(np.int64) + UDP + heads["to_port"][rows]
    total += np.ascontiguousarray(heads["from_port"][rows]).view(">u2")
    total += np.ascontiguousarray(payload).view(">u2").sum(axis=1, dtype=np.int64)
    checksum = _complement(total)
    heads["checksum"][rows] = np.where(checksum == 0, 0xFFFF, checksum)


def _complement(total: NDArray[np.int64]) -> NDArray[np.int64]:
    """Fold sums of 16-bit words into the internet checksum (RFC 1071)."""
    for _ in range(3):
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _option(code: int, value: bytes) -> bytes:
    """Write an option, and the end of options behind it."""
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4) + bytes(4)


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size
