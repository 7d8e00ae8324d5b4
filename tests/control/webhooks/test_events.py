"""Webhooks become typed events, and nothing that a peer sends raises but as what it is: no webhook."""

import base64
import contextlib
import json
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.control.webhooks import (
    EVENT_TYPES,
    CallDtmfReceived,
    CallForkStarted,
    CallHangup,
    CallInitiated,
    CallPlaybackStarted,
    CallRecordingSaved,
    GenericEvent,
    MalformedWebhook,
    SipHeader,
    WebhookError,
    WebhookEvent,
    parse_event,
)
from tests.control.webhooks.signed import webhook
from tests.control.webhooks.test_values import JSON

HANGUP = {
    "data": {
        "event_type": "call.hangup",
        "id": "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0",
        "occurred_at": "2018-02-02T22:25:27.521992Z",
        "record_type": "event",
        "payload": {
            "call_control_id": "v3:one",
            "call_leg_id": "428c31b6-7af4-4bcb-b7f5-5013ef9657c1",
            "call_session_id": "session",
            "connection_id": "7267xxxxxxxxxxxxxx",
            "client_state": base64.b64encode(b"state").decode(),
            "from": "+49301",
            "to": "+49302",
            "hangup_cause": "normal_clearing",
            "tags": ["a"],
            "call_quality_stats": {"inbound": {"mos": "4.50"}},
            "new_field": [1],
        },
    },
    "meta": {"attempt": 2, "delivered_to": "https://example.com/webhooks"},
}


def test_a_hangup_is_typed_with_all_that_it_says() -> None:
    event = parse_event(json.dumps(HANGUP).encode())
    assert isinstance(event, CallHangup)
    assert (event.id, event.record_type, event.attempt) == ("0ccc7b54-4df3-4bca-a65a-3da1ecc777f0", "event", 2)
    assert event.occurred_at == datetime(2018, 2, 2, 22, 25, 27, 521992, UTC)
    assert (event.call_control_id, event.call_session_id, event.connection_id) == (
        "v3:one",
        "session",
        "7267xxxxxxxxxxxxxx",
    )
    assert event.call_leg_id == "428c31b6-7af4-4bcb-b7f5-5013ef9657c1"
    assert (event.from_, event.to, event.client_state) == ("+49301", "+49302", b"state")
    assert (event.hangup_cause, event.hangup_source, event.tags) == ("normal_clearing", None, ("a",))
    assert event.call_quality_stats == {"inbound": {"mos": "4.50"}}
    assert event.payload["new_field"] == [1]


def test_an_incoming_call_tells_its_codecs_and_headers() -> None:
    payload = {
        "direction": "incoming",
        "offered_codecs": "G722,PCMU",
        "custom_headers": [{"name": "X-A", "value": "1"}],
    }
    event = parse_event(webhook("call.initiated", payload=payload))
    assert isinstance(event, CallInitiated)
    assert (event.direction, event.offered_codecs) == ("incoming", "G722,PCMU")
    assert event.custom_headers == (SipHeader("X-A", "1"),)


def test_what_has_no_type_here_is_generic_and_keeps_its_payload() -> None:
    event = parse_event(webhook("call.sung", payload={"call_control_id": "v3:x", "key": "C"}))
    assert type(event) is GenericEvent
    assert (event.event_type, event.call_control_id, event.payload["key"]) == ("call.sung", "v3:x", "C")


def test_an_event_is_not_changed_and_does_not_show_what_opens_recordings() -> None:
    event = parse_event(webhook("call.recording.saved", payload={"recording_urls": {"wav": "https://secret"}}))
    assert isinstance(event, CallRecordingSaved)
    assert event.recording_urls == {"wav": "https://secret"}
    assert "secret" not in repr(event)
    with pytest.raises(FrozenInstanceError):
        event.channels = "dual"  # type: ignore[misc]


@pytest.mark.parametrize("odd", [True, [], {}, None, 1.5])
def test_a_field_of_another_kind_is_none(odd: object) -> None:
    event = parse_event(webhook("call.initiated", payload=dict.fromkeys(("from", "client_state", "tags"), odd)))
    assert isinstance(event, CallInitiated)
    assert (event.from_, event.client_state, event.tags) == (None, None, ())
    assert event.payload["from"] == odd


@pytest.mark.parametrize("odd", [None, [], "text", 5])
def test_a_payload_that_is_none_is_empty(odd: object) -> None:
    event = parse_event(json.dumps({"data": {"event_type": "call.answered", "payload": odd}, "meta": odd}).encode())
    assert (event.payload, event.id, event.attempt) == ({}, None, None)


@pytest.mark.parametrize("data", [{"occurred_at": None}, {"occurred_at": "yesterday"}, {}])
def test_the_time_is_also_read_from_the_payload(data: dict[str, object]) -> None:
    event = parse_event(webhook("call.cost", payload={"occurred_at": "2024-01-02T03:04:05Z"}, **data))
    assert event.occurred_at == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


def older(event_type: str, **payload: object) -> bytes:
    """Give a webhook's body in the form of the API before today's: the event is the document itself."""
    document = {"record_type": "event", "id": "0ccc", "created_at": "2018-02-02T22:25:27.521992Z", "payload": payload}
    return json.dumps(document | {"event_type": event_type}).encode()


@pytest.mark.parametrize(
    ("event_type", "today"),
    [
        ("call_initiated", "call.initiated"),
        ("call_answered", "call.answered"),
        ("call_bridged", "call.bridged"),
        ("call_hangup", "call.hangup"),
        ("dtmf", "call.dtmf.received"),
        ("gather_ended", "call.gather.ended"),
        ("playback_started", "call.playback.started"),
        ("playback_ended", "call.playback.ended"),
        ("speak_started", "call.speak.started"),
        ("speak_ended", "call.speak.ended"),
        ("recording_saved", "call.recording.saved"),
    ],
)
def test_an_event_of_the_older_api_has_todays_name_and_type(event_type: str, today: str) -> None:
    event = parse_event(older(event_type, call_control_id="one"))
    assert type(event) is EVENT_TYPES[today]
    assert (event.event_type, event.id, event.call_control_id) == (today, "0ccc", "one")
    assert event.occurred_at == datetime(2018, 2, 2, 22, 25, 27, 521992, UTC)


def test_a_key_of_the_older_api_is_read_as_todays() -> None:
    event = parse_event(older("dtmf", digit="5", **{"from": "+1", "client_state": "c3RhdGU="}))
    assert isinstance(event, CallDtmfReceived)
    assert (event.digit, event.from_, event.client_state) == ("5", "+1", b"state")


def test_an_unknown_event_of_the_older_api_is_generic() -> None:
    assert parse_event(older("call_sung")) == GenericEvent(
        id="0ccc",
        event_type="call_sung",
        record_type="event",
        occurred_at=datetime(2018, 2, 2, 22, 25, 27, 521992, UTC),
    )


def test_names_of_the_older_api_are_not_todays_inside_data() -> None:
    assert type(parse_event(webhook("dtmf"))) is GenericEvent


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"data": 1}',
        b'{"data": {}}',
        b'{"data": {"event_type": 5}}',
        b'{"data": {"event_type": ""}}',
        b'{"data": null, "event_type": "dtmf"}',
        b"\xff",
        b"[" * 99_999,
        b"1" * 9_999,
    ],
    ids=lambda raw: repr(raw[:40]),
)
def test_what_is_no_webhook_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedWebhook):
        parse_event(raw)


def test_half_a_character_does_not_come_through() -> None:
    event = parse_event(b'{"data": {"event_type": "call.\\ud800", "id": "\\udc00", "payload": {"from": "\\ud800"}}}')
    for text in (event.event_type, event.id, event.from_):
        assert text is not None
        text.encode()


@given(st.binary(max_size=60) | JSON.map(lambda document: json.dumps(document).encode()))
def test_any_bytes_are_an_event_or_no_webhook(raw: bytes) -> None:
    with contextlib.suppress(WebhookError):
        assert isinstance(parse_event(raw), WebhookEvent)


@given(st.sampled_from([*EVENT_TYPES, "call.sung"]), st.data())
def test_any_payload_is_an_event(event_type: str, data: st.DataObject) -> None:
    kind = EVENT_TYPES.get(event_type, GenericEvent)
    names = [field.name.removesuffix("_") for field in fields(kind)]
    payload = data.draw(st.dictionaries(st.sampled_from([*names, "x"]), JSON, max_size=4))
    raw = webhook(event_type, data.draw(JSON), payload, occurred_at=data.draw(JSON), record_type=data.draw(JSON))
    event = parse_event(raw)
    assert type(event) is kind
    repr(event).encode()
    hash((event.id, event.occurred_at, event.call_control_id))


def test_each_type_of_event_has_a_class_of_its_own_and_that_one_only() -> None:
    assert len(set(EVENT_TYPES.values())) == len(EVENT_TYPES)
    assert {
        "call.fork.started": CallForkStarted,
        "call.playback.started": CallPlaybackStarted,
    }.items() <= EVENT_TYPES.items()
