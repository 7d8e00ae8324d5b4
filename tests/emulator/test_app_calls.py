"""Calls over the API by hand, as any HTTP client would: dial, ask, list page by page, and the older API's paths."""

import httpx
import pytest

from strep.emulator import DEFAULT_API_KEY, DEFAULT_API_SECRET, create_app

DIALED = {"connection_id": "7", "from": "+13125550001", "to": "+13125550002"}


@pytest.fixture
async def http(platform):
    async with httpx.AsyncClient(
        base_url="http://localhost/v2",
        transport=httpx.ASGITransport(create_app(platform)),
        headers={"Authorization": f"Bearer {DEFAULT_API_KEY}"},
    ) as http:
        yield http


async def test_whoever_dials_is_told_which_call_it_is(platform, http):
    answer = await http.post("/calls", json={**DIALED, "client_state": "c3RhdGU="})
    data = answer.json()["data"]
    (call,) = platform.calls.values()
    assert answer.status_code == 200
    assert (data["record_type"], data["is_alive"], data["client_state"]) == ("call", False, "c3RhdGU=")
    assert data["call_control_id"] == call.call_control_id and data["call_leg_id"] == str(call.call_leg_id)


async def test_a_call_can_be_asked_about_until_it_is_over(platform, clock, http):
    call = platform.add_call(repeats=None)
    clock.advance(3.5)
    path = f"/calls/{call.call_control_id}"
    alive = (await http.get(path)).json()["data"]
    assert (alive["is_alive"], alive["call_duration"]) == (True, 3) and "end_time" not in alive
    assert (await http.post(f"{path}/actions/hangup")).json() == {"data": {"result": "ok"}}
    clock.advance(3600 / 10)
    over = (await http.get(path)).json()["data"]
    assert (over["is_alive"], over["call_duration"]) == (False, 3) and "end_time" in over


async def test_a_call_that_never_was_cannot_be_asked_about(http):
    answer = await http.get("/calls/v3:nobody")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "90015")


@pytest.mark.parametrize(
    ("query", "shown", "number"),
    [
        ({}, range(20), 1),
        ({"page[number]": 2}, range(20, 25), 2),
        ({"page[number]": 3, "page[size]": 10}, range(20, 25), 3),
        ({"page[limit]": 2}, range(2), 1),
        ({"page[number]": 99}, range(0), 26),
        ({"page[size]": "many", "page[number]": -1}, range(20), 1),
        ({"page[size]": 1000}, range(25), 1),
    ],
)
async def test_active_calls_come_in_pages(platform, http, query, shown, number):
    calls = [platform.add_call(connection_id="7").call_control_id for _ in range(25)]
    platform.add_call(connection_id="8")
    answer = (await http.get("/connections/7/active_calls", params=query)).json()
    assert [call["call_control_id"] for call in answer["data"]] == [calls[n] for n in shown]
    assert answer["meta"]["total_items"] == 25 and answer["meta"]["page_number"] == number


async def test_active_calls_go_on_after_a_cursor(platform, http):
    calls = [platform.add_call(connection_id="7").call_control_id for _ in range(5)]
    seen, cursor = [], {}
    while True:
        answer = (await http.get("/connections/7/active_calls", params={"page[limit]": 2, **cursor})).json()
        if not answer["data"]:
            break
        seen += [call["call_control_id"] for call in answer["data"]]
        cursor = {"page[after]": answer["meta"]["cursors"]["after"]}
    assert seen == calls


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/calls"),
        ("POST", "/calls/{id}"),
        ("GET", "/calls/{id}/actions/hangup"),
        ("POST", "/calls/{id}/actions/client_state_update"),
        ("PUT", "/calls/{id}/actions/hangup"),
        ("DELETE", "/connections/7/active_calls"),
    ],
)
async def test_a_wrong_method_is_refused_in_the_apis_words(platform, http, method, path):
    call = platform.add_call()
    answer = await http.request(method, path.format(id=call.call_control_id))
    assert (answer.status_code, answer.json()["errors"][0]["title"]) == (405, "Method not allowed")
    assert call.lifecycle.is_alive


async def test_the_older_api_has_its_paths_without_a_version_and_key_and_secret(platform, http):
    call = platform.incoming_call()
    answer = await http.post(
        f"http://localhost/calls/{call.call_control_id}/actions/answer",
        auth=httpx.BasicAuth(DEFAULT_API_KEY, DEFAULT_API_SECRET),
    )
    assert answer.json() == {"data": {"result": "ok"}} and call.lifecycle.is_answered
    wrong = await http.get(f"/calls/{call.call_control_id}", auth=httpx.BasicAuth(DEFAULT_API_KEY, "x"))
    assert wrong.status_code == 401
