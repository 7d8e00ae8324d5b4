"""Give each call command as a value that knows its path, its body and how to read the answer; no I/O here.

A command checks itself when it is built, so what cannot work is refused before anything is sent. It also gets its
`command_id` then: sending the same value again is the same command, and the platform carries it out once (within 60 s).
"""

from __future__ import annotations

import base64
import binascii
import enum
import json
import uuid
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, fields
from typing import ClassVar, Generic, TypeVar
from urllib.parse import quote

from strep.control.errors import UnexpectedAnswer, refusal
from strep.errors import ConfigError
from strep.net.address import UdpAddress


class StreamType(enum.StrEnum):
    """Is which media a fork copies: as it is on the wire, or after the platform decrypted it."""

    RAW = "raw"
    DECRYPTED = "decrypted"


@dataclass(frozen=True, slots=True)
class Request:
    """Is an HTTP request but for its authorisation, which only the client that sends it knows."""

    method: str
    url: str
    content: bytes


@dataclass(frozen=True, slots=True)
class CommandResult:
    """Is the platform's yes; `result` is "ok"."""

    result: str


@dataclass(frozen=True, slots=True)
class ForkStarted(CommandResult):
    """Is the platform's yes to a fork; stop it with this same `stream_type`."""

    stream_type: StreamType


ResultT_co = TypeVar("ResultT_co", bound=CommandResult, covariant=True)


@dataclass(frozen=True, slots=True)
class CallCommand(Generic[ResultT_co]):
    """Is a command for one call. Its fields, as far as they are given, are the request's body under their own names.

    client_state: comes back in every later webhook of the call. Bytes are Base64-encoded for you; text must be valid
    Base64 already. command_id: made up when not given.
    """

    ACTION: ClassVar[str]

    call_control_id: str
    _: KW_ONLY
    client_state: str | bytes | None = None
    command_id: str | None = None

    def __post_init__(self) -> None:
        if not self.call_control_id:
            raise ConfigError("call_control_id: expected the id of a call, found an empty string")
        self._set("client_state", _client_state(self.client_state))
        self._set("command_id", self.command_id or str(uuid.uuid4()))
        self._check()

    def _check(self) -> None:
        """Bring this command's own fields into their final form. Raises ConfigError, naming the field."""

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # only while being built: afterwards the value is frozen

    @property
    def destinations(self) -> tuple[UdpAddress, ...]:
        """List the addresses of yours that the platform will send to."""
        return ()

    def body(self) -> dict[str, object]:
        """Give the request's body: what was given, in its wire form."""
        given = ((field.name, getattr(self, field.name)) for field in fields(self) if field.name != "call_control_id")
        return {name: _wire(value) for name, value in given if value is not None}

    def request(self, base_url: str) -> Request:
        """Build the request to the platform at `base_url`, which ends without a slash."""
        path = f"/calls/{quote(self.call_control_id, safe=':')}/actions/{self.ACTION}"
        return Request("POST", base_url + path, json.dumps(self.body()).encode())

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
        data = document.get("data") if isinstance(document, dict) else None
        if not isinstance(data, dict):
            raise UnexpectedAnswer(f"expected a JSON object with 'data' in the answer to {self.ACTION}, found none")
        return self._result(data)

    def _result(self, data: Mapping[str, object]) -> ResultT_co:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class ForkStart(CallCommand[ForkStarted]):
    """Copies a call's audio to an address of yours: `target`, or `rx` and `tx`.

    target: gets both directions of every leg, each packet with a STREP header that says which call, leg and direction.
    rx, tx: what the platform receives and what it transmits, as plain RTP; give both. Each is 'udp:IP:PORT'.
    stream_type: RAW by default for target, DECRYPTED for rx and tx; always sent, as the platform's own defaults have
    changed over time and differ from fork_stop's. DECRYPTED goes with rx and tx only.

    Raises ConfigError, naming the field.
    """

    ACTION: ClassVar[str] = "fork_start"

    _: KW_ONLY
    target: UdpAddress | str | None = None
    rx: UdpAddress | str | None = None
    tx: UdpAddress | str | None = None
    stream_type: StreamType | str | None = None

    def _check(self) -> None:
        for name in ("target", "rx", "tx"):
            self._set(name, _destination(name, getattr(self, name)))
        given = [name for name in ("target", "rx", "tx") if getattr(self, name) is not None]
        if not given or ("target" in given and len(given) > 1):
            raise ConfigError(f"expected either target, or rx and tx, found {' and '.join(given) or 'none of them'}")
        for missing, other in (("rx", "tx"), ("tx", "rx")):
            if given == [other]:
                raise ConfigError(f"{missing}: expected 'udp:IP:PORT' beside {other}, found none")
        default = StreamType.RAW if self.target else StreamType.DECRYPTED
        self._set("stream_type", _stream_type(self.stream_type or default))
        if self.target and self.stream_type == StreamType.DECRYPTED:
            raise ConfigError("stream_type: 'decrypted' needs rx and tx, found target")

    @property
    def destinations(self) -> tuple[UdpAddress, ...]:
        """List the addresses that the platform will send the fork to."""
        return tuple(address for address in (self.target, self.rx, self.tx) if isinstance(address, UdpAddress))

    def _result(self, data: Mapping[str, object]) -> ForkStarted:
        return ForkStarted(str(data.get("result", "")), StreamType(str(self.stream_type)))


@dataclass(frozen=True, slots=True)
class ForkStop(CallCommand[CommandResult]):
    """Ends the fork of a call.

    stream_type: must be the one that the fork was started with (`ForkStarted.stream_type`), or the platform finds no
    such fork and the audio goes on. So there is no default here; the platform's own is RAW.
    """

    ACTION: ClassVar[str] = "fork_stop"

    _: KW_ONLY
    stream_type: StreamType | str

    def _check(self) -> None:
        self._set("stream_type", _stream_type(self.stream_type))

    def _result(self, data: Mapping[str, object]) -> CommandResult:
        return CommandResult(str(data.get("result", "")))


def _wire(value: object) -> object:
    return str(value) if isinstance(value, UdpAddress) else value


def _destination(name: str, value: UdpAddress | str | None) -> UdpAddress | None:
    if value is None:
        return None
    try:
        address = value if isinstance(value, UdpAddress) else UdpAddress.parse(value)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from None
    if not address.is_destination:
        raise ConfigError(f"{name}: expected the address of one host and a port from 1, found '{address}'")
    return address


def _stream_type(value: str) -> StreamType:
    try:
        return StreamType(value)
    except ValueError:
        raise ConfigError(f"stream_type: expected 'raw' or 'decrypted', found {value!r}") from None


def _client_state(value: str | bytes | None) -> str | None:
    if not isinstance(value, str):
        return None if value is None else base64.b64encode(value).decode("ascii")
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"client_state: expected valid Base64 (or bytes, to be encoded), found {value!r}") from None
    return value
