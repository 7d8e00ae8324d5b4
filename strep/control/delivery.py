"""Take one command from attempt to attempt by the rules of `strep.control.retries`, and read its answers. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar

from strep.control.account import Account
from strep.control.errors import (
    CommandFailed,
    CommandRefused,
    PlatformUnreachable,
    RateLimited,
    ServerError,
    UnexpectedAnswer,
)
from strep.control.ledger import Ledger
from strep.control.retries import COMMAND_ID_LIFE_S, Attempts, Outcome, Repeatable, RetryPolicy
from strep.errors import ConfigError

ResultT = TypeVar("ResultT")
ResultT_co = TypeVar("ResultT_co", covariant=True)
ErrorT = TypeVar("ErrorT", bound=CommandFailed)


class Request(Protocol):
    """An HTTP request but for its authorisation."""

    @property
    def method(self) -> str:
        """Give the method."""

    @property
    def url(self) -> str:
        """Give the URL."""

    @property
    def content(self) -> bytes:
        """Give the body."""


class Sendable(Protocol[ResultT_co]):
    """A command as far as sending it goes. It has a command_id if it has an attribute of that name that is set."""

    ACTION: ClassVar[str]

    def request(self, base_url: str) -> Request:
        """Build the request."""

    def read_response(self, status: int, headers: Mapping[str, str], body: bytes) -> ResultT_co:
        """Read the answer. Raises CommandRefused or UnexpectedAnswer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, with keys and secrets struck out of it. headers: names in lower case; there is always a date."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """What came instead of an answer."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait that says to wait, and then to try again."""

    seconds: float


class CommandDelivery(Generic[ResultT]):
    """A delivery that takes one command from attempt to attempt, without I/O; times are in seconds of one steady clock.

    `begin`, exchange `request` for an answer or a fault, `end` with it; if that says Wait, wait and go on with `begin`.
    """

    def __init__(
        self, command: Sendable[ResultT], account: Account, policy: RetryPolicy, ledger: Ledger, reach_s: float
    ) -> None:
        self.request = command.request(account.base_url)
        self._command, self._account, self._ledger = command, account, ledger
        self._id = getattr(command, "command_id", None)
        self._use = (self.request.url, self._id) if self._id else None
        self._attempts = Attempts(
            policy,
            _repeatable(self.request.method, self._id),
            reach_s=reach_s,
            first_used_s=ledger.first_use(self._use),
        )
        self._failure: CommandFailed | None = None

    def begin(self, now_s: float) -> None:
        """Begin an attempt. Raises the last one's error when it has become too late for another.

        Raises ConfigError for a command whose command_id was used too long ago: the platform does not know it any more.
        """
        if not self._attempts.may_begin(now_s):
            raise self._given_up() or self._too_old(now_s)
        self._ledger.begun(is_first=not self._attempts.made)
        self._attempts.begin(now_s)

    def end(self, reply: Answer | Fault, now_s: float, chance: float) -> ResultT | Wait:
        """End an attempt: give the result, or say how long to wait before the next one.

        chance: from 0 to 1, moves the wait. Raises a kind of CommandFailed when there is no sense, or no time, in going
        on.
        """
        if isinstance(reply, Fault):
            return self._failed(reply, now_s, chance)
        try:
            result = self._command.read_response(reply.status, reply.headers, reply.body)
        except (CommandRefused, UnexpectedAnswer) as error:
            wait_s = self._end(_outcome(error), now_s, chance, getattr(error, "retry_after_s", None))
            self._mark(error)
            if wait_s is None or not isinstance(error, CommandRefused):
                raise
            return self._wait(wait_s, error)
        self._end(Outcome.DONE, now_s, chance)
        return result

    def interrupt(self, now_s: float) -> None:
        """End an attempt that was broken off from our side: whether it has acted is not known."""
        self._end(Outcome.INTERRUPTED, now_s, 0.0)

    def _failed(self, fault: Fault, now_s: float, chance: float) -> Wait:
        wait_s = self._end(fault.outcome, now_s, chance)
        told = f" (sent {self._attempts.made} times)" if wait_s is None and self._attempts.made > 1 else ""
        to_what = f"from {self._account.base_url} to {self._command.ACTION}"
        if fault.outcome is Outcome.UNEXPECTED:
            raise self._mark(UnexpectedAnswer(f"expected a short answer {to_what}, found {fault.reason}{told}"))
        error = self._mark(PlatformUnreachable(f"no answer {to_what}: {fault.reason}{told}"))
        if wait_s is None:
            raise error
        return self._wait(wait_s, error)

    def _end(self, outcome: Outcome, now_s: float, chance: float, asked_s: float | None = None) -> float | None:
        wait_s = self._attempts.end(outcome, now_s, chance, asked_s)
        self._ledger.ended(outcome, is_given_up=wait_s is None and outcome.is_passing)
        if self._use is not None and self._attempts.first_used_s is not None:
            self._ledger.use(self._use, self._attempts.first_used_s)
        return wait_s

    def _mark(self, error: ErrorT) -> ErrorT:
        error.attempts, error.may_have_acted = self._attempts.made, self._attempts.may_have_acted
        return error

    def _wait(self, wait_s: float, error: CommandFailed) -> Wait:
        self._failure = error.with_traceback(None)  # its frames hold this object: they would hold each other
        self._ledger.waited(wait_s)
        return Wait(wait_s)

    def _given_up(self) -> CommandFailed | None:
        if self._failure is not None:
            self._ledger.gave_up()
        return self._failure

    def _too_old(self, now_s: float) -> ConfigError:
        age_s = now_s - (self._attempts.first_used_s or 0.0)
        return ConfigError(
            f"command_id: expected one whose {COMMAND_ID_LIFE_S:.0f} s of use are not nearly over, found {self._id!r}, "
            f"first sent {age_s:.0f} s ago: {self._command.ACTION} could be carried out twice; make the command anew"
        )


def _repeatable(method: str, command_id: str | None) -> Repeatable:
    if method in ("GET", "PUT"):
        return Repeatable.ALWAYS
    return Repeatable.BY_COMMAND_ID if command_id else Repeatable.NEVER


def _outcome(error: CommandRefused | UnexpectedAnswer) -> Outcome:
    if isinstance(error, RateLimited):
        return Outcome.RATE_LIMITED
    if isinstance(error, ServerError):
        return Outcome.SERVER_ERROR
    return Outcome.REFUSED if isinstance(error, CommandRefused) else Outcome.UNEXPECTED
