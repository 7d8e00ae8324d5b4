import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.net.capture import LinkType, PacketFate
from strep.net.capture.columns import UNDECIDED, dissect_columns
from strep.net.capture.dissect import Datagram, Fragment, dissect
from strep.net.capture.packets import NO_INTERFACE, PacketColumns
from strep.net.capture.writer import link_header, udp_packet
from tests.net.capture.packet_bytes import (
    A6,
    B6,
    ICMP,
    ICMPV6,
    TCP,
    UDP,
    A,
    B,
    capture_of,
    ethernet,
    fates,
    ipv4_fragments,
    ipv6_fragments,
    ipv6_with,
    payloads,
    with_protocol,
)

PAYLOAD = b"so long that it leaves room for either IP header"
V4, V6 = udp_packet(A, B, PAYLOAD), udp_packet(A6, B6, PAYLOAD)
EITHER_VERSION = pytest.mark.parametrize("packet", [V4, V6], ids=["ipv4", "ipv6"])
VLAN, SERVICE_VLAN, OLD_QINQ = b"\x81\x00\x00\x05", b"\x88\xa8\x00\x06", b"\x91\x00\x00\x07"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "capture.pcap"


def tagged(packet: bytes, *tags: bytes) -> bytes:
    frame = ethernet(packet)
    return frame[:12] + b"".join(tags) + frame[12:]


def with_ipv4_options(packet: bytes, options: bytes) -> bytes:
    words = 5 + len(options) // 4
    total = struct.pack(">H", len(packet) + len(options))
    return bytes((0x40 | words,)) + packet[1:2] + total + packet[4:20] + options + packet[20:]


@pytest.mark.parametrize("link_type", list(LinkType))
@EITHER_VERSION
def test_every_link_type_is_taken_off(path: Path, link_type: LinkType, packet: bytes) -> None:
    reader = capture_of(path, [link_header(link_type, packet[0] >> 4) + packet], link_type)
    wrong_version = {LinkType.IPV4: V6, LinkType.IPV6: V4}.get(link_type) == packet
    assert fates(reader) == ({"malformed": 1} if wrong_version else {"datagram": 1})
    assert payloads(reader) == ([] if wrong_version else [PAYLOAD])


@pytest.mark.parametrize("family", [10, 24, 28, 30], ids=["linux", "openbsd", "freebsd", "macos"])
@pytest.mark.parametrize("order", "<>")
def test_bsd_loopback_of_any_system_and_byte_order_is_understood(path: Path, family: int, order: str) -> None:
    packets = [struct.pack(order + "I", 2) + V4, struct.pack(order + "I", family) + V6]
    assert payloads(capture_of(path, packets, LinkType.NULL)) == [PAYLOAD] * 2


def test_loopback_of_another_family_is_not_ip(path: Path) -> None:
    assert fates(capture_of(path, [struct.pack("<I", 7) + V4], LinkType.NULL)) == {"not_ip": 1}


@pytest.mark.parametrize(
    "tags",
    [(VLAN,), (SERVICE_VLAN, VLAN), (VLAN, VLAN), (OLD_QINQ, VLAN), (SERVICE_VLAN, VLAN, VLAN, VLAN)],
    ids=["802.1Q", "802.1ad", "QinQ", "old QinQ", "four"],
)
@EITHER_VERSION
def test_vlan_tags_are_skipped(path: Path, tags: tuple[bytes, ...], packet: bytes) -> None:
    assert payloads(capture_of(path, [tagged(packet, *tags)])) == [PAYLOAD]


def test_a_packet_cut_in_its_vlan_tags_is_cut(path: Path) -> None:
    frame = tagged(V4, SERVICE_VLAN, VLAN)
    reader = capture_of(path, [frame[:kept] for kept in range(14 + 4 + 4 + 20)])
    assert fates(reader) == {"cut": 42}


def test_vlan_tags_without_end_are_not_ip(path: Path) -> None:
    assert fates(capture_of(path, [tagged(V4, *[VLAN] * 5)])) == {"not_ip": 1}


def test_a_vlan_tag_behind_a_cooked_header_is_skipped(path: Path) -> None:
    cooked = link_header(LinkType.LINUX_SLL, 4)[:14] + VLAN + b"\x08\x00" + V4
    assert payloads(capture_of(path, [cooked], LinkType.LINUX_SLL)) == [PAYLOAD]


def test_padding_of_a_short_ethernet_frame_is_not_payload(path: Path) -> None:
    assert payloads(capture_of(path, [ethernet(udp_packet(A, B, b"x")) + bytes(17)])) == [b"x"]


def test_an_ip_payload_longer_than_its_udp_datagram_is_cut_to_it(path: Path) -> None:
    longer = bytes((0x45, 0)) + struct.pack(">H", len(V4) + 3) + V4[4:] + b"pad"
    assert payloads(capture_of(path, [ethernet(longer)])) == [PAYLOAD]


def test_a_datagram_without_payload_at_the_very_end_of_the_file_is_one(path: Path) -> None:
    empty = ethernet(udp_packet(A, B, b""))
    reader = capture_of(path, [ethernet(V4), *map(ethernet, ipv4_fragments(bytes(100), 64)), empty])
    assert payloads(reader) == [PAYLOAD, bytes(100), b""]


def test_arp_and_other_ethertypes_are_not_ip(path: Path) -> None:
    arp = ethernet(V4)[:12] + b"\x08\x06" + bytes(46)
    llc = ethernet(V4)[:12] + b"\x00\x2e" + bytes(46)
    assert fates(capture_of(path, [arp, llc])) == {"not_ip": 2}


@pytest.mark.parametrize("nibble", [0, 5, 15])
def test_raw_packets_of_another_version_are_not_ip(path: Path, nibble: int) -> None:
    assert fates(capture_of(path, [bytes((nibble << 4,)) + V4[1:]], LinkType.RAW)) == {"not_ip": 1}


@pytest.mark.parametrize("protocol", [TCP, ICMP, ICMPV6, 59])
@EITHER_VERSION
def test_other_protocols_are_not_udp(path: Path, protocol: int, packet: bytes) -> None:
    assert fates(capture_of(path, [ethernet(with_protocol(packet, protocol))])) == {"not_udp": 1}


@pytest.mark.parametrize("link_type", [105, 127, 195, 2000], ids=["802.11", "radiotap", "802.15.4", "nobody's"])
def test_other_link_types_are_counted(path: Path, link_type: int) -> None:
    assert fates(capture_of(path, [ethernet(V4)], link_type)) == {"unsupported_link": 1}


@pytest.mark.parametrize("link_type", list(LinkType))
def test_a_packet_cut_anywhere_is_counted_as_cut(path: Path, link_type: LinkType) -> None:
    packet = V6 if link_type == LinkType.IPV6 else V4
    frame = link_header(link_type, packet[0] >> 4) + packet
    reader = capture_of(path, [frame[:kept] for kept in range(len(frame))], link_type)
    assert fates(reader) == {"cut": len(frame)}


def test_ipv4_options_are_skipped(path: Path) -> None:
    packets = [with_ipv4_options(V4, bytes(4)), with_ipv4_options(V4, bytes(40))]
    assert payloads(capture_of(path, list(map(ethernet, packets)))) == [PAYLOAD] * 2


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (0, bytes((UDP, 0)) + bytes(6)),
        (43, bytes((UDP, 2)) + bytes(22)),
        (60, bytes((UDP, 1)) + bytes(14)),
        (51, bytes((UDP, 4)) + bytes(22)),
        (44, bytes((UDP, 9)) + bytes(6)),
    ],
    ids=["hop by hop", "routing", "destination", "authentication", "fragment that is alone (RFC 6946)"],
)
def test_ipv6_extension_headers_are_skipped(path: Path, kind: int, body: bytes) -> None:
    chained = ipv6_with(V6, [(0, bytes((kind, 0)) + bytes(6)), (kind, body)])
    assert payloads(capture_of(path, [ethernet(ipv6_with(V6, [(kind, body)])), ethernet(chained)])) == [PAYLOAD] * 2


def test_ipv6_without_anything_behind_an_extension_header_is_not_udp(path: Path) -> None:
    assert fates(capture_of(path, [ethernet(ipv6_with(V6, [(0, bytes((59, 0)) + bytes(6))]))])) == {"not_udp": 1}


def test_an_ipv6_extension_header_beyond_the_packet_is_malformed(path: Path) -> None:
    too_long = ipv6_with(V6, [(60, bytes((UDP, 200)) + bytes(6))])
    no_room = ipv6_with(V6, [(60, bytes((UDP, 0)))], b"")
    assert fates(capture_of(path, [ethernet(too_long), ethernet(no_room)])) == {"malformed": 2}


def test_an_ipv6_extension_header_that_was_cut_off_is_cut(path: Path) -> None:
    chained = ipv6_with(V6, [(60, bytes((UDP, 1)) + bytes(14))])
    assert fates(capture_of(path, [ethernet(chained)[: 14 + 40 + 5]])) == {"cut": 1}


MALFORMED: dict[str, Callable[[], bytes]] = {
    "IPv4 header shorter than any": lambda: b"\x44" + V4[1:],
    "IPv4 header longer than its packet": lambda: b"\x4f" + V4[1:2] + struct.pack(">H", 59) + V4[4:],
    "IPv4 total length shorter than its header": lambda: V4[:2] + struct.pack(">H", 19) + V4[4:],
    "version that is not the EtherType's": lambda: b"\x65" + V4[1:],
    "IPv6 version that is not the EtherType's": lambda: b"\x40" + V6[1:],
    "UDP length shorter than its header": lambda: V4[:24] + struct.pack(">H", 7) + V4[26:],
    "UDP length longer than its packet": lambda: V4[:24] + struct.pack(">H", len(V4) - 19) + V4[26:] + b"more",
    "IPv4 packet too short for UDP": lambda: V4[:2] + struct.pack(">H", 27) + V4[4:],
    "IPv6 UDP length of a jumbogram": lambda: V6[:44] + bytes(2) + V6[46:],
    "IPv6 packet too short for UDP": lambda: V6[:4] + struct.pack(">H", 7) + V6[6:],
}


@pytest.mark.parametrize("quirk", MALFORMED)
def test_headers_that_contradict_themselves_are_malformed(path: Path, quirk: str) -> None:
    packet = MALFORMED[quirk]()
    frame = ethernet(V6 if "IPv6" in quirk else V4)[:14] + packet
    assert fates(capture_of(path, [frame])) == {"malformed": 1}


def test_an_ipv4_fragment_that_is_no_multiple_of_eight_but_has_others_behind_it_is_malformed(path: Path) -> None:
    first = ipv4_fragments(bytes(100), 64)[0]
    odd = first[:2] + struct.pack(">H", len(first) - 1) + first[4:]
    empty = first[:2] + struct.pack(">H", 20) + first[4:]
    beyond = first[:6] + struct.pack(">H", 0x1FFF) + first[8:]
    assert fates(capture_of(path, list(map(ethernet, (odd, empty, beyond))))) == {"malformed": 3}


def test_a_fragment_of_another_protocol_is_not_udp(path: Path) -> None:
    ipv6 = ipv6_fragments(bytes(100), 64)[0]
    packets = with_protocol(ipv4_fragments(bytes(100), 64)[1], TCP), ipv6[:40] + bytes((TCP,)) + ipv6[41:]
    assert fates(capture_of(path, list(map(ethernet, packets)))) == {"not_udp": 2}


# Packets that are nearly right, so that the property reaches every branch.
PLAIN = [
    V4,
    V6,
    with_ipv4_options(V4, bytes(4)),
    ipv6_with(V6, [(0, bytes((UDP, 0)) + bytes(6))]),
    *ipv4_fragments(bytes(30), 16),
    *ipv6_fragments(bytes(30), 16),
    with_protocol(V4, TCP),
    with_protocol(V6, TCP),
]


@st.composite
def packets(draw: st.DrawFn) -> tuple[int, bytes]:
    link_type = draw(st.sampled_from([*LinkType, NO_INTERFACE, 105]))
    packet = draw(st.sampled_from(PLAIN))
    header = link_header(LinkType(link_type), packet[0] >> 4) if link_type in list(LinkType) else b""
    if len(header) in (14, 16):
        header = header[:-2] + draw(st.sampled_from([b"", VLAN, SERVICE_VLAN + VLAN, VLAN * 5])) + header[-2:]
    frame = bytearray(header + packet)
    for at, value in draw(st.lists(st.tuples(st.integers(0, len(frame) - 1), st.integers(0, 255)), max_size=2)):
        frame[at] = value
    return link_type, bytes(frame[: draw(st.integers(0, len(frame)) | st.just(len(frame)))])


@given(st.lists(packets() | st.tuples(st.sampled_from([*LinkType]), st.binary(max_size=80)), max_size=8))
def test_columns_and_scalar_agree_on_any_packets(several: list[tuple[int, bytes]]) -> None:
    flat = np.frombuffer(b"".join(frame for _, frame in several), np.uint8)
    length = np.array([len(frame) for _, frame in several], np.int64)
    end = np.cumsum(length)
    link_type = np.array([number for number, _ in several], np.int64)
    found = dissect_columns(flat, PacketColumns(end - length, end, np.zeros_like(end), link_type, len(flat)))
    for row, (number, frame) in enumerate(several):
        what = dissect(flat.data, number, int(end[row]) - len(frame), int(end[row]))
        if isinstance(what, Datagram):
            expected = (PacketFate.DATAGRAM, what.offset, what.length, what.flow)
            columns = (found.fate[row], found.offset[row], found.length[row], found.flow[row].tobytes())
            assert found.fate[row] == UNDECIDED or columns == expected
        elif isinstance(what, Fragment):
            assert found.fate[row] == UNDECIDED
        else:
            assert found.fate[row] in (UNDECIDED, what)


def test_columns_decide_every_plain_packet_themselves() -> None:
    frames = [ethernet(V4), ethernet(V6), tagged(V4, SERVICE_VLAN, VLAN), *map(ethernet, PLAIN[-2:])]
    flat = np.frombuffer(b"".join(frames), np.uint8)
    end = np.cumsum([len(frame) for frame in frames])
    start = end - [len(frame) for frame in frames]
    found = dissect_columns(flat, PacketColumns(start, end, start, np.ones_like(start), len(flat)))
    assert found.fate.tolist() == [PacketFate.DATAGRAM] * 3 + [PacketFate.NOT_UDP] * 2
