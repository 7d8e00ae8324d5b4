"""Wire counters become unbounded: near a reference, across wraps, and the same where it is compiled."""

import functools

from hypothesis import given
from hypothesis import strategies as st

from strep.compiler import compiled_twin
from strep.stream.sequence import extend_sequence, extend_timestamp

compiled = functools.cache(compiled_twin)
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


@given(st.lists(st.tuples(st.integers(0, 0xFFFF_FFFF), REFERENCES), max_size=20))
def test_compiled_they_are_the_same(pairs: list[tuple[int, int]]) -> None:
    sequence, timestamp = (compiled(rule, 0, 0) for rule in (extend_sequence, extend_timestamp))
    for value, reference in pairs:
        assert sequence(value & 0xFFFF, reference) == extend_sequence(value & 0xFFFF, reference)
        assert timestamp(value, reference) == extend_timestamp(value, reference)
