"""Take one captured packet apart, layer by layer, down to the UDP datagram in it.

This is the whole truth, in scalar form; `strep.net.capture.columns` does the common cases of it column by column.

    link layer   LinkType; up to MOST_VLAN_TAGS tags behind an EtherType (802.1Q, 802.1ad)
    IPv4         options skipped; fragments told apart (RFC 791)
    IPv6         extension headers skipped; fragments told apart (RFC 8200 section 4)
    UDP          its own length counts, not that of the packet around it (RFC 768); checksums are not looked at, for a
                 capture on the sending machine sees them before the network card has filled them in
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strep.net.capture.packets import NO_INTERFACE, LinkType, PacketFate

IPV4, IPV6 = 4, 6
ETHERTYPES: Final = {0x0800: IPV4, 0x86DD: IPV6}
#: 802.1Q, 802.1ad, and what QinQ was before that.
VLAN_TAGS: Final = (0x8100, 0x88A8, 0x9100)
#: Two are what networks use; more would be a loop of tags made to keep us busy.
MOST_VLAN_TAGS: Final = 4
#: Link types with an EtherType: length of the header, and where in it the EtherType lies.
ETHERTYPE_AT: Final = {LinkType.ETHERNET: (14, 12), LinkType.LINUX_SLL: (16, 14), LinkType.LINUX_SLL2: (20, 0)}
#: Link types with an address family of four bytes. AF_INET is 2 everywhere; AF_INET6 is 10 on Linux, 24 on NetBSD
#: and OpenBSD, 28 on FreeBSD, 30 on macOS.
FAMILY_LINKS: Final = (LinkType.NULL, LinkType.LOOP)
FAMILIES: Final = {2: IPV4, 10: IPV6, 24: IPV6, 28: IPV6, 30: IPV6}
FAMILY_BYTES: Final = 4
#: Link types without a header: the version that they promise, 0 for either.
RAW_LINKS: Final = {
    LinkType.RAW: 0,
    LinkType.RAW_BSD: 0,
    LinkType.RAW_OPENBSD: 0,
    LinkType.IPV4: IPV4,
    LinkType.IPV6: IPV6,
}

UDP: Final = 17
UDP_HEADER_BYTES: Final = 8
IPV4_HEADER_BYTES: Final = 20
IPV6_HEADER_BYTES: Final = 40
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION = 0, 43, 44, 51, 60
#: Extension headers whose second byte is their length in units of eight, less one (RFC 8200, 6275, 7401, 5533).
_EXTENSIONS: Final = (_HOP_BY_HOP, _ROUTING, _DESTINATION, 135, 139, 140)

FLOW_KEY_BYTES: Final = 40


def flow_key(version: int, source: bytes, destination: bytes, ports: bytes) -> bytes:
    """Name a flow in FLOW_KEY_BYTES: both addresses in 16 bytes each, both ports as on the wire, the IP version."""
    return source.ljust(16, b"\0") + destination.ljust(16, b"\0") + ports + bytes((0, 0, 0, version))


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a UDP datagram, still with its UDP header in the first.

    key: names the datagram. start, end: where the part lies in the file. offset: where it belongs in the datagram, in
    bytes. last: whether no part comes behind it.
    """

    key: tuple[int, bytes, bytes, int]
    start: int
    end: int
    offset: int
    last: bool

    def flow(self, ports: bytes) -> bytes:
        """Name the flow, given the two ports that only the first part knows."""
        version, source, destination, _ = self.key
        return flow_key(version, source, destination, ports)


@dataclass(frozen=True, slots=True)
class Datagram:
    """Where the payload of a UDP datagram lies, and the flow it belongs to (see flow_key)."""

    offset: int
    length: int
    flow: bytes


Dissected = Datagram | Fragment | PacketFate


def dissect(data: memoryview, link_type: int, start: int, end: int) -> Dissected:
    """Find the UDP datagram, or the part of one, in the packet at data[start:end]; or say why there is none."""
    if link_type == NO_INTERFACE:
        return PacketFate.NO_INTERFACE
    if link_type in ETHERTYPE_AT:
        return _ethertype_link(data, *ETHERTYPE_AT[LinkType(link_type)], start, end)
    if link_type in FAMILY_LINKS:
        return _family_link(data, start, end)
    if link_type not in RAW_LINKS:
        return PacketFate.UNSUPPORTED_LINK
    if start == end:
        return PacketFate.CUT
    return _ip(data, RAW_LINKS[LinkType(link_type)] or data[start] >> 4, start, end)


def _ethertype_link(data: memoryview, header_bytes: int, protocol_at: int, start: int, end: int) -> Dissected:
    ip = start + header_bytes
    if ip > end:
        return PacketFate.CUT
    protocol = _u16(data, start + protocol_at)
    for _ in range(MOST_VLAN_TAGS):
        if protocol not in VLAN_TAGS:
            break
        if ip + 4 > end:
            return PacketFate.CUT
        protocol, ip = _u16(data, ip + 2), ip + 4
    return _ip(data, ETHERTYPES.get(protocol, 0), ip, end)


def _family_link(data: memoryview, start: int, end: int) -> Dissected:
    ip = start + FAMILY_BYTES
    if ip > end:
        return PacketFate.CUT
    family = int.from_bytes(data[start:ip], "little")
    if family > 0xFFFF:
        family = int.from_bytes(data[start:ip], "big")
    return _ip(data, FAMILIES.get(family, 0), ip, end)


def _ip(data: memoryview, version: int, start: int, end: int) -> Dissected:
    if version not in (IPV4, IPV6):
        return PacketFate.NOT_IP
    if end - start < (IPV4_HEADER_BYTES if version == IPV4 else IPV6_HEADER_BYTES):
        return PacketFate.CUT
    if data[start] >> 4 != version:
        return PacketFate.MALFORMED
    return _ipv4(data, start, end) if version == IPV4 else _ipv6(data, start, end)


def _ipv4(data: memoryview, start: int, end: int) -> Dissected:
    header_bytes, total_bytes = (data[start] & 0x0F) * 4, _u16(data, start + 2)
    if not IPV4_HEADER_BYTES <= header_bytes <= total_bytes:
        return PacketFate.MALFORMED
    if data[start + 9] != UDP:
        return PacketFate.NOT_UDP
    source, destination = bytes(data[start + 12 : start + 16]), bytes(data[start + 16 : start + 20])
    payload, payload_end = start + header_bytes, start + total_bytes
    place = _u16(data, start + 6)
    if place & 0x3FFF:  # "more fragments", or an offset
        key = (IPV4, source, destination, _u16(data, start + 4))
        fragment = Fragment(key, payload, payload_end, (place & 0x1FFF) * 8, not place & 0x2000)
        return _fragment(fragment, end)
    return _udp(data, IPV4, source, destination, payload, payload_end, end)


def _ipv6(data: memoryview, start: int, end: int) -> Dissected:
    source, destination = bytes(data[start + 8 : start + 24]), bytes(data[start + 24 : start + 40])
    following, position = data[start + 6], start + IPV6_HEADER_BYTES
    payload_end = position + _u16(data, start + 4)
    while following != UDP:
        if following not in (*_EXTENSIONS, _FRAGMENT, _AUTHENTICATION):
            return PacketFate.NOT_UDP
        if position + 8 > payload_end:
            return PacketFate.MALFORMED
        if position + 8 > end:
            return PacketFate.CUT
        place = _u16(data, position + 2)
        if following == _FRAGMENT and place & 0xFFF9:
            if data[position] != UDP:  # or another extension header, which nobody sends inside fragments
                return PacketFate.NOT_UDP
            key = (IPV6, source, destination, int.from_bytes(data[position + 4 : position + 8], "big"))
            return _fragment(Fragment(key, position + 8, payload_end, place & 0xFFF8, not place & 1), end)
        following, position = data[position], position + _extension_bytes(following, data[position + 1])
    return _udp(data, IPV6, source, destination, position, payload_end, end)


def _extension_bytes(kind: int, length: int) -> int:
    if kind == _FRAGMENT:  # alone in its packet (RFC 6946)
        return 8
    return (length + 2) * 4 if kind == _AUTHENTICATION else (length + 1) * 8


def _fragment(fragment: Fragment, end: int) -> Dissected:
    length = fragment.end - fragment.start
    if length <= 0 or (length % 8 and not fragment.last) or fragment.offset + length > 0xFFFF:
        return PacketFate.MALFORMED
    return PacketFate.CUT if fragment.end > end else fragment


def _udp(
    data: memoryview, version: int, source: bytes, destination: bytes, start: int, payload_end: int, end: int
) -> Dissected:
    if start + UDP_HEADER_BYTES > payload_end:
        return PacketFate.MALFORMED
    if start + UDP_HEADER_BYTES > end:
        return PacketFate.CUT
    length = _u16(data, start + 4)
    if not UDP_HEADER_BYTES <= length <= payload_end - start:
        return PacketFate.MALFORMED
    if start + length > end:
        return PacketFate.CUT
    flow = flow_key(version, source, destination, bytes(data[start : start + 4]))
    return Datagram(start + UDP_HEADER_BYTES, length - UDP_HEADER_BYTES, flow)


def _u16(data: memoryview, position: int) -> int:
    return data[position] << 8 | data[position + 1]
