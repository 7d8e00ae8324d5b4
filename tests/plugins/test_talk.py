"""How two people talk follows from who spoke when."""

from functools import reduce
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from strep.plugins.talk import TalkStatistics, talk_statistics

LENGTH = 120


def longest_run(values):
    longest = run = 0
    for value in values:
        run = run + 1 if value else 0
        longest = max(longest, run)
    return longest


def sides_of(spurts, length=LENGTH):
    return [any(begin <= n < end for begin, end in spurts) for n in range(length)]


@st.composite
def spurts(draw):
    """Draw spurts that are apart from each other, up to LENGTH."""
    edges = sorted(draw(st.sets(st.integers(0, LENGTH), max_size=16)))
    return list(zip(edges[::2], edges[1::2], strict=False))


@given(spurts(), spurts())
def test_times_are_those_of_a_count_sample_by_sample(inbound, outbound):
    found = talk_statistics(inbound, outbound, 0, LENGTH, 5)
    one, two = sides_of(inbound), sides_of(outbound)
    both, none = [a and b for a, b in zip(one, two, strict=True)], [not (a or b) for a, b in zip(one, two, strict=True)]
    assert found.talk_samples == (sum(one), sum(two))
    assert found.overlap_samples == sum(both)
    assert found.spurts == (len([s for s in inbound if s[0] < LENGTH]), len([s for s in outbound if s[0] < LENGTH]))
    assert found.longest_silence_samples == (longest_run(not x for x in one), longest_run(not x for x in two))
    assert found.longest_mutual_silence_samples == longest_run(none)


def turns(inbound, outbound, least_overlap):
    """Walk through time; gives interruptions and waits of both sides."""
    sides, interruptions, waits = (inbound, outbound), [0, 0], ([], [])
    for side in (0, 1):
        for begin, end in sides[side]:
            others = [spurt for spurt in sides[1 - side] if spurt[0] < begin]
            if not others:
                continue
            beside = min(others[-1][1], end) - begin
            if beside > 0 and beside >= least_overlap:
                interruptions[side] += 1
            own = [spurt[1] for spurt in sides[side] if spurt[1] <= begin]
            is_theirs = not own or own[-1] < others[-1][1]
            is_brief = others[-1][1] <= begin or (others[-1][1] - begin < least_overlap and others[-1][1] < end)
            if is_theirs and is_brief:
                waits[side].append(max(begin - others[-1][1], 0))
    return tuple(interruptions), waits


@given(spurts(), spurts(), st.integers(1, 10))
def test_turns_are_those_of_a_walk_through_time(inbound, outbound, least_overlap):
    inbound, outbound = ([spurt for spurt in side if spurt[0] < LENGTH] for side in (inbound, outbound))
    found = talk_statistics(inbound, outbound, 0, LENGTH, least_overlap)
    interruptions, waits = turns(inbound, outbound, least_overlap)
    assert found.interruptions == interruptions
    assert found.responses == tuple(map(len, waits))
    assert found.response_samples == tuple(map(sum, waits))
    assert found.longest_response_samples == tuple(max(side, default=0) for side in waits)


@given(spurts(), spurts(), st.lists(st.integers(1, LENGTH - 1), max_size=4, unique=True))
def test_intervals_add_up_to_the_whole(inbound, outbound, cuts):
    bounds = [0, *sorted(cuts), LENGTH]
    spans = [talk_statistics(inbound, outbound, *span, 5) for span in pairwise(bounds)]
    assert reduce(TalkStatistics.__add__, spans) == talk_statistics(inbound, outbound, 0, LENGTH, 5)


def test_an_answer_takes_the_time_from_the_end_of_the_question():
    found = talk_statistics([(0, 100), (250, 300)], [(130, 200)], 0, 400, 20)
    assert found.responses == (1, 1)
    assert found.response_samples == (50, 30)
    assert found.interruptions == (0, 0)


def test_who_speaks_while_the_other_goes_on_interrupts_and_does_not_respond():
    found = talk_statistics([(0, 100)], [(60, 150)], 0, 200, 20)
    assert (found.interruptions, found.responses, found.overlap_samples) == ((0, 1), (0, 0), 40)


def test_who_begins_as_the_other_ends_responds_at_once():
    found = talk_statistics([(0, 100)], [(90, 150)], 0, 200, 20)
    assert (found.interruptions, found.responses, found.response_samples) == ((0, 0), (0, 1), (0, 0))


def test_who_goes_on_after_a_pause_of_their_own_does_not_respond():
    assert talk_statistics([(0, 100), (200, 300)], [], 0, 400, 20).responses == (0, 0)


def test_nobody_is_silent_for_all_of_the_time():
    found = talk_statistics([], [], 0, 400, 20)
    assert (found.longest_silence_samples, found.longest_mutual_silence_samples) == ((400, 400), 400)
