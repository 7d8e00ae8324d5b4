"""How many calls are left out, and when they come back, is a function of what one turn after the other says."""

import pytest

from strep.live.overload import CALM_NS, MOST_CALM_NS, PATIENCE_NS, READMIT_INTERVAL_NS, SETTLE_NS, Load, Overload
from strep.sinks.base import NO_BACKLOG, Backlog

MS = 1_000_000
START_NS = 10**18


class Turns:
    """Tells an Overload of turns 10 ms apart."""

    def __init__(self) -> None:
        self.overload, self.now_ns = Overload(), START_NS
        self.drops = self.received = self.media = 0
        self.calls, self.left_out = 1000, 0
        self.decisions: list[int] = []
        self.turn(emptied=True)

    def turn(
        self,
        *,
        emptied: bool,
        lag_ms: float = 0,
        queued_share: float = 0.0,
        drops: int = 0,
        strangers: int = 0,
        writing: Backlog = NO_BACKLOG,
    ) -> int:
        """Read 1,000 datagrams of calls, and some of strangers."""
        self.drops += drops
        self.media += 1000
        self.received += 1000 + strangers
        self.now_ns += 10 * MS
        lag_ns = int(lag_ms * MS)
        decided = self.overload.look(
            self.now_ns,
            Load(
                *(emptied, lag_ns, queued_share, self.drops, self.received, self.media, self.calls, self.left_out),
                writing=writing,
            ),
        )
        self.calls -= decided
        self.left_out += decided
        if decided:
            self.decisions.append(decided)
        return decided

    def for_ns(self, time_ns: int, **turn) -> None:
        for _ in range(time_ns // (10 * MS)):
            self.turn(**turn)

    def dropping(self) -> None:
        """Be overloaded, until that was seen once."""
        self.for_ns(PATIENCE_NS + 10 * MS, emptied=False, drops=1)


def test_drops_of_a_queue_that_is_never_emptied_cost_a_tenth_of_the_calls_each_time_one_looks() -> None:
    turns = Turns()
    turns.for_ns(3 * PATIENCE_NS + 2 * SETTLE_NS + 10 * MS, emptied=False, drops=1)
    assert turns.decisions == [100, 90, 81]


def test_what_is_dropped_while_recordings_are_ended_costs_nothing_more() -> None:
    turns = Turns()
    turns.dropping()
    turns.for_ns(SETTLE_NS, emptied=False, drops=1)
    turns.for_ns(2 * PATIENCE_NS, emptied=False)
    assert turns.decisions == [100]


def test_who_falls_behind_with_a_full_queue_leaves_out_as_much_as_that_and_a_tenth_before_anything_is_dropped() -> None:
    turns = Turns()
    for n in range(51):
        turns.turn(emptied=False, queued_share=0.95, lag_ms=1000 + n * 10 * 0.08)
    assert turns.decisions == [180]


def test_no_look_costs_more_than_a_quarter() -> None:
    turns = Turns()
    for n in range(51):
        turns.turn(emptied=False, queued_share=0.95, lag_ms=n * 10)
    assert turns.decisions == [250]


def test_a_stall_costs_nothing_while_what_it_left_becomes_less() -> None:
    turns = Turns()
    for n in range(200):
        turns.turn(emptied=False, queued_share=0.99, lag_ms=2000 - n)
    assert turns.decisions == []


def test_falling_behind_costs_nothing_while_the_queue_has_room() -> None:
    turns = Turns()
    for n in range(200):
        turns.turn(emptied=False, queued_share=0.9, lag_ms=n)
    assert turns.decisions == []


def test_a_full_queue_that_is_emptied_in_time_costs_nothing_even_with_drops() -> None:
    turns = Turns()
    for n in range(300):
        turns.turn(emptied=n % 40 == 0, queued_share=0.99, lag_ms=n, drops=5)
    assert turns.decisions == []


def test_after_a_calm_a_twentieth_comes_back_each_second() -> None:
    turns = Turns()
    turns.dropping()
    turns.for_ns(CALM_NS - 10 * MS, emptied=True)
    assert turns.decisions == [100]
    turns.for_ns(3 * READMIT_INTERVAL_NS, emptied=True)
    assert turns.decisions == [100, -50, -50]
    assert (turns.calls, turns.left_out) == (1000, 0)


def test_calm_begins_anew_with_each_turn_that_did_not_empty_the_queue() -> None:
    turns = Turns()
    turns.dropping()
    for _ in range(4):
        turns.for_ns(CALM_NS - 10 * MS, emptied=True)
        turns.turn(emptied=False)
    assert turns.decisions == [100]


def test_a_return_that_was_too_much_makes_the_next_wait_twice_as_long_up_to_a_bound_and_quiet_makes_up_for_it() -> None:
    turns = Turns()
    turns.dropping()
    waits_ns = []
    for _ in range(6):
        began_ns = turns.now_ns
        while turns.turn(emptied=True) >= 0:
            pass
        waits_ns.append(turns.now_ns - began_ns)
        turns.dropping()
    expected = [min(CALM_NS * 2**n, MOST_CALM_NS) for n in range(6)]
    assert all(0 <= wait - calm <= 20 * MS for wait, calm in zip(waits_ns, expected, strict=True))
    turns.for_ns(2 * MOST_CALM_NS, emptied=True)
    assert turns.left_out == 0
    turns.for_ns(MOST_CALM_NS, emptied=True)
    turns.decisions.clear()
    turns.dropping()
    turns.for_ns(CALM_NS + 10 * MS, emptied=True)
    assert len(turns.decisions) == 2


def test_the_first_turn_of_all_is_no_overload() -> None:
    overload = Overload()
    assert not overload.look(START_NS, Load(False, 10**9, 1.0, drops=9, received=9, media=9, calls=10, left_out=0))


@pytest.mark.parametrize(("strangers", "decisions"), [(999, [100]), (1001, [])])
def test_a_flood_of_which_most_is_no_media_costs_no_call(strangers: int, decisions: list[int]) -> None:
    turns = Turns()
    turns.for_ns(PATIENCE_NS + 10 * MS, emptied=False, drops=9, queued_share=1.0, strangers=strangers)
    assert turns.decisions == decisions


def test_what_was_read_before_one_began_to_look_does_not_count() -> None:
    turns = Turns()
    turns.turn(emptied=True, strangers=10**9)
    turns.dropping()
    turns.for_ns(PATIENCE_NS + SETTLE_NS + 10 * MS, emptied=False, drops=1, strangers=10**6)
    assert turns.decisions == [100]


@pytest.mark.parametrize(
    ("share", "moves", "strangers", "decisions"),
    [(0.95, True, 0, [200]), (0.95, True, 10**6, [200]), (0.85, True, 0, []), (0.95, False, 0, [])],
)
def test_calls_are_left_out_when_what_waits_to_be_written_gets_older_unless_the_disk_stands_still(
    share: float, moves: bool, strangers: int, decisions: list[int]
) -> None:
    turns = Turns()
    for n in range(PATIENCE_NS // (10 * MS) + 1):  # a tenth slower than it comes
        writing = Backlog(share, 27_000 * MS + n * MS, moves)
        turns.turn(emptied=True, strangers=strangers, writing=writing)
    assert turns.decisions == decisions
