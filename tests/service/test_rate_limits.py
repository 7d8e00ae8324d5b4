"""A platform that refuses nine commands in ten: who is told to wait does not keep the others from being sent."""

import asyncio
import random

import httpx
import pytest

from strep.control.client import AsyncClient
from strep.control.commands import ForkStart
from strep.service.commanding import Commander
from strep.service.config import Api
from tests.virtual_time import run_at_once

API = Api()
CALLS = 300
#: What a refusal takes to come; 300 commands are then held up by the limits, not by how many are under way.
EXCHANGE_S = 0.05


class Platform:
    """Answers a share of all requests 429, at random, with these headers. most_at_once: that were under way."""

    def __init__(self, seed, share=0.9, headers=()):
        self._chance, self._share, self._headers = random.Random(seed), share, dict(headers)
        self.at_once = self.most_at_once = self.answered = 0

    async def answer(self, request):
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(EXCHANGE_S)
        self.at_once -= 1
        self.answered += 1
        if self._chance.random() < self._share:
            return httpx.Response(429, headers=self._headers, json={"errors": [{"code": "10011", "title": "Too many"}]})
        return httpx.Response(200, json={"data": {"result": "ok"}})


async def fork_all(platform, seed, count=CALLS, at_once=API.commands):
    """Fork calls that were answered together; give when each was, of those that were."""
    loop = asyncio.get_running_loop()
    client = AsyncClient(
        "KEY",
        base_url="http://127.0.0.1:1/v2",
        max_connections=at_once,
        transport=httpx.MockTransport(platform.answer),
        clock=loop.time,
        jitter=random.Random(seed).random,
    )
    commander = Commander(client, 1)

    async def fork(number):
        command = ForkStart(f"v3:{number}", target="udp:127.0.0.1:9000", command_id=f"{number}")
        refusal = await commander.fork(command, lambda: True, API.give_up_s)
        return loop.time() if refusal is None else None

    async with client:
        times_s = await asyncio.gather(*map(fork, range(count)))
    return [time_s for time_s in times_s if time_s is not None]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in (1, 2))])
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id=""),
        pytest.param({"x-ratelimit-reset": "1"}, id="reset", marks=pytest.mark.thorough),
        pytest.param({"retry-after": "1"}, id="after"),
    ],
)
def test_of_300_calls_nearly_all_are_forked_within_60_s_though_nine_commands_in_ten_are_refused(seed, headers):
    platform = Platform(seed, headers=headers)
    forked_s = run_at_once(fork_all(platform, seed))
    assert len(forked_s) >= 290
    assert max(forked_s) <= 60
    assert platform.most_at_once <= API.commands


def test_a_command_that_waits_for_its_rate_limit_lets_the_others_go_first():
    class Strict(Platform):
        async def answer(self, request):
            self._share = 1.0 if b'"command_id":"0"' in request.content.replace(b" ", b"") else 0.0
            return await super().answer(request)

    platform = Strict(1, headers={"retry-after": "20"})
    forked_s = run_at_once(fork_all(platform, 1, count=5, at_once=1))
    assert len(forked_s) == 4
    assert max(forked_s) == pytest.approx(5 * EXCHANGE_S), "one after another, none behind the one that waits"
