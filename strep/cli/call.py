"""`strep call`: give any command to the call platform. The commands and their options are made of the library's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from strep.cli.fields import CommandField, command_fields, placed_fields, read_extra
from strep.cli.help import Command, Group, examples
from strep.cli.options import JsonOption
from strep.cli.output import Document
from strep.cli.platform import ApiKey, ApiSecret, BaseUrl, new_client, print_answer
from strep.control.commands import COMMANDS

_EXAMPLE_ID = "v3:MdI"
_EXAMPLE_IDS = {"call_control_id": _EXAMPLE_ID, "connection_id": "1234567890"}
_EXTRA = Annotated[
    list[str] | None,
    typer.Option(
        "--extra",
        metavar="NAME=VALUE",
        help="A parameter that strep does not know yet; VALUE is JSON or text. Give it as often as needed.",
        show_default=False,
    ),
]
_SETTINGS = {"base_url": BaseUrl, "api_key": ApiKey, "api_secret": ApiSecret}


def call_commands(commands: Mapping[str, Any]) -> typer.Typer:
    """Make the group of all commands. commands: models by name; a name's underscores may be hyphens too."""
    group = typer.Typer(
        cls=Group,
        add_completion=False,
        rich_markup_mode=None,  # plain pages: names of options that are longer than a column must not be cut
        help="Give a command to the call platform over its API.",
        no_args_is_help=True,
        epilog=examples(
            f"strep call answer {_EXAMPLE_ID}",
            "strep call dial --to +13125550100 --from +13125550101 --connection-id 12345",
            f"strep call hangup {_EXAMPLE_ID} --json",
            "strep call speak --help",
        ),
    )
    for name, model in commands.items():
        about = inspect.cleandoc(model.__doc__ or "")
        group.command(
            name,
            cls=Command,
            help=about.replace("``", "`"),
            short_help=about.partition("\n")[0],
            epilog=examples(_example(name, model)),
        )(_function(name, model))
    return group


def _function(name: str, model: Any) -> Callable[..., None]:
    """Make the function whose parameters typer turns into the options of a command."""
    fields = command_fields(model)
    placed = placed_fields(model)

    def give_command(**given: Any) -> None:
        settings = {setting: given.pop(setting) for setting in _SETTINGS}
        as_json, extra = given.pop("as_json"), read_extra(given.pop("extra") or ())
        where = [given.pop(name) for name, _ in placed]
        values = {field.name: field.value(given[field.name]) for field in fields if given[field.name] not in (None, [])}
        command = model(*where, **values, extra=extra or None)
        with new_client(**settings) as client:
            result = client.send(command)
        print_answer(_document(command, result), as_json=as_json)

    parameters = [field.parameter() for field in fields]
    parameters += [_parameter(name, _place(name, about), inspect.Parameter.empty) for name, about in placed]
    parameters.append(_parameter("extra", _EXTRA, None))
    parameters += [_parameter(setting, annotation, None) for setting, annotation in _SETTINGS.items()]
    parameters.append(_parameter("as_json", JsonOption, False))
    ordered = sorted(parameters, key=lambda parameter: parameter.default is not inspect.Parameter.empty)
    give_command.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]  # that is where typer looks
    give_command.__annotations__ = {parameter.name: parameter.annotation for parameter in ordered}
    give_command.__name__ = name
    return give_command


def _place(name: str, about: str) -> Any:
    return Annotated[str, typer.Argument(metavar=name.upper(), help=about, show_default=False)]


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _document(command: Any, result: Any) -> Document:
    """Show what the answer says, and what the command needs to be given again."""
    asked = {name: getattr(command, name, None) for name in ("call_control_id", "command_id")}
    return {name: value for name, value in asked.items() if value is not None} | dict(result.raw)


def _example(name: str, model: Any) -> str:
    words = ["strep", "call", name]
    words += [_EXAMPLE_IDS[name] for name, _ in placed_fields(model)]
    for field in command_fields(model):
        if field.is_required:
            words += [field.option, _example_value(field)]
    return " ".join(words)


def _example_value(field: CommandField) -> str:
    return field.words[0] if field.words else str(field.metavar)


call = call_commands(COMMANDS)
