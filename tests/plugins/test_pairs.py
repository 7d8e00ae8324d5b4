"""Both directions of a leg come side by side, aligned in time, and neither waits long for the other."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.block import SampleState
from strep.plugins.base import Wants
from strep.plugins.pairs import PairFramer
from strep.stream.events import AnchorMoved, Direction, SourceChanged
from tests.plugins.test_framing import START_NS, Keeping, block, closed, identity, opened

MS = 1_000_000
IN, OUT = Direction.INBOUND, Direction.OUTBOUND


def pairs(wait_ms=400, opens=((0, IN, 0), (1, OUT, 0)), hop=160):
    taker = Keeping()
    made = PairFramer(Wants(8000, hop, is_pair=True), taker, 8, wait_ms)
    for slot, direction, late_ms in opens:
        made.event(opened(slot, START_NS + int(late_ms * MS), identity(0, direction)))
    return made, taker


def side(taker, side, row=0):
    """One direction's samples of all hops."""
    return np.array([sample for _, samples, *_ in taker.hops[row] for sample in samples[side]], np.int16)


def test_a_hop_goes_out_when_both_directions_have_it():
    made, taker = pairs()
    made.block(block([0], 0, np.full(160, 1), arrival_ns=3))
    assert taker.batches == []
    made.block(block([1], 0, np.full(160, 2), arrival_ns=4))
    assert taker.hops[0] == [(0, [[1] * 160, [2] * 160], [0, 0], [3, 4])]
    assert taker.calls == [("open", 0, START_NS)]
    assert taker.batches[0].time_ns.tolist() == [START_NS]


def test_a_direction_that_began_later_lies_later_to_the_sample():
    made, taker = pairs(opens=((1, OUT, 0), (0, IN, 50)))
    made.event(AnchorMoved(START_NS, 0, START_NS + 30 * MS + 125_000))  # 241 samples
    for n in range(5):
        made.block(block([1], 160 * n, np.arange(160) + 160 * n + 1))
        made.block(block([0], 160 * n, np.arange(160) + 160 * n + 1))
    made.event(closed(0))
    made.event(closed(1))
    inbound, outbound = side(taker, 0), side(taker, 1)
    assert outbound[:800].tolist() == list(range(1, 801))
    assert inbound[:241].tolist() == [0] * 241
    assert inbound[241:1041].tolist() == list(range(1, 801))
    assert taker.hops[0][0][2] == [SampleState.SILENCE, SampleState.RECEIVED]


def test_a_direction_that_turns_out_to_have_begun_earlier_loses_what_is_before_the_first():
    made, taker = pairs()
    made.event(AnchorMoved(START_NS, 1, START_NS - 10 * MS))
    made.block(block([0], 0, np.full(160, 9)))
    for n in range(3):
        made.block(block([1], 160 * n, np.arange(160) + 160 * n))
    made.block(block([0], 160, np.full(160, 9)))
    assert side(taker, 1).tolist() == list(range(80, 400))
    assert made.late_samples == 80


def test_a_silent_direction_holds_the_other_up_for_so_long_and_no_longer():
    made, taker = pairs(wait_ms=100)
    for n in range(10):
        made.block(block([0], 160 * n, np.full(160, n + 1)))
        assert len(taker.batches) == max(0, n + 1 - 5)
    assert {tuple(state) for _, _, state, _ in taker.hops[0]} == {(SampleState.RECEIVED, SampleState.SILENCE)}
    assert not side(taker, 1).any()


def test_what_comes_after_the_wait_is_dropped_and_counted_unless_it_is_silence():
    made, taker = pairs(wait_ms=100)
    for n in range(10):
        made.block(block([0], 160 * n, np.full(160, 1)))
    made.block(block([1], 0, np.zeros(640), SampleState.SILENCE))
    made.block(block([1], 640, np.full(160, 2)))
    made.block(block([1], 800, np.full(160, 3)))
    assert made.late_samples == 160
    made.event(closed(0))
    made.event(closed(1))
    assert side(taker, 1).tolist() == [0] * 800 + [3] * 160 + [0] * 640


def test_an_event_of_a_pair_says_of_which_direction_it_is_and_where_in_the_leg():
    made, taker = pairs(opens=((0, IN, 0), (1, OUT, 10)))
    made.block(block([0, 1], 0, np.ones((2, 160))))
    for slot in (0, 1):
        made.event(SourceChanged(START_NS, slot, 160, 3))
    told = [call for call in taker.calls if call[0] == "event"]
    assert [(row, one.direction, one.position) for _, row, one in told] == [(0, IN, 160), (0, OUT, 240)]


def test_an_event_before_the_first_audio_is_where_that_audio_will_be():
    made, taker = pairs(opens=((0, IN, 0), (1, OUT, 500)))
    made.event(SourceChanged(START_NS, 0, 0, 3))
    made.block(block([0], 0, np.ones(160)))
    made.event(SourceChanged(START_NS, 1, 0, 3))
    made.event(SourceChanged(START_NS, 1, 80, 3))
    told = [call[2].position for call in taker.calls if call[0] == "event"]
    assert told == [0, 4000, 4080]


def test_a_direction_that_ended_is_not_waited_for_and_the_leg_ends_with_the_last():
    made, taker = pairs()
    made.block(block([0, 1], 0, np.ones((2, 160))))
    made.event(closed(1))
    made.block(block([0], 160, np.full(160, 5)))
    assert len(taker.batches) == 2
    assert ("close", 0) not in taker.calls
    made.event(closed(0))
    assert taker.calls[-1] == ("close", 0)


def test_a_row_that_serves_again_has_nothing_of_the_leg_before():
    made, taker = pairs()
    for n in range(7):
        made.block(block([0], 160 * n, np.full(160, 7)))
    made.event(closed(0))
    made.event(closed(1))
    made.event(opened(3, START_NS + 10**9, identity(5, OUT)))
    made.block(block([3], 0, np.full(160, 4)))
    made.event(closed(3))
    assert taker.hops[0] == [(0, [[0] * 160, [4] * 160], [SampleState.SILENCE, 0], [0, 5])]
    assert [hops.time_ns[0] for hops in taker.batches][-1] == START_NS + 10**9


def test_legs_are_apart():
    made, taker = pairs()
    made.event(opened(2, START_NS, identity(1, OUT)))
    made.block(block([0, 2, 1], 0, np.repeat([1, 2, 3], 160)))
    made.event(closed(2))
    assert [samples[side][0] for row in (0, 1) for _, samples, *_ in taker.hops[row] for side in (0, 1)] == [1, 3, 0, 2]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 4)), max_size=40), st.integers(0, 700), st.integers(1, 8))
def test_pairs_are_what_a_reference_lays_side_by_side(turns, apart, wait):
    """However the directions take turns: those within the wait lose nothing, and all hops come in order."""
    made, taker = pairs(wait_ms=20 * wait, opens=((0, IN, 0), (1, OUT, apart / 8)))
    sound = [np.arange(1, 30_000, dtype=np.int16) % 3000 + 1, np.arange(1, 30_000, dtype=np.int16) % 2000 + 1]
    offset = None
    sent, gone, expected = [0, 0], 0, np.zeros((2, 60_000), np.int16)
    origin = None
    for which, packets in turns:
        for _ in range(packets):
            if origin is None:
                origin = which
            offset = [0, apart] if origin == 0 else [-apart, 0]
            begin, end = sent[which], sent[which] + 160
            at = offset[which] + begin
            ends = [(offset[n] + sent[n]) // 160 if sent[n] else 0 for n in (0, 1)]
            ends[which] = max(ends[which], (at + 160) // 160)
            for place in range(max(at, 0), at + 160):
                if place >= gone * 160:
                    expected[which, place] = sound[which][begin + place - at]
            made.block(block([which], begin, sound[which][begin:end]))
            sent[which] = end
            gone = len(taker.hops[0])
            assert gone >= max(ends) - wait
            assert gone <= max(0, max(ends) - wait, min(ends))
    made.event(closed(0))
    made.event(closed(1))
    got = [(position, np.array(samples)) for position, samples, *_ in taker.hops[0]]
    assert [position for position, _ in got] == [160 * n for n in range(len(got))]
    for position, samples in got:
        columns = expected[:, position : position + 160]
        assert ((samples == columns) | (samples == 0)).all()
    if got and made.late_samples == 0:
        whole = np.concatenate([samples for _, samples in got], axis=1)
        assert (whole == expected[:, : whole.shape[1]]).all()
