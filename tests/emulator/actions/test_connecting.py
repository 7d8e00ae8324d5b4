"""Dial, answer, bridge, transfer, reject and hang up, second by second."""

import pytest

from strep.emulator import Callee, CallState, HangupCause, Outcome, Party, Platform
from strep.emulator.codec import encoded_conversation
from strep.emulator.refusal import Refusal
from tests.emulator.actions.conftest import DIALED

CALLER, AGENT = encoded_conversation("PCMU")


def heard(call):
    """Give the first payload that leg A is to be sent next, by direction: what it says, and what it hears."""
    return [call.streams[direction].payload(call.next_packet) for direction in (0, 1)]


def test_whoever_is_dialed_rings_and_answers(platform, dial, told, wait):
    call = dial(client_state="c3RhdGU=")
    assert call.state is CallState.DIALED
    wait(0.2)
    assert call.state is CallState.RINGING
    wait(1)
    assert call.state is CallState.ACTIVE
    (_, initiated), (_, answered) = events = told()
    assert [event_type for event_type, _ in events] == ["call.initiated", "call.answered"]
    assert initiated["direction"] == "outgoing" and answered["state"] == "answered"
    assert {initiated["client_state"], answered["client_state"]} == {"c3RhdGU="}


@pytest.mark.parametrize(
    ("outcome", "cause", "sip"),
    [
        (Outcome.BUSY, "user_busy", "486"),
        (Outcome.REJECTS, "call_rejected", "603"),
        (Outcome.NOT_FOUND, "not_found", "404"),
        (Outcome.NO_ANSWER, "no_answer", "480"),
    ],
)
def test_whoever_does_not_answer_says_why(platform, dial, told, wait, outcome, cause, sip):
    platform.callee = Callee(outcome)
    dial()
    wait(2)
    event_type, payload = told()[-1]
    assert event_type == "call.hangup"
    assert (payload["hangup_cause"], payload["hangup_source"], payload["sip_hangup_cause"]) == (cause, "callee", sip)


def test_patience_with_a_silent_number_ends_after_timeout_secs(platform, dial, told, wait):
    platform.callee = Callee(Outcome.SILENT)
    call = dial(timeout_secs=5)
    wait(4.9)
    assert call.state is CallState.RINGING
    wait(0.2)
    assert told()[-1][1]["hangup_cause"] == "timeout"


def test_a_call_lasts_for_time_limit_secs(dial, told, wait):
    call = dial(time_limit_secs=30)
    wait(30.9)
    assert call.state is CallState.ACTIVE
    wait(0.2)
    assert told()[-1][1]["hangup_cause"] == "time_limit"


def test_of_several_numbers_the_first_to_answer_has_the_call(platform, wait, told):
    platform.set_callee("+13125550010", Callee(acts_after_s=3))
    platform.set_callee("+13125550011", Callee(acts_after_s=2))
    answer = platform.dial({**DIALED, "to": ["+13125550010", "+13125550011"], "record": "record-from-answer"})
    slow, fast = platform.calls.values()
    assert answer["call_control_id"] == slow.call_control_id
    wait(4)
    assert fast.state is CallState.ACTIVE
    assert (slow.state, slow.lifecycle.cause) == (CallState.ENDED, HangupCause.ORIGINATOR_CANCEL)
    assert slow.about.call_session_id == fast.about.call_session_id


def test_a_number_can_be_dialed_once_for_each_command_id(platform, clock):
    first, again = (platform.dial({**DIALED, "command_id": "once"}) for _ in range(2))
    assert first == again and len(platform.calls) == 1
    clock.advance(61)
    platform.dial({**DIALED, "command_id": "once"})
    assert len(platform.calls) == 2


@pytest.mark.parametrize(
    ("wrong", "code", "pointer"),
    [
        ({"to": "13125550002"}, "10016", "/to"),
        ({"to": None}, "10004", "/to"),
        ({"timeout_secs": 4}, "10033", "/timeout_secs"),
        ({"media_encryption": "SRTP"}, "10011", "/media_encryption"),
        ({"connection_id": "7"}, "10015", "/connection_id"),
        ({"bridge_intent": True}, "10004", "/link_to"),
        ({"link_to": "v3:nobody"}, "10015", "/link_to"),
        ({"webhook_urls": {"call.hangup": 7}}, "10015", "/webhook_urls/call.hangup"),
        ({"webhook_retries_policies": {"call.hangup": {"retries_ms": [60_001]}}}, "10015", "/webhook_retries_policies"),
    ],
)
def test_what_cannot_be_dialed_is_refused_by_name(clock, sender, wrong, code, pointer):
    platform = Platform(seed=1, clock_ns=clock, sender=sender, connections=[DIALED["connection_id"]])
    with pytest.raises(Refusal) as error:
        platform.dial({**DIALED, **wrong})
    assert (error.value.http_status, error.value.code, error.value.pointer) == (422, code, pointer)
    assert not platform.calls


def test_srtp_to_a_sip_address_is_fine(dial):
    assert dial(to="sip:alice@example.com", media_encryption="SRTP").state is CallState.DIALED


def test_a_full_platform_dials_nobody(platform, monkeypatch):
    monkeypatch.setattr("strep.emulator.exchange.MAX_CALLS", 1)
    platform.dial(DIALED)
    with pytest.raises(Refusal) as error:
        platform.dial(DIALED)
    assert error.value.http_status == 503


def test_a_call_that_comes_in_is_answered_once(platform, do, refused, types):
    call = platform.incoming_call()
    do(call, "answer")
    assert types() == ["call.initiated", "call.answered"]
    assert refused(call, "answer") == "90033"


def test_a_call_that_goes_out_is_answered_by_whoever_was_called(dial, refused):
    assert refused(dial(), "answer") == refused(dial(), "reject", cause="USER_BUSY") == "90033"


@pytest.mark.parametrize(("cause", "told_cause"), [("USER_BUSY", "user_busy"), ("CALL_REJECTED", "call_rejected")])
def test_a_rejected_call_ends_with_that_cause(platform, do, told, cause, told_cause):
    do(platform.incoming_call(), "reject", cause=cause)
    payload = told()[-1][1]
    assert (payload["hangup_cause"], payload["hangup_source"]) == (told_cause, "callee")


def test_hanging_up_before_an_answer_cancels(dial, do, told):
    do(dial(), "hangup")
    payload = told()[-1][1]
    assert (payload["hangup_cause"], payload["hangup_source"]) == ("originator_cancel", "caller")


def test_bridged_calls_hear_each_other_and_a_fork_has_it(platform, call, do, types, wait):
    other = platform.incoming_call("+13125550008")
    other.answer()
    types()
    wait(5)  # the caller speaks, and the agent does not
    assert heard(call) == [CALLER[250], AGENT[250]] and CALLER[250] != AGENT[250]
    do(call, "bridge", call_control_id=other.call_control_id)
    assert types() == ["call.bridged", "call.bridged"]
    assert call.state is other.state is CallState.BRIDGED and call.bridged_to is other
    assert heard(call) == heard(other) == [CALLER[250], CALLER[250]]
    assert call.party is other.party is Party.CALLER


def test_when_one_of_two_bridged_calls_ends_so_does_the_other(platform, call, do):
    other = platform.incoming_call()
    other.answer()
    do(call, "bridge", call_control_id=other.call_control_id)
    call.hang_up()
    assert other.state is CallState.ENDED


def test_a_call_that_parks_after_the_bridge_goes_on_alone(platform, call, do, wait):
    other = platform.incoming_call()
    other.answer()
    wait(5)
    do(call, "bridge", call_control_id=other.call_control_id, park_after_unbridge="self")
    other.hang_up()
    assert call.state is CallState.ACTIVE and call.bridged_to is None
    assert heard(call) == [CALLER[250], AGENT[250]]


def test_a_third_call_takes_the_place_of_the_second(platform, call, do):
    second, third = platform.incoming_call(), platform.incoming_call()
    for one in (second, third):
        one.answer()
    do(call, "bridge", call_control_id=second.call_control_id)
    do(call, "bridge", call_control_id=third.call_control_id)
    assert second.state is CallState.ENDED and call.bridged_to is third and third.bridged_to is call


def test_a_double_bridge_can_be_prevented(platform, call, do):
    second, third = platform.incoming_call(), platform.incoming_call()
    for one in (second, third):
        one.answer()
    do(call, "bridge", call_control_id=second.call_control_id)
    do(third, "bridge", call_control_id=second.call_control_id, prevent_double_bridge=True)
    assert third.state is CallState.ENDED and call.bridged_to is second


@pytest.mark.parametrize(
    ("partner", "code"),
    [("nobody", "90015"), ("itself", "90015"), ("ringing", "90034"), ("over", "90018")],
)
def test_what_cannot_be_bridged_to_is_refused(platform, call, refused, partner, code):
    ringing, over = platform.incoming_call(), platform.incoming_call()
    over.hang_up()
    others = {"itself": call, "ringing": ringing, "over": over}
    target = others[partner].call_control_id if partner in others else "v3:nobody"
    assert refused(call, "bridge", call_control_id=target) == code


def test_a_bridge_needs_one_partner(call, refused):
    assert refused(call, "bridge") == "10004"
    assert refused(call, "bridge", call_control_id="v3:a", queue="support") == "10015"
    assert refused(call, "bridge", video_room_id="0ccc7b54-4df3-4bca-a65a-3da1ecc777f0") == "90033"


def test_a_transferred_call_is_bridged_when_the_new_one_is_answered(platform, call, do, types, wait):
    do(call, "transfer", to="+13125550009")
    (new,) = (one for one in platform.calls.values() if one is not call)
    assert (new.about.to, new.about.call_session_id) == ("+13125550009", call.about.call_session_id)
    assert call.state is CallState.ACTIVE
    wait(1.5)
    assert types() == ["call.initiated", "call.answered", "call.bridged", "call.bridged"]
    assert call.bridged_to is new


def test_a_transfer_to_nobody_leaves_the_call_as_it_is(platform, call, do, wait):
    platform.callee = Callee(Outcome.BUSY)
    do(call, "transfer", to="+13125550009")
    wait(1.5)
    assert call.state is CallState.ACTIVE and call.bridged_to is None


def test_a_dialed_call_can_be_bridged_to_an_earlier_one_on_its_answer(call, dial, wait):
    new = dial(link_to=call.call_control_id, bridge_on_answer=True, bridge_intent=True)
    assert new.about.from_ == call.about.from_ and new.about.call_session_id == call.about.call_session_id
    wait(1.5)
    assert new.bridged_to is call


def test_a_dialed_call_speaks_the_first_codec_that_it_can(dial):
    assert dial(preferred_codecs="G729, opus,PCMA").codecs == ("OPUS",)
    assert dial(preferred_codecs="G729").codecs == ("PCMU",)


def test_the_webhook_urls_of_a_call_go_before_the_platforms(dial):
    both = {"call.answered": "http://localhost/a", "call.hangup": ["http://localhost/h"]}
    call = dial(webhook_url="http://localhost/", webhook_urls=both)
    assert call.about.webhook_url == "http://localhost/"
    assert call.about.webhook_urls == {"call.answered": "http://localhost/a", "call.hangup": "http://localhost/h"}
