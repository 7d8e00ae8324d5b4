"""`strep call` with commands made for these tests: each form that a field can have."""

import enum
import json
from typing import Annotated, Any, ClassVar, Literal

import httpx
import pytest
import typer
from typer.testing import CliRunner

from strep.cli import platform
from strep.cli.call import call_commands
from strep.cli.errors import OneLineErrors
from strep.cli.fields import CommandField, command_fields, read_extra
from strep.control import Client, RetryPolicy
from strep.control.commands import COMMANDS, CommandResult
from strep.control.commands.command import Command, FullCallCommand, command
from strep.control.commands.kinds import Destination, about
from strep.control.commands.part import Part
from tests.cli.conftest import Outcome
from tests.control.scripted import KEY, SECRET

LANGUAGES = Literal["aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh", "ii", "jj", "kk", "ll", "mm"]


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class Header(Part):
    name: str
    value: str


@command
class Paint(FullCallCommand[CommandResult]):
    """Paints a call.

    More about it.
    """

    ACTION: ClassVar[str] = "paint"

    colour: Annotated[Colour, about("Which colour.")]
    from_: str | None = None
    to: str | list[str] | None = None
    layers: Annotated[int, about("How many.", ge=1)] = 2
    gain: float | None = None
    is_glossy: bool | None = None
    language: LANGUAGES | None = None
    track: Literal["both", "one"] | str | None = "both"
    target: Destination | None = None
    headers: list[Header] | None = None
    counts: list[int] | None = None
    options: Header | dict[str, Any] | None = None


@command
class Listing(Command[CommandResult]):
    """Lists what there is."""

    ACTION: ClassVar[str] = "listing"

    colour: Colour | None = None

    @property
    def path(self):
        return "/paint"


@pytest.fixture
def call(monkeypatch):
    """Run `strep call` against a platform that answers `call.answer`, and keep the bodies in `call.bodies`."""
    app = typer.Typer(cls=OneLineErrors)
    app.add_typer(call_commands({"paint": Paint, "listing": Listing}), name="call")

    def reply(request):
        run.requests.append(request)
        run.bodies.append(json.loads(request.content))
        if isinstance(run.answer, Exception):
            raise run.answer
        return run.answer

    def client(api_key, **settings):
        return Client(api_key, **settings, transport=httpx.MockTransport(reply), sleep=lambda seconds: None)

    def run(*args, env=None, columns="200"):
        variables = {"TELNYX_API_KEY": KEY, "TELNYX_API_SECRET": None, "TELNYX_BASE_URL": None, "COLUMNS": columns}
        return Outcome(CliRunner().invoke(app, ["call", *args], env=variables | (env or {})))

    run.answer, run.bodies, run.requests = httpx.Response(200, json={"data": {"result": "ok"}}), [], []
    monkeypatch.setattr(platform, "Client", client)
    monkeypatch.setattr(platform, "RETRY", RetryPolicy(attempts=2))
    return run


PAINT = ("paint", "v3:a", "--colour", "red", "--command-id", "mine")
BODY = {"colour": "red", "command_id": "mine"}


def test_a_command_is_given_and_its_answer_shown(call):
    outcome = call(*PAINT)
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert [line.split() for line in outcome.stdout.splitlines()] == [
        ["call_control_id", "v3:a"],
        ["command_id", "mine"],
        ["result", "ok"],
    ]
    assert call.bodies == [BODY]


def test_as_json_it_is_one_document(call):
    assert call(*PAINT, "--json").json == {"call_control_id": "v3:a", "command_id": "mine", "result": "ok"}


@pytest.mark.parametrize(
    ("args", "field"),
    [
        (("--from", "+1312"), {"from": "+1312"}),
        (("--to", "+1312"), {"to": "+1312"}),
        (("--to", "+1312", "--to", "sip:a@b"), {"to": ["+1312", "sip:a@b"]}),
        (("--layers", "7"), {"layers": 7}),
        (("--gain", "-0.5"), {"gain": -0.5}),
        (("--is-glossy",), {"is_glossy": True}),
        (("--no-is-glossy",), {"is_glossy": False}),
        (("--language", "mm"), {"language": "mm"}),
        (("--track", "new one"), {"track": "new one"}),
        (("--client-state", "aGF2ZQ=="), {"client_state": "aGF2ZQ=="}),
        (("--headers", '{"name": "a", "value": "b"}'), {"headers": [{"name": "a", "value": "b"}]}),
        (("--headers", '[{"name": "a", "value": "b"}]'), {"headers": [{"name": "a", "value": "b"}]}),
        (("--counts", "1", "--counts", "2"), {"counts": [1, 2]}),
        (("--options", '{"x": [1]}'), {"options": {"x": [1]}}),
        (("--target", "udp:192.0.2.1:9"), {"target": "udp:192.0.2.1:9"}),
        (("--extra", "new=1", "--extra", "text=a=b", "--extra", 'deep={"a": null}'), {"new": 1, "text": "a=b"}),
    ],
)
def test_each_form_of_a_field_has_its_option(call, args, field):
    assert call(*PAINT, *args).exit_code == 0
    assert call.bodies[0].items() >= field.items()


def test_json_can_come_from_a_file(call, tmp_path):
    file = tmp_path / "headers.json"
    file.write_text('[{"name": "ä", "value": "b"}]', encoding="utf-8")
    assert call(*PAINT, "--headers", f"@{file}").exit_code == 0
    assert call.bodies[0]["headers"] == [{"name": "ä", "value": "b"}]


def test_a_command_without_a_call_takes_none(call):
    assert call("listing", "--json").json == {"result": "ok"}


def test_help_shows_words_requirements_defaults_and_an_example(call):
    page = call("paint", "--help").stdout
    for part in ("Paints a call.", "More about it.", "red|blue", "Which colour.", "[required]", "BASE64"):
        assert part in page
    assert "How many. By default 2." in page and "One of 13 words, such as aa, bb, cc." in page
    assert "strep call paint v3:MdI --colour red" in page
    assert "--is-glossy" in page and "--no-is-glossy" in page and "udp:IP:PORT" in page


def test_the_list_of_commands_says_what_each_does(call):
    page = call("--help").stdout
    assert "Paints a call." in page and "More about it." not in page and "Lists what there is." in page


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((*PAINT, "--layers", "0"), "layers: expected greater than or equal to 1, found 0"),
        (("paint", "v3:a", "--colour", "green"), "colour: expected 'red' or 'blue', found 'green'"),
        ((*PAINT, "--options", "{"), "--options: expected JSON, or @FILE: "),
        ((*PAINT, "--options", "@missing.json"), "--options: cannot read missing.json: No such file or directory"),
        ((*PAINT, "--counts", "one"), "--counts: expected a number, found 'one'"),
        ((*PAINT, "--extra", "nothing"), "--extra: expected NAME=VALUE, found 'nothing'"),
        ((*PAINT, "--base-url", "nonsense"), "expected a base URL like"),
    ],
)
def test_what_cannot_work_is_one_line_and_never_sent(call, args, message):
    outcome = call(*args)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert outcome.error.startswith(message)
    assert not call.requests


@pytest.mark.parametrize(
    "args", [("paint", "v3:a"), ("paint", "--colour", "red"), ("sculpt",), (*PAINT, "--layers", "x")]
)
def test_a_wrong_use_of_the_command_line_is_told_apart_from_an_error(call, args):
    assert call(*args).exit_code == 2


def test_without_a_key_it_is_one_line(call):
    assert call(*PAINT, env={"TELNYX_API_KEY": None}).error.startswith("expected an API key")


def test_a_key_and_its_secret_go_by_basic_to_the_older_api(call):
    assert call(*PAINT, env={"TELNYX_API_SECRET": SECRET}).exit_code == 0
    assert call(*PAINT, "--api-secret", SECRET).exit_code == 0
    for request in call.requests:
        assert request.headers["authorization"].startswith("Basic ")
        assert request.url.host == "api.telnyx.com" and "/v2/" not in request.url.path


ECHO = f"key {KEY}, secret {SECRET}"


@pytest.mark.parametrize("settings", [(), ("--json",), ("--api-key", KEY, "--api-secret", SECRET)])
@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(401, json={"errors": [{"code": "10009", "title": ECHO, "detail": ECHO}]}),
        httpx.Response(500, text=ECHO),
        httpx.ConnectError(ECHO),
        httpx.Response(200, json={"data": {"result": ECHO}}),
    ],
)
def test_nothing_printed_shows_the_key_or_its_secret(call, settings, answer):
    call.answer = answer
    outcome = call(*PAINT, *settings, env={"TELNYX_API_SECRET": SECRET})
    assert outcome.stdout or outcome.stderr
    assert KEY not in outcome.stdout + outcome.stderr and SECRET not in outcome.stdout + outcome.stderr


def test_help_does_not_show_the_keys_of_the_environment(call):
    page = call("paint", "--help", env={"TELNYX_API_SECRET": SECRET}).stdout
    assert KEY not in page and SECRET not in page


@pytest.mark.parametrize("model", [Paint, Listing, *COMMANDS.values()])
def test_no_two_options_of_a_command_have_one_name(model):
    options = [field.option for field in command_fields(model)]
    ours = ["--extra", "--api-key", "--api-secret", "--base-url", "--json", "--help"]
    assert len({*options, *ours}) == len(options) + len(ours)


def test_an_extra_that_is_no_json_is_text():
    assert read_extra(["a=1", "b=x", "c=", "d=[1"]) == {"a": 1, "b": "x", "c": "", "d": "[1"}


def test_a_field_knows_whether_it_is_required():
    fields = {field.name: field for field in command_fields(Paint)}
    assert isinstance(fields["colour"], CommandField)
    assert [name for name, field in fields.items() if field.is_required] == ["colour"]
