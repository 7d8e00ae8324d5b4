"""Say by kind why the call platform did not do what was asked.

    ControlError                     (strep.errors)
    └── CommandFailed                a command that was sent: attempts, may_have_acted
        ├── PlatformUnreachable      no answer came
        ├── UnexpectedAnswer         what answered is not the platform's API (a proxy, a wrong base URL)
        └── CommandRefused           the platform said no: http_status, code, title, detail, pointer
            ├── NotAuthorised        401, 403: the API key is missing, wrong, or not allowed this
            ├── NotFound             404, 10005: no such call or command
            ├── CallEnded            90018: the call has ended
            ├── ConferenceEnded      90019: the conference has ended
            ├── NotAnswered          90034: the call has not been answered yet
            ├── AudioNotStarted      90020: no audio has flowed yet, so nothing can be recorded
            ├── NotForked            90031: no fork of this stream_type to stop
            ├── AlreadyActive        90033, 90038, 90054, 90061: what is asked for goes on, or its name is taken
            ├── LimitReached         90032, 90036: the conference or the queue is full
            ├── StreamingInUse       90045: not while media streaming is used on the call
            ├── MediaUnavailable     90040: the platform cannot fetch the audio file
            ├── InvalidParameter     the parameter at `pointer` is missing or wrong
            ├── RateLimited          429: too many commands; retry_after_s is when the limit is lifted
            └── ServerError          5xx: the platform's own fault

Code 10011 means a rate limit with HTTP status 429 and "SRTP refused" with 422, so the status is looked at first.
No message ever holds the API key or its secret.
"""

# ruff: noqa: N818 -- named by what happened, as `except CallEnded:` reads; the tree above says that they are errors
from __future__ import annotations

import http
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from strep.errors import ControlError, StrepWarning

#: A peer's words are shown up to here: a problem fits, a proxy's page of HTML need not.
_LONGEST_QUOTE = 500


class PrivateAddressWarning(StrepWarning):
    """An error that says that a fork is to go to an address that a platform on the public internet has no way to."""


class CommandFailed(ControlError):
    """An error that says that a command that was sent was not done, as far as we know.

    attempts: how often it was sent before it was given up. may_have_acted: one of them ended so that nobody here knows
    whether the platform carried the command out.
    """

    attempts: int = 1
    may_have_acted: bool = False


class PlatformUnreachable(CommandFailed):
    """An error that says that no answer came. Where `may_have_acted`, the command may have been carried out all the
    same.
    """


class UnexpectedAnswer(CommandFailed):
    """An error that says that something answered that is not the platform's API."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of the platform's error document.

    pointer: names the parameter that is wrong, by a JSON pointer (RFC 6901), or by its name if it is one of the query.
    """

    code: str
    title: str
    detail: str = ""
    pointer: str = ""

    def __str__(self) -> str:
        words = ": ".join(part for part in (self.title, self.detail) if part)
        return words + (f" ({self.pointer})" if self.pointer else "")


class CommandRefused(CommandFailed):
    """An error that says that the platform refused a command, and why.

    problems: all that the platform named, at least one; code, title, detail and pointer are those of the first.
    retry_after_s: how long the platform asks to wait, counted from its answer, if it does.
    """

    def __init__(self, http_status: int, problems: tuple[Problem, ...], retry_after_s: float | None = None) -> None:
        super().__init__(http_status, problems, retry_after_s)
        self.http_status = http_status
        self.problems = problems
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        code = f", code {self.code}" if self.code else ""
        sent = f", sent {self.attempts} times" if self.attempts > 1 else ""
        return f"{'; '.join(map(str, self.problems))} [HTTP {self.http_status}{code}{sent}]"

    @property
    def code(self) -> str:
        """Give the platform's error code, such as '90018'; empty when it gave none."""
        return self.problems[0].code

    @property
    def title(self) -> str:
        """Give the problem in a few words."""
        return self.problems[0].title

    @property
    def detail(self) -> str:
        """Give the problem in a sentence; empty when the platform gave none."""
        return self.problems[0].detail

    @property
    def pointer(self) -> str:
        """Give the JSON pointer to the wrong parameter, such as '/rx'; empty when there is none."""
        return self.problems[0].pointer


class NotAuthorised(CommandRefused):
    """An error that says that the API key is missing, wrong, or not allowed to do this (401, 403)."""


class NotFound(CommandRefused):
    """An error that says that there is no such call or command (404, code 10005)."""


class CallEnded(CommandRefused):
    """An error that says that the call has ended (code 90018)."""


class ConferenceEnded(CommandRefused):
    """An error that says that the conference has ended (code 90019)."""


class NotAnswered(CommandRefused):
    """An error that says that the call has not been answered yet (code 90034)."""


class AudioNotStarted(CommandRefused):
    """An error that says that no audio has flowed on the call yet, so that it cannot be recorded (code 90020)."""


class NotForked(CommandRefused):
    """An error that says that there is no fork of this stream_type to stop (code 90031)."""


class AlreadyActive(CommandRefused):
    """An error that says that what was asked for goes on already, or that its name is taken (codes 90033, 90038, 90054,
    90061).
    """


class LimitReached(CommandRefused):
    """An error that says that the conference or the queue is full (codes 90032, 90036)."""


class StreamingInUse(CommandRefused):
    """An error that says that the command cannot be given while media streaming is used on the call (code 90045)."""


class MediaUnavailable(CommandRefused):
    """An error that says that the platform cannot fetch the audio file (code 90040)."""


class InvalidParameter(CommandRefused):
    """An error that says that the parameter at `pointer` is missing or wrong."""


class RateLimited(CommandRefused):
    """An error that says that too many commands were sent (429); `retry_after_s` says when to come back, if the
    platform does.
    """


class ServerError(CommandRefused):
    """An error that says that the platform failed (5xx)."""


_BY_STATUS = {401: NotAuthorised, 403: NotAuthorised, 429: RateLimited}
_BY_CODE: Mapping[str, type[CommandRefused]] = {
    "10004": InvalidParameter,
    "10005": NotFound,
    "10009": NotAuthorised,
    "10010": NotAuthorised,
    "10011": InvalidParameter,  # the rate limit of the same code has its own status
    "10015": InvalidParameter,
    "10016": InvalidParameter,
    "10028": InvalidParameter,
    "10032": InvalidParameter,
    "10033": InvalidParameter,
    "90015": InvalidParameter,
    "90018": CallEnded,
    "90019": ConferenceEnded,
    "90020": AudioNotStarted,
    "90031": NotForked,
    "90032": LimitReached,
    "90033": AlreadyActive,
    "90034": NotAnswered,
    "90036": LimitReached,
    "90038": AlreadyActive,
    "90040": MediaUnavailable,
    "90045": StreamingInUse,
    "90054": AlreadyActive,
    "90061": AlreadyActive,
}


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> CommandRefused:
    """Turn an answer of status 400 or above into the error it means. Any bytes will do for a body.

    headers: with names in lower case, or a mapping that ignores case.
    """
    problems = _problems(status, body) or (Problem("", _reason(status), _quote(body.decode("utf-8", "replace"))),)
    return _kind(status, problems[0])(status, problems, _retry_after_s(status, headers))


def _kind(status: int, problem: Problem) -> type[CommandRefused]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return ServerError
    if problem.code in _BY_CODE:
        return _BY_CODE[problem.code]
    if status == 404:
        return NotFound
    return InvalidParameter if problem.pointer else CommandRefused


def _problems(status: int, body: bytes) -> tuple[Problem, ...]:
    """Read the error document: {"errors": [{"code", "title", "detail", "source": {"pointer"}}]}."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    errors = document.get("errors") if isinstance(document, dict) else None
    if not isinstance(errors, list):
        return ()
    return tuple(_problem(status, error) for error in errors if isinstance(error, dict))


def _problem(status: int, error: dict[str, object]) -> Problem:
    source = error.get("source")
    pointer = source.get("pointer") or source.get("parameter") if isinstance(source, dict) else None
    code, title, detail, at = (
        _quote(value) for value in (error.get("code"), error.get("title"), error.get("detail"), pointer)
    )
    return Problem(code, title or _reason(status), detail, at)


def _reason(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown problem"


def _quote(value: object) -> str:
    """Show a peer's words on one line of printable characters, so that they cannot steer a terminal."""
    text = "" if value is None else str(value)
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 2 * _LONGEST_QUOTE]).split())
    return line if len(line) <= _LONGEST_QUOTE else line[:_LONGEST_QUOTE] + "…"


def _retry_after_s(status: int, headers: Mapping[str, str]) -> float | None:
    """Read how long to wait: Retry-After in either form (RFC 9110 section 10.2.3), x-ratelimit-reset of a 429.

    The longer of them, if there are both. x-ratelimit-reset is in seconds, and stands in every answer: elsewhere than
    with a 429 it asks for nothing.
    """
    asked = [_seconds(headers.get("retry-after", "")), _until_date_s(headers)]
    if status == http.HTTPStatus.TOO_MANY_REQUESTS:
        asked.append(_seconds(headers.get("x-ratelimit-reset", "")))
    return max((wait for wait in asked if wait is not None), default=None)


def _seconds(value: str) -> float | None:
    text = value.strip(" \t")  # the white space of HTTP
    return float(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,9})?", text) else None


def _until_date_s(headers: Mapping[str, str]) -> float | None:
    """Measure Retry-After's date from the answer's own Date, which needs no clock and holds where clocks differ."""
    now, then = _date(headers.get("date", "")), _date(headers.get("retry-after", ""))
    return max((then - now).total_seconds(), 0.0) if now and then else None


def _date(value: str) -> datetime | None:
    """Read a date of HTTP (RFC 9110 section 5.6.7); the year 10000 and the like are none."""
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
