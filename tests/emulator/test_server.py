"""Serve the API on a real port."""

import asyncio
import json
import signal

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from strep.control import AsyncClient, Client, InvalidParameter, NotForked
from strep.emulator import DEFAULT_API_KEY, Platform, PlatformServer
from strep.errors import ReceiveError
from strep.net.http_server import HttpServer
from strep.wire.strep import StrepHeader
from tests.receiving import until


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


class Application:
    """Is an application on a port of its own: it answers calls that come in, and keeps the types of the webhooks."""

    def __init__(self):
        self.types, self.http = [], None
        self.server = HttpServer(Starlette(routes=[Route("/webhooks", self._take, methods=["POST"])]))

    async def _take(self, request):
        event = json.loads(await request.body())["data"]
        self.types.append(event["event_type"])
        if event["event_type"] == "call.initiated" and event["payload"]["direction"] == "incoming":
            await self.http.post(f"/calls/{event['payload']['call_control_id']}/actions/answer")
        return Response(status_code=200)


async def test_an_application_is_told_of_a_call_answers_it_forks_it_and_is_told_of_its_end(receive):
    receiver, target = await receive()
    application, platform = Application(), Platform(seed=1)
    headers = {"Authorization": f"Bearer {DEFAULT_API_KEY}"}
    async with (
        application.server as serving,
        PlatformServer(platform) as server,
        httpx.AsyncClient(base_url=server.base_url, headers=headers) as application.http,
    ):
        platform.webhook_url = f"{serving.origin}/webhooks"
        answer = await application.http.post(f"{server.emulator_url}/calls", json={"from": "+13125550100"})
        call = platform.calls[answer.json()["data"]["call_control_id"]]
        await until(lambda: "call.answered" in application.types)
        path = f"/calls/{call.call_control_id}/actions"
        await application.http.post(f"{path}/fork_start", json={"target": target})
        await receiver.wait_for(6)
        await application.http.put(f"{server.emulator_url}/impairments", json={"loss": 1})
        await application.http.post(f"{path}/fork_stop", json={})
        await application.http.post(f"{path}/hangup", json={})
        await until(lambda: "call.hangup" in application.types)
    assert application.types == [
        "call.initiated",
        "call.answered",
        "call.fork.started",
        "call.fork.stopped",
        "call.hangup",
    ]
    headers = [StrepHeader.parse(datagram) for datagram in receiver.datagrams]
    assert {(header.call_leg_id, header.direction) for header in headers} == {(call.call_leg_id, d) for d in (0, 1)}
    assert platform.webhook_counts.delivered == 5


async def test_a_hundred_calls_are_forked_at_the_same_time(receive):
    receiver, target = await receive()
    platform = Platform(seed=1)
    async with platform:
        calls = [platform.add_call(codec) for codec in ("PCMU", "PCMA") for _ in range(50)]
        for call in calls:
            platform.command(call.call_control_id, "fork_start", {"target": target})
        await receiver.wait_for(600)
    heard = {(header.call_leg_id, header.direction) for header in map(StrepHeader.parse, receiver.datagrams)}
    assert heard == {(call.call_leg_id, direction) for call in calls for direction in (0, 1)}


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
