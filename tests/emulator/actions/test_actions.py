"""Every command: how far a call must be for it, and what is checked first."""

import pytest

from strep.emulator import CallState
from strep.emulator.actions import ACTIONS

PORTS = {"rx": "udp:127.0.0.1:9000", "tx": "udp:127.0.0.1:9001"}
#: The least that each takes.
LEAST = {
    "ai_assistant_join": {"conversation_id": "c", "participant": {"id": "p", "role": "user"}},
    "bridge": {"queue": "support"},
    "client_state_update": {"client_state": "c3RhdGU="},
    "conversation_relay_start": {"url": "wss://localhost/relay"},
    "enqueue": {"queue_name": "support"},
    "fork_start": PORTS,
    "gather_using_ai": {"parameters": {}},
    "gather_using_audio": {"audio_url": "http://localhost/a.wav"},
    "gather_using_speak": {"payload": "Hello", "voice": "female"},
    "playback_start": {"audio_url": "http://localhost/a.wav"},
    "record_start": {"format": "wav", "channels": "dual"},
    "refer": {"sip_address": "sip:alice@example.com"},
    "reject": {"cause": "USER_BUSY"},
    "send_dtmf": {"digits": "1"},
    "send_sip_info": {"content_type": "text/plain", "body": "Hello"},
    "speak": {"payload": "Hello", "voice": "female"},
    "streaming_start": {"stream_url": "wss://localhost/stream"},
    "switch_supervisor_role": {"role": "barge"},
    "transfer": {"to": "+13125550003"},
}
#: What a call that rings takes.
BEFORE_ANSWER = {"answer", "client_state_update", "hangup", "reject"}
#: What an answered call in which nothing else goes on refuses, as there is nothing to stop, or nothing to do any more.
NOTHING_THERE = {
    "ai_assistant_stop": "90033",
    "answer": "90033",
    "bridge": "90033",
    "conversation_relay_stop": "90033",
    "fork_stop": "90031",
    "gather_stop": "90033",
    "leave_queue": "90033",
    "record_pause": "90033",
    "record_resume": "90033",
    "record_stop": "90033",
    "reject": "90033",
    "siprec_stop": "90033",
    "streaming_stop": "90033",
    "transcription_stop": "90033",
}
EVERY = pytest.mark.parametrize("action", ACTIONS)


@EVERY
def test_a_call_that_ended_takes_no_command(call, refused, action):
    call.hang_up()
    assert refused(call, action, **LEAST.get(action, {})) == "90018"


@EVERY
def test_a_call_that_rings_takes_few_commands(platform, do, refused, action):
    call = platform.incoming_call()
    if action in BEFORE_ANSWER:
        assert do(call, action, **LEAST.get(action, {}))["result"] == "ok"
    else:
        expected = "90020" if action == "record_start" else "90034"
        assert refused(call, action, **LEAST.get(action, {})) == expected
        assert call.state is CallState.RINGING


@EVERY
def test_an_answered_call_takes_what_makes_sense_for_it(call, do, refused, action):
    body = LEAST.get(action, {})
    if action in NOTHING_THERE:
        assert refused(call, action, **body) == NOTHING_THERE[action]
    else:
        assert do(call, action, **body)["result"] == "ok"


@pytest.mark.parametrize(
    "action", [action for action in LEAST if action not in ("bridge", "fork_start", "streaming_start")]
)
def test_a_required_parameter_is_asked_for_before_the_calls_state_is_looked_at(call, refused, action):
    call.hang_up()
    assert refused(call, action) == "10004"


def test_a_client_state_is_in_what_its_own_command_tells_and_stays(call, do, told):
    do(call, "fork_start", client_state="Zmlyc3Q=", **PORTS)
    do(call, "fork_stop", stream_type="decrypted")
    assert [payload["client_state"] for _, payload in told()] == ["Zmlyc3Q=", "Zmlyc3Q="]
    do(call, "client_state_update", client_state="c2Vjb25k")
    assert call.about.client_state == "c2Vjb25k" and not told()


def test_a_command_that_is_refused_leaves_the_client_state(call, do, refused):
    do(call, "client_state_update", client_state="Zmlyc3Q=")
    assert refused(call, "gather_stop", client_state="c2Vjb25k") == "90033"
    assert call.about.client_state == "Zmlyc3Q="


def test_more_changes_than_a_stream_takes_are_refused_and_not_a_fault(call, refused, do, monkeypatch):
    monkeypatch.setattr("strep.emulator.stream.MAX_CHANGES", 3)
    do(call, "send_dtmf", digits="123")
    assert refused(call, "send_dtmf", digits="4") == "10015"
