"""Send call commands to the platform: `Client` waits for the answer, `AsyncClient` is awaited.

Both are thin: a command (strep.control.commands) builds the request and reads the answer, here it is only carried.
"""

from __future__ import annotations

import warnings
from types import TracebackType
from typing import Any, TypeVar

import httpx

from strep.control.account import Account
from strep.control.commands import CallCommand, CommandResult, ForkStart, ForkStarted, ForkStop, Request, StreamType
from strep.control.errors import PlatformUnreachable, PrivateAddressWarning
from strep.errors import ConfigError
from strep.net.address import UdpAddress

ResultT = TypeVar("ResultT", bound=CommandResult)
#: A command is answered within a second or so; a call's audio is lost meanwhile, so there is no sense in waiting long.
DEFAULT_TIMEOUT_S = 10.0


class Client:
    """Drives calls on the platform, one command at a time.

    api_key: the platform's API key; from TELNYX_API_KEY when not given. base_url: from TELNYX_BASE_URL when not given,
    else the public platform. timeout_s: bounds connecting, sending and each wait for the answer. transport: an httpx
    transport to use in place of the network.

    It remembers nothing between commands. Every method raises ConfigError for an argument that cannot work, before
    anything is sent, and a kind of ControlError (strep.control.errors) when the platform does not do it.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._account = Account.resolve(api_key, base_url)
        self._http = httpx.Client(**_settings(self._account, timeout_s), transport=transport)

    def __repr__(self) -> str:
        return f"Client({self._account.base_url!r})"

    def send(self, command: CallCommand[ResultT]) -> ResultT:
        """Send a command and read the answer. Sending the same value again cannot act twice (its command_id)."""
        request = _prepare(command, self._account)
        try:
            response = self._http.request(request.method, request.url, content=request.content)
        except httpx.RequestError as error:
            raise _unreachable(command, self._account, error) from error
        return command.read_response(response.status_code, response.headers, self._account.redact(response.content))

    def fork_start(
        self,
        call_control_id: str,
        *,
        target: UdpAddress | str | None = None,
        rx: UdpAddress | str | None = None,
        tx: UdpAddress | str | None = None,
        stream_type: StreamType | str | None = None,
        client_state: str | bytes | None = None,
        command_id: str | None = None,
    ) -> ForkStarted:
        """Copy a call's audio to `target`, or to `rx` and `tx` ('udp:IP:PORT'). `ForkStart` says what they mean."""
        return self.send(
            ForkStart(
                call_control_id,
                target=target,
                rx=rx,
                tx=tx,
                stream_type=stream_type,
                client_state=client_state,
                command_id=command_id,
            )
        )

    def fork_stop(
        self,
        call_control_id: str,
        *,
        stream_type: StreamType | str,
        client_state: str | bytes | None = None,
        command_id: str | None = None,
    ) -> CommandResult:
        """End a fork. `stream_type` must be the one it was started with: fork_start returns it."""
        return self.send(
            ForkStop(call_control_id, stream_type=stream_type, client_state=client_state, command_id=command_id)
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class AsyncClient:
    """Drives calls on the platform from asyncio; all else is as `Client` says."""

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._account = Account.resolve(api_key, base_url)
        self._http = httpx.AsyncClient(**_settings(self._account, timeout_s), transport=transport)

    def __repr__(self) -> str:
        return f"AsyncClient({self._account.base_url!r})"

    async def send(self, command: CallCommand[ResultT]) -> ResultT:
        """Send a command and read the answer. Sending the same value again cannot act twice (its command_id)."""
        request = _prepare(command, self._account)
        try:
            response = await self._http.request(request.method, request.url, content=request.content)
        except httpx.RequestError as error:
            raise _unreachable(command, self._account, error) from error
        return command.read_response(response.status_code, response.headers, self._account.redact(response.content))

    async def fork_start(
        self,
        call_control_id: str,
        *,
        target: UdpAddress | str | None = None,
        rx: UdpAddress | str | None = None,
        tx: UdpAddress | str | None = None,
        stream_type: StreamType | str | None = None,
        client_state: str | bytes | None = None,
        command_id: str | None = None,
    ) -> ForkStarted:
        """Copy a call's audio to `target`, or to `rx` and `tx` ('udp:IP:PORT'). `ForkStart` says what they mean."""
        return await self.send(
            ForkStart(
                call_control_id,
                target=target,
                rx=rx,
                tx=tx,
                stream_type=stream_type,
                client_state=client_state,
                command_id=command_id,
            )
        )

    async def fork_stop(
        self,
        call_control_id: str,
        *,
        stream_type: StreamType | str,
        client_state: str | bytes | None = None,
        command_id: str | None = None,
    ) -> CommandResult:
        """End a fork. `stream_type` must be the one it was started with: fork_start returns it."""
        return await self.send(
            ForkStop(call_control_id, stream_type=stream_type, client_state=client_state, command_id=command_id)
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()


def _settings(account: Account, timeout_s: float) -> dict[str, Any]:
    if not timeout_s > 0:
        raise ConfigError(f"timeout_s: expected a time above 0, found {timeout_s}")
    # A redirect would take the key to another host: it is an UnexpectedAnswer, not followed.
    return {"headers": account.headers, "timeout": timeout_s, "follow_redirects": False}


def _prepare(command: CallCommand[Any], account: Account) -> Request:
    """Build the request, and warn of a destination that the platform has no way to."""
    for address in command.destinations:
        if address.is_private and not account.is_local:
            warning = f"{address} is a private address: {account.base_url} cannot send a fork there"
            # 4: whoever called fork_start, past send and this function.
            warnings.warn(warning, PrivateAddressWarning, stacklevel=4)
    return command.request(account.base_url)


def _unreachable(command: CallCommand[Any], account: Account, error: httpx.RequestError) -> PlatformUnreachable:
    reason = f"{type(error).__name__} {error}".strip()
    return PlatformUnreachable(f"no answer from {account.base_url} to {command.ACTION}: {reason}")
