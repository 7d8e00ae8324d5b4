"""Webhooks are answered at once and with one counted fate, whatever the consumer does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import httpx
import pytest

from strep.control.webhooks import (
    CallAnswered,
    CallHangup,
    WebhookEvent,
    WebhookInbox,
    sign,
    webhook_app,
)
from strep.control.webhooks.app import BODY_TIMEOUT_S, MAX_BODY_BYTES
from strep.errors import ConfigError, ReceiveError
from tests.control.webhooks.signed import KEY, NOW_S, OTHER_KEY, PUBLIC_KEY, webhook


def inbox_at(now_s: float = NOW_S, **settings) -> WebhookInbox:
    return webhook_app(PUBLIC_KEY, clock_s=lambda: now_s, **settings)


async def request(inbox: WebhookInbox, content, headers=None, path="/webhooks", method="POST") -> httpx.Response:
    signed = sign(content, KEY, NOW_S) if headers is None else headers
    async with httpx.AsyncClient(transport=httpx.ASGITransport(inbox.app), base_url="http://here") as client:
        return await client.request(method, path, content=content, headers=signed)


async def post(inbox: WebhookInbox, content, headers=None, **more) -> int:
    return (await request(inbox, content, headers, **more)).status_code


async def rest(inbox: WebhookInbox) -> list[WebhookEvent]:
    """Close it, and take what it holds still."""
    inbox.close()
    return [event async for event in inbox]


def counted(inbox: WebhookInbox) -> dict[str, int]:
    """Give the counts that are not 0, and make sure that each request is in one of them."""
    counts = inbox.counters()
    refused = counts.pop("refused")
    fates = {name: count for name, count in (counts | refused).items() if count and name != "received"}
    assert counts["received"] == sum(fates.values())
    return fates


async def test_events_come_out_typed_and_in_the_order_in_which_they_came() -> None:
    inbox = inbox_at()
    assert [await post(inbox, webhook("call.hangup", "2")), await post(inbox, webhook("call.answered", "1"))] == [
        200,
        200,
    ]
    assert [type(event) for event in await rest(inbox)] == [CallHangup, CallAnswered]
    assert counted(inbox) == {"accepted": 2}


async def test_webhooks_are_acknowledged_though_nobody_consumes_them() -> None:
    inbox = inbox_at()
    assert {await post(inbox, webhook(id=str(number))) for number in range(50)} == {200}
    assert [event.id for event in await rest(inbox)] == [str(number) for number in range(50)]


async def test_webhooks_are_acknowledged_though_their_consumer_hangs() -> None:
    inbox, never = inbox_at(), asyncio.Event()

    async def consume() -> None:
        async for _ in inbox:
            await never.wait()

    consumer = asyncio.create_task(consume())
    assert {await post(inbox, webhook(id=str(number))) for number in range(5)} == {200}
    await asyncio.sleep(0)  # the consumer takes the first
    consumer.cancel()
    assert [event.id for event in await rest(inbox)] == ["1", "2", "3", "4"]


async def test_several_consumers_share_the_events_and_all_of_them_end() -> None:
    inbox, taken = inbox_at(), []

    async def consume() -> None:
        async for event in inbox:
            taken.append(event.id)

    async with asyncio.TaskGroup() as consumers:
        for _ in range(3):
            consumers.create_task(consume())
        for number in range(6):
            await post(inbox, webhook(id=str(number)))
        inbox.close()
    assert sorted(taken) == [str(number) for number in range(6)]


async def test_what_comes_twice_is_acknowledged_twice_and_taken_once() -> None:
    inbox = inbox_at()
    assert [await post(inbox, webhook()) for _ in range(3)] == [200, 200, 200]
    assert len(await rest(inbox)) == 1
    assert counted(inbox) == {"accepted": 1, "duplicates": 2}


async def test_what_has_no_id_is_never_taken_for_a_duplicate() -> None:
    inbox = inbox_at()
    assert [await post(inbox, webhook(id=None)) for _ in range(2)] == [200, 200]
    assert len(await rest(inbox)) == 2


async def test_a_webhook_is_known_again_for_as_long_as_its_signature_is_good() -> None:
    now_s = NOW_S - 7200.0
    inbox = webhook_app(PUBLIC_KEY, tolerance_s=7200, clock_s=lambda: now_s)
    assert await post(inbox, webhook()) == 200
    now_s = NOW_S + 7199.0
    assert await post(inbox, webhook()) == 200
    now_s = NOW_S + 7201.0
    assert await post(inbox, webhook()) == 403
    assert counted(inbox) == {"accepted": 1, "duplicates": 1, "stale": 1}


async def test_a_full_queue_refuses_and_takes_it_when_it_comes_again() -> None:
    inbox = inbox_at(queue_size=1)
    assert [await post(inbox, webhook(id=id)) for id in ("1", "2", "1")] == [200, 503, 200]
    assert (await anext(inbox)).id == "1"
    assert await post(inbox, webhook(id="2")) == 200
    assert (await anext(inbox)).id == "2"
    assert counted(inbox) == {"accepted": 2, "overflowed": 1, "duplicates": 1}


async def test_after_the_end_nothing_is_taken_and_every_iteration_ends() -> None:
    inbox = inbox_at(queue_size=1)
    assert await post(inbox, webhook(id="1")) == 200
    inbox.close()
    inbox.close()
    assert await post(inbox, webhook(id="2")) == 503
    assert [event.id for event in await rest(inbox)] == ["1"]
    assert await rest(inbox) == []
    assert counted(inbox) == {"accepted": 1, "closed": 1}


async def test_what_is_not_signed_lately_is_refused_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="strep")
    inbox, body = inbox_at(), webhook()
    altered, forged, stale = sign(b"another", KEY, NOW_S), sign(body, OTHER_KEY, NOW_S), sign(body, KEY, NOW_S - 301)
    answers = [await request(inbox, body, headers) for headers in ({}, altered, forged, stale)]
    assert [(answer.status_code, answer.content) for answer in answers] == [(403, b"")] * 4
    assert len({tuple(answer.headers.items()) for answer in answers}) == 1
    assert counted(inbox) == {"unsigned": 1, "forged": 2, "stale": 1}
    assert not caplog.records


async def test_a_signature_header_that_is_there_twice_is_refused() -> None:
    inbox, body = inbox_at(), webhook()
    signed = list(sign(body, KEY, NOW_S).items())
    assert await post(inbox, body, [*signed, signed[0]]) == 403
    assert counted(inbox) == {"unsigned": 1}


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff\xff", webhook(event_type=None)])
async def test_what_is_no_webhook_is_refused_though_it_is_signed(body: bytes) -> None:
    inbox = inbox_at()
    assert await post(inbox, body) == 400
    assert counted(inbox) == {"malformed": 1}


async def test_an_announced_large_body_is_refused_before_any_of_it_is_read() -> None:
    inbox = inbox_at()
    assert await ask_by_hand(inbox, [], [(b"content-length", b"%d" % (MAX_BODY_BYTES + 1))]) == 413
    assert await ask_by_hand(inbox, [], [(b"content-length", b"9" * 5000)]) == 413
    assert counted(inbox) == {"too_large": 2}


async def test_an_endless_body_is_refused_before_much_of_it_is_read() -> None:
    inbox, sent = inbox_at(), []

    async def endless() -> AsyncIterator[bytes]:
        while len(sent) < 1000:
            sent.append(1)
            yield bytes(1024)

    answer = await request(inbox, endless(), {})
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    assert len(sent) <= MAX_BODY_BYTES // 1024 + 1
    assert counted(inbox) == {"too_large": 1}


async def test_a_body_of_just_the_bound_is_taken_in_any_pieces() -> None:
    inbox, body = inbox_at(), webhook(payload={"filling": ""})
    body = body.replace(b'""', b'"' + b"a" * (MAX_BODY_BYTES - len(body)) + b'"')
    assert len(body) == MAX_BODY_BYTES

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 999):
            yield body[start : start + 999]

    assert await post(inbox, pieces(), sign(body, KEY, NOW_S)) == 200
    assert counted(inbox) == {"accepted": 1}


async def ask_by_hand(inbox: WebhookInbox, received: list, headers=()) -> int:
    """Let the server give these messages one after the other, and then none; give the status of the answer."""
    answers, waiting = [], iter(received)

    async def receive():
        message = next(waiting, None)
        return message() if callable(message) else message or await asyncio.Event().wait()

    async def send(message) -> None:
        answers.append(message)

    scope = {"type": "http", "method": "POST", "path": "/webhooks", "headers": list(headers), "query_string": b""}
    await inbox.app(scope, receive, send)
    return answers[0]["status"]


async def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert BODY_TIMEOUT_S < 2, "the platform gives up after 2 s"
    monkeypatch.setattr("strep.control.webhooks.app.BODY_TIMEOUT_S", 0)
    inbox = inbox_at()
    assert await ask_by_hand(inbox, []) == 408
    assert await ask_by_hand(inbox, [{"type": "http.request", "body": b"{", "more_body": True}]) == 408
    assert counted(inbox) == {"too_slow": 2}


async def test_a_body_that_is_broken_off_is_counted() -> None:
    inbox = inbox_at()
    begun = {"type": "http.request", "body": b"{", "more_body": True}
    assert await ask_by_hand(inbox, [begun, {"type": "http.disconnect"}]) == 400
    assert counted(inbox) == {"broken_off": 1}


async def test_a_request_that_the_server_cancels_is_counted() -> None:
    inbox, begun = inbox_at(), {"type": "http.request", "body": b"{", "more_body": True}
    asked = asyncio.create_task(ask_by_hand(inbox, [begun]))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert counted(inbox) == {"broken_off": 1}


async def test_a_webhook_whose_body_comes_while_we_close_is_refused() -> None:
    inbox, body = inbox_at(), webhook()
    headers = [(name.encode(), value.encode()) for name, value in sign(body, KEY, NOW_S).items()]

    def last_piece():
        inbox.close()
        return {"type": "http.request", "body": body[1:], "more_body": False}

    first_piece = {"type": "http.request", "body": body[:1], "more_body": True}
    assert await ask_by_hand(inbox, [first_piece, last_piece], headers) == 503
    assert await rest(inbox) == []
    assert counted(inbox) == {"closed": 1}


@pytest.mark.parametrize("path", ["/", "/webhooks/", "/webhooks/more", "/Webhooks", "//webhooks"])
async def test_another_path_is_not_found(path: str) -> None:
    inbox = inbox_at()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(inbox.app)) as client:
        answer = await client.post("http://here" + path, content=webhook(), headers=sign(webhook(), KEY, NOW_S))
    assert answer.status_code == 404
    assert counted(inbox) == {"wrong_path": 1}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS", "DELETE"])
async def test_another_method_is_not_allowed(method: str) -> None:
    inbox = inbox_at()
    answer = await request(inbox, webhook(), method=method)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert counted(inbox) == {"wrong_method": 1}


async def test_the_path_is_the_callers() -> None:
    inbox = inbox_at(path="/hooks/calls")
    assert await post(inbox, webhook(), path="/hooks/calls") == 200
    assert await post(inbox, webhook()) == 404


@pytest.mark.parametrize(
    "settings",
    [{"queue_size": 0}, {"tolerance_s": 0}, {"tolerance_s": float("nan")}, {"path": "webhooks"}, {"path": "/{id}"}],
)
def test_what_cannot_work_is_refused(settings) -> None:
    (name,) = settings
    with pytest.raises(ConfigError, match=f"{name}: expected"):
        inbox_at(**settings)


def test_a_public_key_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="public_key: expected"):
        webhook_app("")


async def test_an_inbox_serves_over_http_and_is_closed_at_its_end() -> None:
    inbox, body = inbox_at(), webhook()

    async def pieces() -> AsyncIterator[bytes]:
        yield body[:10]
        yield body[10:]

    async with inbox.serve() as server, httpx.AsyncClient(base_url=server.origin, trust_env=False) as client:
        chunked = await client.post("/webhooks", content=pieces(), headers=sign(body, KEY, NOW_S))
        whole = await client.post("/webhooks", content=body, headers=sign(body, KEY, NOW_S))
        large = await client.post("/webhooks", content=bytes(MAX_BODY_BYTES + 1))
    assert [answer.status_code for answer in (chunked, whole, large)] == [200, 200, 413]
    assert chunked.request.headers["transfer-encoding"] == "chunked"
    assert [event.id async for event in inbox] == ["1"]
    assert counted(inbox) == {"accepted": 1, "duplicates": 1, "too_large": 1}


async def test_an_inbox_that_finds_its_port_taken_says_so_and_is_closed() -> None:
    async with inbox_at().serve() as server:
        second = inbox_at()
        with pytest.raises(ReceiveError, match=f"port {server.port}"):
            async with second.serve(port=server.port):
                pass
    assert [event async for event in second] == []
