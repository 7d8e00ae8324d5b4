import pytest

from strep.emulator.described import ACTIONS, DIAL
from strep.emulator.refusal import Refusal

DIALED = {"connection_id": "1", "to": "+13125550100", "from": "+13125550101"}


def refused(parameters, body):
    with pytest.raises(Refusal) as caught:
        parameters.check(body)
    refusal = caught.value
    assert refusal.http_status == 422
    return refusal.code, refusal.pointer, refusal.detail


@pytest.mark.parametrize(
    ("change", "code", "pointer", "detail"),
    [
        ({"to": None}, "10004", "/to", "The 'to' parameter is required and cannot be blank."),
        ({"connection_id": ""}, "10004", "/connection_id", "required"),
        ({"to": "5550100"}, "10016", "/to", "The 'to' parameter must be in E164 format."),
        ({"to": ["+13125550100", "bob"]}, "10016", "/to", "E164"),
        ({"to": []}, "10004", "/to", "required"),
        ({"to": 13125550100}, "10015", "/to", "must be a string"),
        ({"record_channels": "three"}, "10032", "/record_channels", "The value must be one of: single, dual."),
        ({"timeout_secs": 4}, "10033", "/timeout_secs", "The value is outside of allowed range 5 to 600"),
        ({"time_limit_secs": 14401}, "10033", "/time_limit_secs", "30 to 14400"),
        ({"timeout_secs": "30"}, "10015", "/timeout_secs", "must be an integer"),
        ({"timeout_secs": True}, "10015", "/timeout_secs", "must be an integer"),
        ({"record_timeout_secs": -1}, "10033", "/record_timeout_secs", "0 and above"),
        ({"client_state": "no base64!"}, "10015", "/client_state", "Base-64"),
        ({"client_state": "ÿÿÿÿ"}, "10015", "/client_state", "Base-64"),
        ({"command_id": 7}, "10015", "/command_id", "must be a string"),
        ({"custom_headers": {}}, "10015", "/custom_headers", "must be an array"),
        ({"custom_headers": [{"name": "X-A"}]}, "10004", "/custom_headers/0/value", "required"),
        ({"assistant": {}}, "10004", "/assistant/id", "required"),
        ({"assistant": "me"}, "10015", "/assistant", "must be an object"),
        ({"transcription": "yes"}, "10015", "/transcription", "must be a boolean"),
        ({"record_custom_file_name": "x" * 41}, "10015", "/record_custom_file_name", "1 to 40 characters"),
        ({"stream_bidirectional_sampling_rate": 44100}, "10032", "/stream_bidirectional_sampling_rate", "8000"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(change, code, pointer, detail):
    found = refused(DIAL, DIALED | change)
    assert found[:2] == (code, pointer) and detail in found[2]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"to": "sip:bob@example.com"},
        {"to": ["+13125550100", "sips:bob@example.com"]},
        {"client_state": "aGF2ZSBhIG5pY2UgZGF5ID1d", "record_channels": "dual", "timeout_secs": 5},
        {"record_channels": None, "timeout_secs": None},
        {"something_new": {"that": ["nobody", "knows"]}},
    ],
)
def test_what_is_right_missing_null_or_unknown_is_let_through(change):
    DIAL.check(DIALED | change)


@pytest.mark.parametrize("loop", [1, 3, "2", "infinity"])
def test_a_loop_is_a_number_or_infinity(loop):
    ACTIONS["playback_start"].check({"media_name": "x", "loop": loop})


@pytest.mark.parametrize("loop", [0, "0", "often", -1, True, [], 1.5])
def test_anything_else_is_no_loop(loop):
    assert refused(ACTIONS["playback_start"], {"media_name": "x", "loop": loop})[:2] == ("10015", "/loop")


@pytest.mark.parametrize("action", ["conversation_relay_start", "playback_start", "bridge", "gather_using_audio"])
def test_of_some_parameters_one_at_least_is_required(action):
    names = ACTIONS[action].either
    assert refused(ACTIONS[action], dict.fromkeys(names, ""))[:2] == ("10004", f"/{names[0]}")
    ACTIONS[action].check({names[-1]: {"url": "wss://x"} if "settings" in names[-1] else "x"})
