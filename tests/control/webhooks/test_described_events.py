"""Every event of the platform's own description is typed with just its fields, and its example is read."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import datetime
from functools import cache

import pytest

from strep.control.webhooks import EVENT_TYPES, SipHeader, WebhookEvent, parse_event
from tests.control.webhooks.signed import API_DESCRIPTION

pytestmark = pytest.mark.skipif(
    not API_DESCRIPTION.is_file(), reason="needs the platform's API description beside the checkout"
)

COMMON = {field.name for field in fields(WebhookEvent)}
#: Named in the seeds of the API, but not among the description's webhooks.
ELSEWHERE = {"call.sip_info.received", "call.transcription"}
#: What a value of each kind becomes.
KINDS = {
    "string": (str, bytes, datetime),
    "integer": (int,),
    "number": (float,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (tuple,),
}


@cache
def description() -> dict:
    return json.loads(API_DESCRIPTION.read_text())


def resolved(schema: dict) -> dict:
    while "$ref" in schema:
        found = description()
        for name in schema["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        schema = found
    return schema


@cache
def described() -> dict[str, dict]:
    """Give the schema of `data`, by type of event."""
    found = {}
    for hook in description()["webhooks"].values():
        body = resolved(hook["post"]["requestBody"])["content"]["application/json"]["schema"]
        data = resolved(resolved(body)["properties"]["data"])
        for event_type in resolved(data["properties"]["event_type"])["enum"]:
            found[event_type] = data
    return found


def payload_of(event_type: str) -> dict[str, dict]:
    properties = resolved(described()[event_type]["properties"]["payload"])["properties"]
    return {name: resolved(schema) for name, schema in properties.items()}


def test_every_described_event_is_typed_and_no_other() -> None:
    assert set(EVENT_TYPES) - ELSEWHERE == set(described())


@pytest.mark.parametrize("event_type", sorted(set(EVENT_TYPES) - ELSEWHERE))
def test_an_event_has_just_the_fields_that_are_described(event_type: str) -> None:
    described_fields = {name + "_" if name == "from" else name for name in payload_of(event_type)}
    ours = {field.name for field in fields(EVENT_TYPES[event_type])}
    assert described_fields <= ours
    assert ours - COMMON <= described_fields


@pytest.mark.parametrize("event_type", sorted(set(EVENT_TYPES) - ELSEWHERE))
def test_the_example_of_an_event_is_read_to_the_last_field(event_type: str) -> None:
    example = described()[event_type]["example"]
    event = parse_event(json.dumps({"data": example, "meta": {"attempt": 1}}).encode())
    assert type(event) is EVENT_TYPES[event_type]
    assert (event.id, event.record_type, event.attempt) == (example["id"], example["record_type"], 1)
    assert event.occurred_at is not None
    schemas = payload_of(event_type)
    assert set(example["payload"]) <= set(schemas)
    for name, value in example["payload"].items():
        if value not in (None, "", [], {}):
            check_value(schemas[name], value, getattr(event, name + "_" if name == "from" else name))


def check_value(schema: dict, value: object, ours: object) -> None:
    """Make sure that a value is read as the kind that is described, and is the same."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    (kind,) = set(kinds) - {"null"}
    assert isinstance(ours, KINDS[kind]), (schema, value, ours)
    if isinstance(ours, tuple) and ours and isinstance(ours[0], SipHeader):
        assert [{"name": header.name, "value": header.value} for header in ours] == value
    elif isinstance(ours, tuple):
        assert list(ours) == value
    elif not isinstance(ours, bytes | datetime):
        assert ours == value
