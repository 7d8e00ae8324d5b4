"""An id is new once, for as long and as many as are remembered."""

from hypothesis import given
from hypothesis import strategies as st

from strep.control.webhooks import Deduplicator


def test_an_id_is_new_once_until_it_is_forgotten() -> None:
    seen = Deduplicator(keep_s=60)
    assert [seen.is_new("a", now_s) for now_s in (0, 1, 59, 60, 61)] == [True, False, False, True, False]
    assert seen.duplicates == 3


def test_beyond_its_capacity_the_oldest_is_forgotten_and_counted() -> None:
    seen = Deduplicator(capacity=2)
    assert [seen.is_new(id, 0) for id in "abcba"] == [True, True, True, False, True]
    assert (len(seen), seen.forgotten_early) == (2, 2)


def test_what_was_not_taken_after_all_is_new_again() -> None:
    seen = Deduplicator()
    assert seen.is_new("a", 0)
    seen.forget("a")
    seen.forget("never seen")
    assert seen.is_new("a", 0)


def test_what_has_no_id_is_always_new() -> None:
    seen = Deduplicator()
    assert seen.is_new("", 0)
    assert seen.is_new("", 0)
    assert len(seen) == 0


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 30)), max_size=40))
def test_it_is_as_a_list_of_all_that_was_seen(arrivals: list[tuple[str, int]]) -> None:
    seen, now_s, first_s = Deduplicator(keep_s=50), 0, {}
    for id, later_s in arrivals:
        now_s += later_s
        is_new = id not in first_s or first_s[id] <= now_s - 50
        assert seen.is_new(id, now_s) == is_new
        if is_new:
            first_s[id] = now_s
