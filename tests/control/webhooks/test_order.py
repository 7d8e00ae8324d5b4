"""Events that come in any order, and twice, tell the same."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.control.webhooks import CallStage, WebhookEvent, in_order, parse_event, stage_after
from tests.control.webhooks.signed import webhook

KINDS = ("call.initiated", "call.answered", "call.bridged", "call.hangup")


def event(event_type: str, second: int | None = None) -> WebhookEvent:
    when = {} if second is None else {"occurred_at": f"2024-05-01T12:00:{second:02d}Z"}
    return parse_event(webhook(event_type, **when))


def stage_of(events: list[WebhookEvent]) -> CallStage:
    stage = CallStage.UNKNOWN
    for each in events:
        stage = stage_after(stage, each)
    return stage


@pytest.mark.parametrize(
    ("event_type", "stage"),
    [
        ("call.initiated", CallStage.INITIATED),
        ("call.answered", CallStage.ANSWERED),
        ("call.bridged", CallStage.BRIDGED),
        ("call.hangup", CallStage.ENDED),
        ("call.dtmf.received", CallStage.UNKNOWN),
        ("call.sung", CallStage.UNKNOWN),
    ],
)
def test_an_event_brings_its_stage(event_type: str, stage: CallStage) -> None:
    assert stage_of([event(event_type)]) is stage


def test_an_answer_after_the_hangup_does_not_bring_the_call_back() -> None:
    assert stage_of([event("call.hangup"), event("call.answered")]) is CallStage.ENDED


@given(st.lists(st.sampled_from([*KINDS, "call.hold"]), max_size=6), st.randoms(use_true_random=False))
def test_any_order_of_the_same_events_gives_the_same_stage(kinds: list[str], random) -> None:
    events = [event(kind) for kind in kinds]
    disordered = events + events[:2]
    random.shuffle(disordered)
    assert stage_of(disordered) is stage_of(events)


def test_events_are_sorted_by_when_they_happened() -> None:
    events = [event(kind, second) for second, kind in enumerate(KINDS)]
    for disordered in itertools.permutations(events):
        assert in_order(disordered) == events


def test_events_of_one_instant_are_sorted_by_the_stage_that_they_bring() -> None:
    events = [event(kind, 7) for kind in KINDS]
    assert in_order(reversed(events)) == events


def test_those_of_the_same_instant_and_stage_stay_as_they_came() -> None:
    events = [event("call.dtmf.received", 7), event("call.speak.ended", 7)]
    assert in_order(events) == events
    assert in_order(reversed(events)) == events[::-1]


def test_an_event_without_a_time_is_put_first() -> None:
    timeless, timed = event("call.hangup"), event("call.initiated", 0)
    assert in_order([timed, timeless]) == [timeless, timed]
