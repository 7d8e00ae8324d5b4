"""Super-packets are cut into the datagrams that were sent."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strep.net.segments import cut_message, cut_messages

Message = tuple[int, int, int]


def cut(*messages: Message) -> list[tuple[int, int, int]]:
    columns = [np.array(column, np.int64) for column in zip(*messages, strict=True)]
    return list(zip(*(column.tolist() for column in cut_messages(*columns)), strict=True))


def test_datagrams_of_one_length_lie_one_behind_the_other() -> None:
    assert cut((1000, 30, 10)) == [(1000, 10, 0), (1010, 10, 0), (1020, 10, 0)]


def test_the_last_datagram_may_be_shorter() -> None:
    assert cut((1000, 21, 10)) == [(1000, 10, 0), (1010, 10, 0), (1020, 1, 0)]


def test_plain_datagrams_between_super_packets_stay_whole() -> None:
    assert cut((0, 7, 0), (100, 15, 10), (200, 0, 0), (300, 20, 10), (400, 9, 0)) == [
        (0, 7, 0),
        (100, 10, 1),
        (110, 5, 1),
        (200, 0, 2),
        (300, 10, 3),
        (310, 10, 3),
        (400, 9, 4),
    ]


def test_segments_longer_than_the_message_are_the_message() -> None:
    assert cut((5, 9, 10), (50, 10, 10), (90, 0, 10)) == [(5, 9, 0), (50, 10, 1), (90, 0, 2)]


offsets = st.integers(0, 1 << 30)
short = st.tuples(offsets, st.integers(0, 40), st.integers(0, 45))
long = st.tuples(offsets, st.integers(0, 65_535), st.just(0) | st.integers(500, 70_000))


@given(st.lists(short | long, min_size=1, max_size=12))
def test_the_columns_agree_with_the_scalar_twin(messages: list[Message]) -> None:
    assert cut(*messages) == [
        (offset, length, row) for row, message in enumerate(messages) for offset, length in cut_message(*message)
    ]
