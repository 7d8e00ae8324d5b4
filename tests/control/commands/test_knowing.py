"""Questions about calls, and what is answered."""

import json
from datetime import UTC, datetime

import pytest

from strep.control.commands import ClientStateUpdate, Dial, ListActiveCalls, RetrieveCall
from strep.control.errors import UnexpectedAnswer
from strep.errors import ConfigError

CALL = {
    "call_control_id": "v3:x",
    "call_leg_id": "428c31b6-7af4-4bcb-b7f5-5013ef9657c1",
    "call_session_id": "428c31b6-7af4-4bcb-b68e-5013ef9657c1",
    "call_duration": 50,
    "client_state": "aGF2ZQ==",
    "record_type": "call",
}
STATUS = {**CALL, "is_alive": True, "start_time": "2019-01-23T18:10:02.574Z", "new": [1]}


def answer(command, document):
    return command.read_response(200, {}, json.dumps(document).encode())


def test_a_question_has_no_body():
    request = RetrieveCall("v3:x/y").request("https://api.example/v2")
    assert (request.method, request.url, request.content) == ("GET", "https://api.example/v2/calls/v3:x%2Fy", b"")


def test_a_call_is_read():
    call = answer(RetrieveCall("v3:x"), {"data": STATUS})
    assert call.is_alive and call.call_duration == 50 and call.end_time is None
    assert call.start_time == datetime(2019, 1, 23, 18, 10, 2, 574000, UTC)
    assert call.raw["new"] == [1]


@pytest.mark.parametrize(
    "wrong", [{"is_alive": None}, {"call_control_id": 5}, {"start_time": "soon"}, {"call_duration": [1]}]
)
def test_a_call_that_is_not_as_documented_is_told(wrong):
    with pytest.raises(UnexpectedAnswer, match=f"retrieve_call to be as documented: {next(iter(wrong))}: "):
        answer(RetrieveCall("v3:x"), {"data": STATUS | wrong})


def test_a_dialed_call_is_read_with_its_recording():
    call = answer(Dial(to="+1", from_="+2", connection_id="3"), {"data": {**STATUS, "recording_id": "r"}})
    assert (call.call_control_id, call.recording_id) == ("v3:x", "r")


def test_calls_are_listed_a_page_at_a_time():
    command = ListActiveCalls("12/3", page_limit=2, page_after="a=b", extra={"new": 1})
    assert command.request("u").url == "u/connections/12%2F3/active_calls?page%5Blimit%5D=2&page%5Bafter%5D=a%3Db&new=1"
    page = answer(command, {"data": [CALL, CALL], "meta": {"total_items": 5, "cursors": {"after": "c"}}})
    assert ([call.call_control_id for call in page.calls], page.after, page.total) == (["v3:x", "v3:x"], "c", 5)
    assert page.raw.keys() == {"data", "meta"}
    assert ListActiveCalls("1").request("u").url == "u/connections/1/active_calls"


@pytest.mark.parametrize("meta", [None, 7, {}, {"cursors": None}, {"total_items": 1, "cursors": {"after": "c"}}])
def test_the_last_page_has_nothing_after_it(meta):
    assert answer(ListActiveCalls("1"), {"data": [CALL], "meta": meta}).after is None


@pytest.mark.parametrize("document", [{}, {"data": {}}, {"data": [{}]}, {"data": [1]}])
def test_a_list_that_is_not_as_documented_is_told(document):
    with pytest.raises(UnexpectedAnswer, match="list_active_calls"):
        answer(ListActiveCalls("1"), document)


@pytest.mark.parametrize("limit", [0, 251])
def test_a_page_has_bounds(limit):
    with pytest.raises(ConfigError, match="page_limit"):
        ListActiveCalls("1", page_limit=limit)


def test_a_state_is_put():
    request = ClientStateUpdate("v3:x", client_state=b"state").request("")
    assert (request.method, request.url) == ("PUT", "/calls/v3:x/actions/client_state_update")
    assert json.loads(request.content) == {"client_state": "c3RhdGU="}
