"""Build packets and pcapng blocks byte by byte, for the quirks that PcapWriter never writes."""

import struct
from collections.abc import Sequence
from pathlib import Path

from strep.net.capture import CaptureReader, LinkType, PcapWriter, open_capture
from strep.net.capture.writer import ipv4_packet, link_header, udp_packet

A, B = "10.0.2.15:28102", "10.0.2.20:6000"
A6, B6 = "[2001:db8::1]:28102", "[2001:db8::2]:6000"
T0_NS = 1_700_000_000_123_456_789
UDP, TCP, ICMP, ICMPV6 = 17, 6, 1, 58


def ethernet(packet: bytes) -> bytes:
    return link_header(LinkType.ETHERNET, packet[0] >> 4) + packet


def capture_of(path: Path, packets: Sequence[bytes], link_type: int = LinkType.ETHERNET) -> CaptureReader:
    """Write whole packets, a millisecond apart, and open them."""
    with PcapWriter(path, link_type) as writer:
        for row, packet in enumerate(packets):
            writer.write_packet(T0_NS + row * 1_000_000, packet)
    return open_capture(path)


def payloads(reader: CaptureReader) -> list[bytes]:
    return [batch.datagram(row) for batch in reader.batches() for row in range(len(batch))]


def fates(reader: CaptureReader) -> dict[str, int]:
    """List the fates that occurred, having made sure that they add up."""
    by_fate = reader.counts.by_fate()
    assert sum(by_fate.values()) == reader.counts.packets
    assert by_fate["datagram"] == len(reader)
    return {name: count for name, count in by_fate.items() if count}


def ipv4_fragments(payload: bytes, size: int, identification: int = 7, source: str = A) -> list[bytes]:
    """Send a datagram the way a host does whose link carries `size` bytes of IP payload, a multiple of eight."""
    packet = udp_packet(source, B, payload)
    ends, datagram = packet[12:20], packet[20:]
    starts = range(0, len(datagram), size)
    return [
        ipv4_packet(
            ends, datagram[start : start + size], identification, start // 8 | (start + size < len(datagram)) << 13
        )
        for start in starts
    ]


def ipv6_fragments(payload: bytes, size: int, identification: int = 7) -> list[bytes]:
    packet = udp_packet(A6, B6, payload)
    datagram = packet[40:]
    return [
        ipv6_with(
            packet,
            [(44, struct.pack(">BBHI", UDP, 0, start | (start + size < len(datagram)), identification))],
            datagram[start : start + size],
        )
        for start in range(0, len(datagram), size)
    ]


def ipv6_with(packet: bytes, extensions: Sequence[tuple[int, bytes]], payload: bytes | None = None) -> bytes:
    """Put extension headers (kind, bytes; each naming the next in its first byte) into an IPv6 packet."""
    behind = b"".join(body for _, body in extensions) + (packet[40:] if payload is None else payload)
    following = extensions[0][0] if extensions else packet[6]
    return packet[:4] + struct.pack(">HB", len(behind), following) + packet[7:40] + behind


def with_protocol(packet: bytes, protocol: int) -> bytes:
    """Say that an IP packet carries something else."""
    at = 9 if packet[0] >> 4 == 4 else 6
    return packet[:at] + bytes((protocol,)) + packet[at + 1 :]


def block(order: str, kind: int, body: bytes) -> bytes:
    padded = body + bytes(-len(body) % 4)
    length = struct.pack(order + "I", 12 + len(padded))
    return struct.pack(order + "I", kind) + length + padded + length


def section(order: str = "<") -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def interface(order: str = "<", link_type: int = 1, snap: int = 0, options: bytes = b"") -> bytes:
    return block(order, 1, struct.pack(order + "HHI", link_type, 0, snap) + options)


def enhanced(packet: bytes, ticks: int, number: int = 0, order: str = "<", captured: int | None = None) -> bytes:
    length = len(packet) if captured is None else captured
    fields = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, length, len(packet))
    return block(order, 6, fields + packet)


def obsolete(packet: bytes, ticks: int, number: int = 0, drops: int = 3, order: str = "<") -> bytes:
    fields = struct.pack(order + "HHIIII", number, drops, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet))
    return block(order, 2, fields + packet)


def simple(packet: bytes, original: int | None = None, order: str = "<") -> bytes:
    return block(order, 3, struct.pack(order + "I", len(packet) if original is None else original) + packet)
