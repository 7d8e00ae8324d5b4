"""Give every command of the call platform as a value: `COMMANDS` has them by name.

    answer = Answer("v3:...", webhook_url="https://...")
    client.send(answer)  # or client.answer("v3:...", webhook_url="https://...")

Parameters have their documented names, ranges and defaults; a wrong one raises ConfigError, naming it, before anything
is sent. One that strep does not know goes into `extra`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from strep.control.commands.calling import Answer, Dial, Hangup, Reject
from strep.control.commands.command import CallCommand, Command, Request, fields_of, wire_name
from strep.control.commands.connecting import Bridge, Enqueue, LeaveQueue, Refer, SwitchSupervisorRole, Transfer
from strep.control.commands.conversing import (
    AiAssistantAddMessages,
    AiAssistantJoin,
    AiAssistantStart,
    AiAssistantStop,
    ConversationRelayStart,
    ConversationRelayStop,
)
from strep.control.commands.forking import ForkStart, ForkStop
from strep.control.commands.gathering import Gather, GatherStop, GatherUsingAi, GatherUsingAudio, GatherUsingSpeak
from strep.control.commands.playing import (
    PlaybackStart,
    PlaybackStop,
    SendDtmf,
    SendSipInfo,
    SuppressionStart,
    SuppressionStop,
)
from strep.control.commands.recording import (
    RecordPause,
    RecordResume,
    RecordStart,
    RecordStop,
    SiprecStart,
    SiprecStop,
    StreamingStart,
    StreamingStop,
    TranscriptionStart,
    TranscriptionStop,
)
from strep.control.commands.results import (
    ActiveCall,
    ActiveCalls,
    CallStatus,
    CommandResult,
    ConversationBegun,
    ConversationRelayBegun,
    Dialed,
    ForkStarted,
    RecordingBegun,
    Result,
)
from strep.control.commands.retrieving import ClientStateUpdate, ListActiveCalls, RetrieveCall
from strep.control.commands.speaking import Speak
from strep.control.commands.stream_type import StreamType

#: In the order of a call's life.
COMMANDS: Mapping[str, type[Command[Any]]] = MappingProxyType(
    {
        made.ACTION: made
        for made in (
            Dial,
            Answer,
            Reject,
            Hangup,
            ForkStart,
            ForkStop,
            RetrieveCall,
            ListActiveCalls,
            ClientStateUpdate,
            Bridge,
            Transfer,
            Refer,
            Enqueue,
            LeaveQueue,
            SwitchSupervisorRole,
            PlaybackStart,
            PlaybackStop,
            Speak,
            SendDtmf,
            SendSipInfo,
            Gather,
            GatherUsingAudio,
            GatherUsingSpeak,
            GatherUsingAi,
            GatherStop,
            RecordStart,
            RecordPause,
            RecordResume,
            RecordStop,
            SiprecStart,
            SiprecStop,
            StreamingStart,
            StreamingStop,
            TranscriptionStart,
            TranscriptionStop,
            SuppressionStart,
            SuppressionStop,
            AiAssistantStart,
            AiAssistantStop,
            AiAssistantJoin,
            AiAssistantAddMessages,
            ConversationRelayStart,
            ConversationRelayStop,
        )
    }
)

__all__ = [
    "COMMANDS",
    "ActiveCall",
    "ActiveCalls",
    "AiAssistantAddMessages",
    "AiAssistantJoin",
    "AiAssistantStart",
    "AiAssistantStop",
    "Answer",
    "Bridge",
    "CallCommand",
    "CallStatus",
    "ClientStateUpdate",
    "Command",
    "CommandResult",
    "ConversationBegun",
    "ConversationRelayBegun",
    "ConversationRelayStart",
    "ConversationRelayStop",
    "Dial",
    "Dialed",
    "Enqueue",
    "ForkStart",
    "ForkStarted",
    "ForkStop",
    "Gather",
    "GatherStop",
    "GatherUsingAi",
    "GatherUsingAudio",
    "GatherUsingSpeak",
    "Hangup",
    "LeaveQueue",
    "ListActiveCalls",
    "PlaybackStart",
    "PlaybackStop",
    "RecordPause",
    "RecordResume",
    "RecordStart",
    "RecordStop",
    "RecordingBegun",
    "Refer",
    "Reject",
    "Request",
    "Result",
    "RetrieveCall",
    "SendDtmf",
    "SendSipInfo",
    "SiprecStart",
    "SiprecStop",
    "Speak",
    "StreamType",
    "StreamingStart",
    "StreamingStop",
    "SuppressionStart",
    "SuppressionStop",
    "SwitchSupervisorRole",
    "TranscriptionStart",
    "TranscriptionStop",
    "Transfer",
    "fields_of",
    "wire_name",
]
