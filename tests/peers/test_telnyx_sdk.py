"""The platform's own client library drives ours over real HTTP, and reads the webhooks that ours posts."""

import asyncio
import importlib.util
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from strep.emulator import DEFAULT_API_KEY, DEFAULT_CONNECTION_ID, Callee, Faults, Outcome, Platform, PlatformServer
from strep.net.http_server import HttpServer
from strep.wire.rtp import RtpPacket
from strep.wire.strep import StrepHeader
from tests.receiving import BOUND_S

pytestmark = pytest.mark.peer

FROM, TO = "+13125550101", "+13125550102"
MODULES = ("telnyx", "nacl")  # the second one verifies


@pytest.fixture(scope="module")
def telnyx():
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if missing and os.environ.get("STREP_REQUIRE_PEERS") == "1":
        pytest.fail(f"peers are required here, but {', '.join(missing)} is not installed")
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    return importlib.import_module("telnyx")


class Application:
    """Is a web server that keeps what it is told: the headers and the body of each webhook, by event type."""

    def __init__(self):
        self.told = []
        self._more = asyncio.Event()
        self.server = HttpServer(Starlette(routes=[Route("/webhooks", self._take, methods=["POST"])]))

    @property
    def url(self):
        return f"{self.server.origin}/webhooks"

    async def _take(self, request):
        self.told.append((dict(request.headers), (await request.body()).decode()))
        self._more.set()
        return Response(status_code=200)

    async def wait_for(self, event_type):
        """Wait for a webhook of a type; give its headers and body."""
        async with asyncio.timeout(BOUND_S):
            while True:
                for headers, body in self.told:
                    if f'"event_type": "{event_type}"' in body:
                        return headers, body
                self._more.clear()
                await self._more.wait()


@dataclass
class Scene:
    platform: Platform
    application: Application
    client: object
    base_url: str


@pytest.fixture
async def scene(telnyx):
    """Run the platform, an application that it tells, and the library's client; nothing is retried unasked."""
    application = Application()
    platform = Platform(seed=3, callee=Callee(rings_after_s=0, acts_after_s=0))
    async with application.server, PlatformServer(platform) as server:
        platform.webhook_url = application.url
        async with telnyx.AsyncTelnyx(
            api_key=DEFAULT_API_KEY, public_key=platform.public_key, base_url=server.base_url, max_retries=0
        ) as client:
            yield Scene(platform, application, client, server.base_url)


@asynccontextmanager
async def refused(telnyx, status, code):
    """Expect the library's exception for a status, with a documented code."""
    kinds = {401: telnyx.AuthenticationError, 404: telnyx.NotFoundError, 422: telnyx.UnprocessableEntityError}
    with pytest.raises(kinds[status]) as error:
        yield
    assert error.value.status_code == status
    assert [one["code"] for one in error.value.body["errors"]] == [code]


class Ear(asyncio.DatagramProtocol):
    """Keeps the datagrams that arrive."""

    def __init__(self):
        self.datagrams = asyncio.Queue()

    def datagram_received(self, data, addr):
        self.datagrams.put_nowait(data)


@asynccontextmanager
async def listening():
    transport, ear = await asyncio.get_running_loop().create_datagram_endpoint(Ear, local_addr=("127.0.0.1", 0))
    try:
        yield f"udp:127.0.0.1:{transport.get_extra_info('sockname')[1]}", ear.datagrams
    finally:
        transport.close()


@pytest.mark.thorough
async def test_it_dials_and_hangs_up(scene):
    dialed = await scene.client.calls.dial(connection_id=DEFAULT_CONNECTION_ID, from_=FROM, to=TO)
    assert dialed.data.record_type == "call" and dialed.data.is_alive is False
    call_control_id = dialed.data.call_control_id
    await scene.application.wait_for("call.answered")
    status = await scene.client.calls.retrieve_status(call_control_id)
    assert (status.data.is_alive, str(status.data.call_leg_id)) == (True, str(dialed.data.call_leg_id))
    active = await scene.client.connections.list_active_calls(DEFAULT_CONNECTION_ID)
    assert [call.call_control_id for call in active.data] == [call_control_id]
    answer = await scene.client.calls.actions.hangup(call_control_id)
    assert answer.data.result == "ok"
    await scene.application.wait_for("call.hangup")
    assert (await scene.client.calls.retrieve_status(call_control_id)).data.is_alive is False


async def test_it_answers_a_call_that_comes_in(scene):
    call = scene.platform.incoming_call(FROM, TO)
    _, body = await scene.application.wait_for("call.initiated")
    event = scene.client.webhooks.unsafe_unwrap(body)
    assert event.data.payload.call_control_id == call.call_control_id
    answer = await scene.client.calls.actions.answer(call.call_control_id, client_state="c3RhdGU=")
    assert answer.data.result == "ok" and call.lifecycle.is_answered
    _, body = await scene.application.wait_for("call.answered")
    assert scene.client.webhooks.unsafe_unwrap(body).data.payload.client_state == "c3RhdGU="


async def test_it_forks_to_two_ports_and_stops_it(scene):
    call = scene.platform.incoming_call(FROM, TO)
    call.answer()
    actions = scene.client.calls.actions
    async with listening() as (rx, received), listening() as (tx, transmitted):
        forked = await actions.start_forking(call.call_control_id, rx=rx, tx=tx, stream_type="decrypted")
        assert forked.data.result == "ok"
        streams = {(stream.leg, stream.direction): stream for stream in call.streams}
        for port, direction in ((received, 0), (transmitted, 1)):
            packet = RtpPacket.parse(await asyncio.wait_for(port.get(), BOUND_S))
            assert packet.ssrc == streams[0, direction].ssrc
        stopped = await actions.stop_forking(call.call_control_id, stream_type="decrypted")
        assert stopped.data.result == "ok" and not call.is_forked


async def test_it_forks_to_one_target_as_the_older_api_has_it(scene):
    call = scene.platform.incoming_call(FROM, TO)
    call.answer()
    actions = scene.client.calls.actions
    async with listening() as (target, datagrams):
        await actions.start_forking(call.call_control_id, extra_body={"target": target, "stream_type": "raw"})
        headers = [StrepHeader.parse(await asyncio.wait_for(datagrams.get(), BOUND_S)) for _ in range(2)]
        assert {header.call_leg_id for header in headers} == {call.call_leg_id}
        assert {header.direction for header in headers} == {0, 1}
        await actions.stop_forking(call.call_control_id, stream_type="raw")
        assert not call.is_forked


async def test_what_the_platform_refuses_is_its_exception_with_the_documented_code(scene, telnyx):
    actions, call = scene.client.calls.actions, scene.platform.incoming_call(FROM, TO)
    fork = {"rx": "udp:127.0.0.1:9000", "tx": "udp:127.0.0.1:9001"}
    async with refused(telnyx, 422, "90034"):
        await actions.start_forking(call.call_control_id, **fork)
    await actions.answer(call.call_control_id)
    async with refused(telnyx, 422, "90031"):
        await actions.stop_forking(call.call_control_id, stream_type="decrypted")
    await actions.hangup(call.call_control_id)
    async with refused(telnyx, 422, "90018"):
        await actions.hangup(call.call_control_id)
    async with refused(telnyx, 422, "90015"):
        await actions.hangup("v3:nobody")
    async with refused(telnyx, 422, "10016"):
        await scene.client.calls.dial(connection_id=DEFAULT_CONNECTION_ID, from_=FROM, to="5550102")
    async with refused(telnyx, 401, "10009"):
        await scene.client.with_options(api_key="KEY-OTHER").calls.actions.hangup(call.call_control_id)


async def test_a_dialed_number_that_is_busy_ends_with_a_webhook_that_says_so(scene):
    scene.platform.set_callee(TO, Callee(Outcome.BUSY, rings_after_s=0, acts_after_s=0))
    await scene.client.calls.dial(connection_id=DEFAULT_CONNECTION_ID, from_=FROM, to=TO)
    headers, body = await scene.application.wait_for("call.hangup")
    event = scene.client.webhooks.unwrap(body, headers=headers)
    assert (event.data.event_type, event.data.payload.hangup_cause) == ("call.hangup", "user_busy")


async def test_it_tries_again_what_the_platform_was_too_busy_for(scene):
    call = scene.platform.incoming_call(FROM, TO)
    scene.platform.faults = Faults(rate_limited=0.5, rate_limit_reset_s=0, seed=_seed_that_strikes_once(call))
    patient = scene.client.with_options(max_retries=1)
    assert (await patient.calls.actions.answer(call.call_control_id)).data.result == "ok"
    assert sum(scene.platform.fault_counts.values()) == 1


def _seed_that_strikes_once(call):
    """Look for a seed with which the first request is struck, and the second is not."""
    from strep.emulator.faults import FaultDraws

    for seed in range(100):
        draws = FaultDraws(Faults(rate_limited=0.5, seed=seed))
        if [bool(draws.answer_fault(call.call_control_id)) for _ in range(2)] == [True, False]:
            return seed
    raise AssertionError("one in four does")


async def test_its_verification_accepts_every_webhook_that_ours_posts_and_refuses_altered_ones(scene):
    call = scene.platform.incoming_call(FROM, TO)
    await scene.client.calls.actions.answer(call.call_control_id)
    call.hang_up()
    await scene.application.wait_for("call.hangup")
    unwrap = scene.client.webhooks.unwrap
    assert len(scene.application.told) == 3
    for headers, body in scene.application.told:
        event = unwrap(body, headers=headers)
        assert event.data.payload.call_control_id == call.call_control_id
        with pytest.raises(ValueError, match="signature does not match"):
            unwrap(body.replace(FROM, "+13125550666"), headers=headers)
        other_time = str(int(headers["telnyx-timestamp"]) + 1)
        with pytest.raises(ValueError, match="signature does not match"):
            unwrap(body, headers={**headers, "telnyx-timestamp": other_time})
        with pytest.raises(ValueError, match="signature does not match"):
            unwrap(body, headers=headers, key=Platform(seed=4).public_key)


async def test_the_waiting_client_does_the_same(scene, telnyx):
    call = scene.platform.incoming_call(FROM, TO)

    def drive():
        with telnyx.Telnyx(api_key=DEFAULT_API_KEY, base_url=scene.base_url, max_retries=0) as client:
            client.calls.actions.answer(call.call_control_id)
            client.calls.actions.hangup(call.call_control_id)
            with pytest.raises(telnyx.UnprocessableEntityError):
                client.calls.actions.hangup(call.call_control_id)

    await asyncio.to_thread(drive)
    assert not call.lifecycle.is_alive
