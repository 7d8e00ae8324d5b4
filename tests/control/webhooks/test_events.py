"""Webhooks become typed events, and nothing that a peer sends raises but as what it is: no webhook."""

import base64
import contextlib
import json
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.control.webhooks import EVENT_TYPES, CallHangup, CallInitiated, GenericEvent, NotAWebhook, parse_event
from strep.control.webhooks.events import WebhookEvent, _payload_fields

API = Path(__file__).resolve().parents[3].parent / "shared" / "api" / "call_control.openapi.json"
OURS = {"from_": "from"}
COMMON = {field.name for field in fields(WebhookEvent)}


def body(event_type="call.hangup", payload=None, **data) -> bytes:
    return json.dumps({"data": {"event_type": event_type, "id": "1", "payload": payload or {}} | data}).encode()


def test_a_hangup_is_typed_with_all_that_it_says() -> None:
    payload = {
        "call_control_id": "v3:one",
        "call_leg_id": "428c31b6-7af4-4bcb-b7f5-5013ef9657c1",
        "call_session_id": "s",
        "connection_id": "7",
        "client_state": base64.b64encode(b"state").decode(),
        "from": "+49301",
        "to": "+49302",
        "hangup_cause": "normal_clearing",
        "tags": ["a"],
        "call_quality_stats": {"inbound": {"mos": "4.50"}},
        "new_field": [1],
    }
    raw = json.dumps(
        {
            "data": {
                "event_type": "call.hangup",
                "id": "0ccc",
                "occurred_at": "2018-02-02T22:25:27.521992Z",
                "record_type": "event",
                "payload": payload,
            },
            "meta": {"attempt": 2},
        }
    ).encode()
    event = parse_event(raw)
    assert isinstance(event, CallHangup)
    assert (event.id, event.record_type, event.attempt) == ("0ccc", "event", 2)
    assert event.occurred_at == datetime(2018, 2, 2, 22, 25, 27, 521992, UTC)
    assert (event.from_, event.to, event.client_state) == ("+49301", "+49302", b"state")
    assert (event.hangup_cause, event.tags) == ("normal_clearing", ("a",))
    assert event.call_quality_stats == {"inbound": {"mos": "4.50"}}
    assert event.payload["new_field"] == [1]


def test_what_has_no_type_is_generic_and_keeps_its_payload() -> None:
    event = parse_event(body("call.sung", {"call_control_id": "v3:x", "key": "C"}))
    assert isinstance(event, GenericEvent)
    assert (event.event_type, event.call_control_id, event.payload["key"]) == ("call.sung", "v3:x", "C")


@pytest.mark.parametrize("odd", [1, True, [], {}, None, 1.5])
def test_a_field_of_another_type_is_none(odd: object) -> None:
    event = parse_event(body("call.initiated", {"from": odd, "client_state": odd, "shaken_stir_validated": "yes"}))
    assert isinstance(event, CallInitiated)
    assert (event.from_, event.client_state, event.shaken_stir_validated) == (None, None, None)


@pytest.mark.parametrize("time", ["yesterday", 5, None, ""])
def test_a_time_that_is_none_is_none(time: object) -> None:
    assert parse_event(body(occurred_at=time)).occurred_at is None


def test_a_time_without_a_zone_is_utc() -> None:
    assert parse_event(body(occurred_at="2024-01-02T03:04:05")).occurred_at == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b'{"data": 1}', b'{"data": {}}', b'{"data": {"event_type": 5}}', b"\xff", b"[" * 99999]
)
def test_what_is_no_webhook_is_refused(raw: bytes) -> None:
    with pytest.raises(NotAWebhook):
        parse_event(raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(max_size=60))
def test_any_bytes_are_an_event_or_no_webhook(raw: bytes) -> None:
    with contextlib.suppress(NotAWebhook):
        parse_event(raw)


@given(st.sampled_from([*EVENT_TYPES, "call.sung"]), st.data())
def test_any_payload_is_an_event(event_type: str, data: st.DataObject) -> None:
    names = [OURS.get(name, name) for name in _payload_fields(EVENT_TYPES.get(event_type, GenericEvent))]
    payload = data.draw(st.dictionaries(st.sampled_from([*names, "client_state", "x"]), JSON, max_size=4))
    event = parse_event(body(event_type, payload, occurred_at=data.draw(JSON), id=data.draw(JSON)))
    assert type(event) is EVENT_TYPES.get(event_type, GenericEvent)


@pytest.mark.skipif(not API.is_file(), reason="the platform's API description is not here")
def test_every_event_of_the_description_has_a_type_with_just_its_fields() -> None:
    description = json.loads(API.read_text())

    def resolved(schema):
        while "$ref" in schema:
            found = description
            for name in schema["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            schema = found
        return schema

    described = {}
    for hook in description["webhooks"].values():
        schema = resolved(hook["post"]["requestBody"]["content"]["application/json"]["schema"])
        data = resolved(schema["properties"]["data"]) if "data" in schema.get("properties", {}) else schema
        (event_type,) = resolved(data["properties"]["event_type"])["enum"]
        described[event_type] = set(resolved(data["properties"]["payload"])["properties"])
    assert set(described) == set(EVENT_TYPES)
    for event_type, names in described.items():
        ours = {OURS.get(name, name) for name in _payload_fields(EVENT_TYPES[event_type])} | {"client_state"}
        own = {field.name for field in fields(EVENT_TYPES[event_type])} - COMMON
        assert own <= names, event_type
        assert names - ours <= {"occurred_at"}, event_type
