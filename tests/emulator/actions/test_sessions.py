"""What runs beside a call: it begins once, is stopped once, and ends with the call."""

import pytest

URL = "wss://localhost/stream"


@pytest.mark.parametrize(
    ("kind", "body", "again", "told_of"),
    [
        ("streaming", {"stream_url": URL}, "90045", ["streaming.started", "streaming.stopped"]),
        ("siprec", {}, "90033", ["siprec.started", "siprec.stopped"]),
        ("transcription", {}, "90054", []),
        ("ai_assistant", {"assistant": {"id": "a"}}, "90061", ["call.conversation.ended"]),
        ("conversation_relay", {"url": URL}, "90033", ["call.conversation.ended"]),
    ],
)
def test_it_begins_once_and_is_stopped_once(call, do, refused, types, kind, body, again, told_of):
    do(call, f"{kind}_start", **body)
    assert refused(call, f"{kind}_start", **body) == again
    do(call, f"{kind}_stop")
    assert types() == told_of
    assert refused(call, f"{kind}_stop") == "90033"
    do(call, f"{kind}_start", **body)
    call.hang_up()
    assert types() == [*told_of, "call.hangup"]


def test_streaming_rules_out_forks_meanwhile(call, do, refused):
    fork = {"rx": "udp:127.0.0.1:9000", "tx": "udp:127.0.0.1:9001"}
    do(call, "streaming_start", stream_url=URL)
    assert refused(call, "fork_start", **fork) == "90045"
    do(call, "streaming_stop")
    do(call, "fork_start", **fork)


def test_streaming_needs_somewhere_to_go(call, do, refused):
    assert refused(call, "streaming_start") == "10004"
    do(call, "streaming_start", enable_dialogflow=True)


def test_a_conversation_says_how_long_it_was_and_whose(call, do, told, wait):
    conversation_id = do(call, "ai_assistant_start", assistant={"id": "a"})["conversation_id"]
    wait(4)
    call.hang_up()
    payload = dict(told())["call.conversation.ended"]
    assert (payload["assistant_id"], payload["conversation_id"]) == ("a", conversation_id)
    assert (payload["duration_sec"], payload["reason"]) == (4, "call_hangup")


def test_an_answer_can_begin_them_all(platform, do, types):
    call = platform.incoming_call()
    types()
    do(call, "answer", stream_url=URL, transcription=True, assistant={"id": "a"})
    assert types() == ["call.answered", "streaming.started"]
    assert set(call.activities) == {"streaming", "transcription", "assistant"} and call.is_streaming
