"""Give what all parts of a configuration have in common: strict, frozen, and every wrong value in one clear line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

#: What is shown of a wrong value; a whole file could stand where a number should.
_MOST_SHOWN = 80
#: Keys whose values are never shown, whatever is wrong with them.
_SECRET_WORDS = ("key", "secret", "password", "token")


class Part(BaseModel):
    """A table of the configuration: unknown keys are errors, and nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


def problems(error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    """Say each thing that is wrong in a line: `media.target: expected 'udp:IP:PORT', found 'udp:9000'`."""
    for found in error.errors(include_url=False, include_context=False):
        location = found["loc"]
        yield f"{_key(location)}: {_reason(found['type'], found['msg'], location, found.get('input'), model)}"


def _key(location: tuple[int | str, ...]) -> str:
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text or "configuration"


def _reason(kind: str, message: str, location: tuple[int | str, ...], value: Any, model: type[BaseModel]) -> str:
    if kind == "missing":
        return "expected a value, found none"
    if kind == "extra_forbidden":
        return _no_such_key(location, model)
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    expected = message.replace("Input should be ", "expected ").replace("Object has", "expected", 1)
    return expected + ("" if _is_secret(location) else f", found {_shown(value)}")


def _no_such_key(location: tuple[int | str, ...], model: type[BaseModel]) -> str:
    key = str(location[-1])
    if key in ("key", "secret") and location[0] == "api":
        return f"expected {key}_env or {key}_file: whoever may read the configuration shall not have the {key}"
    near = difflib.get_close_matches(key, _keys_beside(location, model), n=1)
    return "expected no such key" + (f"; did you mean {near[0]}?" if near else "")


def _keys_beside(location: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    """List the keys that the table knows in which the last step of a location lies."""
    table: Any = model
    for step in location[:-1]:
        if isinstance(step, int):
            continue
        field = table.model_fields.get(step)
        inner = [*getattr(field.annotation, "__args__", ()), field.annotation] if field else []
        table = next((it for it in inner if isinstance(it, type) and issubclass(it, BaseModel)), None)
        if table is None:
            return []
    return [field.alias or name for name, field in table.model_fields.items()]


def _is_secret(location: tuple[int | str, ...]) -> bool:
    return any(word in str(step) for step in location for word in _SECRET_WORDS)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "..."
