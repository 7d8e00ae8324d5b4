"""Carry out commands: what each does to a call, once its parameters are checked and the call is far enough for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from strep.emulator import described, refusal
from strep.emulator.actions import connecting, forking, gathering, playing, queueing, recording, sessions, signalling
from strep.emulator.call import EmulatedCall
from strep.emulator.exchange import Exchange
from strep.emulator.parameters import Body, text
from strep.emulator.recent import Answer
from strep.emulator.states import CallState
from strep.errors import ConfigError

Performance = Callable[[Exchange, EmulatedCall, Body], Answer | None]


@dataclass(frozen=True, slots=True)
class Action:
    """What a command does; what it returns is answered besides "ok". needs_answer: the parties must be speaking."""

    perform: Performance
    needs_answer: bool = True


ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "ai_assistant_add_messages": Action(sessions.do_nothing),
        "ai_assistant_join": Action(sessions.join_assistant),
        "ai_assistant_start": Action(sessions.start_assistant),
        "ai_assistant_stop": Action(sessions.stop_assistant),
        "answer": Action(connecting.answer, needs_answer=False),
        "bridge": Action(connecting.bridge),
        "client_state_update": Action(sessions.do_nothing, needs_answer=False),
        "conversation_relay_start": Action(sessions.start_relay),
        "conversation_relay_stop": Action(sessions.stop_relay),
        "enqueue": Action(queueing.enqueue),
        "fork_start": Action(forking.start),
        "fork_stop": Action(forking.stop),
        "gather": Action(gathering.gather),
        "gather_stop": Action(gathering.stop),
        "gather_using_ai": Action(gathering.gather_using_ai),
        "gather_using_audio": Action(gathering.gather_using_audio),
        "gather_using_speak": Action(gathering.gather_using_speak),
        "hangup": Action(connecting.hang_up, needs_answer=False),
        "leave_queue": Action(queueing.leave),
        "playback_start": Action(playing.play),
        "playback_stop": Action(playing.stop),
        "record_pause": Action(recording.pause),
        "record_resume": Action(recording.resume),
        "record_start": Action(recording.start, needs_answer=False),  # it has an error of its own for that
        "record_stop": Action(recording.stop),
        "refer": Action(signalling.refer),
        "reject": Action(connecting.reject, needs_answer=False),
        "send_dtmf": Action(signalling.send_dtmf),
        "send_sip_info": Action(sessions.do_nothing),
        "siprec_start": Action(sessions.start_siprec),
        "siprec_stop": Action(sessions.stop_siprec),
        "speak": Action(playing.speak),
        "streaming_start": Action(sessions.start_streaming),
        "streaming_stop": Action(sessions.stop_streaming),
        "suppression_start": Action(sessions.do_nothing),
        "suppression_stop": Action(sessions.do_nothing),
        "switch_supervisor_role": Action(sessions.do_nothing),
        "transcription_start": Action(sessions.start_transcription),
        "transcription_stop": Action(sessions.stop_transcription),
        "transfer": Action(connecting.transfer),
    }
)


def check(name: str, call: EmulatedCall, body: Body) -> None:
    """Raise the Refusal for a wrong parameter, or for a call that is not far enough or too far."""
    described.ACTIONS[name].check(body)
    forking.check(name, body)
    if call.state is CallState.ENDED:
        raise refusal.call_ended()
    if ACTIONS[name].needs_answer and not call.lifecycle.is_answered:
        raise refusal.not_answered()


def perform(name: str, exchange: Exchange, call: EmulatedCall, body: Body) -> Answer:
    """Carry a command out that was checked, and give its answer. Raises the Refusal if it cannot be after all.

    A client_state stays with the call from then on, and is in the webhooks of this very command already.
    """
    before = call.about.client_state
    call.about.client_state = text(body, "client_state") or before
    try:
        own = ACTIONS[name].perform(exchange, call, body)
    except refusal.Refusal:
        call.about.client_state = before
        raise
    except ConfigError as error:  # more changes of a stream than there can be
        call.about.client_state = before
        raise refusal.unable(str(error)) from None
    return {"result": "ok", **(own or {})}
