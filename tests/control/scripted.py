"""A platform that answers by a script, commands to send to it, and time that passes only when somebody waits."""

import asyncio
import json
import random
from dataclasses import dataclass

import httpx

from strep.control.account import Account
from strep.control.errors import UnexpectedAnswer, refusal
from strep.control.retries import RetryPolicy
from strep.control.sending import AsyncSender, Sender

KEY = "KEY0123456789ABCDEF_secret"
SECRET = "s3cret/of+the=key0123456789"
BASE_URL = "https://api.example/v2"
WALL_S = 1_700_000_000.0


@dataclass(frozen=True)
class Request:
    """Is what a command is sent as."""

    method: str
    url: str
    content: bytes


@dataclass(frozen=True)
class Order:
    """Is a command as plain as can be."""

    ACTION = "order"

    method: str = "POST"
    command_id: str | None = "one"

    def request(self, base_url):
        return Request(self.method, f"{base_url}/order", json.dumps({"command_id": self.command_id}).encode())

    def read_response(self, status, headers, body):
        if status >= 400:
            raise refusal(status, headers, body)
        if status != 200:
            raise UnexpectedAnswer(f"found {status}")
        return json.loads(body)


class Script:
    """Answers the requests one after another, each after so many seconds; the last answer stays.

    answers: statuses, responses, functions that make one, exceptions, or (seconds, one of these).
    """

    def __init__(self, *answers):
        self._answers = list(answers)
        self.requests, self.began_s, self.waits = [], [], []
        self.now_s = 1000.0

    def reply(self, request):
        self.requests.append(request)
        self.began_s.append(self.now_s)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        seconds, answer = answer if isinstance(answer, tuple) else (0.0, answer)
        self.now_s += seconds
        if isinstance(answer, BaseException):
            raise answer
        if callable(answer):
            return answer()
        return httpx.Response(answer, json={"data": "yes"}) if isinstance(answer, int) else answer

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now_s += seconds

    @property
    def ids(self):
        return [json.loads(request.content)["command_id"] for request in self.requests]


class SyncRun:
    """Sends by the blocking sender."""

    def __init__(self, script, account, policy, settings):
        self._sender = Sender(
            account, policy, transport=httpx.MockTransport(script.reply), sleep=script.wait, **settings
        )

    def send(self, command):
        return self._sender.send(command)

    @property
    def counts(self):
        return self._sender.counts


class AsyncRun:
    """Sends by the awaited sender, in a loop of its own."""

    def __init__(self, script, account, policy, settings):
        async def sleep(seconds):
            script.wait(seconds)

        self._sender = AsyncSender(
            account, policy, transport=httpx.MockTransport(script.reply), sleep=sleep, **settings
        )

    def send(self, command):
        return asyncio.run(self._sender.send(command))

    @property
    def counts(self):
        return self._sender.counts


def run(kind, script, *, policy=None, account=None, jitter=None, **settings):
    """Make a sender of either kind that talks to the script."""
    settings |= {
        "clock": lambda: script.now_s,
        "wall_clock": lambda: WALL_S,
        "jitter": jitter or random.Random(1).random,
    }
    return kind(script, account or Account.resolve(KEY, BASE_URL), policy or RetryPolicy(), settings)
