"""Packets are found again among hops, whatever they last."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.block import SampleState
from strep.plugins.base import Hops
from strep.plugins.packets import LOST, NO_PACKET, WINDOW_RUNS, PacketBegins, packet_arrivals

START_NS, HOP_NS = 1_700_000_000_000_000_000, 10_000_000
ENDLESS = 10**9


def begins(streams):
    """Run streams, lists of arrivals by hop, side by side; give where packets begin in each."""
    packets = PacketBegins(len(streams), 10)
    found = [[] for _ in streams]
    for n in range(max(map(len, streams))):
        rows = [row for row, arrivals in enumerate(streams) if n < len(arrivals)]
        told = packets.take(np.array(rows), np.array([streams[row][n] for row in rows]))
        for row, one in zip(rows, told.tolist(), strict=True):
            found[row] += [n] if one else []
    return found


def pace_of(runs):
    """Give how many hops packets last, of the lengths of all runs so far."""
    twice = [ENDLESS] + [max(pair) for pair in pairwise(runs)]  # the first run has none before it
    full = len(runs) // WINDOW_RUNS * WINDOW_RUNS
    return min(twice[max(0, full - WINDOW_RUNS) : len(runs)], default=ENDLESS)


def naive(arrivals):
    """Follow one stream hop by hop."""
    found, runs, run, age, last = [], [], 0, 0, NO_PACKET
    for n, arrival in enumerate(arrivals):
        if arrival != last:
            runs += [run] if last > 0 else []
            run, age = 0, ENDLESS
        run, pace = run + 1, pace_of(runs)
        if arrival == LOST and pace == ENDLESS:
            pace = 2
        if arrival != NO_PACKET and age >= pace:
            found.append(n)
            age = 0
        age, last = age + 1, arrival
    return found


SPANS = st.lists(
    st.tuples(st.sampled_from(["new", "same", "lost", "none"]), st.integers(1, 6), st.integers(1, 20)), max_size=25
)


def arrivals_of(spans):
    """Make arrivals of (what, hops of a packet, packets)."""
    made, now = [], START_NS
    for what, hops, packets in spans:
        for _ in range(packets):
            now += HOP_NS if what == "new" else 0
            made += [{"lost": LOST, "none": NO_PACKET}.get(what, now)] * hops
    return made


@given(st.lists(SPANS.map(arrivals_of).filter(bool), min_size=1, max_size=4))
def test_columns_equal_one_stream_by_itself(streams):
    assert begins(streams) == [naive(arrivals) for arrivals in streams]


def sent(hops, packets, lost=(), together=()):
    """Make the arrivals of packets of so many hops; those `together` came at the time of the one before."""
    made = []
    for number in range(packets):
        arrival = START_NS + (number - (number in together)) * hops * HOP_NS
        made += [LOST if number in lost else arrival] * hops
    return made


CHANCE = st.sets(st.integers(4, 99), max_size=50)


@given(st.lists(st.tuples(st.sampled_from([1, 2, 3, 4, 6]), CHANCE), min_size=2, max_size=5))
def test_every_packet_is_found_whatever_it_lasts_and_whichever_are_lost(streams):
    found = begins([sent(hops, 100, lost) for hops, lost in streams])
    assert found == [list(range(0, 100 * hops, hops)) for hops, _ in streams]


@pytest.mark.parametrize("hops", [1, 2, 3, 4, 6])
def test_packets_that_came_at_one_time_are_told_apart(hops):
    chance = np.random.default_rng(hops)
    together = {int(n) for n in np.flatnonzero(chance.random(2000) < 0.2) if n > 3}
    lost = {int(n) for n in np.flatnonzero(chance.random(2000) < 0.1) if n > 3}
    (found,) = begins([sent(hops, 2000, lost, together)])
    assert found == list(range(0, 2000 * hops, hops))


def test_before_the_pace_is_known_lost_packets_last_20_ms():
    assert begins([[LOST] * 8]) == [[0, 2, 4, 6]]


def test_a_packet_that_was_cut_does_not_change_the_pace():
    cut = sent(3, 10) + [START_NS - 1] * 2 + [START_NS - 2] * 3 + [LOST] * 6
    assert begins([cut]) == [[*range(0, 30, 3), 30, 32, 35, 38]]


def test_packets_that_become_longer_are_found_out():
    arrivals = sent(2, 100) + [one + START_NS for one in sent(4, 100)]
    (found,) = begins([arrivals])
    assert len([n for n in found if n < 200]) == 100
    assert 100 <= len([n for n in found if n >= 200]) <= 100 + 2 * WINDOW_RUNS
    assert [n for n in found if n >= 500] == list(range(500, 600, 4))


def test_a_row_begins_anew():
    packets, row = PacketBegins(1, 10), np.array([0])
    for arrival in sent(1, 10):
        packets.take(row, np.array([arrival]))
    packets.reset(0)
    assert [packets.take(row, np.array([one]))[0] for one in [START_NS] * 3] == [True, False, False]


def hops_of(states, arrival_ns):
    count = len(states)
    numbers = np.arange(count)
    return Hops(8000, numbers, numbers * 0, numbers, np.zeros((count, 80), np.int16), np.array(states), arrival_ns)


def test_a_hop_has_the_arrival_of_its_last_sample_or_is_lost_or_of_no_packet():
    states = list(SampleState)
    nothing = [NO_PACKET, LOST, NO_PACKET, LOST, NO_PACKET]
    assert packet_arrivals(hops_of(states, None)).tolist() == nothing
    assert packet_arrivals(hops_of(states, np.zeros(5, np.int64))).tolist() == nothing
    assert packet_arrivals(hops_of(states, np.full(5, START_NS))).tolist() == [START_NS] * 5
