"""Deliver webhooks: what is posted, what counts as delivered, and what becomes of it when nobody answers."""

import asyncio
import json

import httpx
import pytest

from strep.control.webhooks.signature import verify
from strep.emulator.faults import FaultDraws, Faults
from strep.emulator.outbox import Webhook, WebhookOutbox
from strep.emulator.signing import WebhookKey
from strep.emulator.webhooks import _MAX_IN_FLIGHT, WebhookDeliverer
from tests.receiving import until

NOW_S = 1_700_000_000
URL = "http://application/webhooks"
KEY = WebhookKey(1)


def webhook(name="a", url=URL, delays_s=()):
    return Webhook("call", url, {"data": {"id": name}}, delays_s)


class Delivering:
    """Runs a deliverer against an application that is a function of a request."""

    def __init__(self, answer):
        self.requests = []
        self._answer = answer
        transport = httpx.MockTransport(self._take)
        self.deliverer = WebhookDeliverer(
            WebhookOutbox(FaultDraws(Faults())), KEY, wall_s=lambda: NOW_S, transport=transport
        )
        self.counts = self.deliverer.outbox.counts

    async def _take(self, request):
        self.requests.append(request)
        answer = self._answer(len(self.requests))
        return await answer if asyncio.iscoroutine(answer) else answer

    async def __aenter__(self):
        self.deliverer.start()
        return self

    async def __aexit__(self, *_):
        await self.deliverer.aclose()

    async def settle(self):
        await until(lambda: not self.counts.pending)


async def test_what_is_posted_is_json_signed_and_says_which_attempt_it_is():
    async with Delivering(lambda _: httpx.Response(200)) as delivering:
        delivering.deliverer.add(webhook())
        await delivering.settle()
    (request,) = delivering.requests
    assert (request.method, str(request.url), request.headers["content-type"]) == ("POST", URL, "application/json")
    assert json.loads(request.content) == {"data": {"id": "a"}, "meta": {"attempt": 1, "delivered_to": URL}}
    verify(request.content, request.headers, KEY.public_key, NOW_S)


async def test_each_attempt_is_signed_anew():
    async with Delivering(lambda n: httpx.Response(500 if n == 1 else 204)) as delivering:
        delivering.deliverer.add(webhook(delays_s=(0.0,)))
        await delivering.settle()
    assert [json.loads(request.content)["meta"]["attempt"] for request in delivering.requests] == [1, 2]
    for request in delivering.requests:
        verify(request.content, request.headers, KEY.public_key, NOW_S)
    assert (delivering.counts.delivered, delivering.counts.failed_attempts) == (1, 1)


@pytest.mark.parametrize("status", [199, 301, 404, 500])
async def test_any_other_answer_than_2xx_is_none(status):
    async with Delivering(lambda _: httpx.Response(status, headers={"location": URL})) as delivering:
        delivering.deliverer.add(webhook())
        await delivering.settle()
    assert (delivering.counts.given_up, len(delivering.requests)) == (1, 1)


async def test_as_many_as_can_be_under_way_end_together_and_the_rest_goes_out_after_them():
    together = asyncio.Event()

    async def answer(number):
        if number == _MAX_IN_FLIGHT:
            together.set()
        await together.wait()
        return httpx.Response(200)

    async with Delivering(answer) as delivering:
        for number in range(2 * _MAX_IN_FLIGHT + 1):
            delivering.deliverer.add(Webhook(f"call {number}", URL, {"data": {}}, ()))
        await delivering.settle()
    assert delivering.counts.delivered == 2 * _MAX_IN_FLIGHT + 1


async def _never():
    await asyncio.Event().wait()


async def test_an_application_that_does_not_answer_in_time_gets_it_again(monkeypatch):
    monkeypatch.setattr("strep.emulator.webhooks.TIMEOUT_S", 0.01)
    async with Delivering(lambda n: _never() if n == 1 else httpx.Response(200)) as delivering:
        delivering.deliverer.add(webhook(delays_s=(0.0,)))
        await delivering.settle()
    assert delivering.counts.delivered == 1 and len(delivering.requests) == 2


def _broken(_):
    raise httpx.ConnectError("nobody there")


@pytest.mark.parametrize(
    "url", [URL, "nonsense", "http://", "http://[::1", "ftp://application/", "http://" + "a" * 300]
)
async def test_a_url_where_nobody_is_does_not_hold_up_the_next(url):
    async with Delivering(lambda n: _broken(n) if url == URL and n == 1 else httpx.Response(200)) as delivering:
        delivering.deliverer.add(webhook("a", url))
        delivering.deliverer.add(webhook("b"))
        await delivering.settle()
    assert json.loads(delivering.requests[-1].content)["data"]["id"] == "b"


async def test_whatever_is_under_way_at_the_end_is_left():
    async with Delivering(lambda _: _never()) as delivering:
        delivering.deliverer.add(webhook())
        await until(lambda: delivering.requests)
    assert delivering.counts.pending == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_thread_beside_the_loop_can_add_one():
    async with Delivering(lambda _: httpx.Response(200)) as delivering:
        await asyncio.to_thread(delivering.deliverer.add, webhook())
        await delivering.settle()
    assert delivering.counts.delivered == 1


def test_equal_seeds_make_equal_keys_and_none_makes_a_new_one():
    assert WebhookKey(1).public_key == KEY.public_key != WebhookKey(2).public_key
    assert WebhookKey(None).public_key != WebhookKey(None).public_key
