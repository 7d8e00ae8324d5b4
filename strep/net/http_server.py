"""Serve an ASGI application on a port, as a guest in the event loop of a program."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self, cast

import uvicorn
from starlette.types import ASGIApp

from strep.errors import ReceiveError
from strep.net.http_limits import ConnectionCounts, ConnectionLimits, ConnectionTable, LimitedProtocol
from strep.net.reason import socket_reason

#: What is asked here is answered at once; a client that keeps its connection open shall not hold up the end for longer.
_SHUTDOWN_S = 1
#: Connections that are taken from the kernel at a stretch, and that wait there. What is taken together is there
#: together, and its descriptors too, before any of it can be ended for another.
_ACCEPTED_AT_ONCE, _WAITING = 64, 1024
#: The header of a request (h11's own default; uvicorn would take four times that).
_LONGEST_HEADER_BYTES = 16_384
_LIMITS = ConnectionLimits()


class HttpServer:
    """An HTTP server that serves from `async with` until its end, or from `start` to `stop`.

    port 0 lets the system choose one; `port` tells it then. limits: of connections (strep.net.http_limits has the
    rules). name: of the task that serves. Raises ReceiveError when the port cannot be had.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: ConnectionLimits = _LIMITS,
        name: str = "http server",
    ) -> None:
        self._app, self._host, self._port, self._name = app, host, port, name
        self._connections = ConnectionTable(limits)
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Give the port, which is the one that is listened on once the server runs."""
        return self._port

    @property
    def counts(self) -> ConnectionCounts:
        """Say what became of connections."""
        return self._connections.counts

    @property
    def open_connections(self) -> int:
        """Count those that are there."""
        return len(self._connections)

    @property
    def origin(self) -> str:
        """Give the URL of the server without a path, such as http://127.0.0.1:8080."""
        return f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{self._port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, and answer."""
        sock = await _listen(self._host, self._port)
        self._port = sock.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            log_config=None,  # the program's logging is the program's business
            log_level="warning",
            access_log=False,
            ws="none",
            http=cast("type[asyncio.Protocol]", self._protocol),  # it is called as a class is
            h11_max_incomplete_event_size=_LONGEST_HEADER_BYTES,
            backlog=_ACCEPTED_AT_ONCE,
            timeout_graceful_shutdown=_SHUTDOWN_S,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[sock]), name=self._name)
        started = asyncio.create_task(self._server.has_started.wait())
        try:
            await asyncio.wait((self._serving, started), return_when=asyncio.FIRST_COMPLETED)
            if not started.done():
                await self._serving  # it failed: raise why
                raise ReceiveError(f"expected {self._name} to start on {self.origin}, but the application did not")
            sock.listen(_WAITING)  # anew: asyncio made it as many as it takes at a stretch
        except BaseException:
            await self.stop()
            sock.close()
            raise
        finally:
            started.cancel()

    def _protocol(self, *arguments: Any, **named: Any) -> LimitedProtocol:
        return LimitedProtocol(*arguments, table=self._connections, **named)

    async def stop(self) -> None:
        """Answer what was asked, and listen no more."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await asyncio.gather(self._serving, return_exceptions=True)


class _Server(uvicorn.Server):
    """Uvicorn as a guest in somebody else's loop: it tells when it is ready, and leaves signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.has_started = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:  # when the application does not start; but the program is not uvicorn's to end
            self.should_exit = True
        if not self.should_exit:
            self.has_started.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _listen(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    try:
        family, kind, protocol, _, address = (await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0]
        sock = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:  # the latter for a name that cannot be one
        raise ReceiveError(f"expected an address of this machine to listen on, found {host}: {error}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(_WAITING)
    except OSError as error:
        sock.close()
        raise ReceiveError(f"expected to listen on {host} port {port}: {socket_reason(error)}") from error
    return sock
