"""Take the platform's webhooks in over HTTP, and hand them on through a bounded queue.

The rules:

1. It answers at once, whatever the consumer does: 200 when an event is in the queue, or was there before.
2. What cannot be taken now is answered 503, so that the platform sends it again: the queue is full, or we are closing.
3. Nothing unsigned is looked at, and nobody is told why he was refused. The reason is counted.
4. A body is held up to its bound only, and waited for so long only.

Events that were acknowledged and not yet consumed are lost if the process is killed.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from strep.control.webhooks.deduplicator import KEEP_S, Deduplicator
from strep.control.webhooks.errors import RefusalReason, WebhookError
from strep.control.webhooks.event import WebhookEvent
from strep.control.webhooks.events import parse_event
from strep.control.webhooks.signature import TOLERANCE_S, read_public_key, verify
from strep.errors import ConfigError
from strep.net.http_server import HttpServer

#: The platform's own are one to a few kilobytes; those with a transcript of a conversation are the longest.
MAX_BODY_BYTES = 65_536
#: Some 30 MB of usual events. Who is that far behind has the platform send them again later.
QUEUE_SIZE = 10_000
#: Of the 2 s after which the platform gives up: the rest is for the way.
BODY_TIMEOUT_S = 1.5

#: Unsigned, forged and stale look the same to whoever sent it.
_STATUS = {
    RefusalReason.UNSIGNED: 403,
    RefusalReason.FORGED: 403,
    RefusalReason.STALE: 403,
    RefusalReason.MALFORMED: 400,
    RefusalReason.WRONG_METHOD: 405,
    RefusalReason.WRONG_PATH: 404,
    RefusalReason.TOO_LARGE: 413,
    RefusalReason.TOO_SLOW: 408,
    RefusalReason.BROKEN_OFF: 400,
    RefusalReason.CLOSED: 503,
}
#: What these came with is not read to its end, so nothing else shall follow it on the same connection.
_ENDS_CONNECTION = {"connection": "close"}
_HEADERS = {
    RefusalReason.WRONG_METHOD: {"allow": "POST", **_ENDS_CONNECTION},
    RefusalReason.WRONG_PATH: _ENDS_CONNECTION,
    RefusalReason.TOO_LARGE: _ENDS_CONNECTION,
    RefusalReason.TOO_SLOW: _ENDS_CONNECTION,
    RefusalReason.CLOSED: _ENDS_CONNECTION,
}


@dataclass(slots=True)
class WebhookCounts:
    """Counts of requests: received == accepted + duplicates + overflowed + all refused, but for those under way.

    accepted: put into the queue. duplicates: acknowledged, and left out. overflowed: there was no room in the queue;
    they come again. refused: by reason.
    """

    received: int = 0
    accepted: int = 0
    duplicates: int = 0
    overflowed: int = 0
    refused: Counter[RefusalReason] = field(default_factory=Counter)


class WebhookInbox:
    """An application that takes webhooks in (`app`), and an async iterator over their events. See `webhook_app`.

    Events come in the order in which they were taken; several consumers share them. The iteration ends after `close`,
    once the queue is empty. All of it belongs to one event loop.
    """

    def __init__(
        self,
        public_key: Ed25519PublicKey,
        *,
        path: str,
        queue_size: int,
        tolerance_s: float,
        clock_s: Callable[[], float],
    ) -> None:
        self.counts = WebhookCounts()
        self._public_key, self._tolerance_s, self._clock_s = public_key, tolerance_s, clock_s
        # A webhook that a stranger repeats is fresh for twice the tolerance: once before our time, once after it.
        self._deduplicator = Deduplicator(keep_s=max(KEEP_S, 2 * tolerance_s))
        # Its bound is kept by hand, so that there always is room for the None that ends the iteration.
        self._queue: asyncio.Queue[WebhookEvent | None] = asyncio.Queue()
        self._queue_size = queue_size
        self._is_closed = False
        elsewhere = Route("/{rest:path}", _Endpoint(self._answer_elsewhere))
        self.app: ASGIApp = Starlette(routes=[Route(path, _Endpoint(self._answer)), elsewhere])

    def __aiter__(self) -> AsyncIterator[WebhookEvent]:
        return self

    async def __anext__(self) -> WebhookEvent:
        event = await self._queue.get()
        if event is None:
            self._queue.put_nowait(None)  # for whoever else waits
            raise StopAsyncIteration
        return event

    def counters(self) -> dict[str, int | dict[str, int]]:
        """Give all counts by name, those refused by reason; `forgotten_early` is the deduplicator's."""
        counts = self.counts
        return {
            "received": counts.received,
            "accepted": counts.accepted,
            "duplicates": counts.duplicates,
            "overflowed": counts.overflowed,
            "forgotten_early": self._deduplicator.forgotten_early,
            "refused": {reason.value: count for reason, count in sorted(counts.refused.items())},
        }

    def close(self) -> None:
        """Take nothing more; what was taken can be consumed still. Closing twice does no harm."""
        if not self._is_closed:
            self._is_closed = True
            self._queue.put_nowait(None)

    @asynccontextmanager
    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[HttpServer]:
        """Listen in the event loop that we are in, and close at the end.

        Raises ReceiveError when the port cannot be had.
        """
        server = HttpServer(self.app, host=host, port=port, name="webhooks")
        try:
            async with server:
                yield server
        finally:
            self.close()

    async def _answer(self, request: Request) -> Response:
        self.counts.received += 1
        try:
            if request.method != "POST":
                raise _Refused(RefusalReason.WRONG_METHOD)
            if self._is_closed:
                raise _Refused(RefusalReason.CLOSED)
            body = await self._read(request)
            verify(body, request.headers, self._public_key, self._clock_s(), self._tolerance_s)
            return self._hand_over(parse_event(body))
        except WebhookError as error:
            return self._refuse(error.reason)
        except ClientDisconnect:
            return self._refuse(RefusalReason.BROKEN_OFF)
        except asyncio.CancelledError:
            self.counts.refused[RefusalReason.BROKEN_OFF] += 1
            raise

    async def _answer_elsewhere(self, _: Request) -> Response:
        self.counts.received += 1
        return self._refuse(RefusalReason.WRONG_PATH)

    async def _read(self, request: Request) -> bytes:
        """Read the body as it comes, so that no more of it is held than is allowed."""
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and (len(announced) > 18 or int(announced) > MAX_BODY_BYTES):
            raise _Refused(RefusalReason.TOO_LARGE)
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                async for chunk in request.stream():
                    if len(body) + len(chunk) > MAX_BODY_BYTES:
                        raise _Refused(RefusalReason.TOO_LARGE)
                    body += chunk
        except TimeoutError:
            raise _Refused(RefusalReason.TOO_SLOW) from None
        return bytes(body)

    def _hand_over(self, event: WebhookEvent) -> Response:
        now_s = self._clock_s()
        if event.id is not None and self._deduplicator.is_repeated(event.id, now_s):
            self.counts.duplicates += 1
            return Response()
        if self._is_closed:  # while its body came
            raise _Refused(RefusalReason.CLOSED)
        if self._queue.qsize() >= self._queue_size:
            self.counts.overflowed += 1
            return Response(status_code=503)
        self._queue.put_nowait(event)
        self.counts.accepted += 1
        if event.id is not None:
            self._deduplicator.add(event.id, now_s)
        return Response()

    def _refuse(self, reason: RefusalReason) -> Response:
        self.counts.refused[reason] += 1
        return Response(status_code=_STATUS[reason], headers=_HEADERS.get(reason))


def webhook_app(
    public_key: str | Ed25519PublicKey,
    *,
    path: str = "/webhooks",
    queue_size: int = QUEUE_SIZE,
    tolerance_s: float = TOLERANCE_S,
    clock_s: Callable[[], float] = time.time,
) -> WebhookInbox:
    """Make an inbox for the platform's webhooks.

        inbox = webhook_app(public_key)
        async with inbox.serve("0.0.0.0", 8080):
            async for event in inbox:
                ...

    `inbox.app` is a Starlette application, for a server of your own. public_key: as the platform's portal shows it.
    queue_size: how many events may wait for their consumer. tolerance_s: how far the time of a signature may be from
    ours. clock_s: seconds since 1970.

    Raises ConfigError when one of them cannot work.
    """
    if not path.startswith("/") or set(path) & set("{}?#"):
        raise ConfigError(f"path: expected one like '/webhooks', found {path!r}")
    for name, value in (("queue_size", queue_size), ("tolerance_s", tolerance_s)):
        if not value >= 1:
            raise ConfigError(f"{name}: expected at least 1, found {value}")
    key = read_public_key(public_key)
    return WebhookInbox(key, path=path, queue_size=queue_size, tolerance_s=tolerance_s, clock_s=clock_s)


class _Refused(WebhookError):  # noqa: N818 -- as its kin
    """An error that says why a request was refused before it came to be a webhook."""

    message = "expected a webhook, found another request"

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__()
        self.reason = reason


class _Endpoint:
    """An ASGI application of its own, because a route to a function would answer wrong methods uncounted."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)
