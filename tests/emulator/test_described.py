"""Hold the emulator's tables against the API's published description, where that lies beside the checkout."""

import json
from pathlib import Path

import pytest

from strep.emulator import Callee, described
from strep.emulator.actions import ACTIONS
from strep.emulator.documents import COMMON_FIELDS
from strep.emulator.parameters import Array, Base64, Choice, Destination, Flag, Number, Object, Rate, Text

DESCRIPTIONS = Path(__file__).resolve().parents[3] / "shared" / "api"
#: Lists of languages, regions and the like: longer ones are not checked (see strep.emulator.parameters).
LONGEST_CHOICE = 12

DIALED = {"connection_id": "7", "from": "+13125550001", "to": "+13125550002"}
AUDIO = {"audio_url": "http://localhost/a.wav"}
EVENTFUL = (
    ("fork_start", {"rx": "udp:127.0.0.1:9000", "tx": "udp:127.0.0.1:9001"}),
    ("fork_stop", {"stream_type": "decrypted"}),
    ("streaming_start", {"stream_url": "wss://localhost/"}),
    ("streaming_stop", {}),
    ("siprec_start", {}),
    ("siprec_stop", {}),
    ("playback_start", AUDIO),
    ("playback_stop", {}),
    ("playback_start", {**AUDIO, "loop": 2}),
    ("speak", {"payload": "Hello", "voice": "female"}),
    ("gather_using_audio", {**AUDIO, "terminating_digit": "1"}),
    ("ai_assistant_start", {"assistant": {"id": "a"}}),
    ("refer", {"sip_address": "sip:alice@example.com"}),
    ("enqueue", {"queue_name": "support"}),
    ("leave_queue", {}),
    ("gather_stop", {}),
    ("gather_using_ai", {"parameters": {}, "user_response_timeout_ms": 100}),
    ("gather", {}),
    ("record_stop", {}),
    ("ai_assistant_stop", {}),
    ("bridge", {}),
)
#: What the platform here has no occasion for: referrals that fail, and an assistant that is understood.
NEVER_TOLD = {
    "call.refer.failed",
    "call.ai_gather.message_history_updated",
    "call.ai_gather.partial_results",
}


@pytest.fixture(scope="module")
def description():
    path = DESCRIPTIONS / "call_control.openapi.json"
    if not path.is_file():
        pytest.skip("needs the API's description beside the checkout")
    return json.loads(path.read_text())


def resolved(description, schema):
    while "$ref" in schema:
        schema = description["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def body_schemas(description):
    for path, item in description["paths"].items():
        for operation in item.values():
            if "requestBody" in operation:
                content = operation["requestBody"]["content"]["application/json"]
                yield path.rsplit("/", 1)[-1], resolved(description, content["schema"])


def table(name):
    return described.DIAL if name == "calls" else described.ACTIONS[name]


def parameters(description):
    for name, schema in body_schemas(description):
        for parameter, about in schema["properties"].items():
            yield name, parameter, resolved(description, about), table(name).rules[parameter]


def test_every_described_command_is_there_and_no_other(description):
    assert {name for name, _ in body_schemas(description)} == {"calls", *described.ACTIONS}
    assert set(described.ACTIONS) == set(ACTIONS)


def test_every_described_parameter_is_there_and_no_other(description):
    for name, schema in body_schemas(description):
        more = {"client_state", "command_id"} | ({"target"} if name == "fork_start" else set())  # of older ones
        assert set(table(name).rules) == set(schema["properties"]) | (more if name != "calls" else set()), name


def test_what_is_required_is_what_is_described(description):
    for name, schema in body_schemas(description):
        if name == "bridge":  # it can do with a queue instead, which is described in words
            assert schema["required"] == ["call_control_id"]
            continue
        assert set(table(name).required) == set(schema.get("required", ())), name
        if "anyOf" in schema:
            assert set(table(name).either) == {required for one in schema["anyOf"] for required in one["required"]}


def test_choices_are_those_described(description):
    for name, parameter, about, rule in parameters(description):
        choices = about.get("enum", [])
        if (name, parameter) == ("fork_start", "stream_type"):
            choices = ["raw", *choices]  # of older descriptions
        if (name, parameter) == ("answer", "preferred_codecs"):
            choices = []  # the only one is an example of a list
        if (name, parameter) == ("playback_start", "target_legs"):
            choices = ["self", "opposite", "both"]  # in words only
            assert all(f"`{choice}`" in about["description"] for choice in choices)
        if about.get("type") == "string" and (isinstance(rule, Choice) or 0 < len(choices) <= LONGEST_CHOICE):
            assert isinstance(rule, Choice) and set(rule.allowed) == set(choices), f"{name} {parameter}"


def test_kinds_are_those_described(description):
    kinds = {"integer": Number | Rate, "boolean": Flag, "object": Object, "array": Array}
    kinds["string"] = Base64 | Choice | Destination | Text
    for name, parameter, about, rule in parameters(description):
        if "type" in about:
            assert isinstance(rule, kinds[about["type"]]), f"{name} {parameter}"


def test_bounds_are_those_described(description):
    attributes = {"minimum": "least", "maximum": "most", "minLength": "least", "maxLength": "most"}
    checked = 0
    for name, parameter, about, rule in parameters(description):
        for bound in attributes.keys() & about.keys():
            assert getattr(rule, attributes[bound]) == about[bound], f"{name} {parameter}"
            checked += 1
    assert checked > 10


def test_members_that_objects_must_have_are_those_described(description):
    for name, parameter, about, rule in parameters(description):
        if about.get("type") == "object" and about.get("required"):
            assert set(rule.required) == set(about["required"]), f"{name} {parameter}"


@pytest.fixture(scope="module")
def described_payloads(description):
    """Give the fields of each event's payload, by event type."""
    payloads = {}
    for webhook in description["webhooks"].values():
        schema = resolved(description, webhook["post"]["requestBody"]["content"]["application/json"]["schema"])
        data = resolved(description, schema["properties"]["data"])
        (event_type,) = resolved(description, data["properties"]["event_type"])["enum"]
        fields = resolved(description, data["properties"]["payload"])["properties"]
        payloads[event_type] = {name: resolved(description, about) for name, about in fields.items()}
    return payloads


def test_what_every_webhook_has_is_described(described_payloads):
    for event_type, fields in COMMON_FIELDS.items():
        assert set(fields) <= set(described_payloads[event_type]), event_type


def test_what_is_told_of_an_eventful_call_is_described(described_payloads, platform, clock, told):
    """Do all there is to do to a call, and look at every webhook: its fields, its enumerated values."""
    platform.callee = Callee(is_machine=True)
    dialed = platform.dial({**DIALED, "answering_machine_detection": "greeting_end", "record": "record-from-answer"})
    later = platform.dial({**DIALED, "answering_machine_detection": "premium"})
    clock.advance(5)
    platform.advance()
    call_control_id = dialed["call_control_id"]
    for action, body in EVENTFUL:
        body = {"call_control_id": later["call_control_id"], **body} if action == "bridge" else body
        platform.command(call_control_id, action, body)
        clock.advance(0.5)
        platform.advance()
    call = platform.calls[call_control_id]
    call.send_dtmf("1")
    call.hold()
    call.unhold()
    clock.advance(20)
    platform.advance()
    call.hang_up()
    platform.command(platform.incoming_call().call_control_id, "reject", {"cause": "USER_BUSY"})
    seen = told()
    assert {event_type for event_type, _ in seen} >= set(COMMON_FIELDS) - NEVER_TOLD
    for event_type, payload in seen:
        fields = described_payloads[event_type]
        assert set(payload) <= set(fields), event_type
        for name, value in payload.items():
            if value is not None and "enum" in fields[name]:
                assert value in fields[name]["enum"], f"{event_type} {name}"
