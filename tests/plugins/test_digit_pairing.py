"""A tone and an event of one key become one digit, whichever comes first; neighbours stay two."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.plugins.digit_pairing import MOST_WAITING, TOLERANCE_SAMPLES, WAIT_SAMPLES, Digit, DigitPairing

MS = 8


def digit(source, start_ms, ms=50, name="5", level=-9.0):
    return Digit(
        row=3,
        position=start_ms * MS,
        length_samples=ms * MS,
        digit=name,
        source=source,
        duration_ms=ms,
        level_dbm0=level,
    )


def pair(*digits):
    pairing = DigitPairing()
    return [found for one in digits for found in pairing.add(one)] + pairing.finish()


@pytest.mark.parametrize("start_ms", [930, 970, 1000, 1049, 1079])
def test_a_tone_and_an_event_that_overlap_or_nearly_do_are_one_digit(start_ms):
    tone, event = digit("inband", 1000, 50, level=-8.5), digit("rfc4733", start_ms, 100, level=-12.0)
    for order in permutations([tone, event]):
        [both] = pair(*order)
        assert (both.source, both.level_dbm0, both.row) == ("both", -8.5, 3)
        assert (both.position, both.end) == (min(tone.position, event.position), max(tone.end, event.end))
        assert both.duration_ms * MS == both.length_samples


@pytest.mark.parametrize(
    "other",
    [
        digit("rfc4733", 1000 + 50 + 31),
        digit("rfc4733", 1000 - 50 - 31),
        digit("rfc4733", 1000, name="6"),
        digit("inband", 1090),
    ],
)
def test_what_is_apart_or_another_key_or_came_the_same_way_is_two_digits(other):
    tone = digit("inband", 1000)
    for order in permutations([tone, other]):
        assert pair(*order) == sorted(order, key=lambda found: found.position)


def test_the_tolerance_is_less_than_the_shortest_pause():
    assert TOLERANCE_SAMPLES < 40 * MS


def test_three_fast_presses_that_come_both_ways_are_three_digits():
    tones = [digit("inband", 1000 + 80 * n, 40) for n in range(3)]
    events = [digit("rfc4733", 1000 + 80 * n, 40) for n in range(3)]
    for order in ([*tones, *events], [*events, *tones], [*tones[::-1], *events]):
        found = pair(*order)
        assert [(one.source, one.position) for one in found] == [("both", tone.position) for tone in tones]


def test_a_digit_waits_for_its_like_and_no_longer():
    pairing = DigitPairing()
    assert pairing.due is None
    assert pairing.add(digit("inband", 1000)) == []
    assert pairing.due == 1050 * MS + WAIT_SAMPLES
    assert pairing.reach(pairing.due - 1) == []
    assert [found.source for found in pairing.reach(pairing.due)] == ["inband"]
    assert pairing.due is None
    assert pairing.finish() == []


def test_what_comes_after_its_like_was_reported_is_not_reported_again():
    pairing = DigitPairing()
    pairing.add(digit("inband", 1000))
    assert len(pairing.reach(2000 * MS)) == 1
    assert pairing.add(digit("rfc4733", 1000, 1500)) == []
    assert pairing.finish() == []
    pairing.add(digit("rfc4733", 1020, 40))
    assert len(pairing.finish()) == 1, "one report answers one event"


@given(st.lists(st.tuples(st.sampled_from(["inband", "rfc4733"]), st.integers(0, 200)), max_size=100))
def test_no_more_wait_than_may_and_every_one_is_reported_once(told):
    pairing, found = DigitPairing(), []
    for source, start in told:
        found += pairing.add(digit(source, 100 * start, 40))
        assert len(pairing._waiting) <= MOST_WAITING
    found += pairing.finish()
    assert len(found) <= len(told)
    assert {one.position for one in found} == {start * 100 * MS for _, start in told}
