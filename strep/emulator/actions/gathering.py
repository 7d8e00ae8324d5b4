"""Gather digits that the other party presses."""

from __future__ import annotations

from dataclasses import dataclass, field

from strep.emulator import refusal
from strep.emulator.actions import playing, sessions
from strep.emulator.call import Activity, EmulatedCall
from strep.emulator.exchange import Exchange
from strep.emulator.parameters import Body, number, text
from strep.emulator.schedule import Timer

_ACTIVITY = "gather"
_NS_PER_MS = 1_000_000


@dataclass(slots=True)
class Gathering:
    """The digits gathered so far, and when they are enough."""

    least: int
    most: int
    valid: str
    terminating: str
    digits: str = field(default="")

    def press(self, digit: str) -> str:
        """Take a digit; give the status with which it is over, or an empty string."""
        if digit == self.terminating:
            return self.status_at_end()
        self.digits += digit
        return self.status_at_end() if len(self.digits) >= self.most else ""

    def status_at_end(self) -> str:
        """Say how good the digits are that there are now."""
        is_valid = len(self.digits) >= self.least and all(digit in self.valid for digit in self.digits)
        return "valid" if is_valid else "invalid"

    def status_at_timeout(self) -> str:
        """Say how good they are when nobody presses any more."""
        return "valid" if self.status_at_end() == "valid" else "timeout"


def gather(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Gather digits."""
    _gather(call, body, number(body, "initial_timeout_millis", 5000))


def gather_using_audio(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Play a file, and gather digits meanwhile and after it."""
    _check_free(call)
    playing.prompt(call, body)
    _gather(call, body, None)


def gather_using_speak(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Say something, and gather digits meanwhile and after it. Nothing is told of the speech."""
    _gather(call, body, None)


def gather_using_ai(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Have an assistant ask, whom the other party does not understand."""
    _check_free(call)
    conversation = sessions.Conversation(exchange, call, body)

    def end(status: str) -> None:
        call.tell("call.ai_gather.ended", message_history=[], result={}, status="invalid")
        conversation.end(status)

    activity = call.begin_activity(_ACTIVITY, end)
    patience_ms = number(body, "user_response_timeout_ms", 10_000)
    activity.timers.append(call.later(patience_ms * _NS_PER_MS, lambda: call.finish_activity(_ACTIVITY)))


def stop(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Stop gathering."""
    if not call.finish_activity(_ACTIVITY, "cancelled"):
        raise refusal.unable("No digits are being gathered.")


def _check_free(call: EmulatedCall) -> None:
    if _ACTIVITY in call.activities:
        raise refusal.unable("Digits are being gathered already.")


def _gather(call: EmulatedCall, body: Body, initial_ms: int | None) -> None:
    _check_free(call)
    gathering = Gathering(
        number(body, "minimum_digits", 1),
        number(body, "maximum_digits", 128),
        text(body, "valid_digits") or "0123456789#*",
        text(body, "terminating_digit") or "#",
    )

    def end(status: str) -> None:
        call.on_digit = None
        call.tell("call.gather.ended", digits=gathering.digits, status=status)

    activity = call.begin_activity(_ACTIVITY, end)
    give_up = _Patience(call, activity, gathering)
    give_up.after(number(body, "timeout_millis", 60_000))
    if initial_ms is not None:
        give_up.between = give_up.after(initial_ms)

    def press(digit: str) -> None:
        playing.interrupt(call)
        if give_up.between:
            give_up.between.cancel()
        if status := gathering.press(digit):
            call.finish_activity(_ACTIVITY, status)
        else:
            give_up.between = give_up.after(number(body, "inter_digit_timeout_millis", 5000))

    call.on_digit = press


@dataclass(slots=True)
class _Patience:
    """What ends a gathering when nothing more comes. between: the timer from one digit to the next."""

    call: EmulatedCall
    activity: Activity
    gathering: Gathering
    between: Timer | None = None

    def after(self, delay_ms: int) -> Timer:
        """End it after a while."""
        timer = self.call.later(delay_ms * _NS_PER_MS, self._end)
        self.activity.timers.append(timer)
        return timer

    def _end(self) -> None:
        self.call.finish_activity(_ACTIVITY, self.gathering.status_at_timeout())
