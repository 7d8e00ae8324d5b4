"""An id is known again for as long, and as many are, as the bounds allow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.control.webhooks import Deduplicator
from strep.errors import ConfigError


def taken(seen: Deduplicator, event_id: str, now_s: float) -> bool:
    """Do as an inbox does: tell whether it is new, and remember it if so."""
    if seen.is_repeated(event_id, now_s):
        return False
    seen.add(event_id, now_s)
    return True


def test_an_id_is_known_again_until_its_time_is_over() -> None:
    seen = Deduplicator(keep_s=60)
    assert [taken(seen, "a", now_s) for now_s in (0, 1, 59, 60, 61)] == [True, False, False, True, False]


def test_asking_about_an_id_does_not_remember_it() -> None:
    seen = Deduplicator()
    assert [seen.is_repeated("a", 0), seen.is_repeated("a", 0), len(seen)] == [False, False, 0]


def test_beyond_its_capacity_the_oldest_is_forgotten_and_counted() -> None:
    seen = Deduplicator(capacity=2)
    assert [taken(seen, event_id, 0) for event_id in "abcba"] == [True, True, True, False, True]
    assert (len(seen), seen.forgotten_early) == (2, 2)


def test_an_id_that_is_added_again_is_the_youngest_and_takes_no_other_room() -> None:
    seen = Deduplicator(capacity=2)
    for now_s, event_id in enumerate("abac"):
        seen.add(event_id, now_s)
    assert [seen.is_repeated(event_id, 4) for event_id in "abc"] == [True, False, True]
    assert (len(seen), seen.forgotten_early) == (2, 1)


def test_those_whose_time_is_over_leave_and_are_not_counted() -> None:
    seen = Deduplicator(keep_s=10)
    for now_s in range(100):
        seen.add(str(now_s), now_s)
    assert (len(seen), seen.forgotten_early) == (10, 0)


def test_a_clock_that_goes_back_forgets_nothing() -> None:
    seen = Deduplicator(keep_s=10)
    seen.add("a", 100)
    seen.add("b", 50)
    assert seen.is_repeated("a", 50)
    assert seen.is_repeated("b", 50)


def test_any_text_is_an_id() -> None:
    seen = Deduplicator()
    for event_id in ("", "\ud800", "a" * 100_000):
        assert [taken(seen, event_id, 0), taken(seen, event_id, 0)] == [True, False]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 30)), max_size=40))
def test_it_is_as_a_list_of_all_that_was_seen(arrivals: list[tuple[str, int]]) -> None:
    seen, now_s, first_s = Deduplicator(keep_s=50), 0, {}
    for event_id, later_s in arrivals:
        now_s += later_s
        is_new = event_id not in first_s or first_s[event_id] <= now_s - 50
        assert taken(seen, event_id, now_s) == is_new
        if is_new:
            first_s[event_id] = now_s
    assert seen.forgotten_early == 0


@pytest.mark.parametrize("bounds", [{"capacity": 0}, {"keep_s": 0}, {"keep_s": float("nan")}])
def test_bounds_that_keep_nothing_are_the_callers_fault(bounds) -> None:
    with pytest.raises(ConfigError, match="expected to keep"):
        Deduplicator(**bounds)
