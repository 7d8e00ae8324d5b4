"""Serve the API on a real port."""

import asyncio
import signal

import pytest

from strep.control import AsyncClient, Client, InvalidParameter, NotForked
from strep.emulator import DEFAULT_API_KEY, Platform, PlatformServer
from strep.errors import ReceiveError


async def test_the_api_is_served_on_a_port_of_its_own(receive):
    receiver, target = await receive()
    platform = Platform(speed=20)
    call = platform.add_call(waits_for_fork=True)
    async with PlatformServer(platform) as server, AsyncClient(DEFAULT_API_KEY, base_url=server.base_url) as client:
        fork = await client.fork_start(call.call_control_id, target=target)
        await receiver.wait_for(10)
        await client.fork_stop(call.call_control_id, stream_type=fork.stream_type)
        with pytest.raises(NotForked):
            await client.fork_stop(call.call_control_id, stream_type=fork.stream_type)


async def test_the_waiting_client_reaches_it_too():
    async with PlatformServer(Platform()) as server:

        def ask():
            with Client(DEFAULT_API_KEY, base_url=server.base_url) as client:
                client.fork_stop("v3:nobody", stream_type="raw")

        with pytest.raises(InvalidParameter):
            await asyncio.to_thread(ask)


async def test_when_the_server_ends_so_do_the_calls_and_their_forks(receive):
    receiver, target = await receive()
    platform = Platform()
    call = platform.add_call(waits_for_fork=True)
    async with PlatformServer(platform):
        platform.command(call.call_control_id, "fork_start", {"target": target})
        await receiver.wait_for(2)
    assert call.state == "ended" and not call.fork.is_active
    assert {task.get_name() for task in asyncio.all_tasks()} == {asyncio.current_task().get_name()}


async def test_a_server_that_ends_at_once_ends_cleanly():
    async with PlatformServer(Platform()) as server:
        pass
    async with PlatformServer(Platform(), port=int(server.base_url.split(":")[2].split("/")[0])):
        pass


async def test_signals_stay_the_programs_own():
    before = signal.getsignal(signal.SIGINT)
    async with PlatformServer(Platform()):
        assert signal.getsignal(signal.SIGINT) is before


async def test_an_ipv6_server_has_an_ipv6_base_url():
    async with PlatformServer(Platform(), host="::1") as server:
        assert server.base_url.startswith("http://[::1]:")
        async with AsyncClient(DEFAULT_API_KEY, base_url=server.base_url) as client:
            with pytest.raises(InvalidParameter):
                await client.fork_stop("v3:nobody", stream_type="raw")


async def test_a_port_in_use_is_told():
    async with PlatformServer(Platform()) as server:
        port = int(server.base_url.split(":")[2].split("/")[0])
        with pytest.raises(ReceiveError, match=f"127.0.0.1 port {port}"):
            async with PlatformServer(Platform(), port=port):
                pass
