"""A pause does not hold up anybody, and nothing is lost by that."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.block import SampleState
from strep.plugins.base import Wants
from strep.plugins.framing import Framer
from strep.plugins.pairs import PairFramer
from strep.plugins.portions import Portions
from strep.stream.events import AnchorMoved, Direction, SourceChanged
from tests.plugins.events import placed
from tests.plugins.test_framing import START_NS, Keeping, block, closed, identity, opened
from tests.plugins.test_pairs import side

SILENCE = SampleState.SILENCE


class InOrder(Keeping):
    """Keeps what a plugin would be given, and of each row in which order."""

    def __init__(self):
        super().__init__()
        self.order = {}

    def process(self, hops):
        super().process(hops)
        for row, position in zip(hops.rows.tolist(), hops.position.tolist(), strict=True):
            self.order.setdefault(row, []).append(position)

    def event(self, row, placed):
        self.order.setdefault(row, []).append(placed)


def portions(slots=(0, 1), kind=Portions, hop=160):
    taker = InOrder()
    made = Framer(Wants(8000, hop), taker, 8)
    for slot in slots:
        made.event(opened(slot))
    return kind(made), taker


def test_a_pause_is_given_in_portions_and_what_comes_behind_it_in_its_turn():
    made, taker = portions()
    for second in range(3):
        made.block(block([0], 8000 * second, np.zeros(8000), SILENCE))
    changed = SourceChanged(START_NS, 0, 24_000, 3)
    made.event(changed)
    given = []
    for n in range(30):
        slots, position = ([1], [160 * n]) if n < 8 else ([0, 1], [24_000 + 160 * (n - 8), 160 * n])
        made.block(block(slots, position, np.full((len(slots), 160), n + 1)))
        made.flush(0)
        given.append(len(taker.hops[0]))
        assert len(taker.hops[1]) == n + 1, "the other one waits for nothing"
    assert max(np.diff(given)) == 8
    assert given[-1] == 150 + 22
    assert taker.order[0][149:152] == [149 * 160, placed(changed), 150 * 160]
    assert taker.audio(0)[-160 * 23 :: 160].tolist() == [0, *range(9, 31)]


def test_a_stream_that_ends_while_its_pause_is_given_is_given_whole():
    made, taker = portions()
    made.block(block([0], 0, np.zeros(8000), SILENCE))
    made.block(block([0], 8000, np.full(160, 5)))
    assert taker.hops[0] == []
    made.event(closed(0))
    assert len(taker.hops[0]) == 51
    assert taker.audio(0)[-160:].tolist() == [5] * 160
    assert taker.calls[-1] == ("close", 0)


def test_where_the_first_sample_lies_is_told_at_once():
    made, taker = portions()
    made.block(block([0], 0, np.zeros(8000), SILENCE))
    moved = AnchorMoved(START_NS, 0, START_NS - 1000)
    made.event(moved)
    made.flush(0)
    assert taker.order[0][0] == placed(moved)
    assert taker.batches[0].time_ns.tolist() == [START_NS - 1000]


@pytest.mark.parametrize("kind", [Portions, lambda framer: framer])
@pytest.mark.parametrize("rate_hz", [8000, 16_000])
def test_a_direction_that_comes_back_is_heard_from_its_first_sample_on(kind, rate_hz):
    taker = Keeping()
    framer = PairFramer(Wants(8000, 160, is_pair=True), taker, 8)
    made = kind(framer)
    for slot, direction in enumerate(Direction):
        made.event(opened(slot, who=identity(0, direction)))
    ours = rate_hz // 50
    made.block(block([1], 0, np.full(ours + 30, 3), rate_hz=rate_hz))
    for n in range(450):
        made.block(block([0], 160 * n, np.full(160, 1)))
        made.flush(0)
    begin = ours + 30
    for end in [*range(rate_hz, 9 * rate_hz, rate_hz), 450 * ours]:
        made.block(block([1], begin, np.zeros(end - begin), SILENCE, rate_hz=rate_hz))
        begin = end
    for n in range(450, 500):
        made.block(block([0], 160 * n, np.full(160, 1)))
        made.block(block([1], ours * n, np.full(ours, 2), rate_hz=rate_hz))
        made.flush(0)
    for slot in (0, 1):
        made.event(closed(slot))
    heard = side(taker, 1)
    assert not heard[400 : 450 * 160 - 40].any()
    assert np.abs(heard[450 * 160 + 40 : 500 * 160 - 40] - 2).max() <= 1
    assert side(taker, 0).tolist() == [1] * 80_000
    if rate_hz == 8000:
        assert framer.late_samples == 0


def test_a_direction_that_begins_with_a_pause_is_placed_before_it_is_given():
    taken = []
    for kind in (Portions, lambda framer: framer):
        taker = Keeping()
        framer = PairFramer(Wants(8000, 160, is_pair=True), taker, 8)
        made = kind(framer)
        for slot, direction in enumerate(Direction):
            late_ns = 1_000_000_000 * slot
            made.event(opened(slot, START_NS + late_ns, identity(0, direction)))
        for n in range(100):
            made.block(block([0], 160 * n, np.full(160, 1)))
            made.flush(0)
        made.block(block([1], 0, np.zeros(8000), SILENCE))
        for n in range(100, 150):
            made.block(block([0], 160 * n, np.full(160, 1)))
            made.block(block([1], 8000 + 160 * (n - 100), np.full(160, 2)))
            made.flush(0)
        for slot in (0, 1):
            made.event(closed(slot))
        taken.append(side(taker, 1).tolist())
        assert framer.late_samples == 0
    assert taken[0] == taken[1]
    assert taken[0][16_000:] == [2] * 8000


LENGTHS = st.sampled_from([10, 160, 170, 1280, 1290, 3000])
SLOTS = st.sets(st.integers(0, 2), min_size=1).map(sorted)
ITEMS = st.lists(st.tuples(SLOTS, LENGTHS | st.none(), st.integers(0, 4), st.integers(0, 300)), max_size=25)


@given(ITEMS, st.sampled_from([50, 160, 400]), st.data())
def test_nothing_else_is_given_and_in_no_other_order(items, hop, data):
    ends = data.draw(st.lists(st.integers(0, len(items)), min_size=3, max_size=3))
    taken = []
    for kind in (Portions, lambda framer: framer):
        made, taker = portions(range(3), kind, hop)
        position, now_ns = np.zeros(3, np.int64), 0
        for n, (slots, length, state, later_ms) in enumerate([*items, ([], None, 0, 0)]):
            for slot in range(3):
                if ends[slot] == n:
                    made.event(closed(slot))
            slots = [slot for slot in slots if ends[slot] > n]
            if length is None:
                for slot in slots:
                    made.event(SourceChanged(START_NS, slot, int(position[slot]), n))
            elif slots:
                sound = np.full((len(slots), length), 0 if state == SILENCE else n + 1)
                made.block(block(slots, position[slots], sound, state))
                position[slots] += length
            if later_ms:
                now_ns += later_ms * 1_000_000
                made.flush(now_ns)
        taken.append((taker.hops, taker.order))
    assert taken[0] == taken[1]


def test_streams_that_come_back_together_stay_together():
    made, taker = portions(range(3))
    for second in range(4):
        made.block(block(range(3), 8000 * second, np.zeros((3, 8000)), SampleState.LOST))
    made.block(block([2, 0], 32_000, np.ones((2, 160))))
    for tick in range(40):
        made.flush(tick * 20_000_000)
    assert {len(hops) for hops in taker.batches} == {3, 2}, "none by itself"
    assert [len(taker.hops[row]) for row in range(3)] == [201, 200, 201]


@pytest.mark.parametrize("turn_ms", [5, 20, 200, 450])
def test_a_stream_catches_up_however_seldom_there_is_time_for_it(turn_ms):
    made, taker = portions()
    for second in range(10):
        made.block(block([0], 8000 * second, np.zeros(8000), SILENCE))
    position, now_ns = 80_000, 0
    while len(taker.hops[0]) < position // 160:
        now_ns += turn_ms * 1_000_000
        for _ in range(now_ns // 20_000_000 - (position - 80_000) // 160):
            made.block(block([0], position, np.ones(160)))
            position += 160
        made.flush(now_ns)
        assert now_ns < 15_000_000_000, "it never does"
