"""Make a method of each command, for the client that waits for the answer and for the one that is awaited.

`client.answer(id, ...)` is `client.send(Answer(id, ...))`, with the same parameters.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, Protocol, TypeVar, cast, overload

from strep.control import commands as c

P = ParamSpec("P")
ResultT = TypeVar("ResultT")
ResultT_co = TypeVar("ResultT_co", covariant=True)
AnyResultT = TypeVar("AnyResultT")


class _Sends(Protocol):
    def send(self, command: c.Command[AnyResultT], /) -> AnyResultT:
        """Send a command."""


class _SendsAsync(Protocol):
    async def send(self, command: c.Command[AnyResultT], /) -> AnyResultT:
        """Send a command."""


class Method(Protocol[P, ResultT_co]):
    """A method that makes a command of its arguments, and sends it."""

    @overload
    def __get__(self, client: _SendsAsync, owner: type) -> Callable[P, Awaitable[ResultT_co]]: ...
    @overload
    def __get__(self, client: _Sends, owner: type) -> Callable[P, ResultT_co]: ...


def method(command: Callable[P, c.Command[ResultT]]) -> Method[P, ResultT]:
    """Make a method of a command."""

    def give(self: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
        return self.send(command(*args, **kwargs))

    signature = inspect.signature(command)
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    give.__signature__ = signature.replace(parameters=[own, *signature.parameters.values()])  # type: ignore[attr-defined]
    give.__name__ = command.ACTION  # type: ignore[attr-defined]
    give.__doc__ = inspect.getdoc(command)
    return cast("Method[P, ResultT]", give)


class CommandMethods:
    """A class with a method for each command; what it takes is said there."""

    dial = method(c.Dial)
    answer = method(c.Answer)
    reject = method(c.Reject)
    hangup = method(c.Hangup)
    fork_start = method(c.ForkStart)
    fork_stop = method(c.ForkStop)
    retrieve_call = method(c.RetrieveCall)
    list_active_calls = method(c.ListActiveCalls)
    client_state_update = method(c.ClientStateUpdate)
    bridge = method(c.Bridge)
    transfer = method(c.Transfer)
    refer = method(c.Refer)
    enqueue = method(c.Enqueue)
    leave_queue = method(c.LeaveQueue)
    switch_supervisor_role = method(c.SwitchSupervisorRole)
    playback_start = method(c.PlaybackStart)
    playback_stop = method(c.PlaybackStop)
    speak = method(c.Speak)
    send_dtmf = method(c.SendDtmf)
    send_sip_info = method(c.SendSipInfo)
    gather = method(c.Gather)
    gather_using_audio = method(c.GatherUsingAudio)
    gather_using_speak = method(c.GatherUsingSpeak)
    gather_using_ai = method(c.GatherUsingAi)
    gather_stop = method(c.GatherStop)
    record_start = method(c.RecordStart)
    record_pause = method(c.RecordPause)
    record_resume = method(c.RecordResume)
    record_stop = method(c.RecordStop)
    siprec_start = method(c.SiprecStart)
    siprec_stop = method(c.SiprecStop)
    streaming_start = method(c.StreamingStart)
    streaming_stop = method(c.StreamingStop)
    transcription_start = method(c.TranscriptionStart)
    transcription_stop = method(c.TranscriptionStop)
    suppression_start = method(c.SuppressionStart)
    suppression_stop = method(c.SuppressionStop)
    ai_assistant_start = method(c.AiAssistantStart)
    ai_assistant_stop = method(c.AiAssistantStop)
    ai_assistant_join = method(c.AiAssistantJoin)
    ai_assistant_add_messages = method(c.AiAssistantAddMessages)
    conversation_relay_start = method(c.ConversationRelayStart)
    conversation_relay_stop = method(c.ConversationRelayStop)
