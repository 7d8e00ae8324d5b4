"""An application is served as a guest: on a port of our choice, in our loop, and no longer than we say."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from strep.errors import ReceiveError
from strep.net.http_server import HttpServer
from tests.receiving import BOUND_S


async def hello(_: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


def app(answer=hello, **settings) -> Starlette:
    return Starlette(routes=[Route("/", answer)], **settings)


def client(server: HttpServer) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.origin, trust_env=False)


async def is_listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def test_it_answers_from_the_first_moment_to_the_last() -> None:
    async with HttpServer(app()) as server, client(server) as http:
        assert server.origin == f"http://127.0.0.1:{server.port}"
        assert (await http.get("/")).text == "hello"
    assert not await is_listening(server.port)


async def test_it_is_started_and_stopped_by_hand_too() -> None:
    server = HttpServer(app())
    assert server.port == 0
    await server.start()
    async with client(server) as http:
        assert (await http.get("/")).status_code == 200
    await server.stop()
    await server.stop()
    assert not await is_listening(server.port)


async def test_stopping_what_was_never_started_does_nothing() -> None:
    await HttpServer(app()).stop()


async def test_a_port_that_is_taken_is_said_by_its_number() -> None:
    async with HttpServer(app()) as server:
        with pytest.raises(ReceiveError, match=f"expected to listen on 127.0.0.1 port {server.port}"):
            await HttpServer(app(), port=server.port).start()


async def test_an_address_that_is_not_ours_is_said() -> None:
    with pytest.raises(ReceiveError, match=r"expected to listen on 192\.0\.2\.1 port"):
        await HttpServer(app(), host="192.0.2.1").start()


@pytest.mark.parametrize("host", ["fe80::1%no-such-interface", "two..dots", "a" * 64])
async def test_a_host_that_is_none_is_said(host: str) -> None:
    with pytest.raises(ReceiveError, match=f"expected an address of this machine to listen on, found {host}"):
        await HttpServer(app(), host=host).start()


async def test_an_address_of_ipv6_stands_in_brackets() -> None:
    if not socket.has_ipv6:
        pytest.skip("needs IPv6")
    server = HttpServer(app(), host="::1")
    try:
        await server.start()
    except ReceiveError as error:
        pytest.skip(f"needs IPv6: {error}")
    async with client(server) as http:
        assert server.origin == f"http://[::1]:{server.port}"
        assert (await http.get("/")).text == "hello"
    await server.stop()


async def test_an_application_that_does_not_start_is_said_and_gives_the_port_back() -> None:
    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        raise OSError("no such thing")
        yield

    server = HttpServer(app(lifespan=lifespan), name="the server of the test")
    with pytest.raises(ReceiveError, match=r"expected the server of the test to start on http://127\.0\.0\.1:"):
        await server.start()
    assert not await is_listening(server.port)


async def test_what_was_asked_is_answered_before_the_end() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def answer(_: Request) -> PlainTextResponse:
        asked.set()
        await go_on.wait()
        return PlainTextResponse("late")

    server = HttpServer(app(answer))
    await server.start()
    async with client(server) as http:
        answering = asyncio.create_task(http.get("/"))
        await asked.wait()
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0)
        go_on.set()
        assert (await answering).text == "late"
        await stopping


async def test_what_is_never_answered_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strep.net.http_server._SHUTDOWN_S", 0.01)
    asked = asyncio.Event()

    async def answer(_: Request) -> PlainTextResponse:
        asked.set()
        await asyncio.Event().wait()
        return PlainTextResponse("never")

    async with HttpServer(app(answer)) as server, client(server) as http:
        answering = asyncio.create_task(http.get("/"))
        await asked.wait()
        async with asyncio.timeout(BOUND_S):
            await server.stop()
        with contextlib.suppress(httpx.HTTPError):
            assert (await answering).status_code == 500


async def test_an_idle_connection_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strep.net.http_server._SHUTDOWN_S", 600)
    async with HttpServer(app()) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        async with asyncio.timeout(BOUND_S):
            await server.stop()
        writer.close()


async def test_the_programs_signals_are_left_alone() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    async with HttpServer(app()):
        assert {number: signal.getsignal(number) for number in before} == before
