"""Carry commands to the platform and bring the answers back: `Sender` blocks, `AsyncSender` is awaited.

When to send again is for `strep.control.retries` to say, and `strep.control.delivery` keeps to it without I/O; the two
senders only do what that says, with httpx. What httpx raises goes no further than here: its exceptions hold the request
with its Authorization header, and the frames in their tracebacks do too. Only their name and text go on.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any, TypeVar

import httpx

from strep.control.account import Account
from strep.control.delivery import Answer, CommandDelivery, Fault, Request, Sendable, Wait
from strep.control.ledger import Ledger, SendingCounts
from strep.control.retries import Outcome, RetryPolicy
from strep.errors import ConfigError

ResultT = TypeVar("ResultT")

#: A command is answered within a second or so; a call's audio is lost meanwhile, so there is no sense in waiting long.
DEFAULT_TIMEOUT_S = 10.0
#: Who has not taken a connection by then is not there: TCP has asked three times (after 0, 1 and 3 s, RFC 6298).
_LONGEST_CONNECT_S = 5.0
#: At some 0.2 s a command these carry 100 commands a second, which is more than the platform's rate limits let through.
DEFAULT_CONNECTIONS = 20
#: Commands come in bursts, as calls do; half of the 60 s after which servers commonly close an idle connection, as
#: using one that is just being closed costs an attempt.
_KEEP_ALIVE_S = 30.0
#: Ten times the longest answer that there is, a full page of active calls.
_LONGEST_ANSWER_BYTES = 1 << 20
#: Failures from before the request was on its way.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


class _Carrier:
    """A carrier that holds what both senders have in common."""

    def __init__(
        self,
        account: Account,
        policy: RetryPolicy,
        *,
        timeout_s: float,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._account, self._policy, self._ledger = account, policy, Ledger()
        self._clock, self._wall_clock, self._jitter = clock, wall_clock, jitter
        connect_s = min(timeout_s, _LONGEST_CONNECT_S)
        # In the pool's queue, then TCP, TLS, and writing: so long a request can be under way before it has arrived.
        self._reach_s = 3 * connect_s + timeout_s
        self._timeout_s = timeout_s

    @property
    def counts(self) -> SendingCounts:
        """Say what was sent so far, and how it ended."""
        return self._ledger.counts

    def delivery(self, command: Sendable[ResultT]) -> CommandDelivery[ResultT]:
        """Begin to carry a command."""
        return CommandDelivery(command, self._account, self._policy, self._ledger, self._reach_s)

    def end(self, delivery: CommandDelivery[ResultT], reply: Answer | Fault) -> ResultT | Wait:
        """End an attempt now."""
        return delivery.end(reply, self._clock(), self._jitter())

    def answer(self, response: httpx.Response, body: bytes) -> Answer:
        """Take what was asked for out of a response, without what it repeats of the key."""
        named = {name: self._redact(value) for name, value in response.headers.items()}
        # RFC 9110 section 6.6.1: one that receives an answer without a Date adds it.
        dated = {"date": formatdate(self._wall_clock(), usegmt=True)} | named
        return Answer(response.status_code, dated, self._account.redact(body))

    def fault(self, error: httpx.RequestError) -> Fault:
        """Take from an exception what may be shown of it."""
        outcome = Outcome.NOT_SENT if isinstance(error, _NOT_SENT) else Outcome.NO_ANSWER
        return Fault(outcome, self._redact(f"{type(error).__name__} {error}".strip()))

    def excess(self, length: int, since_s: float) -> Fault | None:
        """Tell whether an answer has become too long, or takes too long to come in."""
        if length > _LONGEST_ANSWER_BYTES:
            return Fault(Outcome.UNEXPECTED, f"one of more than {_LONGEST_ANSWER_BYTES} bytes")
        if self._clock() - since_s > self._timeout_s:
            return Fault(Outcome.NO_ANSWER, f"it was not complete after {self._timeout_s:g} s")
        return None

    def _redact(self, text: str) -> str:
        return self._account.redact(text.encode()).decode()


class Sender:
    """A sender that sends commands and waits for the answers. It may be used from several threads.

    sleep: waits so many seconds. clock: gives steady seconds, wall_clock the time since 1970. jitter: gives a number
    from 0 to 1, each time another; a seeded `random.Random(...).random` makes a run repeatable.
    """

    def __init__(
        self,
        account: Account,
        policy: RetryPolicy,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        max_connections: int = DEFAULT_CONNECTIONS,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        settings = _settings(account, timeout_s, max_connections)
        self._carrier = _Carrier(
            account, policy, timeout_s=timeout_s, clock=clock, wall_clock=wall_clock, jitter=jitter
        )
        self._http = httpx.Client(**settings, transport=transport)
        self._sleep, self._clock = sleep, clock

    @property
    def counts(self) -> SendingCounts:
        """Say what was sent so far, and how it ended."""
        return self._carrier.counts

    def send(self, command: Sendable[ResultT]) -> ResultT:
        """Send a command, again where that helps and is safe; give its result, or raise what became of it."""
        delivery = self._carrier.delivery(command)
        while True:
            delivery.begin(self._clock())
            try:
                reply = self._exchange(delivery.request)
            except BaseException:
                delivery.interrupt(self._clock())
                raise
            result = self._carrier.end(delivery, reply)
            if not isinstance(result, Wait):
                return result
            self._sleep(result.seconds)

    def _exchange(self, request: Request) -> Answer | Fault:
        body = bytearray()
        try:
            with self._http.stream(request.method, request.url, content=request.content) as response:
                since_s = self._clock()
                for part in response.iter_bytes():
                    body += part
                    if fault := self._carrier.excess(len(body), since_s):
                        return fault
        except httpx.RequestError as error:
            return self._carrier.fault(error)
        return self._carrier.answer(response, bytes(body))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class AsyncSender:
    """A sender of commands from asyncio; all else is as `Sender` says."""

    def __init__(
        self,
        account: Account,
        policy: RetryPolicy,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        max_connections: int = DEFAULT_CONNECTIONS,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        settings = _settings(account, timeout_s, max_connections)
        self._carrier = _Carrier(
            account, policy, timeout_s=timeout_s, clock=clock, wall_clock=wall_clock, jitter=jitter
        )
        self._http = httpx.AsyncClient(**settings, transport=transport)
        # Held for one exchange, not for a wait before the next one: what waits keeps nobody else from being sent. In
        # turn, while the queue of httpx's pool gives up after a time and counts as a failure.
        self._turn = asyncio.Semaphore(max_connections)
        self._sleep, self._clock = sleep, clock

    @property
    def counts(self) -> SendingCounts:
        """Say what was sent so far, and how it ended."""
        return self._carrier.counts

    async def send(self, command: Sendable[ResultT]) -> ResultT:
        """Send a command, again where that helps and is safe; give its result, or raise what became of it."""
        delivery = self._carrier.delivery(command)
        while True:
            async with self._turn:
                delivery.begin(self._clock())
                try:
                    reply = await self._exchange(delivery.request)
                except BaseException:
                    delivery.interrupt(self._clock())
                    raise
            result = self._carrier.end(delivery, reply)
            if not isinstance(result, Wait):
                return result
            await self._sleep(result.seconds)

    async def _exchange(self, request: Request) -> Answer | Fault:
        body = bytearray()
        try:
            async with self._http.stream(request.method, request.url, content=request.content) as response:
                since_s = self._clock()
                async for part in response.aiter_bytes():
                    body += part
                    if fault := self._carrier.excess(len(body), since_s):
                        return fault
        except httpx.RequestError as error:
            return self._carrier.fault(error)
        return self._carrier.answer(response, bytes(body))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _settings(account: Account, timeout_s: float, max_connections: int) -> dict[str, Any]:
    if not timeout_s > 0:
        raise ConfigError(f"timeout_s: expected a time above 0, found {timeout_s}")
    if max_connections < 1:
        raise ConfigError(f"max_connections: expected 1 or more, found {max_connections}")
    connect_s = min(timeout_s, _LONGEST_CONNECT_S)
    return {
        "auth": account.authorize,
        "headers": {"Accept": "application/json", "Content-Type": "application/json"},
        "timeout": httpx.Timeout(timeout_s, connect=connect_s, pool=connect_s),
        "limits": httpx.Limits(
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=_KEEP_ALIVE_S,
        ),
        # A redirect would take the key to another host: it is an UnexpectedAnswer, not followed.
        "follow_redirects": False,
    }
