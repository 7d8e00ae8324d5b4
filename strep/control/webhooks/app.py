"""Receive webhooks over HTTP: a starlette application that answers at once, whatever becomes of the event.

The rules, in this order; every request ends in one counted fate:

1. A body of more than MOST_BODY_BYTES is refused unread (413), and so is one that does not come within READ_TIMEOUT_S.
2. What the platform did not sign lately is refused (403), without a word why.
3. What is no webhook is refused (400): to send it again would not help.
4. What came before is acknowledged (200) and goes no further.
5. What finds the queue full is refused (503): the platform sends it again, when the consumer may have caught up.
6. After `close` nothing more is taken (503). All else is queued, and acknowledged (200).
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections import Counter
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from strep.control.webhooks.deduplicator import Deduplicator
from strep.control.webhooks.events import NotAWebhook, WebhookEvent, parse_event
from strep.control.webhooks.signature import TOLERANCE_S, UnverifiedWebhook, read_public_key, verify
from strep.errors import ConfigError

#: The largest documented event (call quality, headers) is some 4 KB.
MOST_BODY_BYTES = 64 << 10
#: The platform waits 2 s for the answer, and then sends the webhook again.
READ_TIMEOUT_S = 1.5
#: A thousand calls' worth of events that wait while the consumer does something long; 2 to 6 KB each.
QUEUE_SIZE = 4096


class WebhookFate(enum.StrEnum):
    """Is what became of a request."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    OVERFLOWED = "overflowed"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    UNSIGNED = "unsigned"
    STALE = "stale"
    FORGED = "forged"
    MALFORMED = "malformed"
    CLOSED = "closed"


_STATUS = {
    WebhookFate.ACCEPTED: 200,
    WebhookFate.DUPLICATE: 200,
    WebhookFate.OVERFLOWED: 503,
    WebhookFate.CLOSED: 503,
    WebhookFate.TOO_LARGE: 413,
    WebhookFate.TOO_SLOW: 408,
    WebhookFate.MALFORMED: 400,
}
_FORBIDDEN = 403


class Webhooks:
    """Is an ASGI application, `app`, and the events that it was sent: `async for event in webhooks`.

    public_key: the platform's, in Base64. path: where webhooks are posted to. queue_size: how many events wait for the
    consumer at most. tolerance_s: how old a signature may be. clock_s: Unix time. counts: requests by WebhookFate.
    Raises ConfigError.
    """

    def __init__(
        self,
        public_key: str,
        *,
        path: str = "/webhooks",
        queue_size: int = QUEUE_SIZE,
        tolerance_s: float = TOLERANCE_S,
        deduplicator: Deduplicator | None = None,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        if queue_size < 1:
            raise ConfigError(f"queue_size: expected at least 1, found {queue_size}")
        if not path.startswith("/"):
            raise ConfigError(f"path: expected one that begins with '/', found {path!r}")
        self.counts: Counter[WebhookFate] = Counter()
        self._key = read_public_key(public_key)
        self._events: asyncio.Queue[WebhookEvent | None] = asyncio.Queue(queue_size + 1)  # and the end
        self._queue_size, self._tolerance_s, self._clock_s = queue_size, tolerance_s, clock_s
        self._seen = deduplicator or Deduplicator()
        self._closed = False
        self.app = Starlette(routes=[Route(path, self._receive, methods=["POST"])])

    def __aiter__(self) -> Webhooks:
        return self

    async def __anext__(self) -> WebhookEvent:
        event = await self._events.get()
        if event is None:
            self._events.put_nowait(None)  # for whoever else iterates
            raise StopAsyncIteration
        return event

    def counters(self) -> dict[str, int]:
        """Give the requests by what became of them, all of them by name."""
        return {fate.value: self.counts[fate] for fate in WebhookFate}

    def close(self) -> None:
        """Take no more, and end every iteration once what is queued was taken."""
        if not self._closed:
            self._closed = True
            self._events.put_nowait(None)

    async def _receive(self, request: Request) -> Response:
        fate = await self._fate(request)
        self.counts[fate] += 1
        return Response(status_code=_STATUS.get(fate, _FORBIDDEN))

    async def _fate(self, request: Request) -> WebhookFate:
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                body = await _body(request)
        except (TimeoutError, ClientDisconnect):
            return WebhookFate.TOO_SLOW
        if body is None:
            return WebhookFate.TOO_LARGE
        now_s = self._clock_s()
        try:
            verify(body, request.headers, self._key, now_s, self._tolerance_s)
            return self._take(parse_event(body), now_s)
        except UnverifiedWebhook as error:
            return WebhookFate(error.reason.value)
        except NotAWebhook:
            return WebhookFate.MALFORMED

    def _take(self, event: WebhookEvent, now_s: float) -> WebhookFate:
        if self._closed:
            return WebhookFate.CLOSED
        if not self._seen.is_new(event.id, now_s):
            return WebhookFate.DUPLICATE
        if self._events.qsize() >= self._queue_size:
            self._seen.forget(event.id)
            return WebhookFate.OVERFLOWED
        self._events.put_nowait(event)
        return WebhookFate.ACCEPTED


async def _body(request: Request) -> bytes | None:
    """Read the body as far as it may be; None when it is larger."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BODY_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)
