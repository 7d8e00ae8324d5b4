"""Make an option of the command line of each field of a command, and read what was given for it.

What a field takes tells the form of its option:

- numbers, words, yes and no: as such; `--name` and `--no-name` for yes and no, where no is not the default.
- lists: the option as often as there are entries. A list can also be given whole, as JSON.
- what has parts, and anything else: JSON, or @FILE for a file of JSON.

What the value means is for the command to check; here only its form is.
"""

from __future__ import annotations

import enum
import inspect
import json
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic.fields import FieldInfo

from strep.control.commands import Command, fields_of
from strep.errors import ConfigError
from strep.net.address import UdpAddress

#: More words than this are left to the platform's documentation: a help page is for reading.
_MOST_WORDS_SHOWN = 12
#: Longer choices are told in the text beside, which can be broken into lines.
_MOST_CHARACTERS_SHOWN = 40
_JSON, _ADDRESS, _TEXT, _BASE64 = "JSON", "udp:IP:PORT", "TEXT", "BASE64"


class Form(enum.Enum):
    """How a value is written on the command line."""

    FLAG = enum.auto()
    INTEGER = enum.auto()
    NUMBER = enum.auto()
    TEXT = enum.auto()
    JSON = enum.auto()


@dataclass(frozen=True, slots=True)
class CommandField:
    """A field as the command line sees it.

    takes_one: a list may also be a single value. words: that it takes, if it takes only these.
    """

    name: str
    form: Form
    is_list: bool
    takes_one: bool
    is_required: bool
    metavar: str | None
    words: tuple[str, ...]
    help: str
    is_off_by_default: bool = False

    @classmethod
    def of(cls, name: str, info: FieldInfo) -> CommandField:
        """Look at a field of a pydantic model."""
        kinds = tuple(_alternatives(info.annotation))
        lists = [kind for kind in kinds if typing.get_origin(kind) in (list, tuple, Sequence, frozenset)]
        of_one = [kind for kind in kinds if kind not in lists]
        of_entries = [
            entry for kind in lists for argument in typing.get_args(kind) for entry in _alternatives(argument)
        ]
        inner = tuple(kind for kind in (*of_one, *of_entries) if kind is not ...)
        form, words = _form(inner), _words(inner)
        metavar = _metavar(form, inner, words)
        return cls(
            name,
            form,
            bool(lists),
            bool(of_one),
            info.is_required(),
            metavar,
            words,
            _help(info, words),
            info.default is False,
        )

    @property
    def option(self) -> str:
        """Give the option's name; where a documented name is a word of Python's, the field's ends with '_'."""
        return f"--{self.name.rstrip('_').replace('_', '-')}"

    def parameter(self) -> inspect.Parameter:
        """Declare the option, in the way that typer reads a function's parameters."""
        can_be_off = self.form is Form.FLAG and not self.is_off_by_default
        names = [f"{self.option}/--no-{self.option[2:]}" if can_be_off else self.option]
        option = typer.Option(*names, metavar=self.metavar, help=self.help, show_default=False)
        kind: Any = {Form.FLAG: bool, Form.INTEGER: int, Form.NUMBER: float}.get(self.form, str)
        if self.is_list and kind is not bool:
            kind = list[str]
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if self.is_required else None,
            annotation=Annotated[kind if self.is_required else kind | None, option],
        )

    def value(self, given: Any) -> Any:
        """Read what was given, as typer hands it on. Raises ConfigError for what is no JSON, or a file not there."""
        if not isinstance(given, list):
            return self._one(given)
        if len(given) == 1 and given[0].startswith(("[", "@")):
            return read_json(self.option, given[0])
        entries = [self._one(entry) for entry in given]
        return entries[0] if self.takes_one and len(entries) == 1 else entries

    def _one(self, text: Any) -> Any:
        if not isinstance(text, str):
            return text
        if self.form is Form.JSON:
            return read_json(self.option, text)
        if self.form in (Form.INTEGER, Form.NUMBER):
            try:
                return int(text) if self.form is Form.INTEGER else float(text)
            except ValueError:
                raise ConfigError(f"{self.option}: expected a number, found {text!r}") from None
        return text


def command_fields(model: type[Command[Any]]) -> list[CommandField]:
    """List the fields of a command that are options: all but which call it is for, and `extra`."""
    fields = fields_of(model).items()
    return [CommandField.of(name, info) for name, info in fields if info.kw_only is not False and name != "extra"]


def placed_fields(model: type[Command[Any]]) -> list[tuple[str, str]]:
    """List the fields of a command that are arguments, by name, and what they are."""
    return [(name, info.description or "") for name, info in fields_of(model).items() if info.kw_only is False]


def read_json(option: str, text: str) -> Any:
    """Read JSON, or a file of it when the text is @FILE. Raises ConfigError."""
    source = text
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ConfigError(f"{option}: cannot read {source[1:]}: {reason}") from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" in {source[1:]}" if source.startswith("@") else ""
        raise ConfigError(f"{option}: expected JSON, or @FILE{where}: {error}") from None


def read_extra(entries: Sequence[str]) -> dict[str, Any]:
    """Read NAME=VALUE, where a value that is not JSON is text. Raises ConfigError."""
    extra: dict[str, Any] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not (name and equals):
            raise ConfigError(f"--extra: expected NAME=VALUE, found {entry!r}")
        try:
            extra[name] = json.loads(value)
        except (ValueError, RecursionError):
            extra[name] = value
    return extra


def _alternatives(kind: Any) -> Iterator[Any]:
    """Take unions, annotations and named aliases apart, and leave None out."""
    kind = getattr(kind, "__value__", kind)
    if typing.get_origin(kind) is Annotated:
        yield from _alternatives(typing.get_args(kind)[0])
    elif typing.get_origin(kind) in (typing.Union, types.UnionType):
        for argument in typing.get_args(kind):
            yield from _alternatives(argument)
    elif kind is not type(None):
        yield kind


def _form(kinds: Sequence[Any]) -> Form:
    if kinds and all(_is_text(kind) for kind in kinds):
        return Form.TEXT
    for form, allowed in ((Form.FLAG, {bool}), (Form.INTEGER, {int}), (Form.NUMBER, {int, float})):
        if kinds and set(kinds) <= allowed:
            return form
    return Form.JSON


def _is_text(kind: Any) -> bool:
    if typing.get_origin(kind) is Literal:
        return all(isinstance(word, str) for word in typing.get_args(kind))
    return isinstance(kind, type) and issubclass(kind, str | bytes | UdpAddress)


def _words(kinds: Sequence[Any]) -> tuple[str, ...]:
    """List the words that a field takes, if it takes no others than these."""
    words: list[str] = []
    for kind in kinds:
        if typing.get_origin(kind) is Literal:
            words += map(str, typing.get_args(kind))
        elif isinstance(kind, type) and issubclass(kind, enum.StrEnum):
            words += [word.value for word in kind]
        elif kind is not str:
            return ()
    return tuple(dict.fromkeys(words))


def _metavar(form: Form, kinds: Sequence[Any], words: Sequence[str]) -> str | None:
    if form is Form.FLAG:
        return None
    if words and len("|".join(words)) <= _MOST_CHARACTERS_SHOWN:
        return "|".join(words)
    if form is Form.JSON:
        return _JSON
    if UdpAddress in kinds:
        return _ADDRESS
    if bytes in kinds:
        return _BASE64
    return {Form.INTEGER: "INTEGER", Form.NUMBER: "NUMBER"}.get(form, _TEXT)


def _help(info: FieldInfo, words: Sequence[str]) -> str:
    text = " ".join((info.description or "").split())
    default = info.default
    has_default = default is not None and not info.is_required() and isinstance(default, str | int | float)
    told = [text] if text else []
    if len("|".join(words)) > _MOST_CHARACTERS_SHOWN and len(words) <= _MOST_WORDS_SHOWN:
        told.append(f"One of {', '.join(words)}.")
    if len(words) > _MOST_WORDS_SHOWN:
        told.append(f"One of {len(words)} words, such as {', '.join(words[:3])}.")
    if has_default:
        told.append(f"By default {default.value if isinstance(default, enum.Enum) else json.dumps(default)}.")
    return " ".join(told)
