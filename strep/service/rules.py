"""Decide what to do with a call: the first rule that matches says it. A pure function of the rules and the call.

Webhooks come in any order, and call.answered does not say all that call.initiated does. So a criterion can be unknown
yet: then there is no decision until it is known, or until the caller will not wait any longer (`final`), when it counts
as not met.
"""

from __future__ import annotations

import enum
import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

from strep.control import StreamType
from strep.service.facts import CallFacts
from strep.service.part import Part

_REGEX = "re:"
_LONGEST_VALUE = 256
#: A header's name (RFC 3261 section 25.1, token).
_TOKEN = re.compile(r"[A-Za-z0-9!%*_+`'~.-]+", re.ASCII)


class ForkMode(enum.StrEnum):
    """How a call is forked."""

    NO = "no"
    TARGET = "target"  #: both directions, in STREP, to one port for all calls
    RX_TX = "rx_tx"  #: plain RTP, to two ports of its own


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text to match, with * and ? for any characters; with `re:` in front, a regular expression for all of it."""

    text: str

    def __post_init__(self) -> None:
        if self.text.startswith(_REGEX):
            try:
                re.compile(self.text.removeprefix(_REGEX))
            except (re.error, RecursionError, OverflowError) as error:
                raise ValueError(
                    f"expected a regular expression after {_REGEX}, found {self.text!r} ({error})"
                ) from None

    def matches(self, value: str) -> bool:
        """Tell whether it matches all of the value. Both kinds are kept compiled by `re` and `fnmatch`.

        A caller chooses the value, so one that is longer than any number or sensible header matches nothing. The
        pattern is the operator's own: one that takes exponential time does so on short values too.
        """
        if len(value) > _LONGEST_VALUE:
            return False
        if self.text.startswith(_REGEX):
            return re.fullmatch(self.text.removeprefix(_REGEX), value) is not None
        return fnmatch.fnmatchcase(value, self.text)


def _one_pattern(value: Any) -> Pattern:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected a text to match, found {value!r}")
    return Pattern(value)


def _many(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _not_empty(patterns: tuple[Pattern, ...]) -> tuple[Pattern, ...]:
    if not patterns:
        raise ValueError("expected at least one text to match, found none")
    return patterns


def _header_names(headers: dict[str, Pattern]) -> dict[str, Pattern]:
    for name in headers:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"expected the name of a SIP header, found {name!r}")
    return headers


def _fork_mode(value: Any) -> ForkMode:
    if isinstance(value, bool):
        return ForkMode.TARGET if value else ForkMode.NO
    try:
        return ForkMode(value)
    except ValueError:
        raise ValueError(f'expected true, false, "target" or "rx_tx", found {value!r}') from None


OnePattern = Annotated[Pattern, PlainValidator(_one_pattern)]
Patterns = Annotated[tuple[OnePattern, ...], BeforeValidator(_many), Field(strict=False), AfterValidator(_not_empty)]


class Rule(Part):
    """A [[rules]] table: which calls it selects (all criteria must be met), and what is done with them.

    connection_id, from, to: one pattern or several, of which one must match. direction: "incoming" or "outgoing".
    headers: patterns by header name. fork: how. stream_type: if not the platform's default. accept: whether to record
    the media of such a call in its place too when it was somebody else who forked it.
    """

    name: str = ""
    connection_id: Patterns | None = None
    from_: Patterns | None = Field(default=None, alias="from")
    to: Patterns | None = None
    direction: Literal["incoming", "outgoing"] | None = None
    headers: Annotated[dict[str, OnePattern], AfterValidator(_header_names)] = Field(default_factory=dict)
    fork: Annotated[ForkMode, PlainValidator(_fork_mode)] = ForkMode.TARGET
    stream_type: StreamType | None = None
    accept: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What the rules say of a call. rule: the name or number of the one that did, empty if none matched."""

    rule: str = ""
    fork: ForkMode = ForkMode.NO
    stream_type: StreamType | None = None
    accept: bool = False


def decide(rules: Sequence[Rule], facts: CallFacts, *, final: bool = False) -> Decision | None:
    """Find the first rule that matches; None: it depends on what is not known yet, and `final` is not set."""
    for number, rule in enumerate(rules, 1):
        answers = [answer for _, answer in _criteria(rule, facts)]
        if False in answers:
            continue
        if None not in answers:
            return Decision(rule.name or f"rules[{number - 1}]", rule.fork, rule.stream_type, rule.accept)
        if not final and not facts.is_complete:
            return None
    return Decision()


def waits_for(rules: Sequence[Rule], facts: CallFacts) -> list[str]:
    """Name the criteria, as they stand in a rule, for which `decide` cannot decide."""
    for rule in rules:
        answers = list(_criteria(rule, facts))
        if all(answer is not False for _, answer in answers):
            return [name for name, answer in answers if answer is None]
    return []


def _criteria(rule: Rule, facts: CallFacts) -> Iterable[tuple[str, bool | None]]:
    """Answer each criterion of a rule: met, not met, or (None) not known."""
    for name, patterns, value in (
        ("connection_id", rule.connection_id, facts.connection_id),
        ("from", rule.from_, facts.from_),
        ("to", rule.to, facts.to),
    ):
        if patterns is not None:
            yield name, None if value is None else any(pattern.matches(value) for pattern in patterns)
    if rule.direction is not None:
        yield "direction", None if facts.direction is None else facts.direction == rule.direction
    for name, pattern in rule.headers.items():
        met = any(pattern.matches(value) for other, value in facts.headers if other == name.lower())
        yield f"headers.{name}", met or None  # another webhook may still name it
