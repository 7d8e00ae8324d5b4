"""Detect answering machines, as far as a party can be told to be one."""

from __future__ import annotations

from strep.emulator.call import EmulatedCall
from strep.emulator.exchange import Exchange
from strep.emulator.parameters import Body, text
from strep.emulator.states import NS_PER_S

#: How long the detection listens, and how long a machine's greeting is after that.
_LISTENS_NS, _GREETING_NS = NS_PER_S, 2 * NS_PER_S


def on_answer(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Have the detection begin when the call is answered, if it is asked for."""
    mode = text(body, "answering_machine_detection") or "disabled"
    if mode == "disabled":
        return
    is_machine = exchange.callee(call.about.to).is_machine
    call.on_answer.append(lambda: call.later(_LISTENS_NS, lambda: _detect(call, mode, is_machine)))


def _detect(call: EmulatedCall, mode: str, is_machine: bool) -> None:
    kind = "call.machine.premium" if mode == "premium" else "call.machine"
    human = "human_residence" if mode == "premium" else "human"
    call.tell(f"{kind}.detection.ended", result="machine" if is_machine else human)
    if is_machine and mode != "detect":
        beeped = mode in ("premium", "detect_beep")
        call.later(
            _GREETING_NS, lambda: call.tell(f"{kind}.greeting.ended", result="beep_detected" if beeped else "ended")
        )
