"""Send call commands to the platform: `Client` waits for the answer, `AsyncClient` is awaited.

Both are thin: a command (strep.control.commands) builds the request and reads the answer, here it is only carried.
Each command is a method too (strep.control.methods).
"""

from __future__ import annotations

import asyncio
import inspect
import random
import time
import warnings
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, TypeVar

import httpx
from pydantic import SecretStr

from strep.control.account import Account, as_secret
from strep.control.commands import Command
from strep.control.errors import PrivateAddressWarning
from strep.control.ledger import SendingCounts
from strep.control.methods import CommandMethods
from strep.control.retries import RetryPolicy
from strep.control.sending import DEFAULT_CONNECTIONS, DEFAULT_TIMEOUT_S, AsyncSender, Sender

ResultT = TypeVar("ResultT")
_RETRY = RetryPolicy()


class Client(CommandMethods):
    """A client that drives calls on the platform, one command at a time.

    api_key: the platform's API key; from TELNYX_API_KEY when not given. api_secret: the key's secret, for the older API
    that takes both by HTTP Basic; from TELNYX_API_SECRET when the key is from the environment too. base_url: from
    TELNYX_BASE_URL when not given, else the public platform. timeout_s: bounds connecting, sending and each wait for
    the answer. retry: how often and for how long a command is sent again that failed (strep.control.retries has the
    rules). max_connections: that are open at a time; further commands wait. transport: an httpx transport to use in
    place of the network. sleep, clock, jitter: other ways to wait so many seconds, to tell steady seconds, and to
    choose a number from 0 to 1 that moves the waits.

    Every method raises ConfigError for an argument that cannot work, before anything is sent, and a kind of
    CommandFailed (strep.control.errors) when the platform does not do it. `counts` says what was sent.
    """

    def __init__(
        self,
        api_key: str | SecretStr | None = None,
        *,
        api_secret: str | SecretStr | None = None,
        base_url: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retry: RetryPolicy = _RETRY,
        max_connections: int = DEFAULT_CONNECTIONS,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        api_key, api_secret = as_secret(api_key), as_secret(api_secret)  # what raises keeps its local variables
        self._account = Account.resolve(api_key, base_url, api_secret)
        self._sender = Sender(
            self._account,
            retry,
            timeout_s=timeout_s,
            max_connections=max_connections,
            transport=transport,
            sleep=sleep,
            clock=clock,
            jitter=jitter,
        )

    def __repr__(self) -> str:
        return f"Client({self._account.base_url!r})"

    @property
    def counts(self) -> SendingCounts:
        """Say what was sent so far, and how it ended."""
        return self._sender.counts

    def send(self, command: Command[ResultT]) -> ResultT:
        """Send a command, again where that helps and is safe, and read the answer.

        Sending the same value again later is the same command, and cannot act twice: the platform ignores a command_id
        that it knows. It does for 60 s, after which ConfigError is raised here instead.
        """
        _warn_of_private_destinations(command, self._account)
        return self._sender.send(command)

    def close(self) -> None:
        """Close the connections."""
        self._sender.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class AsyncClient(CommandMethods):
    """A client that drives calls on the platform from asyncio; all else is as `Client` says."""

    def __init__(
        self,
        api_key: str | SecretStr | None = None,
        *,
        api_secret: str | SecretStr | None = None,
        base_url: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retry: RetryPolicy = _RETRY,
        max_connections: int = DEFAULT_CONNECTIONS,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        api_key, api_secret = as_secret(api_key), as_secret(api_secret)  # what raises keeps its local variables
        self._account = Account.resolve(api_key, base_url, api_secret)
        self._sender = AsyncSender(
            self._account,
            retry,
            timeout_s=timeout_s,
            max_connections=max_connections,
            transport=transport,
            sleep=sleep,
            clock=clock,
            jitter=jitter,
        )

    def __repr__(self) -> str:
        return f"AsyncClient({self._account.base_url!r})"

    @property
    def counts(self) -> SendingCounts:
        """Say what was sent so far, and how it ended."""
        return self._sender.counts

    async def send(self, command: Command[ResultT]) -> ResultT:
        """Send a command, again where that helps and is safe, and read the answer.

        Sending the same value again later is the same command, and cannot act twice: the platform ignores a command_id
        that it knows. It does for 60 s, after which ConfigError is raised here instead.
        """
        _warn_of_private_destinations(command, self._account)
        return await self._sender.send(command)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sender.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()


def _warn_of_private_destinations(command: Command[Any], account: Account) -> None:
    """Warn of a destination that the platform has no way to."""
    for address in command.destinations:
        if address.is_private and not account.is_local:
            warning = f"{address} is a private address: {account.base_url} cannot send a fork there"
            warnings.warn(warning, PrivateAddressWarning, stacklevel=_callers_level())


def _callers_level() -> int:
    """Count the frames from a warning here to the program that uses this package."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith("strep.control."):
        frame, level = frame.f_back, level + 1
    return level
