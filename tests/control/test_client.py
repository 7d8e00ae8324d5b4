import asyncio
import json
import logging
import warnings

import httpx
import pytest

from strep.control import (
    AsyncClient,
    Client,
    ForkStart,
    NotAuthorised,
    PlatformUnreachable,
    PrivateAddressWarning,
    RateLimited,
    StreamType,
    UnexpectedAnswer,
)
from strep.emulator import Platform, PlatformServer
from strep.errors import ConfigError, ControlError

KEY = "KEY0123456789ABCDEF_secret"
PUBLIC, PRIVATE = "udp:8.8.8.8:9000", "udp:192.168.1.5:9000"


@pytest.fixture(autouse=True)
def _no_settings_of_the_one_who_runs_this(monkeypatch):
    for name in ("TELNYX_API_KEY", "TELNYX_API_SECRET", "TELNYX_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


class Answers:
    """Is a transport, for both clients, that answers the same to everything and keeps what it was sent."""

    def __init__(self, answer=None):
        self.requests = []
        self._answer = answer or httpx.Response(200, json={"data": {"result": "ok"}})

    def transport(self):
        return httpx.MockTransport(self._reply)

    def _reply(self, request):
        self.requests.append(request)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


async def no_sleep(seconds):
    """Wait for nothing."""


def fork_start_by(kind, answers, **arguments):
    """Start a fork with either client, synchronously."""
    settings = {"base_url": "https://api.example/v2", "transport": answers.transport()}
    if kind is Client:
        with Client(KEY, **settings, sleep=lambda seconds: None) as client:
            return client.fork_start("v3:x", **arguments)

    async def start():
        async with AsyncClient(KEY, **settings, sleep=no_sleep) as client:
            return await client.fork_start("v3:x", **arguments)

    return asyncio.run(start())


both_clients = pytest.mark.parametrize("kind", [Client, AsyncClient])


@both_clients
def test_a_fork_is_started_with_the_key_in_the_header(kind):
    answers = Answers()
    assert fork_start_by(kind, answers, target=PUBLIC, command_id="one").stream_type is StreamType.RAW
    (request,) = answers.requests
    assert (request.method, str(request.url)) == ("POST", "https://api.example/v2/calls/v3:x/actions/fork_start")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == {"target": PUBLIC, "stream_type": "raw", "command_id": "one"}


@both_clients
def test_what_cannot_work_is_never_sent(kind):
    answers = Answers()
    with pytest.raises(ConfigError):
        fork_start_by(kind, answers, rx=PUBLIC)
    assert not answers.requests


@both_clients
def test_a_refusal_is_raised_by_its_kind(kind):
    with pytest.raises(RateLimited) as caught:
        fork_start_by(kind, Answers(httpx.Response(429, headers={"Retry-After": "3"})), target=PUBLIC)
    assert caught.value.retry_after_s == 3


@both_clients
@pytest.mark.parametrize(
    "fault", [httpx.ConnectError("refused"), httpx.ReadTimeout(""), httpx.RemoteProtocolError("gone")]
)
def test_no_answer_is_one_kind_of_error(kind, fault):
    with pytest.raises(PlatformUnreachable, match=rf"api\.example.* to fork_start: {type(fault).__name__}"):
        fork_start_by(kind, Answers(fault), target=PUBLIC)


@both_clients
def test_a_redirect_does_not_take_the_key_elsewhere(kind):
    answers = Answers(httpx.Response(307, headers={"Location": "https://elsewhere.example"}))
    with pytest.raises(UnexpectedAnswer):
        fork_start_by(kind, answers, target=PUBLIC)
    assert len(answers.requests) == 1


@both_clients
def test_a_private_destination_draws_a_warning_at_the_callers_line(kind):
    with pytest.warns(PrivateAddressWarning, match=r"udp:192\.168\.1\.5:9000 is a private address") as caught:
        fork_start_by(kind, Answers(), target=PRIVATE)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:8080/v2", "http://localhost/v2", "http://[::1]:1/v2"])
def test_a_platform_on_this_machine_may_send_to_a_private_address(base_url):
    with warnings.catch_warnings(), Client(KEY, base_url=base_url, transport=Answers().transport()) as client:
        warnings.simplefilter("error")
        client.fork_start("v3:x", target=PRIVATE)


def test_a_command_sent_again_is_the_same_command():
    answers = Answers()
    command = ForkStart("v3:x", target=PUBLIC)
    with Client(KEY, transport=answers.transport()) as client:
        client.send(command)
        client.send(command)
    first, second = (json.loads(request.content)["command_id"] for request in answers.requests)
    assert first == second


def test_a_fork_cannot_be_stopped_without_saying_which():
    with (
        Client(KEY, transport=Answers().transport()) as client,
        pytest.raises(ConfigError, match=r"^stream_type: expected a value"),
    ):
        client.fork_stop("v3:x")


def test_key_and_base_url_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("TELNYX_API_KEY", f"{KEY}\n")
    monkeypatch.setenv("TELNYX_BASE_URL", "https://elsewhere.example/v2/")
    answers = Answers()
    with Client(transport=answers.transport()) as client:
        client.fork_stop("v3:x", stream_type="raw")
    assert str(answers.requests[0].url) == "https://elsewhere.example/v2/calls/v3:x/actions/fork_stop"
    assert answers.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_the_public_platform_is_the_default():
    answers = Answers()
    with Client(KEY, transport=answers.transport()) as client:
        client.fork_stop("v3:x", stream_type="raw")
    assert str(answers.requests[0].url).startswith("https://api.telnyx.com/v2/calls/")


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_without_a_key_there_is_no_client(kind):
    with pytest.raises(ConfigError, match="TELNYX_API_KEY"):
        kind()


@pytest.mark.parametrize(
    "base_url",
    ["api.telnyx.com", "ftp://host/v2", "https://", "https://host/v2?x=1", "https://host/#x", "https://ho st:port/"],
)
def test_a_base_url_that_cannot_be_is_refused(base_url):
    with pytest.raises(ConfigError, match="expected a base URL like https"):
        Client(KEY, base_url=base_url)


def test_a_password_in_the_base_url_is_refused_and_not_repeated():
    with pytest.raises(ConfigError) as refused:
        Client(KEY, base_url="https://user:hunter2@host/v2")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan")])
def test_a_time_out_must_be_above_zero(timeout_s):
    with pytest.raises(ConfigError, match="timeout_s"):
        Client(KEY, timeout_s=timeout_s)


@pytest.mark.parametrize("key", [f"{KEY} x", f"{KEY}\nX-Evil: 1", f"{KEY}é"])
def test_a_key_that_fits_no_header_is_refused_and_not_repeated(key):
    with pytest.raises(ConfigError, match="printable ASCII") as refused:
        Client(key)
    assert KEY not in str(refused.value)


def test_the_key_is_in_no_repr():
    with Client(KEY) as client:
        shown = [repr(client), str(client), repr(client._account), repr(client._sender), repr(vars(client))]
    shown.append(repr(AsyncClient(KEY)))
    assert not [text for text in shown if KEY in text]


@pytest.mark.parametrize(
    "fault",
    [
        httpx.Response(401, json={"errors": [{"code": "10009", "title": f"{KEY} is no key", "detail": f"'{KEY}'"}]}),
        httpx.Response(502, text=f"<pre>Authorization: Bearer {KEY}</pre>"),
        httpx.ConnectError("refused"),
    ],
)
def test_the_key_is_in_no_error_even_if_the_answer_repeats_it(fault):
    with pytest.raises(ControlError) as caught:
        fork_start_by(Client, Answers(fault), target=PUBLIC)
    shown = f"{caught.value} {caught.value!r} {caught.value.__cause__!r} {vars(caught.value)}"
    assert KEY not in shown


async def test_the_key_is_in_no_log_of_a_real_exchange(caplog):
    caplog.set_level(logging.DEBUG)
    async with PlatformServer(Platform()) as server, AsyncClient(KEY, base_url=server.base_url) as client:
        with pytest.raises(NotAuthorised):
            await client.fork_stop("v3:x", stream_type="raw")
    assert "401" in caplog.text, "the exchange was logged"
    assert KEY not in caplog.text


async def test_a_platform_that_is_not_there_is_unreachable():
    async with PlatformServer(Platform()) as server:
        gone = server.base_url
    async with AsyncClient(KEY, base_url=gone, timeout_s=2, sleep=no_sleep) as client:
        with pytest.raises(PlatformUnreachable, match=gone):
            await client.fork_stop("v3:x", stream_type="raw")
