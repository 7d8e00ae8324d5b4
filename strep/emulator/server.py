"""Serve a Platform on a local port, in the event loop that you are in."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from types import TracebackType

import uvicorn

from strep.emulator.app import PATH_PREFIX, create_app
from strep.emulator.platform import Platform
from strep.errors import ReceiveError

#: A command is answered at once; a client that keeps its connection open shall not hold up the end for longer.
_SHUTDOWN_S = 1


class PlatformServer:
    """Runs a platform's API from `async with` until its end; then every call is hung up and nothing is sent.

    port 0 lets the system choose one; `base_url` tells it. Raises ReceiveError when the port cannot be had.
    """

    def __init__(self, platform: Platform, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.platform = platform
        self._host, self._port = host, port

    @property
    def base_url(self) -> str:
        """Give the base URL for a client, with the port that is listened on once the server runs."""
        return f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{self._port}{PATH_PREFIX}"

    async def __aenter__(self) -> PlatformServer:
        sock = _listen(self._host, self._port)
        self._port = sock.getsockname()[1]
        config = uvicorn.Config(
            create_app(self.platform),
            log_config=None,  # the program's logging is the program's business
            log_level="warning",
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=_SHUTDOWN_S,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[sock]), name="platform server")
        started = asyncio.create_task(self._server.has_started.wait())
        await asyncio.wait((self._serving, started), return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            started.cancel()
            await self._serving  # it failed: raise why
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        await self._serving


class _Server(uvicorn.Server):
    """Is uvicorn as a guest in somebody else's loop: it tells when it is ready, and leaves signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.has_started = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.has_started.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise ReceiveError(f"expected to listen on {host} port {port}: {error}") from error
    return sock
