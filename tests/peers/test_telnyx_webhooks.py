"""The platform's own client library and we believe each other's webhooks, refuse the same ones, and read the same."""

from __future__ import annotations

import base64
import functools
import importlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from functools import partial
from types import NoneType
from typing import Any, Literal, Union, get_args, get_origin

import pytest

from strep.control.webhooks import (
    EVENT_TYPES,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    TOLERANCE_S,
    ForgedWebhook,
    GenericEvent,
    SipHeader,
    StaleWebhook,
    UnsignedWebhook,
    WebhookEvent,
    parse_event,
    sign,
    verify,
)
from tests.control.webhooks.signed import KEY, NOW_S, OTHER_KEY, PUBLIC_KEY, webhook

pytestmark = pytest.mark.peer

#: Not all of it ASCII, as a caller's name may be.
BODY = webhook("call.hangup", payload={"call_control_id": "v3:one", "from": "Joerg"}).replace(b"oe", "ö".encode())
#: Called with body and headers; raises ValueError or an error of the library's own.
Verifier = Callable[[bytes, Mapping[str, str]], Any]


def library(name: str) -> Any:
    """Import a module of the client library's, late as that takes a second; skip without it, or fail where required."""
    required = os.environ.get("STREP_REQUIRE_PEERS") == "1"
    load = importlib.import_module if required else partial(pytest.importorskip, reason=f"needs {name}")
    if not name.startswith("telnyx.lib"):
        return load(name)
    resources = load("telnyx.resources.webhooks")
    kinds = (resources.WebhooksResource, resources.AsyncWebhooksResource)
    before = [kind.unwrap for kind in kinds]
    found = load(name)
    for kind, unwrap_of_kind in zip(kinds, before, strict=True):
        kind.unwrap = unwrap_of_kind  # importing telnyx.lib replaces it, for every other test too
    return found


@pytest.fixture(autouse=True)
def the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the library believe that it is our time."""
    monkeypatch.setattr(time, "time", lambda: NOW_S)


def unwrap(body: bytes, headers: Mapping[str, str]) -> Any:
    with library("telnyx").Telnyx(api_key="KEY", public_key=PUBLIC_KEY) as client:
        return client.webhooks.unwrap(body.decode(), headers=headers)


def unwrap_by_helper(body: bytes, headers: Mapping[str, str]) -> Any:
    """Verify and read with the library's other implementation, which replaces the first one when it is imported."""
    with library("telnyx").Telnyx(api_key="KEY", public_key=PUBLIC_KEY) as client:
        return library("telnyx.lib").unwrap_with_ed25519(client, body, headers)


def sign_by_library(body: bytes, private_key: bytes, now_s: int) -> dict[str, str]:
    """Sign as the library documents it, with what it verifies with: it has nothing of its own that signs."""
    signed = library("nacl.signing").SigningKey(private_key).sign(b"%d|%s" % (now_s, body))
    return {SIGNATURE_HEADER: base64.b64encode(signed.signature).decode(), TIMESTAMP_HEADER: str(now_s)}


@pytest.mark.parametrize("check", [unwrap, unwrap_by_helper])
@pytest.mark.parametrize("later_s", [-TOLERANCE_S, 0, TOLERANCE_S])
def test_the_library_believes_what_we_sign(check: Verifier, later_s: int) -> None:
    assert check(BODY, sign(BODY, KEY, NOW_S + later_s)).data.payload.from_ == "Jörg"


async def test_the_asynchronous_client_believes_what_we_sign() -> None:
    async with library("telnyx").AsyncTelnyx(api_key="KEY", public_key=PUBLIC_KEY) as client:
        event = client.webhooks.unwrap(BODY.decode(), headers=sign(BODY, KEY, NOW_S))
    assert event.data.payload.from_ == "Jörg"


#: Body and headers that nobody is to believe, and what we say of them.
REFUSED = {
    "forged": (BODY, sign(BODY, OTHER_KEY, NOW_S), ForgedWebhook),
    "altered": (BODY.replace(b"v3:one", b"v3:two"), sign(BODY, KEY, NOW_S), ForgedWebhook),
    "of another time": (BODY, sign(BODY, KEY, NOW_S) | {TIMESTAMP_HEADER: str(NOW_S + 1)}, ForgedWebhook),
    "stale": (BODY, sign(BODY, KEY, NOW_S - TOLERANCE_S - 1), StaleWebhook),
    "of the future": (BODY, sign(BODY, KEY, NOW_S + TOLERANCE_S + 1), StaleWebhook),
    "without a time": (BODY, {SIGNATURE_HEADER: sign(BODY, KEY, NOW_S)[SIGNATURE_HEADER]}, UnsignedWebhook),
    "without a signature": (BODY, {TIMESTAMP_HEADER: str(NOW_S)}, UnsignedWebhook),
    "of garbage": (BODY, {SIGNATURE_HEADER: "garbage", TIMESTAMP_HEADER: "now"}, ForgedWebhook),
}


@pytest.mark.parametrize("check", [unwrap, unwrap_by_helper])
@pytest.mark.parametrize("case", REFUSED)
def test_the_library_and_we_refuse_the_same(check: Verifier, case: str) -> None:
    body, headers, ours = REFUSED[case]
    theirs = library("telnyx.lib.webhook_verification").WebhookVerificationError
    with pytest.raises((ValueError, theirs)):
        check(body, headers)
    with pytest.raises(ours):
        verify(body, headers, PUBLIC_KEY, NOW_S)


def test_we_believe_what_the_librarys_own_signing_signs() -> None:
    headers = sign_by_library(BODY, KEY.private_bytes_raw(), NOW_S)
    unwrap(BODY, headers)
    verify(BODY, headers, PUBLIC_KEY, NOW_S)
    assert headers == sign(BODY, KEY, NOW_S)


def test_we_refuse_what_the_librarys_own_signing_signs_for_another() -> None:
    headers = sign_by_library(BODY, KEY.private_bytes_raw(), NOW_S)
    with pytest.raises(ForgedWebhook):
        verify(BODY, sign_by_library(BODY, OTHER_KEY.private_bytes_raw(), NOW_S), PUBLIC_KEY, NOW_S)
    with pytest.raises(ForgedWebhook):
        verify(BODY + b" ", headers, PUBLIC_KEY, NOW_S)
    for now_s in (NOW_S - TOLERANCE_S - 1, NOW_S + TOLERANCE_S + 1):
        with pytest.raises(StaleWebhook):
            verify(BODY, headers, PUBLIC_KEY, now_s)


#: An event that has no fields: neither the library nor the description knows more of it than its name.
UNKNOWN_TO_THE_LIBRARY = {"call.sip_info.received"}
#: The library is newer than the description that ours is made of; in `payload`, as all that is unknown.
UNTYPED = {"call.conversation.ended": {"messages"}}


@functools.cache
def models() -> dict[str, Any]:
    """Give the library's model of `data`, by type of event."""
    found = {}
    for event in get_args(library("telnyx.types.unwrap_webhook_event").UnwrapWebhookEvent):
        data = _model(event.model_fields["data"].annotation) if "data" in event.model_fields else None
        if data is not None and "event_type" in data.model_fields and "payload" in data.model_fields:
            named = _without_none(data.model_fields["event_type"].annotation)
            found.update(dict.fromkeys(get_args(named), data))
    return found


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) is Union:
        return next(kind for kind in get_args(annotation) if kind is not NoneType)
    return annotation


def _model(annotation: Any) -> Any:
    kind = _without_none(annotation)
    return kind if hasattr(kind, "model_fields") else None


def example(annotation: Any, name: str) -> Any:
    """Make up a value of the library's kind, as it is in JSON."""
    kind = _without_none(annotation)
    if _model(kind):
        return {field.alias or key: example(field.annotation, key) for key, field in kind.model_fields.items()}
    if get_origin(kind) is Literal:
        return get_args(kind)[-1]
    if get_origin(kind) is list:
        return [example(get_args(kind)[0], name)] * 2
    if name == "client_state":
        return base64.b64encode(b"state").decode()
    simple = {str: f"a {name}", int: 7, float: 0.5, bool: True, datetime: "2018-02-02T22:25:27.521992Z"}
    return simple.get(kind, {"any": ["thing"]})


def document(event_type: str) -> dict[str, Any]:
    """Make up a webhook of a type, with a value in each field of the library's model."""
    data = models()[event_type]
    payload = example(data.model_fields["payload"].annotation, "payload")
    head = {
        "event_type": event_type,
        "id": "0ccc",
        "occurred_at": "2018-02-02T22:25:27.521992Z",
        "record_type": "event",
    }
    return {"data": head | {"payload": payload}, "meta": {"attempt": 2}}


def plain(value: Any) -> Any:
    """Give what a value of the library's or of ours is in JSON."""
    if hasattr(value, "model_dump"):
        return {key: plain(each) for key, each in value.model_dump(by_alias=True, exclude_unset=True).items()}
    if isinstance(value, SipHeader):
        return {"name": value.name, "value": value.value}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def test_the_library_knows_every_event_that_we_know() -> None:
    assert set(EVENT_TYPES) - set(models()) == UNKNOWN_TO_THE_LIBRARY


@pytest.mark.parametrize("event_type", sorted(set(EVENT_TYPES) - UNKNOWN_TO_THE_LIBRARY))
def test_we_read_of_an_event_just_what_the_library_reads(event_type: str) -> None:
    body = json.dumps(document(event_type)).encode()
    theirs, ours = unwrap(body, sign(body, KEY, NOW_S)).data, parse_event(body)
    assert type(ours) is EVENT_TYPES[event_type]
    assert (ours.event_type, ours.id, ours.occurred_at) == (theirs.event_type, theirs.id, theirs.occurred_at)
    assert (ours.record_type, ours.attempt) == (theirs.record_type, 2)
    names = set(type(theirs.payload).model_fields) - {"occurred_at"}
    assert names - {field.name for field in fields(ours)} == UNTYPED.get(event_type, set())
    for name in names - UNTYPED.get(event_type, set()):
        assert plain(getattr(ours, name)) == plain(getattr(theirs.payload, name)) is not None, name


def test_what_only_the_library_knows_is_generic_and_whole() -> None:
    others = set(models()) - set(EVENT_TYPES)
    assert len(others) > 20
    for event_type in others:
        said = document(event_type)
        event: WebhookEvent = parse_event(json.dumps(said).encode())
        assert type(event) is GenericEvent
        assert (event.event_type, event.payload) == (event_type, said["data"]["payload"])
