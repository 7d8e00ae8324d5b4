"""Faults befall answers: what was carried out all the same, and what a client sees."""

import asyncio

import httpx
import pytest

from strep.emulator import DEFAULT_API_KEY, Fault, Faults, create_app
from tests.receiving import BOUND_S, until


@pytest.fixture
async def http(platform):
    async with httpx.AsyncClient(
        base_url="http://localhost/v2",
        transport=httpx.ASGITransport(create_app(platform)),
        headers={"Authorization": f"Bearer {DEFAULT_API_KEY}"},
    ) as http:
        yield http


@pytest.mark.parametrize(
    ("fault", "status", "code", "is_carried_out"),
    [
        (Fault.RATE_LIMITED, 429, "10011", False),
        (Fault.SERVER_ERROR, 500, "10007", False),
        (Fault.ANSWER_LOST, 500, "10007", True),
        (Fault.TIMEOUT, 504, "10007", True),
    ],
)
async def test_each_fault_is_an_error_and_some_commands_are_carried_out(
    platform, http, fault, status, code, is_carried_out
):
    call = platform.incoming_call()
    platform.faults = Faults(**{fault.value: 1}, timeout_s=0, rate_limit_reset_s=7)
    answer = await http.post(f"/calls/{call.call_control_id}/actions/answer", json={"command_id": "a"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)
    assert answer.headers.get("x-ratelimit-reset") == ("7" if fault is Fault.RATE_LIMITED else None)
    assert call.lifecycle.is_answered is is_carried_out
    assert platform.fault_counts[fault] == 1
    platform.faults = Faults()
    again = await http.post(f"/calls/{call.call_control_id}/actions/answer", json={"command_id": "a"})
    assert again.status_code == 200 and call.lifecycle.is_answered  # the same command, so it is no second answer


@pytest.mark.thorough
async def test_an_answer_that_is_held_back_comes_when_the_platform_closes(platform, http):
    call = platform.incoming_call()
    platform.faults = Faults(timeout=1, timeout_s=3600)
    async with platform:
        waiting = asyncio.create_task(http.get(f"/calls/{call.call_control_id}"))
        await until(lambda: platform.fault_counts.get(Fault.TIMEOUT))
        assert not waiting.done()
    assert (await asyncio.wait_for(waiting, BOUND_S)).status_code == 504


async def test_without_the_key_no_fault_is_drawn(platform, http):
    platform.faults = Faults(server_error=1)
    answer = await http.get("/calls/v3:nobody", headers={"Authorization": "Bearer x"})
    assert answer.status_code == 401 and not platform.fault_counts.get(Fault.SERVER_ERROR)
