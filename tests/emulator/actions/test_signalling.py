"""Digits for the other party to hear, and where it is to call instead."""

import pytest

from strep.stream.events import Direction, Leg
from strep.wire.rtp import RtpPacket
from strep.wire.telephone_event import TelephoneEventPayload


def events(call, direction, packets=50):
    """Give the telephone events of leg A in the next second: [(event, duration in ms)] of each key."""
    (stream,) = (one for one in call.streams if (one.leg, one.direction) == (Leg.A, direction))
    found = []
    for packet in range(call.next_packet, call.next_packet + packets):
        for _, data in stream.rtp_packets(packet):
            rtp = RtpPacket.parse(data)
            if rtp.payload_type == 101:
                event = TelephoneEventPayload.parse(rtp.payload)
                if event.end:
                    found.append((event.event, event.duration // 8))
    return found[::3]  # each end is told three times


def test_the_platform_presses_keys_for_the_other_party(call, do, types):
    do(call, "send_dtmf", digits="1#", duration_millis=120)
    assert events(call, Direction.OUTBOUND) == [(1, 120), (11, 120)]
    assert events(call, Direction.INBOUND) == []
    assert not types()  # of its own keys nothing is told


@pytest.mark.parametrize("digits", ["", "x", "1" * 101])
def test_keys_that_there_are_not_are_refused(call, refused, digits):
    assert refused(call, "send_dtmf", digits=digits) == ("10015" if digits else "10004")


def test_keys_can_be_pressed_on_answer_as_far_as_there_are_any(dial, wait):
    call, other = dial(send_digits_on_answer="5"), dial(send_digits_on_answer="x")
    wait(1.005)
    assert events(call, Direction.OUTBOUND) == [(5, 100)]
    assert events(other, Direction.OUTBOUND) == []


def test_what_the_other_party_presses_is_told_when_the_key_is_let_go(call, told, wait):
    call.send_dtmf("42")
    wait(0.09)
    assert not told()
    wait(0.02)
    assert told() == [("call.dtmf.received", _digit(call, "4"))]
    wait(1)
    assert [payload["digit"] for _, payload in told()] == ["2"]


def _digit(call, digit):
    return {
        "call_control_id": call.call_control_id,
        "call_leg_id": str(call.call_leg_id),
        "call_session_id": call.about.call_session_id,
        "client_state": None,
        "connection_id": call.about.connection_id,
        "from": call.about.from_,
        "to": call.about.to,
        "digit": digit,
    }


def test_a_referral_is_taken(call, do, told, wait):
    do(call, "refer", sip_address="sip:alice@example.com")
    wait(1.1)
    assert [(kind, payload["sip_notify_response"]) for kind, payload in told()] == [
        ("call.refer.started", 100),
        ("call.refer.completed", 200),
    ]
