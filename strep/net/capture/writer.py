"""Write UDP datagrams into a classic pcap file, for tests, for replaying, and for other programs to read."""

from __future__ import annotations

import ipaddress
import struct
from functools import lru_cache
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from strep.errors import CaptureFileError, ConfigError
from strep.net.address import UdpAddress
from strep.net.capture.dissect import IPV4_HEADER_BYTES, UDP, UDP_HEADER_BYTES
from strep.net.capture.packets import LinkType
from strep.net.capture.pcap import LONGEST_RECORD_BYTES

_MAGIC_MICROSECONDS, _MAGIC_NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
_LATEST_SECOND: Final = 2**32 - 1
_HOPS: Final = 64
_LARGEST_LENGTH: Final = 65_535
_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


class PcapWriter:
    """A writer that writes little-endian pcap files; a context manager that closes the file.

    link_type: any LinkType. nanosecond: False for the older microsecond form. Raises CaptureFileError when the file
    cannot be written.
    """

    def __init__(
        self, path: str | PathLike[str], link_type: LinkType = LinkType.ETHERNET, nanosecond: bool = True
    ) -> None:
        self._link_type = link_type
        self._fraction_ns = 1 if nanosecond else 1000
        self._identification = 0
        magic = _MAGIC_NANOSECONDS if nanosecond else _MAGIC_MICROSECONDS
        try:
            self._file = Path(path).open("wb")  # noqa: SIM115  (this class is the context manager)
        except OSError as error:
            raise CaptureFileError(f"{path}: expected a file to write to, found: {error.strerror}") from None
        self._file.write(struct.pack("<IHHiIII", magic, 2, 4, 0, 0, LONGEST_RECORD_BYTES, link_type))

    def write(self, arrival_ns: int, source: str, destination: str, payload: bytes) -> None:
        """Write one datagram from `ip:port` to `ip:port`, an IPv6 address in brackets, at nanoseconds since 1970.

        Raises ConfigError when an address, the time or the length is none that the format can hold.
        """
        packet = udp_packet(source, destination, payload, self._identification)
        self._identification = self._identification + 1 & 0xFFFF
        self.write_packet(arrival_ns, link_header(self._link_type, packet[0] >> 4) + packet)

    def write_packet(self, arrival_ns: int, packet: bytes, original_bytes: int | None = None) -> None:
        """Write any packet, link header and all; `original_bytes` is its length before it was cut, if it was."""
        seconds, fraction_ns = divmod(arrival_ns, 1_000_000_000)
        if not 0 <= seconds <= _LATEST_SECOND:
            raise ConfigError(f"expected a time of 1970 to 2106 in nanoseconds, found {arrival_ns}")
        length = len(packet) if original_bytes is None else original_bytes
        self._file.write(struct.pack("<IIII", seconds, fraction_ns // self._fraction_ns, len(packet), length))
        self._file.write(packet)

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def udp_packet(source: str, destination: str, payload: bytes, identification: int = 0) -> bytes:
    """Build an IPv4 or IPv6 packet with a UDP datagram in it, checksums filled in (RFC 768, 791, 8200).

    Raises ConfigError when an address is none, the two are of different versions, or the payload is too long.
    """
    (from_ip, from_port), (to_ip, to_port) = _endpoint(source), _endpoint(destination)
    if from_ip.version != to_ip.version:
        raise ConfigError(f"expected two addresses of one IP version, found {source} and {destination}")
    length = UDP_HEADER_BYTES + len(payload)
    largest = _LARGEST_LENGTH - (IPV4_HEADER_BYTES if from_ip.version == 4 else 0)
    if length > largest:
        raise ConfigError(f"expected a payload of up to {largest - UDP_HEADER_BYTES} bytes, found {len(payload)}")
    ends = from_ip.packed + to_ip.packed
    ports_and_length = struct.pack(">HHH", from_port, to_port, length)
    # The pseudo header: addresses, protocol and length are summed up with the datagram. 0 would say "no checksum".
    checksum = _checksum(ends + struct.pack(">HH", UDP, length) + ports_and_length + payload) or 0xFFFF
    datagram = ports_and_length + struct.pack(">H", checksum) + payload
    if from_ip.version == 6:
        return struct.pack(">IHBB", 6 << 28, length, UDP, _HOPS) + ends + datagram
    return ipv4_packet(ends, datagram, identification)


def ipv4_packet(ends: bytes, payload: bytes, identification: int = 0, place: int = 0) -> bytes:
    """Put an IPv4 header of 20 bytes in front of UDP, or of the fragment of it that `place` (flags, offset) names.

    ends: source and destination address, 8 bytes.
    """
    total = IPV4_HEADER_BYTES + len(payload)
    before = struct.pack(">BBHHHBB", 0x45, 0, total, identification, place, _HOPS, UDP)
    return before + struct.pack(">H", _checksum(before + ends)) + ends + payload


def link_header(link_type: LinkType, version: int) -> bytes:
    """Build what goes before an IP packet of the given version on such a link."""
    ethertype = struct.pack(">H", 0x0800 if version == 4 else 0x86DD)
    family = 2 if version == 4 else 10
    # Addresses that are locally administered, so that they are nobody's.
    mac_addresses = bytes((2, 0, 0, 0, 0, 2)) + bytes((2, 0, 0, 0, 0, 1))
    headers = {
        LinkType.ETHERNET: mac_addresses + ethertype,
        LinkType.LINUX_SLL: struct.pack(">HHH8s", 0, 1, 6, mac_addresses[6:]) + ethertype,
        LinkType.LINUX_SLL2: ethertype + struct.pack(">HIHBB8s", 0, 1, 1, 0, 6, mac_addresses[6:]),
        LinkType.NULL: struct.pack("<I", family),
        LinkType.LOOP: struct.pack(">I", family),
    }
    return headers.get(link_type, b"")


@lru_cache(maxsize=1024)
def _endpoint(text: str) -> tuple[_Ip, int]:
    address = UdpAddress.parse(f"udp:{text}")
    return ipaddress.ip_address(address.host), address.port


def _checksum(data: bytes) -> int:
    """Compute the internet checksum (RFC 1071): adding with end-around carry is counting modulo 65,535."""
    return -int.from_bytes(data + bytes(len(data) % 2)) % 0xFFFF
