"""Receive times are read from control messages as columns, and odd rows by themselves."""

import socket
import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strep.net.stamps import CONTROL, SO_TIMESTAMPNS, StampTable, find_stamp_ns

NOW_NS = 99


def message(kind: int, data: bytes, level: int = socket.SOL_SOCKET) -> bytes:
    """Lay out one control message, padded to whole words (cmsg(3), CMSG_SPACE)."""
    body = struct.pack("=Qii", 16 + len(data), level, kind) + data
    return body + bytes(-len(body) % 8)


def stamp(seconds: int, nanoseconds: int) -> bytes:
    return message(SO_TIMESTAMPNS, struct.pack("=qq", seconds, nanoseconds))


def read(*rows: bytes) -> list[int]:
    """Read rows as if the kernel had filled them, over what an earlier datagram left behind."""
    table = StampTable(len(rows) + 1)
    for index, row in enumerate(rows):
        stale = stamp(1, 2) + bytes(CONTROL.itemsize)
        table.messages[index] = np.frombuffer((row + stale[len(row) :])[: CONTROL.itemsize], CONTROL)[0]
    stamps_ns = np.zeros(len(rows), np.int64)
    table.read(np.array([len(row) for row in rows], np.uint64), stamps_ns, NOW_NS)
    return stamps_ns.tolist()


DROPS = message(40, struct.pack("=I", 7))  # SO_RXQ_OVFL


def test_plain_stamps_are_read() -> None:
    assert read(stamp(1_700_000_000, 5), stamp(1_700_000_001, 999_999_999)) == [
        1_700_000_000_000_000_005,
        1_700_000_001_999_999_999,
    ]


def test_a_stamp_before_or_behind_another_message_is_found() -> None:
    assert read(DROPS + stamp(3, 4), stamp(5, 6) + DROPS) == [3_000_000_004, 5_000_000_006]


def test_what_an_earlier_datagram_left_behind_is_no_stamp() -> None:
    assert read(b"", stamp(1, 2)[:24]) == [NOW_NS, NOW_NS]


def test_the_same_message_of_another_level_is_no_stamp() -> None:
    assert read(message(SO_TIMESTAMPNS, bytes(16), level=socket.IPPROTO_UDP)) == [NOW_NS]


def test_a_stamp_cut_short_is_no_stamp() -> None:
    assert read(message(SO_TIMESTAMPNS, bytes(8)) + bytes(8)) == [NOW_NS]


def test_a_length_that_lies_ends_the_search() -> None:
    for length in (0, 15, 65, 1 << 40):
        assert find_stamp_ns(struct.pack("=Qii", length, 0, 0) + stamp(1, 2)) is None


rows = st.one_of(
    st.builds(stamp, st.integers(0, 1 << 32), st.integers(0, 999_999_999)),
    st.builds(lambda *parts: b"".join(parts)[:64], st.sampled_from([DROPS, b"", stamp(8, 9)]), st.binary(max_size=64)),
    st.builds(lambda s, cut: (DROPS + s)[:cut], st.just(stamp(6, 7)), st.integers(0, 64)),
)


@given(st.lists(rows, min_size=1, max_size=8))
def test_the_columns_agree_with_the_scalar_twin(rows: list[bytes]) -> None:
    expected = [find_stamp_ns(row) for row in rows]
    assert read(*rows) == [NOW_NS if ns is None else ns for ns in expected]
