"""Begin and end calls: dial, answer, reject, hang up."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from strep.control.commands.assistants import CallAssistant
from strep.control.commands.command import Command, FullCallCommand, HasClientState, HasCommandId, command
from strep.control.commands.groups import (
    Answering,
    NewLeg,
    RecordsFromAnswer,
    SipHeaders,
    Streams,
    StreamsFully,
    Transcribes,
    Webhooks,
)
from strep.control.commands.headers import CustomSipHeader, SoundModifications
from strep.control.commands.kinds import NonEmpty, Supervisor, Uuid, about
from strep.control.commands.part import Part
from strep.control.commands.relays import EmbeddedRelay
from strep.control.commands.results import CommandResult, Dialed, RecordingBegun
from strep.errors import ConfigError


class Conference(Part):
    """A conference that the call joins when it is answered: an `id`, or a new one with a `conference_name`."""

    id: Uuid | None = None
    conference_name: str | None = None
    beep_enabled: Literal["always", "never", "on_enter", "on_exit"] | None = None
    early_media: bool = True
    end_conference_on_exit: bool | None = None
    soft_end_conference_on_exit: bool | None = None
    hold: bool | None = None
    hold_audio_url: str | None = None
    hold_media_name: str | None = None
    mute: bool | None = None
    start_conference_on_create: bool | None = None
    start_conference_on_enter: bool | None = None
    supervisor_role: Literal["barge", "monitor", "none", "whisper"] | None = None
    whisper_call_control_ids: list[str] | None = None


@command
class Dial(
    HasCommandId,
    HasClientState,
    NewLeg,
    Answering,
    SipHeaders,
    RecordsFromAnswer,
    StreamsFully,
    Transcribes,
    Webhooks,
    Command[Dialed],
):
    """Call somebody.

    bridge_intent, bridge_on_answer and park_after_unbridge need link_to.
    """

    ACTION: ClassVar[str] = "dial"
    RESULT: ClassVar[type[Any]] = Dialed

    to: Annotated[
        NonEmpty | Annotated[list[NonEmpty], Field(min_length=1)],
        about("Whom to call: a number or a SIP URI, or several."),
    ]
    from_: Annotated[NonEmpty, about("Number that the callee sees, as +13125550100.")]
    connection_id: Annotated[NonEmpty, about("Application of yours on the platform that calls.")]
    link_to: Annotated[str | None, about("Another call, by its call_control_id, to share the session with.")] = None
    bridge_intent: Annotated[bool, about("Means to bridge with link_to; its caller's number is shown.")] = False
    bridge_on_answer: Annotated[bool, about("Bridge with link_to on the answer.")] = False
    prevent_double_bridge: Annotated[bool, about("Do not bridge with a call that is bridged already.")] = False
    retry_on_timeout: Annotated[bool, about("Try other ways to the same callee after timeout_secs.")] = True
    supervise_call_control_id: Annotated[str | None, about("Call that the new one supervises.")] = None
    supervisor_role: Annotated[Supervisor, about("Whom the supervisor speaks to.")] = "barge"
    conference_config: Annotated[Conference | None, about("Conference that the call joins.")] = None
    assistant: Annotated[CallAssistant | None, about("AI assistant that takes part in the call.")] = None
    conversation_relay_config: Annotated[EmbeddedRelay | None, about("WebSocket that talks to the callee.")] = None
    stream_establish_before_call_originate: Annotated[bool, about("Open the stream before dialing.")] = False

    @property
    def path(self) -> str:
        """Give the request's path."""
        return "/calls"

    def complete(self) -> None:
        """Make up a command_id where none was given, and check what needs link_to."""
        super().complete()
        needing = [name for name in ("bridge_intent", "bridge_on_answer", "park_after_unbridge") if getattr(self, name)]
        if needing and not self.link_to:
            raise ConfigError(f"link_to: expected another call's call_control_id beside {needing[0]}, found none")


@command
class Answer(FullCallCommand[RecordingBegun], Answering, SipHeaders, RecordsFromAnswer, Streams, Transcribes, Webhooks):
    """Answer an incoming call."""

    ACTION: ClassVar[str] = "answer"
    RESULT: ClassVar[type[Any]] = RecordingBegun

    preferred_codecs: Annotated[str | None, about("Codecs by preference, with commas: G722,PCMU,...")] = None
    assistant: Annotated[CallAssistant | None, about("AI assistant that takes part in the call.")] = None
    conversation_relay_config: Annotated[EmbeddedRelay | None, about("WebSocket that talks to the caller.")] = None
    sound_modifications: Annotated[SoundModifications | None, about("Change the voice's pitch.")] = None


@command
class Reject(FullCallCommand[CommandResult]):
    """Turn an incoming call away."""

    ACTION: ClassVar[str] = "reject"

    cause: Annotated[Literal["CALL_REJECTED", "USER_BUSY"], about("What the caller is told.")]


@command
class Hangup(FullCallCommand[CommandResult]):
    """End a call."""

    ACTION: ClassVar[str] = "hangup"

    custom_headers: Annotated[list[CustomSipHeader] | None, about("SIP headers for the BYE.")] = None
