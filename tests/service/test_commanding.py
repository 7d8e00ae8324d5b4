import asyncio
from types import SimpleNamespace

import pytest

from strep.control.commands import ForkStart
from strep.control.errors import (
    AlreadyActive,
    CallEnded,
    InvalidParameter,
    NotAnswered,
    NotAuthorised,
    NotFound,
    PlatformUnreachable,
    Problem,
    RateLimited,
    ServerError,
    StreamingInUse,
)
from strep.service import commanding
from strep.service.calls import Status
from strep.service.commanding import Commander

COMMAND = ForkStart("v3:one", target="udp:127.0.0.1:9000", command_id="id")


def refused(kind, code="0", pointer=""):
    return kind(422, (Problem(code, kind.__name__, "", pointer),))


class Client:
    """Is a client that answers what it is told to, in order; then it says yes."""

    def __init__(self, *answers):
        self.answers, self.sent = list(answers), []
        self.at_once = self.most_at_once = 0

    async def send(self, command):
        self.sent.append(command)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        return self._answer()

    async def retrieve_call(self, call_control_id):
        return await self.send(call_control_id)

    def _answer(self):
        answer = self.answers.pop(0) if self.answers else SimpleNamespace(is_alive=True, call_duration=0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def no_delay(monkeypatch):
    monkeypatch.setattr(commanding, "_FIRST_DELAY_S", 0.001)
    monkeypatch.setattr(commanding, "_LAST_DELAY_S", 0.002)


async def fork(client, is_wanted=lambda: True, give_up_s=5.0):
    return await Commander(client, 4).fork(COMMAND, is_wanted, give_up_s)


async def test_a_command_is_sent():
    client = Client()
    assert await fork(client) is None
    assert client.sent == [COMMAND]


@pytest.mark.parametrize("kind", [RateLimited, ServerError, NotAnswered])
async def test_what_passes_is_tried_again_with_the_same_command(kind):
    client = Client(refused(kind), PlatformUnreachable("no answer"), refused(kind))
    assert await fork(client) is None
    assert client.sent == [COMMAND] * 4
    assert {command.command_id for command in client.sent} == {"id"}


@pytest.mark.parametrize("kind", [NotAuthorised, StreamingInUse, InvalidParameter, AlreadyActive])
async def test_what_stays_is_not_tried_again(kind):
    client = Client(refused(kind))
    refusal = await fork(client)
    assert refusal is not None
    assert kind.__name__ in refusal.reason
    assert not refusal.is_gone
    assert len(client.sent) == 1


@pytest.mark.parametrize(("kind", "is_error"), [(NotAuthorised, True), (StreamingInUse, False)])
async def test_an_api_key_that_is_refused_is_an_error_in_the_log(kind, is_error, caplog):
    await fork(Client(refused(kind)))
    assert [it.levelname for it in caplog.records] == ["ERROR"] * is_error


@pytest.mark.parametrize(
    "error", [refused(CallEnded), refused(NotFound), refused(InvalidParameter, pointer="/call_control_id")]
)
async def test_a_call_that_is_gone_is_told_apart(error):
    refusal = await fork(Client(error))
    assert refusal is not None
    assert refusal.is_gone


async def test_that_it_is_forked_already_is_a_yes_after_a_repetition():
    assert await fork(Client(PlatformUnreachable("no answer"), refused(AlreadyActive))) is None


async def test_a_call_that_rings_still_is_told_apart_when_it_is_given_up():
    refusal = await fork(Client(*[refused(NotAnswered)] * 10_000), give_up_s=0.05)
    assert refusal is not None
    assert refusal.is_early


async def test_it_is_given_up_in_time():
    client = Client(*[refused(ServerError)] * 10_000)
    refusal = await fork(client, give_up_s=0.05)
    assert refusal is not None
    assert "ServerError" in refusal.reason


async def test_an_answer_that_never_comes_is_given_up_in_time():
    class Silent(Client):
        async def send(self, command):
            await asyncio.Event().wait()

    refusal = await fork(Silent(), give_up_s=0.01)
    assert refusal is not None
    assert "no answer" in refusal.reason


async def test_what_is_not_wanted_any_more_is_not_sent_again():
    client = Client(*[refused(ServerError)] * 10)
    assert await fork(client, is_wanted=lambda: len(client.sent) < 3) is None
    assert len(client.sent) == 3


async def test_so_many_questions_are_under_way_at_a_time():
    client = Client()
    commander = Commander(client, 4)
    assert all(await asyncio.gather(*(commander.ask(f"v3:{n}") for n in range(40))))
    assert len(client.sent) == 40
    assert client.most_at_once == 4


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (SimpleNamespace(is_alive=True, call_duration=0), Status(is_alive=True)),
        (SimpleNamespace(is_alive=True, call_duration=3), Status(is_alive=True, is_answered=True)),
        (SimpleNamespace(is_alive=False, call_duration=3), Status(is_alive=False)),
        (refused(NotFound), Status(is_alive=False)),
        (refused(ServerError), None),
        (PlatformUnreachable("no answer"), None),
    ],
)
async def test_whether_a_call_is_alive_and_answered_is_yes_no_or_not_known(answer, status):
    assert await Commander(Client(answer), 4).ask("v3:one") == status
