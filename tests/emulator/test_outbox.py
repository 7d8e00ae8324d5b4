"""Webhooks on their way, with times given: who is next, what is sent again, and what faults do to it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.emulator import Faults
from strep.emulator.faults import FaultDraws
from strep.emulator.outbox import Webhook, WebhookOutbox

URL = "http://localhost/webhooks"


def outbox(capacity=100, **faults):
    return WebhookOutbox(FaultDraws(Faults(**faults)), capacity)


def webhook(name, call="call", url=URL, delays_s=(1.0, 2.0)):
    return Webhook(call, url, {"data": {"id": name}}, delays_s)


def names(deliveries):
    return [delivery.webhook.document["data"]["id"] for delivery in deliveries]


def deliver_all(box, now_s):
    """Deliver all there is to deliver by a time, and give the names in order."""
    delivered = []
    while deliveries := box.take(now_s, 10):
        delivered += names(deliveries)
        for delivery in deliveries:
            box.finish(delivery, True, now_s)
    return delivered


def test_those_of_one_call_go_one_by_one_and_those_of_others_do_not_wait():
    box = outbox()
    for name, call in (("a1", "a"), ("a2", "a"), ("b1", "b")):
        box.add(webhook(name, call), 0)
    first = box.take(0, 10)
    assert names(first) == ["a1", "b1"] and box.next_s is None
    box.finish(first[0], True, 0)
    assert box.next_s == 0
    assert names(box.take(0, 10)) == ["a2"]


def test_no_more_than_asked_for_are_given():
    box = outbox()
    for call in "abc":
        box.add(webhook(call, call), 0)
    assert names(box.take(0, 2)) == ["a", "b"]
    assert names(box.take(0, 2)) == ["c"]


def test_what_was_not_delivered_is_sent_again_after_the_delays_and_then_given_up():
    box = outbox()
    box.add(webhook("x"), 0)
    for now_s, number, next_s in ((0, 1, 1), (1, 2, 3), (3, 3, None)):
        (delivery,) = box.take(now_s, 10)
        assert delivery.number == number and json.loads(delivery.body())["meta"]["attempt"] == number
        box.finish(delivery, False, now_s)
        assert box.next_s == next_s
    assert not box.take(1000, 10)
    assert (box.counts.given_up, box.counts.failed_attempts, box.counts.pending) == (1, 3, 0)


def test_what_has_to_be_sent_again_does_not_hold_up_the_next():
    box = outbox()
    box.add(webhook("first"), 0)
    box.add(webhook("second"), 0)
    (delivery,) = box.take(0, 10)
    box.finish(delivery, False, 0)
    assert deliver_all(box, 0) == ["second"]
    assert deliver_all(box, 1) == ["first"]


def test_a_late_one_is_passed_by_the_next():
    box = outbox(webhook_late=1, late_s=10)
    box.add(webhook("late"), 0)
    box._draws.faults = Faults()
    box.add(webhook("next"), 0)
    assert deliver_all(box, 0) == ["next"]
    assert 0 < box.next_s < 10
    assert deliver_all(box, 10) == ["late"]


def test_a_repeated_one_is_sent_twice_with_the_same_id():
    box = outbox(webhook_repeated=1, late_s=10)
    box.add(webhook("x"), 0)
    assert deliver_all(box, 0) == ["x"]
    assert deliver_all(box, 10) == ["x"]
    assert (box.counts.asked, box.counts.repeated, box.counts.delivered) == (2, 1, 2)


def test_a_disordered_one_changes_places_with_the_next_of_its_call():
    box = outbox(webhook_disordered=1)
    box.add(webhook("first"), 0)
    box._draws.faults = Faults()
    assert deliver_all(box, 0.5) == []
    box.add(webhook("other", "b"), 0.5)
    box.add(webhook("second"), 0.5)
    assert deliver_all(box, 0.5) == ["other", "second", "first"]
    assert deliver_all(box, 100) == []


def test_a_disordered_one_without_a_next_does_not_wait_for_ever():
    box = outbox(webhook_disordered=1)
    box.add(webhook("last"), 0)
    assert box.next_s == 1
    assert deliver_all(box, 1) == ["last"] and box.next_s is None


def test_without_a_url_there_is_nobody_to_tell():
    box = outbox()
    box.add(webhook("x", url=""), 0)
    assert not box.take(0, 10)
    assert (box.counts.unaddressed, box.counts.pending) == (1, 0)


def test_an_outbox_has_room_for_so_many():
    box = outbox(capacity=2)
    for name in "abc":
        box.add(webhook(name, name), 0)
    assert box.counts.overflowed == 1
    assert deliver_all(box, 0) == ["a", "b"]
    box.add(webhook("d"), 0)
    assert deliver_all(box, 0) == ["d"]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=30),
    st.fixed_dictionaries({name: st.sampled_from([0, 0.5, 1]) for name in ("late", "repeated", "disordered")}),
    st.integers(0, 3),
)
def test_whatever_happens_every_webhook_ends_in_one_count(events, shares, seed):
    box = outbox(capacity=20, seed=seed, late_s=3, **{f"webhook_{name}": share for name, share in shares.items()})
    for name, (call, _) in enumerate(events):
        box.add(webhook(name, call), 0)
    outcomes = iter([ok for _, ok in events] * 10)
    sent = []
    for now_s in range(40):
        for delivery in box.take(now_s, 5):
            sent += names([delivery])
            box.finish(delivery, next(outcomes, True), now_s)
    counts = box.counts
    assert counts.pending == 0 and box.next_s is None and not box._lanes
    assert counts.asked == len(events) + counts.repeated
    assert counts.delivered + counts.failed_attempts == len(sent)
    assert len(set(sent)) >= len(events) - counts.overflowed


@pytest.mark.parametrize("shares", [{}, {"webhook_disordered": 0.5}])
def test_the_order_of_a_call_is_kept_unless_a_fault_changes_it(shares):
    box = outbox(seed=3, **shares)
    for number in range(20):
        box.add(webhook(number), 0)
    delivered = deliver_all(box, 5)
    assert sorted(delivered) == list(range(20))
    assert (delivered == sorted(delivered)) == (not shares)
