"""Webhooks come in any order, twice, up to a minute late or never: a call is forked as soon as that can be decided."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strep.service.calls import Act, Phase, Status
from tests.service.notices import SECOND_NS, answered, initiated, notice
from tests.service.test_switchboard import Board

CALLS = 50
LATEST_S = 60
RULES = """
[[rules]]
name = "not these"
from = "+1*"
fork = false
[[rules]]
name = "incoming"
direction = "incoming"
[[rules]]
name = "number"
from = "+44*"
[[rules]]
name = "header"
headers = { "X-Record" = "yes" }
"""
HEADER = [{"name": "X-Record", "value": "yes"}]
#: What call.initiated says of a call, and what call.answered does; by the name of the rule that selects it.
TOLD = {
    "incoming": ({"direction": "incoming"}, {}),
    "number": ({"direction": "outgoing", "from": "+44201"}, {"from": "+44201"}),
    "header": ({"direction": "outgoing", "custom_headers": HEADER}, {}),
}


class Calls(Board):
    """Is a board whose acts are told by their call, with the time."""

    def __init__(self, text=RULES):
        super().__init__(text)
        self.forked_s = {}
        self.checked = []

    def done(self, call, act):
        name = call.call_control_id
        if act is Act.FORK:
            assert name not in self.forked_s, "once"
            self.forked_s[name] = self.now_ns / SECOND_NS
        elif act is Act.CHECK:
            self.checked.append(name)


def webhooks(chance, number):
    """Give a call's webhooks, each with when it comes, some twice; and when all that its rule asks for has come."""
    rule = list(TOLD)[number % len(TOLD)]
    name = f"v3:{number}"
    first, second = TOLD[rule]
    events = [initiated(name, **first), answered(name, **second), notice("call.bridged", name)]
    times_s = [(chance.uniform(0, LATEST_S), event) for event in events]
    again_s = [(chance.uniform(0, LATEST_S), event) for event in events if chance.random() < 0.5]
    come_s = {event.event_type: min(s for s, it in times_s + again_s if it is event) for event in events}
    is_answered_s = min(come_s["call.answered"], come_s["call.bridged"])
    needs_s = {"incoming": come_s["call.initiated"], "number": come_s["call.initiated"]}
    return times_s + again_s, max(is_answered_s, needs_s.get(rule, come_s["call.initiated"]))


@pytest.mark.parametrize("seed", range(10))
def test_of_50_calls_whose_webhooks_are_up_to_60_s_late_each_is_forked_as_soon_as_it_can_be_decided(seed):
    chance, board = random.Random(seed), Calls()
    began_ns, due, known_s = board.now_ns, [], {}
    for number in range(CALLS):
        times_s, known_s[f"v3:{number}"] = webhooks(chance, number)
        due += times_s
    due.sort(key=lambda it: it[0])
    tick_s = 0.0
    for time_s, event in due:
        while tick_s < time_s:
            board.now_ns = began_ns + round(tick_s * SECOND_NS)
            board.tick()
            tick_s += 0.5
        board.now_ns = began_ns + round(time_s * SECOND_NS)
        board.take(event)
    assert len(board.forked_s) == CALLS
    assert {name: time_s - began_ns / SECOND_NS for name, time_s in board.forked_s.items()} == pytest.approx(known_s)
    assert "call.undecided" not in board.kinds
    assert len(board.undecided) == 0


@settings(max_examples=50)
@given(st.permutations([initiated(), initiated(), answered(), answered(), notice("call.bridged")]), st.data())
def test_no_order_and_no_delay_keeps_a_call_from_its_fork(events, data):
    board = Board("[[rules]]\ndirection = 'incoming'\n")
    for event in events:
        board.now_ns += data.draw(st.integers(0, 200)) * SECOND_NS
        board.tick()
        board.take(event)
    assert board.acts.count(Act.FORK) == 1


def test_a_call_whose_direction_is_never_told_is_given_up_and_that_is_told(caplog):
    board = Board("[[rules]]\ndirection = 'incoming'\nheaders = { X-Record = 'yes' }\n")
    board.take(answered())
    board.now_ns += 120 * SECOND_NS - 1
    board.tick()
    assert "call.undecided" not in board.kinds
    board.now_ns += 1
    board.tick()
    assert board.acts == []
    (event,) = (it for it in board.told if it.kind == "call.undecided")
    assert event.detail == {
        "waits_for": ["direction", "headers.X-Record"],
        "reason": "limits.undecided_s: 120 s are over",
        "is_forked": False,
    }
    assert board.counts["call.undecided"] == board.undecided.given_up == 1
    assert "call v3:one was decided without its direction, headers.X-Record" in caplog.text
    board.now_ns += 60 * SECOND_NS
    board.tick()
    assert board.undecided.given_up == 1, "once"
    board.take(initiated(custom_headers=HEADER))
    assert board.acts == [Act.FORK], "late is better than never"


def test_no_more_calls_wait_than_the_limit_says_and_the_oldest_are_given_up_first():
    board = Calls("[limits]\nundecided = 2\n[[rules]]\ndirection = 'incoming'\n")
    for number in range(4):
        board.take(answered(f"v3:{number}"))
        board.now_ns += SECOND_NS
    board.tick()
    given_up = [it.call["call_control_id"] for it in board.told if it.kind == "call.undecided"]
    assert given_up == ["v3:0", "v3:1"]
    assert len(board.undecided) == 2
    assert {it.detail["reason"] for it in board.told if it.kind == "call.undecided"} == {
        "limits.undecided: 2 calls wait already"
    }


def test_a_call_that_ends_does_not_wait_any_longer():
    board = Board("[[rules]]\ndirection = 'incoming'\n")
    board.take(answered())
    board.take(notice("call.hangup"))
    board.now_ns += 3600 * SECOND_NS
    board.tick()
    assert "call.undecided" not in board.kinds


def test_a_call_whose_answer_was_lost_is_forked_when_the_platform_is_asked():
    board = Board("[[rules]]\ndirection = 'incoming'\n")
    board.take(initiated())
    call = board.calls.get("v3:one")
    board.now_ns += 9 * SECOND_NS
    board.tick()
    assert board.acts == []
    board.now_ns += 2 * SECOND_NS
    board.tick()
    assert board.acts == [Act.CHECK]
    board.apply(call, lambda: call.checked(Status(True, True), board._config.rules, board.now_ns))
    assert board.acts == [Act.CHECK, Act.FORK]
    assert call.phase is Phase.FORKING


def test_waiting_goes_by_a_steady_clock():
    board = Board("[[rules]]\ndirection = 'incoming'\n")
    board.steady_now_ns = 0
    board._steady_ns = lambda: board.steady_now_ns
    board.take(answered())
    board.now_ns -= 3600 * SECOND_NS
    board.steady_now_ns += 119 * SECOND_NS
    board.tick()
    assert board.undecided.given_up == 0
    board.steady_now_ns += SECOND_NS
    board.tick()
    assert board.undecided.given_up == 1
