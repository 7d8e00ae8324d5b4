"""The platform as a program uses it: who may ask, what is listed, what is set while it runs, how it ends."""

import base64
import json

import httpx
import pytest

from strep.emulator import Callee, CallState, Faults, Impairments, Outcome, Platform
from strep.emulator.exchange import KEPT_NS
from strep.emulator.refusal import Refusal
from strep.errors import ConfigError
from tests.receiving import until

TARGET = {"target": "udp:127.0.0.1:9000"}
DIALED = {"connection_id": "7", "from": "+13125550001", "to": "+13125550002"}


def basic(text):
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def test_the_key_or_key_and_secret_let_in():
    platform = Platform(api_key="KEY-1", api_secret="SECRET-1")
    platform.check_authorization("Bearer KEY-1")
    platform.check_authorization(basic("KEY-1:SECRET-1"))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer KEY-2",
        "bearer KEY-1",
        "Bearer SECRET-1",
        basic("KEY-1"),
        basic("KEY-1:"),
        basic("a:b"),
        "é",
    ],
)
def test_anything_else_does_not(header):
    with pytest.raises(Refusal) as error:
        Platform(api_key="KEY-1", api_secret="SECRET-1").check_authorization(header)
    assert (error.value.http_status, error.value.code) == (401, "10009")


def test_no_secret_is_in_its_repr_or_in_what_it_tells():
    platform = Platform(api_key="KEY-1", api_secret="SECRET-1", seed=1)
    platform.dial(DIALED | {"sip_auth_password": "PASSWORD-1"})
    shown = repr(platform) + repr(platform._key) + json.dumps(list(platform.events))
    assert not any(secret in shown for secret in ("KEY-1", "SECRET-1", "PASSWORD-1"))
    assert platform.public_key in repr(platform)


def test_the_active_calls_of_a_connection_are_listed(platform, clock):
    other, first, second, over = (
        platform.add_call(connection_id=connection, repeats=None) for connection in ("8", "7", "7", "7")
    )
    over.hang_up()
    clock.advance(5)
    listed = platform.active_calls("7")
    assert [call["call_control_id"] for call in listed] == [first.call_control_id, second.call_control_id]
    assert {call["call_duration"] for call in listed} == {5}
    assert platform.active_calls("9") == [] and len(platform.active_calls(other.about.connection_id)) == 1


def test_a_call_that_ended_is_told_of_for_ten_minutes(platform, clock):
    call = platform.add_call()
    call.hang_up()
    status = platform.retrieve(call.call_control_id)
    assert status["is_alive"] is False and status["end_time"] >= status["start_time"]
    clock.advance(KEPT_NS / 1e9)
    platform.retrieve(call.call_control_id)
    clock.advance(1)
    with pytest.raises(Refusal) as error:
        platform.retrieve(call.call_control_id)
    assert error.value.code == "90015"


def test_calls_that_are_long_over_make_room(platform, clock, monkeypatch):
    monkeypatch.setattr("strep.emulator.exchange.MAX_CALLS", 1)
    platform.add_call().hang_up()
    with pytest.raises(ConfigError, match="at most 1 calls"):
        platform.add_call()
    clock.advance(KEPT_NS / 1e9 + 1)
    platform.add_call()
    assert len(platform.calls) == 1


def test_impairments_set_while_it_runs_befall_forks_at_once(platform, sender):
    call = platform.add_call()
    platform.command(call.call_control_id, "fork_start", TARGET)
    media = sender.forks[0].media()
    before = [next(media) for _ in range(100)]
    platform.impairments = Impairments(loss=1)
    assert len({(datagram.stream, datagram.packet) for datagram in before}) == 100
    assert next(media, None) is None
    assert platform.impairments.loss == 1


def test_forks_that_begin_later_have_them_too(platform, sender):
    platform.impairments = Impairments(loss=1)
    platform.command(platform.add_call().call_control_id, "fork_start", TARGET)
    platform.command(platform.add_call(impairments=Impairments()).call_control_id, "fork_start", TARGET)
    spoilt, spared = sender.forks
    assert next(spoilt.media(), None) is None and next(spared.media(), None) is not None


def test_a_number_can_have_a_callee_of_its_own(platform, clock):
    platform.set_callee("+13125550003", Callee(Outcome.BUSY))
    answered, busy = (platform.dial({**DIALED, "to": to})["call_control_id"] for to in ("+13125550002", "+13125550003"))
    clock.advance(2)
    platform.advance()
    assert platform.calls[answered].state is CallState.ACTIVE
    assert platform.calls[busy].state is CallState.ENDED


def test_only_so_many_numbers_can(platform, monkeypatch):
    monkeypatch.setattr("strep.emulator.platform._MAX_CALLEES", 1)
    platform.set_callee("+13125550003", Callee())
    platform.set_callee("+13125550003", Callee(Outcome.BUSY))
    with pytest.raises(ConfigError, match="at most 1 numbers"):
        platform.set_callee("+13125550004", Callee())


def test_faults_strike_the_same_calls_again_with_the_same_seed():
    def struck(seed):
        platform = Platform(seed=1, faults=Faults(server_error=0.3, seed=seed))
        calls = [platform.add_call().call_control_id for _ in range(30)]
        return [platform.answer_fault(call) is not None for call in calls for _ in range(3)]

    assert struck(1) == struck(1) != struck(2)
    assert 10 < sum(struck(1)) < 45


def test_what_a_call_says_of_itself_is_in_its_first_event(platform, told):
    headers = [{"name": "X-Account", "value": "42"}]
    call = platform.incoming_call(
        "+13125550100", "+13125550199", "7", codec="G722", from_display_name="Alice", custom_headers=headers
    )
    ((event_type, payload),) = told()
    assert event_type == "call.initiated"
    assert payload == {
        "call_control_id": call.call_control_id,
        "call_leg_id": str(call.call_leg_id),
        "call_session_id": call.about.call_session_id,
        "client_state": None,
        "connection_id": "7",
        "from": "+13125550100",
        "to": "+13125550199",
        "start_time": payload["start_time"],
        "custom_headers": headers,
        "sip_headers": [],
        "tags": [],
        "caller_id_name": "Alice",
        "connection_codecs": "G722",
        "direction": "incoming",
        "offered_codecs": "G722",
        "state": "parked",
    }


class Application:
    """Is an application without a network: it keeps what is posted, and answers with the statuses given, then 200."""

    def __init__(self, *statuses):
        self.posted = []
        self._statuses = list(statuses)

    def __call__(self, request):
        self.posted.append((str(request.url), json.loads(request.content)))
        return httpx.Response(self._statuses.pop(0) if self._statuses else 200)

    @property
    def types(self):
        return [document["data"]["event_type"] for _, document in self.posted]


async def settled(platform):
    """Wait until every webhook has been dealt with."""
    await until(lambda: not platform.webhook_counts.pending)


async def test_events_are_posted_in_order_to_the_url_that_each_has():
    application = Application()
    platform = Platform(seed=1, webhook_url="http://a/", webhook_transport=httpx.MockTransport(application))
    async with platform:
        call = platform.incoming_call(webhook_url="http://b/")
        platform.incoming_call()
        body = {"webhook_url": "http://c/", "webhook_urls": {"call.hangup": "http://d/"}}
        platform.command(call.call_control_id, "answer", body)
        call.hang_up()
        await settled(platform)
    of_call = [
        (url, document["data"]["event_type"])
        for url, document in application.posted
        if document["data"]["payload"]["call_control_id"] == call.call_control_id
    ]
    assert of_call == [("http://b/", "call.initiated"), ("http://c/", "call.answered"), ("http://d/", "call.hangup")]
    assert "http://a/" in [url for url, _ in application.posted]


async def test_what_was_not_taken_is_posted_again_by_the_calls_own_policy():
    application = Application(500)
    platform = Platform(seed=1, webhook_url="http://a/", webhook_transport=httpx.MockTransport(application))
    async with platform:
        policy = {"call.initiated": {"retries_ms": [0]}}
        platform.dial({**DIALED, "webhook_retries_policies": policy})
        await settled(platform)
    assert [document["meta"]["attempt"] for _, document in application.posted] == [1, 2]
    assert application.posted[0][1]["data"] == application.posted[1][1]["data"]


async def test_a_closed_platform_has_hung_up_and_tells_nobody():
    application = Application()
    platform = Platform(webhook_url="http://a/", webhook_transport=httpx.MockTransport(application))
    async with platform:
        call = platform.incoming_call()
        await settled(platform)
    assert call.state is CallState.ENDED
    assert application.types == ["call.initiated"]
    assert [event["data"]["event_type"] for event in platform.events][-1] == "call.hangup"
