"""Deliver the webhooks of an outbox by HTTP, signed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import httpx

from strep.emulator.outbox import Delivery, Webhook, WebhookOutbox
from strep.emulator.schedule import is_running
from strep.emulator.signing import WebhookKey

#: The platform expects an answer within two seconds.
TIMEOUT_S = 2.0
#: Some 50 webhooks a second each, when they are answered in 20 ms. httpx looks at every connection for every request
#: that waits: with 100 of them, four fifths of the time that 600 webhooks at once took went into that.
_MAX_IN_FLIGHT = 32


class WebhookDeliverer:
    """A webhook deliverer that sends webhooks from `start` until `aclose`; what is not delivered by then is not
    delivered.

    wall_s: seconds since 1970, for the signature. clock_s: steady seconds. transport: httpx's; real HTTP by default.
    """

    def __init__(
        self,
        outbox: WebhookOutbox,
        key: WebhookKey,
        *,
        wall_s: Callable[[], float] = time.time,
        clock_s: Callable[[], float] = time.monotonic,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.outbox = outbox
        self._key, self._wall_s, self._clock_s, self._transport = key, wall_s, clock_s, transport
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: asyncio.Task[None] | None = None
        self._in_flight: set[asyncio.Task[None]] = set()

    def add(self, webhook: Webhook) -> None:
        """Take a webhook, to be sent when it is its turn."""
        self.outbox.add(webhook, self._clock_s())
        if self._loop is None or is_running(self._loop):
            self._changed.set()
        else:
            self._loop.call_soon_threadsafe(self._changed.set)

    def start(self) -> None:
        """Begin to send."""
        if self._running is None:
            self._loop = asyncio.get_running_loop()
            self._running = asyncio.create_task(self._run(), name="webhooks")

    async def aclose(self) -> None:
        """Send no more."""
        tasks = [task for task in (self._running, *self._in_flight) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._running = self._loop = None

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=_MAX_IN_FLIGHT)
        async with httpx.AsyncClient(
            transport=self._transport, timeout=TIMEOUT_S, limits=limits, trust_env=False, follow_redirects=False
        ) as http:
            while True:
                self._changed.clear()
                for delivery in self.outbox.take(self._clock_s(), _MAX_IN_FLIGHT - len(self._in_flight)):
                    task = asyncio.create_task(self._deliver(http, delivery))
                    self._in_flight.add(task)
                    task.add_done_callback(self._in_flight.discard)
                await self._wait()

    async def _wait(self) -> None:
        """Wait until there is something to do: one more webhook, room for one, or the time for one."""
        next_s = self.outbox.next_s
        if len(self._in_flight) >= _MAX_IN_FLIGHT or next_s is None:
            await self._changed.wait()
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), max(0.0, next_s - self._clock_s()))

    async def _deliver(self, http: httpx.AsyncClient, delivery: Delivery) -> None:
        was_delivered = False
        try:
            body = delivery.body()
            headers = {"content-type": "application/json", **self._key.headers(body, self._wall_s())}
            async with asyncio.timeout(TIMEOUT_S):
                answer = await http.post(delivery.webhook.url, content=body, headers=headers)
            was_delivered = answer.is_success
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, TimeoutError):
            pass  # nobody there, no such host, or too slow: it is tried again
        self.outbox.finish(delivery, was_delivered, self._clock_s())
        task = asyncio.current_task()
        assert task is not None, "each is delivered in a task of its own"
        self._in_flight.discard(task)  # before anybody looks for room
        self._changed.set()
