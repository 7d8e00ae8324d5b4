"""Packets that a ring's walk leaves aside are kept within bounds, and their checksums are looked at."""

import pytest

from strep.net.capture.writer import udp_packet
from strep.net.ring_rare import MOST_KEPT_BYTES, Found, KeptParts, RarePackets, is_right
from tests.net.capture.packet_bytes import A, B, ipv4_fragments

PORT = 6000
PART_BYTES = 50_000


def test_parts_are_read_where_they_were_put() -> None:
    parts = KeptParts()
    first, second = parts.keep(b"first part"), parts.keep(b"second part")
    assert (parts[first : first + 5], parts[second + 7 : second + 11]) == (b"first", b"part")


def test_beyond_the_bound_the_oldest_parts_read_as_nothing() -> None:
    parts = KeptParts()
    places = [parts.keep(bytes([number % 251]) * PART_BYTES) for number in range(MOST_KEPT_BYTES // PART_BYTES + 2)]
    assert [len(parts[place : place + PART_BYTES]) for place in places[:3]] == [0, 0, PART_BYTES]
    assert parts[places[-1] : places[-1] + 1] != b""


def test_a_datagram_whose_first_part_is_gone_is_nobodys() -> None:
    first, *others = ipv4_fragments(bytes(range(200)) * 10, 808)
    rare = RarePackets(PORT)
    assert rare.take(first, 1, has_checksum=True) is None
    for _ in range(MOST_KEPT_BYTES // PART_BYTES + 1):
        rare._parts.keep(bytes(PART_BYTES))  # as others' parts would be
    assert [rare.take(part, 2, has_checksum=True) for part in others] == [None, None], "its port went with it"


def test_a_datagram_that_lacks_a_part_counts_as_damaged_also_without_a_checksum() -> None:
    first, second, third = ipv4_fragments(bytes(range(200)) * 10, 808)
    first = first[:26] + bytes(2) + first[28:]
    rare = RarePackets(PORT)
    assert rare.take(second, 1, has_checksum=True) is None
    for _ in range(MOST_KEPT_BYTES // PART_BYTES + 1):
        rare._parts.keep(bytes(PART_BYTES))
    assert rare.take(first, 2, has_checksum=True) is None
    found = rare.take(third, 3, has_checksum=True)
    assert found is not None and found.is_damaged
    whole = RarePackets(PORT)
    *_, found = [whole.take(part, 1, has_checksum=True) for part in (second, first, third)]
    assert found == Found(bytes(range(200)) * 10, bytes([10, 0, 2, 15]), 28102, is_damaged=False)


def test_a_whole_datagram_says_who_sent_it() -> None:
    found = [RarePackets(PORT).take(udp_packet(A, B, b"data"), 1, has_checksum=True)]
    assert found == [Found(b"data", bytes([10, 0, 2, 15]), 28102, is_damaged=False)]
    assert RarePackets(PORT + 1).take(udp_packet(A, B, b"data"), 1, has_checksum=True) is None


@pytest.mark.parametrize("payload", [b"", b"odd", b"even"])
def test_a_checksum_is_right_or_it_is_not(payload: bytes) -> None:
    packet = udp_packet(A, B, payload)
    udp, source, destination = packet[20:], packet[12:16], packet[16:20]
    assert is_right(udp, source, destination)
    assert not is_right(udp[:6] + bytes([udp[6] ^ 1]) + udp[7:], source, destination)
    assert is_right(udp[:6] + bytes(2) + udp[8:], source, destination), "IPv4 may leave it out"
    assert not is_right(udp[:6] + bytes(2) + udp[8:], source * 4, destination * 4), "IPv6 may not"
