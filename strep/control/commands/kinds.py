"""Say what values a parameter of a command takes, beyond Python's own kinds."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, PlainValidator, WithJsonSchema
from pydantic.fields import FieldInfo

from strep.errors import ConfigError
from strep.net.address import UdpAddress


def about(description: str, **limits: Any) -> Any:
    """Say what a parameter is for, and what pydantic's `Field` takes besides (ge, le, max_length, ...)."""
    return Field(description=description, **limits)


def secret(description: str, **limits: Any) -> Any:
    """Say what a parameter is for whose value is never shown."""
    return Field(description=description, json_schema_extra={"writeOnly": True}, **limits)


def is_secret(field: FieldInfo) -> bool:
    """Tell whether a parameter's value is never shown."""
    return isinstance(field.json_schema_extra, dict) and bool(field.json_schema_extra.get("writeOnly"))


def wire(value: object) -> object:
    """Give a value as JSON has it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, UdpAddress):
        return str(value)
    if isinstance(value, list | tuple):
        return [wire(entry) for entry in value]
    if isinstance(value, Mapping):
        return {name: wire(entry) for name, entry in value.items()}
    return value


def _client_state(value: str | bytes) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("expected valid Base64 (or bytes, to be encoded)") from None
    return value


def _call_id(value: str) -> str:
    if not value:
        raise ValueError("expected the id of a call")
    return value


def _uuid(value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise ValueError("expected a UUID") from None


def _destination(value: object) -> UdpAddress:
    if not isinstance(value, UdpAddress | str):
        raise ValueError("expected 'udp:IP:PORT'")
    try:
        address = value if isinstance(value, UdpAddress) else UdpAddress.parse(value)
    except ConfigError as error:
        raise ExplainedError(str(error)) from None
    if not address.is_destination:
        raise ExplainedError(f"expected the address of one host and a port from 1, found '{address}'")
    return address


class ExplainedError(ValueError):
    """An error that says what was expected, and what was found as well."""


#: Bytes are encoded; text must be Base64 already.
ClientState = Annotated[
    str | bytes, AfterValidator(_client_state), WithJsonSchema({"type": "string", "contentEncoding": "base64"})
]
CallId = Annotated[str, AfterValidator(_call_id)]
NonEmpty = Annotated[str, Field(min_length=1)]
Uuid = Annotated[str, AfterValidator(_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]
#: Where the platform is to send datagrams.
Destination = Annotated[
    UdpAddress | str, PlainValidator(_destination), WithJsonSchema({"type": "string", "format": "udp"})
]
WebSocketUrl = Annotated[str, Field(pattern=r"^wss?://")]
#: How often something is played.
Loop = Annotated[int, Field(ge=1, le=100)] | Literal["infinity"]
Method = Literal["POST", "GET"]
Side = Literal["self", "opposite", "both"]
Track = Literal["inbound_track", "outbound_track", "both_tracks"]
Direction = Literal["both", "inbound", "outbound"]
Supervisor = Literal["barge", "whisper", "monitor"]
