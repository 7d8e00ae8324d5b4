"""Gather digits: what ends it, and with what status. A digit is told of when its key is let go, 100 ms after it."""

import pytest

AUDIO = {"audio_url": "http://localhost/a.wav"}


def ended(told):
    """Give digits and status of the only gathering that ended."""
    ((digits, status),) = [
        (payload["digits"], payload["status"]) for event_type, payload in told() if event_type == "call.gather.ended"
    ]
    return digits, status


@pytest.mark.parametrize(
    ("body", "pressed", "expected"),
    [
        ({}, "12#", ("12", "valid")),
        ({"terminating_digit": "*"}, "12*", ("12", "valid")),
        ({"maximum_digits": 2}, "123", ("12", "valid")),
        ({"minimum_digits": 3}, "12#", ("12", "invalid")),
        ({"valid_digits": "34"}, "12#", ("12", "invalid")),
    ],
)
def test_digits_are_gathered_until_they_are_enough(call, do, told, wait, body, pressed, expected):
    do(call, "gather", **body)
    call.send_dtmf(pressed)
    wait(1)
    assert ended(told) == expected


def test_each_digit_is_told_of_too(call, do, told, wait):
    do(call, "gather")
    call.send_dtmf("7#")
    wait(1)
    assert [payload["digit"] for kind, payload in told() if kind == "call.dtmf.received"] == ["7", "#"]


def test_nobody_who_presses_nothing_is_waited_for_longer_than_asked(call, do, told, wait):
    do(call, "gather", initial_timeout_millis=2000)
    wait(1.9)
    assert not told()
    wait(0.2)
    assert ended(told) == ("", "timeout")


def test_between_two_digits_there_is_a_time_of_its_own(call, do, told, wait):
    do(call, "gather", inter_digit_timeout_millis=1000, minimum_digits=2)
    call.send_dtmf("1")
    wait(0.9)
    call.send_dtmf("2")
    wait(1.0)
    assert call.activities
    wait(0.2)
    assert ended(told) == ("12", "valid")


def test_too_few_digits_at_the_end_of_the_time_are_a_timeout(call, do, told, wait):
    do(call, "gather", timeout_millis=3000, minimum_digits=4)
    call.send_dtmf("12")
    wait(3.1)
    assert ended(told) == ("12", "timeout")


def test_gathering_can_be_stopped_once(call, do, refused, told):
    do(call, "gather")
    do(call, "gather_stop")
    assert ended(told) == ("", "cancelled")
    assert refused(call, "gather_stop") == "90033"


def test_only_one_gathering_goes_on(call, do, refused, types):
    do(call, "gather")
    for action, body in (
        ("gather", {}),
        ("gather_using_audio", AUDIO),
        ("gather_using_speak", {"payload": "Hello", "voice": "female"}),
        ("gather_using_ai", {"parameters": {}}),
    ):
        assert refused(call, action, **body) == "90033"
    assert not types()  # nothing is played for a gathering that does not begin


def test_a_digit_interrupts_the_file_that_asks_for_it(call, do, types, wait):
    do(call, "gather_using_audio", **AUDIO)
    call.send_dtmf("1#")
    wait(1)
    assert types() == [
        "call.playback.started",
        "call.dtmf.received",
        "call.playback.ended",
        "call.dtmf.received",
        "call.gather.ended",
    ]


def test_the_end_of_the_call_ends_it(call, do, told):
    do(call, "gather")
    call.hang_up()
    assert ended(told) == ("", "call_hangup")


def test_an_assistant_gathers_nothing_and_says_so(call, do, told, wait):
    do(call, "gather_using_ai", parameters={}, user_response_timeout_ms=1000)
    wait(1.1)
    (_, gathered), (_, conversation) = events = told()
    assert [kind for kind, _ in events] == ["call.ai_gather.ended", "call.conversation.ended"]
    assert (gathered["status"], conversation["duration_sec"]) == ("invalid", 1)
