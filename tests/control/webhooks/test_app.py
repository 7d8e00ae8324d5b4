"""Webhooks are answered at once and with one counted fate, whatever the consumer does."""

import asyncio
import base64
import json
import logging

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from strep.control.webhooks import CallAnswered, CallHangup, Webhooks, sign
from strep.control.webhooks.app import MOST_BODY_BYTES
from strep.errors import ConfigError

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = base64.b64encode(KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
NOW_S = 1_700_000_000


def webhooks_at(now_s: float = NOW_S, **settings) -> Webhooks:
    return Webhooks(PUBLIC_KEY, clock_s=lambda: now_s, **settings)


def body(id: str, event_type: str = "call.answered") -> bytes:
    return json.dumps({"data": {"id": id, "event_type": event_type, "payload": {}}}).encode()


async def post(webhooks: Webhooks, content, headers=None, path: str = "/webhooks") -> int:
    signed = sign(content, KEY, NOW_S) if headers is None else headers
    async with httpx.AsyncClient(transport=httpx.ASGITransport(webhooks.app), base_url="http://here") as client:
        return (await client.post(path, content=content, headers=signed)).status_code


def counted(webhooks: Webhooks) -> dict[str, int]:
    return {fate: count for fate, count in webhooks.counters().items() if count}


async def test_events_come_out_in_the_order_in_which_they_came() -> None:
    webhooks = webhooks_at()
    assert [await post(webhooks, body("2", "call.hangup")), await post(webhooks, body("1"))] == [200, 200]
    webhooks.close()
    assert [type(event) for event in [event async for event in webhooks]] == [CallHangup, CallAnswered]
    assert counted(webhooks) == {"accepted": 2}


async def test_what_comes_twice_is_acknowledged_twice_and_taken_once() -> None:
    webhooks = webhooks_at()
    assert [await post(webhooks, body("1")) for _ in range(3)] == [200, 200, 200]
    webhooks.close()
    assert len([event async for event in webhooks]) == 1
    assert counted(webhooks) == {"accepted": 1, "duplicate": 2}


async def test_a_full_queue_refuses_and_takes_it_when_it_comes_again() -> None:
    webhooks = webhooks_at(queue_size=1)
    assert [await post(webhooks, body(id)) for id in ("1", "2")] == [200, 503]
    assert (await anext(webhooks)).id == "1"
    assert await post(webhooks, body("2")) == 200
    assert (await anext(webhooks)).id == "2"
    assert counted(webhooks) == {"accepted": 2, "overflowed": 1}


async def test_after_the_end_nothing_is_taken_and_every_iteration_ends() -> None:
    webhooks = webhooks_at(queue_size=1)
    assert await post(webhooks, body("1")) == 200
    webhooks.close()
    webhooks.close()
    assert await post(webhooks, body("2")) == 503
    assert [event.id for event in [event async for event in webhooks]] == ["1"]
    assert [event async for event in webhooks] == []
    assert counted(webhooks) == {"accepted": 1, "closed": 1}


async def test_what_is_not_signed_lately_is_refused_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="strep")
    webhooks = webhooks_at()
    forged = sign(b"another", KEY, NOW_S)
    stale = sign(body("1"), KEY, NOW_S - 301)
    assert [await post(webhooks, body("1"), headers) for headers in ({}, forged, stale)] == [403, 403, 403]
    assert counted(webhooks) == {"unsigned": 1, "forged": 1, "stale": 1}
    assert not caplog.records


async def test_what_is_no_webhook_is_refused_though_it_is_signed() -> None:
    webhooks = webhooks_at()
    assert await post(webhooks, b"[]") == 400
    assert counted(webhooks) == {"malformed": 1}


async def test_a_large_body_is_refused_before_it_was_read() -> None:
    webhooks, sent = webhooks_at(), []

    async def endless():
        while len(sent) < 1000:
            sent.append(1)
            yield bytes(1024)

    assert await post(webhooks, endless(), {}) == 413
    assert len(sent) < 100
    assert await post(webhooks, bytes(MOST_BODY_BYTES), {}) == 403
    assert counted(webhooks) == {"too_large": 1, "unsigned": 1}


async def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strep.control.webhooks.app.READ_TIMEOUT_S", 0)
    webhooks, never = webhooks_at(), asyncio.Event()

    async def receive():
        await never.wait()

    answers = []

    async def send(message):
        answers.append(message)

    scope = {"type": "http", "method": "POST", "path": "/webhooks", "headers": [], "query_string": b""}
    await webhooks.app(scope, receive, send)
    assert answers[0]["status"] == 408
    assert counted(webhooks) == {"too_slow": 1}


@pytest.mark.parametrize("path", ["/", "/webhooks/more"])
async def test_another_path_is_not_found(path: str) -> None:
    assert await post(webhooks_at(), body("1"), path=path) == 404


@pytest.mark.parametrize("settings", [{"queue_size": 0}, {"path": "webhooks"}])
def test_what_cannot_be_is_refused(settings) -> None:
    with pytest.raises(ConfigError):
        webhooks_at(**settings)
