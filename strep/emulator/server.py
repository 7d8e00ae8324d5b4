"""Serve a Platform on a local port, in the event loop that you are in."""

from __future__ import annotations

from types import TracebackType

from strep.emulator.app import PATH_PREFIX, create_app
from strep.emulator.control_api import PREFIX as EMULATOR_PREFIX
from strep.emulator.platform import Platform
from strep.net.http_server import HttpServer


class PlatformServer:
    """A platform server that runs a platform's API from `async with` until its end; then every call is hung up and
    nothing is sent.

    port 0 lets the system choose one; `base_url` tells it. Raises ReceiveError when the port cannot be had.
    """

    def __init__(self, platform: Platform, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.platform = platform
        self._server = HttpServer(create_app(platform), host=host, port=port, name="platform server")

    @property
    def base_url(self) -> str:
        """Give the base URL for a client, with the port that is listened on once the server runs."""
        return self._server.origin + PATH_PREFIX

    @property
    def emulator_url(self) -> str:
        """Give the URL under which there is what only an emulator has: see strep.emulator.control_api."""
        return self._server.origin + EMULATOR_PREFIX

    async def __aenter__(self) -> PlatformServer:
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._server.stop()
