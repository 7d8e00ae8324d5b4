"""Connections that ask nothing make room for those that do, and end when their request does not come."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from strep.net.http_limits import ConnectionLimits, ConnectionTable, address_group
from strep.net.http_server import HttpServer
from tests.receiving import until

HALF_A_HEADER = b"POST / HTTP/1.1\r\nHost: x\r\n"
HALF_A_BODY = HALF_A_HEADER + b"Content-Length: 10\r\n\r\nhello"


class Peer:
    """Is a connection that waits for its request, or is answered."""

    def __init__(self, *, is_waiting: bool = True) -> None:
        self.is_waiting, self.is_ended = is_waiting, False

    def end(self) -> None:
        self.is_ended = True


def table(total: int = 4, per_address: int = 2) -> ConnectionTable:
    return ConnectionTable(ConnectionLimits(total=total, per_address=per_address))


def test_one_too_many_of_an_address_ends_the_one_of_it_that_has_waited_longest() -> None:
    connections, other = table(), Peer()
    peers = [Peer() for _ in range(4)]
    assert connections.admit(other, "b")
    assert all(connections.admit(peer, "a") for peer in peers)
    assert [peer.is_ended for peer in peers] == [True, True, False, False]
    assert not other.is_ended
    assert len(connections) == 3
    assert (connections.counts.accepted, connections.counts.displaced) == (5, 2)


def test_one_that_is_being_answered_never_ends_for_another() -> None:
    connections = table()
    busy, waiting = Peer(is_waiting=False), Peer()
    assert connections.admit(busy, "a") and connections.admit(waiting, "a")
    assert connections.admit(Peer(is_waiting=False), "a")
    assert (busy.is_ended, waiting.is_ended) == (False, True)
    assert not connections.admit(Peer(), "a")
    assert connections.counts.refused == 1
    assert len(connections) == 2


def test_one_too_many_of_all_ends_one_of_the_address_that_has_most() -> None:
    connections = table(total=4, per_address=4)
    many, few = [Peer() for _ in range(3)], Peer()
    assert connections.admit(few, "b")
    for peer in many:
        connections.admit(peer, "a")
    assert connections.admit(Peer(), "c")
    assert (many[0].is_ended, few.is_ended) == (True, False)


def test_where_that_address_is_all_busy_another_makes_room() -> None:
    connections = table(total=3, per_address=2)
    few = Peer()
    connections.admit(few, "b")
    for _ in range(2):
        connections.admit(Peer(is_waiting=False), "a")
    assert connections.admit(Peer(), "c")
    assert few.is_ended


def test_one_that_has_asked_lately_ends_after_those_that_have_not() -> None:
    connections = table()
    first, second = Peer(), Peer()
    connections.admit(first, "a")
    connections.admit(second, "a")
    connections.renew(first, "a")
    connections.admit(Peer(), "a")
    assert (first.is_ended, second.is_ended) == (False, True)


def test_one_that_leaves_makes_room_once() -> None:
    connections = table()
    first = Peer()
    connections.admit(first, "a")
    connections.leave(first, "a")
    connections.leave(first, "a")
    connections.renew(first, "a")
    assert len(connections) == 0


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["come", "go", "ask", "wait"]), st.integers(0, 9))),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_whatever_comes_and_goes_the_bounds_hold_and_every_connection_is_accounted_for(
    steps, total, per_address
) -> None:
    connections, there, gone = table(total, per_address), [], 0
    for address, step, number in steps:
        if step == "come":
            peer = Peer()
            if connections.admit(peer, address):
                there.append((peer, address))
        elif there:
            peer, of_address = there[number % len(there)]
            if step == "go":
                connections.leave(peer, of_address)
                there.remove((peer, of_address))
                gone += 1
            else:
                peer.is_waiting = step == "wait"
                connections.renew(peer, of_address)
        there = [(peer, of_address) for peer, of_address in there if not peer.is_ended]
        assert len(connections) == len(there) <= total
        assert all(sum(of == address for _, of in there) <= per_address for address in "abc")
        assert connections.counts.accepted == len(there) + gone + connections.counts.displaced


@pytest.mark.parametrize(
    ("host", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1::5", "20010db800000001"),
        ("2001:db8:0:1:ffff::6", "20010db800000001"),
        ("fe80::1%eth0", "fe80000000000000"),
        ("", ""),
    ],
)
def test_addresses_of_one_host_are_counted_together(host: str, group: str) -> None:
    assert address_group(host) == group


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse((await request.body()).decode() or "hello")


def app() -> Starlette:
    return Starlette(routes=[Route("/", hello, methods=["GET", "POST"])])


async def told(server: HttpServer, source: str) -> bool:
    """Ask from an address, on a connection of its own; tell whether it was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, local_addr=(source, 0))
    writer.write(HALF_A_BODY + b"hello")
    answer = await reader.readuntil(b"hellohello")
    writer.close()
    return answer.startswith(b"HTTP/1.1 200")


async def half_open(server: HttpServer, count: int, sent: bytes = HALF_A_HEADER) -> list[socket.socket]:
    """Connect so often from one address, and never come to the end of a request."""
    loop, socks = asyncio.get_running_loop(), []
    for _ in range(count):
        sock = socket.socket()
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", server.port))
        with contextlib.suppress(OSError):  # it was ended for another already
            await loop.sock_sendall(sock, sent)
        socks.append(sock)
    return socks


@pytest.mark.parametrize("sent", [b"", HALF_A_HEADER, HALF_A_BODY], ids=["nothing", "half a header", "half a body"])
@pytest.mark.thorough
async def test_1000_half_open_connections_keep_nobody_out(sent: bytes) -> None:
    limits = ConnectionLimits(total=40, per_address=20, request_s=600)
    async with HttpServer(app(), limits=limits) as server:
        flood = asyncio.create_task(half_open(server, 1000, sent))
        answers = 0
        while not flood.done():
            for source in ("127.0.0.2", "127.0.0.1"):
                assert await told(server, source)
                answers += 1
                assert server.open_connections <= limits.total
        socks = await flood
        assert await told(server, "127.0.0.2") and await told(server, "127.0.0.1")
        assert answers > 0
        await until(lambda: server.counts.accepted == 1000 + answers + 2)
        assert server.counts.displaced >= 1000 - limits.per_address
        assert (server.counts.refused, server.counts.too_slow) == (0, 0)
        for sock in socks:
            sock.close()


@pytest.mark.parametrize("sent", [b"", HALF_A_HEADER, HALF_A_BODY], ids=["nothing", "half a header", "half a body"])
async def test_a_request_that_does_not_come_ends_its_connection(sent: bytes) -> None:
    async with HttpServer(app(), limits=ConnectionLimits(request_s=0.05)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(sent)
        with contextlib.suppress(ConnectionResetError):
            await reader.read()  # until it is closed
        writer.close()
        assert server.counts.too_slow == 1
        assert server.open_connections == 0


async def test_a_connection_is_kept_for_its_next_request_and_that_has_its_own_time() -> None:
    async with (
        HttpServer(app(), limits=ConnectionLimits(request_s=600)) as server,
        httpx.AsyncClient(base_url=server.origin, trust_env=False) as http,
    ):
        for _ in range(3):
            assert (await http.get("/")).text == "hello"
        assert server.counts.accepted == 1
        assert server.open_connections == 1


async def test_what_is_no_http_is_counted_and_not_logged_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    async with HttpServer(app()) as server:
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"\x16\x03\x01 hello\r\n\r\n")
            assert b"400" in await reader.readline()
            writer.close()
        assert server.counts.malformed == 3
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []
