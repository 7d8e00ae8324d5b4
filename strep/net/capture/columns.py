"""Take many captured packets apart at once; leave the unusual ones to `strep.net.capture.dissect`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from strep.net.capture.dissect import (
    ETHERTYPE_AT,
    ETHERTYPES,
    FAMILIES,
    FAMILY_BYTES,
    FAMILY_LINKS,
    FLOW_KEY_BYTES,
    IPV4,
    IPV4_HEADER_BYTES,
    IPV6,
    IPV6_HEADER_BYTES,
    MOST_VLAN_TAGS,
    RAW_LINKS,
    UDP,
    UDP_HEADER_BYTES,
    VLAN_TAGS,
)
from strep.net.capture.packets import LinkType, PacketColumns, PacketFate, rows_at

#: The fate of a row that only the scalar path can judge.
UNDECIDED: Final = 255
_TCP, _ICMPV6 = 6, 58


@dataclass(frozen=True, slots=True)
class DatagramColumns:
    """What became of n packets; the other columns have sense where `fate` is DATAGRAM.

    fate: uint8[n] of PacketFate, or UNDECIDED. offset, length: int64[n], bytes of the UDP payload.
    flow: uint64[n, 5], the bytes of flow_key.
    """

    fate: NDArray[np.uint8]
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    flow: NDArray[np.uint64]

    def put(self, row: int, offset: int, length: int, flow: bytes) -> None:
        """Fill in one datagram."""
        self.fate[row], self.offset[row], self.length[row] = PacketFate.DATAGRAM, offset, length
        self.flow[row] = np.frombuffer(flow, np.uint64)


def dissect_columns(flat: NDArray[np.uint8], packets: PacketColumns) -> DatagramColumns:
    """Find the UDP datagrams in packets whose headers are plain; whatever is not stays UNDECIDED.

    Plain is: an IPv4 header without options, not fragmented; an IPv6 header with UDP right behind it; nothing cut.
    """
    n = len(packets)
    found = DatagramColumns(
        np.full(n, UNDECIDED, np.uint8),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros((n, FLOW_KEY_BYTES // 8), np.uint64),
    )
    ip, version = packets.start.copy(), np.full(n, UNDECIDED, np.uint8)
    for link_type in np.unique(packets.link_type).tolist():
        rows = np.flatnonzero(packets.link_type == link_type)
        _skip_link(flat, link_type, rows, ip, version, packets.end)
    found.fate[version == 0] = PacketFate.NOT_IP
    _ipv4(flat, _complete(version == IPV4, ip, IPV4_HEADER_BYTES, packets.end), ip, packets.end, found)
    _ipv6(flat, _complete(version == IPV6, ip, IPV6_HEADER_BYTES, packets.end), ip, packets.end, found)
    return found


def _complete(
    wanted: NDArray[np.bool_], ip: NDArray[np.int64], header_bytes: int, end: NDArray[np.int64]
) -> NDArray[np.int64]:
    """List the wanted rows that have both an IP and a UDP header, so that gathering them needs no bounds check."""
    return np.flatnonzero(wanted & (ip + (header_bytes + UDP_HEADER_BYTES) <= end))


def _skip_link(
    flat: NDArray[np.uint8],
    link_type: int,
    rows: NDArray[np.int64],
    ip: NDArray[np.int64],
    version: NDArray[np.uint8],
    end: NDArray[np.int64],
) -> None:
    """Move `ip` behind the link header, and set `version` to 4, 6 or 0 (not IP) where there is a whole one."""
    if link_type in ETHERTYPE_AT:
        header_bytes, protocol_at = ETHERTYPE_AT[LinkType(link_type)]
        rows = rows[ip[rows] + header_bytes <= end[rows]]
        protocol = _u16(flat, ip[rows] + protocol_at)
        ip[rows] += header_bytes
        version[rows] = _untag(flat, rows, protocol, ip, end)
    elif link_type in FAMILY_LINKS:
        rows = rows[ip[rows] + FAMILY_BYTES <= end[rows]]
        family = rows_at(flat, ip[rows], FAMILY_BYTES).view("<u4")[:, 0].astype(np.uint32)
        version[rows] = _translate(np.where(family > 0xFFFF, family.byteswap(), family), FAMILIES)
        ip[rows] += FAMILY_BYTES
    elif link_type in RAW_LINKS:
        rows = rows[ip[rows] < end[rows]]
        nibble = flat[ip[rows]] >> 4
        promised = RAW_LINKS[LinkType(link_type)]
        version[rows] = promised or np.where((nibble == IPV4) | (nibble == IPV6), nibble, 0)


def _untag(
    flat: NDArray[np.uint8],
    rows: NDArray[np.int64],
    protocol: NDArray[np.uint16],
    ip: NDArray[np.int64],
    end: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """Move `ip` behind VLAN tags, and translate the EtherType there."""
    cut = np.zeros(len(rows), np.bool_)
    for _ in range(MOST_VLAN_TAGS):
        tagged = np.isin(protocol, VLAN_TAGS) & ~cut
        if not tagged.any():
            break
        cut |= tagged & (ip[rows] + 4 > end[rows])
        inner = np.flatnonzero(tagged & ~cut)
        protocol[inner] = _u16(flat, ip[rows[inner]] + 2)
        ip[rows[inner]] += 4
    version = _translate(protocol, ETHERTYPES)
    version[cut] = UNDECIDED
    return version


def _translate(numbers: NDArray[np.uint16] | NDArray[np.uint32], versions: dict[int, int]) -> NDArray[np.uint8]:
    version = np.zeros(len(numbers), np.uint8)
    for number, meaning in versions.items():
        version[numbers == number] = meaning
    return version


def _ipv4(
    flat: NDArray[np.uint8],
    rows: NDArray[np.int64],
    ip: NDArray[np.int64],
    end: NDArray[np.int64],
    found: DatagramColumns,
) -> None:
    header = rows_at(flat, ip[rows], IPV4_HEADER_BYTES + UDP_HEADER_BYTES)
    words = header.view(">u2")
    total = words[:, 1].astype(np.int64)
    bare = (header[:, 0] == 0x45) & (total >= IPV4_HEADER_BYTES)
    udp = header[:, 9] == UDP
    found.fate[rows[bare & ~udp]] = PacketFate.NOT_UDP
    # Anything but "don't fragment" in the flags and the offset makes it a fragment.
    length = _udp_length(words[:, 12], total - IPV4_HEADER_BYTES, ip[rows] + IPV4_HEADER_BYTES, end[rows])
    plain = np.flatnonzero(bare & udp & (words[:, 3] & 0x3FFF == 0) & (length >= 0))
    key = np.zeros((len(plain), FLOW_KEY_BYTES), np.uint8)
    key[:, 0:4], key[:, 16:20], key[:, 32:36] = header[plain, 12:16], header[plain, 16:20], header[plain, 20:24]
    key[:, -1] = IPV4
    _fill(found, rows[plain], ip[rows[plain]] + IPV4_HEADER_BYTES, length[plain], key)


def _ipv6(
    flat: NDArray[np.uint8],
    rows: NDArray[np.int64],
    ip: NDArray[np.int64],
    end: NDArray[np.int64],
    found: DatagramColumns,
) -> None:
    header = rows_at(flat, ip[rows], IPV6_HEADER_BYTES + UDP_HEADER_BYTES)
    words = header.view(">u2")
    bare = header[:, 0] >> 4 == IPV6
    found.fate[rows[bare & np.isin(header[:, 6], (_TCP, _ICMPV6))]] = PacketFate.NOT_UDP
    length = _udp_length(words[:, 22], words[:, 2].astype(np.int64), ip[rows] + IPV6_HEADER_BYTES, end[rows])
    plain = np.flatnonzero(bare & (header[:, 6] == UDP) & (length >= 0))
    key = np.zeros((len(plain), FLOW_KEY_BYTES), np.uint8)
    key[:, :36] = header[plain, 8:44]
    key[:, -1] = IPV6
    _fill(found, rows[plain], ip[rows[plain]] + IPV6_HEADER_BYTES, length[plain], key)


def _udp_length(
    claimed: NDArray[np.uint16], room: NDArray[np.int64], udp: NDArray[np.int64], end: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Give the payload bytes of each UDP header at `udp`, or -1 where its length fits neither IP nor the capture."""
    length = claimed.astype(np.int64)
    fits = (length >= UDP_HEADER_BYTES) & (length <= room) & (udp + length <= end)
    return np.where(fits, length - UDP_HEADER_BYTES, -1)


def _fill(
    found: DatagramColumns,
    rows: NDArray[np.int64],
    udp: NDArray[np.int64],
    length: NDArray[np.int64],
    key: NDArray[np.uint8],
) -> None:
    found.fate[rows] = PacketFate.DATAGRAM
    found.offset[rows] = udp + UDP_HEADER_BYTES
    found.length[rows] = length
    found.flow[rows] = key.view(np.uint64)


def _u16(flat: NDArray[np.uint8], position: NDArray[np.int64]) -> NDArray[np.uint16]:
    return rows_at(flat, position, 2).view(">u2")[:, 0].astype(np.uint16)
