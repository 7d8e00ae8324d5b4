"""Keys, secrets and Authorization values are in nothing that is shown: no repr, error, log, traceback."""

import base64
import json
import logging
import pickle
import traceback
from pathlib import Path

import httpx
import pytest

import strep
from strep.control import AsyncClient, Client
from strep.control.account import Account
from strep.control.errors import CommandFailed
from strep.control.retries import RetryPolicy
from strep.errors import ConfigError
from tests.control.scripted import BASE_URL, KEY, SECRET, AsyncRun, Order, Script, SyncRun, run

PAIR = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
SECRETS = (KEY, SECRET, PAIR)
ROOT = str(Path(strep.__file__).parent)
LIBRARIES = ("/httpx/", "/httpcore/", "/h11/")

both = pytest.mark.parametrize("kind", [SyncRun, AsyncRun])


def echo(status, text, **headers):
    return lambda: httpx.Response(status, text=text, headers=headers)


ECHO = f"key {KEY}, secret {SECRET}, Authorization: Basic {PAIR}"
FAILURES = [
    echo(401, json.dumps({"errors": [{"code": "10009", "title": ECHO, "detail": ECHO}]})),
    echo(422, json.dumps({"errors": [{"code": "10015", "title": "no", "source": {"pointer": f"/{KEY}"}}]})),
    echo(429, ECHO, **{"Retry-After": ECHO, "x-echo": ECHO}),
    echo(502, f"<pre>{ECHO}</pre>"),
    echo(302, ECHO, Location=f"https://elsewhere/?{KEY}"),
    httpx.ConnectError(f"cannot connect with {ECHO}"),
    httpx.ReadTimeout(ECHO),
    httpx.LocalProtocolError(f"Illegal header value b'Basic {PAIR}'"),
    httpx.DecodingError(ECHO),
]


def everything_of(error):
    """Show an error in every way that people and programs show one; its frames with their local variables."""
    shown = []
    while error is not None:
        shown += [str(error), repr(error), repr(vars(error)), pickle.dumps(error).decode("latin-1")]
        for frame, _ in traceback.walk_tb(error.__traceback__):
            file = frame.f_code.co_filename
            assert not any(library in file for library in LIBRARIES), "its frames hold the request"
            shown += [show(value) for value in frame.f_locals.values() if file.startswith(ROOT)]
        error = error.__cause__ or error.__context__
    return "\n".join(shown)


def show(value):
    try:
        return repr(value)
    except AttributeError:
        return ""  # an object that was being made


@both
@pytest.mark.parametrize("failure", FAILURES)
def test_no_error_shows_them_whatever_the_platform_repeats(kind, failure, caplog):
    caplog.set_level(logging.DEBUG)
    account = Account.resolve(KEY, BASE_URL, SECRET)
    sender = run(kind, Script(failure), account=account, policy=RetryPolicy(attempts=3))
    with pytest.raises(CommandFailed) as caught:
        sender.send(Order())
    shown = everything_of(caught.value) + caplog.text + repr(sender.counts)
    assert not [secret for secret in SECRETS if secret in shown]


@both
def test_a_result_does_not_repeat_them(kind):
    account = Account.resolve(KEY, BASE_URL, SECRET)
    result = run(kind, Script(echo(200, json.dumps({"data": ECHO}))), account=account).send(Order())
    assert result == {"data": "key [API key], secret [API secret], Authorization: Basic [credentials]"}


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    "wrong",
    [
        {"api_key": f"{KEY} x"},
        {"api_key": f"{KEY}:x"},
        {"api_secret": f"{SECRET}\x00"},
        {"base_url": "nonsense"},
        {"base_url": "https://user@host"},
        {"timeout_s": 0},
        {"max_connections": 0},
    ],
)
def test_a_wrong_setting_does_not_show_them_even_in_a_traceback_with_local_variables(kind, wrong):
    settings = {"api_key": KEY, "api_secret": SECRET, "base_url": BASE_URL} | wrong
    with pytest.raises(ConfigError) as caught:
        kind(settings.pop("api_key"), **settings)
    shown = everything_of(caught.value)
    assert not [secret for secret in SECRETS if secret in shown]


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_no_repr_shows_them(kind):
    client = kind(KEY, api_secret=SECRET)
    account, sender = client._account, client._sender
    held = [client, account, sender, sender._carrier, sender._http, sender._http._headers, Account.resolve(KEY, None)]
    shown = "".join(f"{thing!r} {thing} {vars(thing) if hasattr(thing, '__dict__') else ''}" for thing in held)
    assert not [secret for secret in SECRETS if secret in shown]


def test_the_check_would_find_them():
    def leak(key):
        raise ConfigError(f"found a key of {len(key)} characters")

    leak.__code__ = leak.__code__.replace(co_filename=f"{ROOT}/leak.py")
    with pytest.raises(ConfigError) as caught:
        leak(KEY)
    assert KEY in everything_of(caught.value)
