"""A call's way through the states: nothing but times given and answers read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.emulator.states import NS_PER_S, CallState, HangupCause, HangupSource, Lifecycle

ENDED = (HangupCause.NORMAL_CLEARING, HangupSource.CALLER)


def in_state(state):
    call = Lifecycle(0, CallState.DIALED)
    steps = {
        CallState.DIALED: [],
        CallState.RINGING: [call.ring],
        CallState.ACTIVE: [call.ring, lambda: call.answer(1)],
        CallState.BRIDGED: [call.ring, lambda: call.answer(1), call.bridge],
        CallState.ENDED: [lambda: call.end(1, *ENDED)],
    }
    for step in steps[state]:
        assert step()
    assert call.state is state
    return call


@pytest.mark.parametrize(
    ("step", "possible"),
    [
        (lambda call: call.ring(), {"dialed": "ringing"}),
        (lambda call: call.answer(2), {"dialed": "active", "ringing": "active"}),
        (lambda call: call.bridge(), {"active": "bridged"}),
        (lambda call: call.unbridge(), {"bridged": "active"}),
        (lambda call: call.end(2, *ENDED), dict.fromkeys(["dialed", "ringing", "active", "bridged"], "ended")),
    ],
)
@pytest.mark.parametrize("state", list(CallState))
def test_a_step_is_possible_from_some_states_and_changes_nothing_from_others(step, possible, state):
    call = in_state(state)
    assert step(call) == (state in possible)
    assert call.state == possible.get(state, state)


def test_a_call_that_nobody_answers_ends_when_patience_does():
    call = Lifecycle(NS_PER_S, CallState.DIALED, timeout_ns=30 * NS_PER_S)
    assert call.deadline_ns == 31 * NS_PER_S
    assert not call.expire(31 * NS_PER_S - 1) and call.is_alive
    assert call.expire(40 * NS_PER_S)
    assert (call.cause, call.source, call.ended_ns) == (HangupCause.TIMEOUT, HangupSource.UNKNOWN, 31 * NS_PER_S)
    assert not call.expire(41 * NS_PER_S)


def test_the_time_limit_counts_from_the_answer():
    call = Lifecycle(0, timeout_ns=30 * NS_PER_S, time_limit_ns=60 * NS_PER_S)
    call.answer(20 * NS_PER_S)
    assert call.deadline_ns == 80 * NS_PER_S
    assert call.expire(80 * NS_PER_S)
    assert call.cause is HangupCause.TIME_LIMIT
    assert call.duration_ns(100 * NS_PER_S) == 60 * NS_PER_S


def test_a_call_without_limits_has_no_deadline():
    call = Lifecycle(0)
    assert call.deadline_ns is None and not call.expire(10**18)
    call.answer(5)
    assert call.deadline_ns is None


def test_a_duration_counts_from_the_answer_to_the_end():
    call = Lifecycle(0)
    assert call.duration_ns(9) == 0
    call.answer(10)
    assert call.duration_ns(25) == 15
    call.end(30, *ENDED)
    assert call.duration_ns(99) == 20


@given(st.lists(st.sampled_from(["ring", "answer", "bridge", "unbridge", "end", "expire"])))
def test_no_order_of_steps_brings_an_ended_call_back(steps):
    call, ended = Lifecycle(0, CallState.DIALED, timeout_ns=3, time_limit_ns=3), False
    for now_ns, step in enumerate(steps):
        arguments = {"answer": (now_ns,), "end": (now_ns, *ENDED), "expire": (now_ns,)}.get(step, ())
        getattr(call, step)(*arguments)
        assert not (ended and call.is_alive)
        ended = not call.is_alive
        assert call.is_answered == (call.state in ("active", "bridged"))
        assert (call.ended_ns is None) == call.is_alive == (call.cause is None)
