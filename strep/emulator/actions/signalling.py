"""Send things to the other party's telephone: digits, and where to call instead."""

from __future__ import annotations

from strep.emulator import refusal
from strep.emulator.call import EmulatedCall
from strep.emulator.dtmf import Digits
from strep.emulator.exchange import Exchange
from strep.emulator.parameters import Body, number, text
from strep.emulator.states import NS_PER_S
from strep.errors import ConfigError

_TONE_MS = 250


def send_dtmf(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Press keys for the other party to hear."""
    try:
        call.transmit_dtmf(Digits(text(body, "digits"), tone_ms=number(body, "duration_millis", _TONE_MS)))
    except ConfigError as error:
        raise refusal.invalid_value("digits", str(error)) from None


def refer(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Ask the other party to call somebody else, which it does."""
    call.tell("call.refer.started", sip_notify_response=100)
    call.later(NS_PER_S, lambda: call.tell("call.refer.completed", sip_notify_response=200))
