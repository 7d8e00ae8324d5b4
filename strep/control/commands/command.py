"""Be a call command as a value: it checks itself, knows its request, and reads the answer. No I/O here.

What cannot work is refused when the value is built, before anything is sent. A command gets its `command_id` then too:
sending the same value again is the same command, which the platform carries out once (within 60 s).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, TypeVar, cast, dataclass_transform
from urllib.parse import quote

import pydantic
from pydantic import ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from strep.control.commands.kinds import CallId, ClientState, about, is_secret, wire
from strep.control.commands.refused import refused_value
from strep.control.commands.results import CommandResult
from strep.control.errors import UnexpectedAnswer, refusal
from strep.errors import ConfigError
from strep.net.address import UdpAddress

T = TypeVar("T")
ResultT_co = TypeVar("ResultT_co", covariant=True)
_CONFIG = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request but for its authorisation, which only the client that sends it knows."""

    method: str
    url: str
    content: bytes


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
def command(made: type[T]) -> type[T]:
    """Make a class a command, or a group of parameters that commands share: a frozen dataclass that checks itself.

    Its fields are the parameters, under their documented names and with the documented defaults; a default is not sent.
    A name that is a word of Python's ends with '_'. Building one raises ConfigError, naming the field.
    """
    pydantic.dataclasses.dataclass(frozen=True, kw_only=True, repr=False, config=_CONFIG)(made)  # in place
    build = made.__init__

    def build_or_refuse(self: Any, *args: Any, **given: Any) -> None:
        try:
            build(self, *args, **given)
        except ValidationError as error:
            raise ConfigError(refused_value(error, fields_of(made))) from None
        object.__setattr__(self, "_given", frozenset(given))
        self.complete()

    build_or_refuse.__wrapped__ = build  # type: ignore[attr-defined]  # for inspect.signature
    made.__init__ = build_or_refuse  # type: ignore[method-assign]
    return made


def fields_of(made: type) -> Mapping[str, FieldInfo]:
    """Give the parameters of a command by name, `call_control_id` and `extra` among them."""
    return cast("Mapping[str, FieldInfo]", made.__pydantic_fields__)  # type: ignore[attr-defined]


def wire_name(name: str, field: FieldInfo) -> str:
    """Give the name that a parameter has in the request."""
    return field.serialization_alias or name.rstrip("_")


@command
class Command(Generic[ResultT_co]):
    """A request to the platform."""

    ACTION: ClassVar[str]
    METHOD: ClassVar[str] = "POST"
    RESULT: ClassVar[type[Any]] = CommandResult

    extra: Annotated[
        Mapping[str, object] | None, about("Parameters that strep does not know yet; sent as they are.")
    ] = None

    def complete(self) -> None:
        """Fill in what was not given, and check what goes together. Raises ConfigError, naming the field."""

    def needs_one_of(self, first: str, *others: str) -> None:
        """Check that one of these parameters is given, and one only. Raises ConfigError."""
        given = [name for name in (first, *others) if getattr(self, name)]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ConfigError(f"{first}: expected one of it, {' and '.join(others)}, found {found}")

    @property
    def path(self) -> str:
        """Give the request's path, with its query."""
        raise NotImplementedError

    @property
    def destinations(self) -> tuple[UdpAddress, ...]:
        """List the addresses of yours that the platform will send to."""
        return ()

    def body(self) -> dict[str, object]:
        """Give the request's body: what was given, in its wire form, and `extra`."""
        given = {
            wire_name(name, field): wire(value)
            for name, field in fields_of(type(self)).items()
            if (value := getattr(self, name)) is not None and self._is_sent(name, value != field.default)
        }
        return given | dict(self.extra or {})

    def _is_sent(self, name: str, is_set: bool) -> bool:
        given: frozenset[str] = self._given  # type: ignore[attr-defined]
        return (is_set or name in given) and name not in ("call_control_id", "extra")

    def request(self, base_url: str) -> Request:
        """Build the request to the platform at `base_url`, which ends without a slash."""
        content = b"" if self.METHOD == "GET" else json.dumps(self.body()).encode()
        return Request(self.METHOD, base_url + self.path, content)

    def read_response(self, status: int, headers: Mapping[str, str], body: bytes) -> ResultT_co:
        """Read the answer. Raises CommandRefused of the kind it means, or UnexpectedAnswer.

        headers: with names in lower case, or a mapping that ignores case.
        """
        if status >= 400:
            raise refusal(status, headers, body)
        if not 200 <= status < 300:
            raise UnexpectedAnswer(f"expected HTTP 200 to {self.ACTION}, found {status}: is the base URL right?")
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        return self._read(document if isinstance(document, dict) else {})

    def _read(self, document: Mapping[str, object]) -> ResultT_co:
        data = document.get("data")
        if not isinstance(data, dict):
            raise UnexpectedAnswer(f"expected a JSON object with 'data' in the answer to {self.ACTION}, found none")
        return self._result(data)

    def _result(self, data: Mapping[str, object]) -> ResultT_co:
        try:
            return cast("ResultT_co", self.RESULT(**data))
        except (ValidationError, TypeError) as error:
            found = refused_value(error, {}) if isinstance(error, ValidationError) else "fields without names"
            raise UnexpectedAnswer(f"expected the answer to {self.ACTION} to be as documented: {found}") from None

    def __repr__(self) -> str:
        shown = (
            f"{name}={getattr(self, name)!r}"
            for name, field in fields_of(type(self)).items()
            if not is_secret(field) and getattr(self, name, field.default) != field.default
        )
        return f"{type(self).__name__}({', '.join(shown)})"


@command
class CallCommand(Command[ResultT_co]):
    """A command for one call."""

    call_control_id: CallId = Field(kw_only=False, description="Which call.")

    @property
    def path(self) -> str:
        """Give the request's path."""
        return f"/calls/{quote(self.call_control_id, safe=':')}/actions/{self.ACTION}"


@command
class HasCommandId:
    """A field that keeps a command from being carried out twice."""

    command_id: Annotated[
        str | None, about("The platform carries out one command of an id; made up when not given.")
    ] = None

    def complete(self) -> None:
        """Make up a command_id where none was given."""
        object.__setattr__(self, "command_id", self.command_id or str(uuid.uuid4()))


@command
class HasClientState:
    """A field that comes back in every later webhook of the call."""

    client_state: Annotated[
        ClientState | None, about("Comes back in every later webhook; bytes, or text that is Base64 already.")
    ] = None


@command
class FullCallCommand(HasCommandId, HasClientState, CallCommand[ResultT_co]):
    """A command for one call that is carried out once, and can leave a state with the call."""
