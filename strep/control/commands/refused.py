"""Say in one line which value is wrong, what was expected, and what was found."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from strep.control.commands.kinds import ExplainedError, is_secret

#: Pydantic names the alternatives of a union on the way to a value; these are no part of where the value is.
_KINDS = frozenset({"str", "int", "float", "bool", "bytes"})
_SHOULD = re.compile(r"^[A-Z]\w+ should (be|have|match) ")
_LONGEST_SHOWN = 80
_FIRST = "call_control_id"


def refused_value(error: ValidationError, fields: Mapping[str, FieldInfo]) -> str:
    """Tell of the first wrong value. Of a secret one, what was found is not shown."""
    errors = error.errors(include_url=False)
    # Of a field that takes several kinds of values, there is an error for each: the one that got furthest tells most.
    first = max((one for one in errors if one["loc"][:1] == errors[0]["loc"][:1]), key=lambda one: len(one["loc"]))
    name, *way = first["loc"]
    if isinstance(name, int):  # an argument without a name: only the first may be one
        name = _FIRST if name == 0 else f"argument {name + 1}"
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in way if _is_place(step))
    field = fields.get(str(name))
    return f"{name}{where}: {_expected(first)}{_found(first, field)}"


def _is_place(step: int | str) -> bool:
    return isinstance(step, int) or (step.islower() and step.replace("_", "a").isalnum() and step not in _KINDS)


def _expected(error: ErrorDetails) -> str:
    if error["type"] == "missing":
        return "expected a value"
    if error["type"] in ("unexpected_keyword_argument", "multiple_argument_values"):
        return "expected a documented parameter (or one in `extra`)"
    told = error["msg"].removeprefix("Value error, ")
    return _SHOULD.sub("expected ", told)


def _found(error: ErrorDetails, field: FieldInfo | None) -> str:
    if error["type"] == "missing":
        return ", found none"
    if isinstance(error.get("ctx", {}).get("error"), ExplainedError):
        return ""
    if field is not None and is_secret(field):
        return ", found another"
    shown = repr(error["input"])
    return f", found {shown if len(shown) <= _LONGEST_SHOWN else shown[:_LONGEST_SHOWN] + '...'}"
