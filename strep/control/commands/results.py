"""Be what the platform answers to a command. Fields that strep does not know are in `raw`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, PrivateAttr

from strep.control.commands.stream_type import StreamType


class Result(BaseModel):
    """An answer. raw: all of it, as it came."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    _raw: Mapping[str, object] = PrivateAttr(default_factory=dict)

    def __init__(self, **data: Any) -> None:
        super().__init__(**data)
        self._raw = dict(data)

    @property
    def raw(self) -> Mapping[str, object]:
        """Give the answer as it came."""
        return self._raw


class CommandResult(Result):
    """The platform's yes; `result` is "ok"."""

    result: str = ""


class ForkStarted(CommandResult):
    """The platform's yes to a fork; stop it with this same `stream_type`."""

    stream_type: StreamType


class RecordingBegun(CommandResult):
    """A yes; recording_id: of the recording, if the command asked for one."""

    recording_id: str | None = None


class ConversationBegun(CommandResult):
    """A yes to a conversation with an AI assistant."""

    conversation_id: str | None = None


class ConversationRelayBegun(CommandResult):
    """A yes to a conversation relay."""

    conversation_relay_id: str | None = None


class ActiveCall(Result):
    """A call as lists have it. call_duration: seconds."""

    call_control_id: str
    call_leg_id: str
    call_session_id: str
    call_duration: int | None = None
    client_state: str | None = None
    record_type: str = "call"


class CallStatus(ActiveCall):
    """A call as the platform knows it. end_time: None while it is alive."""

    is_alive: bool
    start_time: AwareDatetime | None = None
    end_time: AwareDatetime | None = None


class Dialed(CallStatus):
    """A call that begins. recording_id: of its recording, if one was asked for."""

    recording_id: str | None = None


class ActiveCalls(Result):
    """A page of calls. after: the next page begins behind it; None: this is the last one."""

    calls: tuple[ActiveCall, ...]
    after: str | None = None
    total: int | None = None
