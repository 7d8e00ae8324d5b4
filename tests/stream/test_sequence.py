"""Wire counters become unbounded: near a reference, across wraps, and column-wise the same as one by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strep.stream.sequence import extend_sequence, extend_sequence_columns, extend_timestamp, extend_timestamp_columns

REFERENCES = st.integers(-(1 << 40), 1 << 40)


@given(REFERENCES, st.integers(-0x8000, 0x7FFF))
def test_a_sequence_number_is_taken_for_the_nearest_one_to_the_reference(reference: int, distance: int) -> None:
    assert extend_sequence((reference + distance) & 0xFFFF, reference) == reference + distance


@given(REFERENCES, st.integers(-0x8000_0000, 0x7FFF_FFFF))
def test_a_timestamp_is_taken_for_the_nearest_one_to_the_reference(reference: int, distance: int) -> None:
    assert extend_timestamp((reference + distance) & 0xFFFF_FFFF, reference) == reference + distance


def test_counters_go_on_upward_through_a_wrap_and_back_down_through_it() -> None:
    assert extend_sequence(0, 65535) == 65536
    assert extend_sequence(65535, 65536) == 65535
    assert extend_sequence(65535, 0) == -1
    assert extend_timestamp(0, 0xFFFF_FFFF) == 1 << 32
    assert extend_timestamp(0xFFFF_FFFF, 1 << 32) == 0xFFFF_FFFF


def test_half_way_round_is_behind() -> None:
    assert extend_sequence(0x8000, 0) == -0x8000
    assert extend_timestamp(0x8000_0000, 0) == -0x8000_0000


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), REFERENCES), max_size=20))
def test_sequence_columns_equal_the_scalar(pairs: list[tuple[int, int]]) -> None:
    numbers, references = np.array(pairs, np.int64).reshape(-1, 2).T.copy()
    extended, distance = extend_sequence_columns(numbers, references)
    assert extended.tolist() == [extend_sequence(*pair) for pair in pairs]
    assert distance.tolist() == [extend_sequence(*pair) - pair[1] for pair in pairs]


@given(st.lists(st.tuples(st.integers(0, 0xFFFF_FFFF), REFERENCES), max_size=20))
def test_timestamp_columns_equal_the_scalar(pairs: list[tuple[int, int]]) -> None:
    timestamps, references = np.array(pairs, np.int64).reshape(-1, 2).T.copy()
    extended, distance = extend_timestamp_columns(timestamps, references)
    assert extended.tolist() == [extend_timestamp(*pair) for pair in pairs]
    assert distance.tolist() == [extend_timestamp(*pair) - pair[1] for pair in pairs]


def test_columns_leave_what_they_were_given_alone() -> None:
    numbers, references = np.array([5, 6]), np.array([7, 8])
    extend_sequence_columns(numbers, references)
    extend_timestamp_columns(numbers, references)
    assert (numbers.tolist(), references.tolist()) == ([5, 6], [7, 8])
