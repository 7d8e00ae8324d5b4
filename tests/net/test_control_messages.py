"""Receive times and lengths of segments are read from control messages as columns, and odd rows by themselves."""

import socket
import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strep.net.control_messages import CONTROL, SO_TIMESTAMPNS, UDP_GRO, ControlTable, read_row

NOW_NS = 99


def message(kind: int, data: bytes, level: int = socket.SOL_SOCKET) -> bytes:
    """Lay out one control message, padded to whole words (cmsg(3), CMSG_SPACE)."""
    body = struct.pack("=Qii", 16 + len(data), level, kind) + data
    return body + bytes(-len(body) % 8)


def stamp(seconds: int, nanoseconds: int) -> bytes:
    return message(SO_TIMESTAMPNS, struct.pack("=qq", seconds, nanoseconds))


def segment(segment_bytes: int) -> bytes:
    return message(UDP_GRO, struct.pack("=i", segment_bytes), level=socket.IPPROTO_UDP)


def read(*rows: bytes) -> list[tuple[int, int]]:
    """Read rows as if the kernel had filled them, over what an earlier super-packet left behind."""
    table = ControlTable(len(rows) + 1)
    for index, row in enumerate(rows):
        stale = (stamp(1, 2) + segment(7)).ljust(CONTROL.itemsize, b"\0")
        table.messages[index] = np.frombuffer((row + stale[len(row) :])[: CONTROL.itemsize], CONTROL)[0]
    stamps_ns = np.zeros(len(rows), np.int64)
    segment_bytes = table.read(np.array([len(row) for row in rows], np.uint64), stamps_ns, NOW_NS)
    lengths = [0] * len(rows) if segment_bytes is None else segment_bytes.tolist()
    return list(zip(stamps_ns.tolist(), lengths, strict=True))


DROPS = message(40, struct.pack("=I", 7))  # SO_RXQ_OVFL


def test_plain_stamps_are_read() -> None:
    assert read(stamp(1_700_000_000, 5), stamp(1_700_000_001, 999_999_999)) == [
        (1_700_000_000_000_000_005, 0),
        (1_700_000_001_999_999_999, 0),
    ]


def test_a_super_packet_tells_the_length_of_its_datagrams_and_others_beside_it_do_not() -> None:
    assert read(stamp(1, 1), stamp(2, 2) + segment(196), stamp(3, 3)) == [
        (1_000_000_001, 0),
        (2_000_000_002, 196),
        (3_000_000_003, 0),
    ]


def test_all_plain_is_said_without_a_column() -> None:
    table = ControlTable(1)
    table.messages[0] = np.frombuffer(stamp(1, 2).ljust(CONTROL.itemsize, b"\0"), CONTROL)[0]
    assert table.read(np.array([32], np.uint64), np.zeros(1, np.int64), NOW_NS) is None


def test_a_super_packet_without_a_stamp_is_still_cut() -> None:
    assert read(segment(196)) == [(NOW_NS, 196)]


def test_messages_are_found_in_any_order_and_between_others() -> None:
    assert read(DROPS + stamp(3, 4), stamp(5, 6) + DROPS, segment(9) + stamp(7, 8)) == [
        (3_000_000_004, 0),
        (5_000_000_006, 0),
        (7_000_000_008, 9),
    ]


def test_what_an_earlier_datagram_left_behind_is_no_message() -> None:
    assert read(b"", stamp(1, 2)[:24], stamp(5, 6)) == [(NOW_NS, 0), (NOW_NS, 0), (5_000_000_006, 0)]


def test_the_same_message_of_another_level_is_another_message() -> None:
    assert read(message(SO_TIMESTAMPNS, bytes(16), level=socket.IPPROTO_UDP)) == [(NOW_NS, 0)]
    assert read(stamp(1, 2) + message(UDP_GRO, struct.pack("=i", 5))) == [(1_000_000_002, 0)]


def test_a_message_cut_short_is_none() -> None:
    assert read(message(SO_TIMESTAMPNS, bytes(8)) + bytes(8)) == [(NOW_NS, 0)]
    assert read(stamp(1, 2) + segment(5)[:16]) == [(1_000_000_002, 0)]


def test_a_negative_length_of_segments_is_none() -> None:
    assert read(stamp(1, 2) + segment(-5), segment(-5)) == [(1_000_000_002, 0), (NOW_NS, 0)]


def test_a_length_that_lies_ends_the_search() -> None:
    for length in (0, 15, 65, 1 << 40):
        assert read_row(struct.pack("=Qii", length, 0, 0) + stamp(1, 2)) == (None, 0)


parts = st.one_of(
    st.sampled_from([DROPS, b"", stamp(8, 9), segment(20)]),
    st.builds(stamp, st.integers(0, 1 << 32), st.integers(0, 999_999_999)),
    st.builds(segment, st.integers(-1, 65_535)),
    st.binary(max_size=16),
)
usual = st.builds(lambda s, cut: stamp(s, 7) + (segment(cut) if cut else b""), st.integers(0, 9), st.integers(0, 300))
rows = usual | st.builds(
    lambda parts, cut: b"".join(parts)[: min(cut, CONTROL.itemsize)], st.lists(parts, max_size=4), st.integers(0, 80)
)


@given(st.lists(rows, min_size=1, max_size=8))
def test_the_columns_agree_with_the_scalar_twin(rows: list[bytes]) -> None:
    expected = [read_row(row) for row in rows]
    assert read(*rows) == [(NOW_NS if ns is None else ns, length) for ns, length in expected]
