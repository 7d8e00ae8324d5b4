"""Check the parameters of a command as the platform does: what must be there, what it must be, and the error if not.

The tables are those of the API's description, with `target` and stream_type `raw` of older ones. What the description
does not name is let through, as the platform does. Lists of languages are not checked: they grow with every version.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from strep.emulator import refusal

Body = Mapping[str, object]
_E164 = re.compile(r"\+[1-9][0-9]{1,14}", re.ASCII)


class Rule(Protocol):
    """A rule that says what a parameter must be."""

    def check(self, name: str, value: object) -> None:
        """Raise the Refusal for a wrong value. None never gets here: it is as good as nothing."""


@dataclass(frozen=True, slots=True)
class Text:
    """A string of at least and at most so many characters."""

    least: int = 0
    most: int | None = None

    def check(self, name: str, value: object) -> None:
        """Raise the Refusal for a wrong value."""
        if not isinstance(value, str):
            raise refusal.invalid_value(name, "The value must be a string.")
        if value and not self.least <= len(value) <= (self.most or len(value)):
            raise refusal.invalid_value(name, f"The value must have {self.least} to {self.most} characters.")


@dataclass(frozen=True, slots=True)
class Base64:
    """A string in Base64."""

    def check(self, name: str, value: object) -> None:
        """Raise the Refusal for a wrong value."""
        Text().check(name, value)
        try:
            base64.b64decode(str(value), validate=True)
        except (binascii.Error, ValueError):
            raise refusal.invalid_value(name, "The value must be a valid Base-64 encoded string.") from None


@dataclass(frozen=True, slots=True, init=False)
class Choice:
    """One of some words."""

    allowed: tuple[str, ...]

    def __init__(self, *allowed: str) -> None:
        object.__setattr__(self, "allowed", allowed)

    def check(self, name: str, value: object) -> None:
        """Raise the Refusal for a wrong value; an empty string is as good as nothing."""
        Text().check(name, value)
        if value and value not in self.allowed:
            raise refusal.not_enumerated(name, self.allowed)


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number within a range."""

    least: int | None = 0
    most: int | None = None

    def check(self, name: str, value: object) -> None:
        """Raise the Refusal for a wrong value."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise refusal.invalid_value(name, "The value must be an integer.")
        if (self.least is not None and value < self.least) or (self.most is not None and value > self.most):
            raise refusal.out_of_range(name, self.least, self.most)


@dataclass(frozen=True, slots=True)
class Rate:
    """A sample rate of media streaming."""

    def check(self, name: str, value: object) -> None:
        """Raise the Refusal for a wrong value."""
        rates = (8000, 16000, 22050, 24000, 48000)
        if value not in rates:
            raise refusal.not_enumerated(name, tuple(map(str, rates)))


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def check(self, name: str, value: object) -> None:
        """Raise the Refusal for a wrong value."""
        if not isinstance(value, bool):
            raise refusal.invalid_value(name, "The value must be a boolean.")


@dataclass(frozen=True, slots=True, init=False)
class Object:
    """A JSON object that has some members at least."""

    required: tuple[str, ...]

    def __init__(self, *required: str) -> None:
        object.__setattr__(self, "required", required)

    def check(self, name: str, value: object) -> None:
        """Raise the Refusal for a wrong value."""
        if not isinstance(value, dict):
            raise refusal.invalid_value(name, "The value must be an object.")
        for member in self.required:
            if value.get(member) in (None, ""):
                raise refusal.missing_parameter(f"{name}/{member}")


@dataclass(frozen=True, slots=True)
class Array:
    """A list of such things."""

    of: Rule

    def check(self, name: str, value: object) -> None:
        """Raise the Refusal for a wrong value."""
        if not isinstance(value, list):
            raise refusal.invalid_value(name, "The value must be an array.")
        for number, item in enumerate(value):
            self.of.check(f"{name}/{number}", item)


@dataclass(frozen=True, slots=True)
class Destination:
    """A telephone number in E.164 or a SIP URI; or several of them."""

    many: bool = False

    def check(self, name: str, value: object) -> None:
        """Raise the Refusal for a wrong value."""
        if self.many and isinstance(value, list) and value:
            for one in value:
                Destination().check(name, one)
            return
        Text().check(name, value)
        if not _E164.fullmatch(str(value)) and not str(value).startswith(("sip:", "sips:")):
            raise refusal.not_a_phone_number(name)


@dataclass(frozen=True, slots=True)
class Loop:
    """How often something is played: a number, or "infinity"."""

    def check(self, name: str, value: object) -> None:
        """Raise the Refusal for a wrong value."""
        is_number = (isinstance(value, int) and not isinstance(value, bool)) or str(value).isdecimal()
        if value != "infinity" and not (is_number and int(str(value)) >= 1):
            raise refusal.invalid_value(name, "The value must be 'infinity' or a number of at least 1.")


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a command takes. either: one of these at least is required, the first is named when none is there."""

    rules: Mapping[str, Rule]
    required: tuple[str, ...] = ()
    either: tuple[str, ...] = ()

    def check(self, body: Body) -> None:
        """Raise the Refusal for the first thing that is wrong."""
        for name in self.required:
            if is_blank(body.get(name)):
                raise refusal.missing_parameter(name)
        if self.either and all(is_blank(body.get(name)) for name in self.either):
            raise refusal.missing_parameter(self.either[0])
        for name, rule in self.rules.items():
            if body.get(name) is not None:
                rule.check(name, body[name])


def is_blank(value: object) -> bool:
    """Tell whether a parameter is as good as missing."""
    return value is None or value in ("", [])


def text(body: Body, name: str) -> str:
    """Read a parameter that was checked; one that is missing or null reads as empty."""
    value = body.get(name)
    return value if isinstance(value, str) else ""


def number(body: Body, name: str, default: int) -> int:
    """Read a parameter that was checked."""
    value = body.get(name)
    return value if isinstance(value, int) else default


def is_set(body: Body, name: str) -> bool:
    """Read a flag that was checked."""
    return body.get(name) is True
