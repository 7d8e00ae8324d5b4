"""Play files (two seconds each) and speak: one after the other, over each other, and stopped."""

import pytest

URL = "http://localhost/a.wav"


def test_a_file_begins_and_ends(call, do, told, wait):
    do(call, "playback_start", audio_url=URL)
    wait(2.1)
    (started, _), (ended, payload) = told()
    assert (started, ended) == ("call.playback.started", "call.playback.ended")
    assert (payload["media_url"], payload["status"], payload["overlay"]) == (URL, "completed", False)


def test_speech_lasts_as_long_as_its_letters(call, do, types, wait):
    do(call, "speak", payload="x" * 30, voice="female")  # 2 s
    wait(1.9)
    assert types() == ["call.speak.started"]
    wait(0.2)
    assert types() == ["call.speak.ended"]


def test_what_is_asked_for_meanwhile_is_played_afterwards(call, do, types, wait):
    do(call, "playback_start", audio_url=URL)
    do(call, "speak", payload="x", voice="female")
    assert types() == ["call.playback.started"]
    wait(2.01)
    assert types() == ["call.playback.ended", "call.speak.started"]


@pytest.mark.parametrize(
    ("stop", "expected"),
    [("all", ["call.playback.ended"]), ("current", ["call.playback.ended", "call.speak.started"])],
)
def test_the_current_one_or_all_can_be_stopped(call, do, types, stop, expected):
    do(call, "playback_start", audio_url=URL)
    do(call, "speak", payload="x", voice="female")
    types()
    do(call, "playback_stop", stop=stop)
    assert types() == expected


def test_a_file_can_be_played_over_another_one(call, do, refused, told):
    assert refused(call, "playback_start", audio_url=URL, overlay=True) == "90033"
    do(call, "playback_start", audio_url=URL)
    do(call, "playback_start", audio_url=URL, overlay=True)
    told()
    do(call, "playback_stop", overlay=True)
    ((_, payload),) = told()
    assert (payload["overlay"], payload["status"]) == (True, "cancelled")


def test_a_file_can_come_again_and_for_ever(call, do, types, wait):
    do(call, "playback_start", audio_url=URL, loop=2)
    wait(3.9)
    assert types() == ["call.playback.started"]
    wait(0.2)
    assert types() == ["call.playback.ended"]
    do(call, "playback_start", audio_url=URL, loop="infinity")
    wait(3600)
    assert types() == ["call.playback.started"]


def test_the_end_of_the_call_ends_what_plays_and_what_was_to_come(call, do, told):
    do(call, "playback_start", audio_url=URL)
    do(call, "speak", payload="x", voice="female")
    told()
    call.hang_up()
    (ended, payload), (hangup, _) = told()
    assert (ended, payload["status"], hangup) == ("call.playback.ended", "call_hangup", "call.hangup")


def test_only_so_much_can_wait(call, do, refused):
    for _ in range(101):
        do(call, "playback_start", audio_url=URL)
    assert refused(call, "playback_start", audio_url=URL) == "90033"
