"""Both clients have a method for each command."""

import inspect
import json

import httpx
import pytest

from strep.control import COMMANDS, AsyncClient, Client
from tests.control.scripted import KEY


def reply(request):
    return httpx.Response(200, json={"data": {"result": json.loads(request.content)["command_id"]}})


@pytest.mark.parametrize("client", [Client, AsyncClient])
@pytest.mark.parametrize(("name", "command"), COMMANDS.items())
def test_each_command_is_a_method_with_its_parameters_and_words(client, name, command):
    method = getattr(client, name)
    own, *taken = inspect.signature(method).parameters.values()
    assert (own.name, taken) == ("self", [*inspect.signature(command).parameters.values()])
    assert inspect.getdoc(method) == inspect.getdoc(command)


def test_a_method_sends_the_command():
    with Client(KEY, transport=httpx.MockTransport(reply)) as client:
        assert client.hangup("v3:x", command_id="mine").result == "mine"
        assert client.hangup.__name__ == "hangup"


async def test_a_method_of_the_other_client_is_awaited():
    async with AsyncClient(KEY, transport=httpx.MockTransport(reply)) as client:
        assert (await client.hangup("v3:x", command_id="mine")).result == "mine"
