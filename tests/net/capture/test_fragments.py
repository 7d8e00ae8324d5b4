import itertools
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.net.capture import CaptureReader, PcapWriter, open_capture
from strep.net.capture.dissect import Fragment
from strep.net.capture.fragments import MOST_OPEN, SPAN_NS, Reassembly, WholeDatagram
from strep.net.capture.writer import ipv4_packet, udp_packet
from tests.net.capture.packet_bytes import (
    T0_NS,
    A,
    B,
    capture_of,
    ethernet,
    fates,
    ipv4_fragments,
    ipv6_fragments,
    payloads,
)

LONG = bytes(range(256)) * 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "capture.pcap"


def read(path: Path, packets: list[bytes]) -> CaptureReader:
    return capture_of(path, list(map(ethernet, packets)))


@pytest.mark.parametrize("fragments", [ipv4_fragments(LONG, 808), ipv6_fragments(LONG, 808)], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("shuffle", [0, 1, 2], ids=["in order", "first last", "shuffled"])
def test_fragments_in_any_order_make_a_datagram(path: Path, fragments: list[bytes], shuffle: int) -> None:
    orders = [fragments, fragments[::-1], random.Random(7).sample(fragments, len(fragments))]
    reader = read(path, orders[shuffle])
    assert payloads(reader) == [LONG]
    assert fates(reader) == {"datagram": 1, "joined_fragment": 2}


def test_a_reassembled_datagram_has_the_time_of_the_fragment_that_completed_it(path: Path) -> None:
    reader = read(path, ipv4_fragments(LONG, 808))
    assert reader.time_span_ns == (T0_NS + 2_000_000,) * 2


def test_a_reassembled_datagram_belongs_to_the_same_flow_as_whole_ones(path: Path) -> None:
    reader = read(path, [udp_packet(A, B, b"whole"), *ipv4_fragments(LONG, 808)])
    assert [(endpoint.source, endpoint.destination) for endpoint in reader.endpoints] == [(A, B)]


def test_interleaved_datagrams_are_told_apart_by_identification_and_by_sender(path: Path) -> None:
    others = [ipv4_fragments(bytes((n,)) * 2000, 808, identification=n) for n in (1, 2)]
    elsewhere = ipv4_fragments(b"s" * 2000, 808, identification=1, source="10.0.2.99:5")
    packets = [packet for row in zip(*others, elsewhere, strict=True) for packet in row]
    assert payloads(read(path, packets)) == [b"\1" * 2000, b"\2" * 2000, b"s" * 2000]


def test_a_fragment_that_never_comes_leaves_the_others_unused(path: Path) -> None:
    first, _, last = ipv4_fragments(LONG, 808)
    assert fates(read(path, [first, last])) == {"unused_fragment": 2}


def test_a_fragment_that_comes_twice_is_unused_once(path: Path) -> None:
    first, *others = ipv4_fragments(LONG, 808)
    reader = read(path, [first, first, *others])
    assert payloads(reader) == [LONG]
    assert fates(reader) == {"datagram": 1, "joined_fragment": 2, "unused_fragment": 1}


def test_fragments_that_overlap_damn_their_datagram(path: Path) -> None:
    first, middle, last = ipv4_fragments(LONG, 808)
    wrong = ipv4_packet(first[12:20], bytes(808), 7, 100 | 0x2000)  # its right place would be 101
    assert payloads(read(path, [first, wrong, last])) == []
    assert fates(read(path, [first, wrong, middle, last])) == {"unused_fragment": 4}


def test_fragments_that_disagree_about_the_end_damn_their_datagram(path: Path) -> None:
    first, middle, last = ipv4_fragments(LONG, 808)
    earlier_end = ipv4_packet(first[12:20], bytes(8), 7, 101)
    later_end = ipv4_packet(first[12:20], bytes(8), 7, 400)
    next_end = ipv4_packet(first[12:20], bytes(8), 7, 102)
    for packets in (
        [earlier_end, next_end, first],
        [first, last, earlier_end],
        [first, middle, earlier_end],
        [first, later_end, last, middle],
    ):
        assert fates(read(path, packets)) == {"unused_fragment": len(packets)}


def test_a_cut_fragment_leaves_the_others_unused(path: Path) -> None:
    first, *others = map(ethernet, ipv4_fragments(LONG, 808))
    assert fates(capture_of(path, [first[:100], *others])) == {"cut": 1, "unused_fragment": 2}


def test_a_reassembled_datagram_whose_udp_length_cannot_be_is_malformed(path: Path) -> None:
    first, *others = ipv4_fragments(LONG, 808)
    assert fates(read(path, [first[:24] + b"\xff\xff" + first[26:], *others])) == {
        "malformed": 1,
        "unused_fragment": 2,
    }


def test_a_reassembled_datagram_ends_where_its_udp_length_says(path: Path) -> None:
    first, *others = ipv4_fragments(LONG, 808)
    assert payloads(read(path, [first[:24] + (8 + 900).to_bytes(2) + first[26:], *others])) == [LONG[:900]]


@pytest.mark.parametrize(("late_ns", "whole"), [(SPAN_NS, 1), (SPAN_NS + 1, 0)])
def test_a_datagram_waits_so_long_for_its_fragments_and_no_longer(path: Path, late_ns: int, whole: int) -> None:
    first, *others = map(ethernet, ipv4_fragments(LONG, 808))
    with PcapWriter(path) as writer:
        writer.write_packet(T0_NS, first)
        for fragment in others:
            writer.write_packet(T0_NS + late_ns, fragment)
    reader = open_capture(path)
    assert len(reader) == whole
    assert fates(reader) == ({"datagram": 1, "joined_fragment": 2} if whole else {"unused_fragment": 3})


@pytest.mark.parametrize(("open_between", "whole"), [(MOST_OPEN - 1, 1), (MOST_OPEN, 0)])
def test_so_many_datagrams_wait_and_no_more_then_the_oldest_makes_room(
    path: Path, open_between: int, whole: int
) -> None:
    first, *others = ipv4_fragments(LONG, 808, identification=9999)
    between = [ipv4_fragments(LONG, 808, identification=n)[0] for n in range(open_between)]
    assert len(read(path, [first, *between, *others])) == whole


def test_a_batch_with_a_reassembled_datagram_among_others_has_them_in_order(path: Path) -> None:
    fragments = ipv4_fragments(LONG, 808)
    packets = [udp_packet(A, B, b"1"), *fragments, udp_packet(A, B, b"3")]
    (batch,) = read(path, packets).batches(max_span_ns=1_000_000_000)
    assert [batch.datagram(row) for row in range(len(batch))] == [b"1", LONG, b"3"]


DATA = bytes(4) + (80).to_bytes(2) + bytes(range(74))


def reassemble(spans: list[tuple[int, int]]) -> list[bytes]:
    """Feed parts (start, end) in units of eight bytes of the ten that DATA has; make sure that each is counted."""
    reassembly = Reassembly(memoryview(DATA))
    parts = [Fragment((4, b"aaaa", b"bbbb", 1), a * 8, b * 8, a * 8, b == 10) for a, b in spans]
    made = [datagram for part in parts if isinstance(datagram := reassembly.add(part, 0), WholeDatagram)]
    reassembly.close()
    assert reassembly.joined + reassembly.unused + len(made) == len(spans)
    return [datagram.read(memoryview(DATA)) for datagram in made]


@given(st.sets(st.integers(1, 9), min_size=1), st.randoms(use_true_random=False), st.booleans(), st.booleans())
def test_parts_in_any_order_make_a_datagram_exactly_when_none_is_missing(
    cuts: set[int], order: random.Random, missing: bool, repeated: bool
) -> None:
    spans = list(itertools.pairwise([0, *sorted(cuts), 10]))
    order.shuffle(spans)
    if repeated:
        spans.insert(1, spans[0])
    if missing:
        lost = spans[-1]
        spans = [span for span in spans if span != lost]
    assert reassemble(spans) == ([] if missing else [DATA[8:]])


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 10)).filter(lambda s: s[0] < s[1] < s[0] + 10)))
def test_whatever_parts_come_what_they_make_is_right(spans: list[tuple[int, int]]) -> None:
    assert all(payload == DATA[8:] for payload in reassemble(spans))
