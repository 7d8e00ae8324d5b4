"""Have an AI assistant, or a program of yours, talk in a call."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from strep.control.commands.assistants import AssistantTranscription, CallAssistant, Interruptions, Participant
from strep.control.commands.command import FullCallCommand, command
from strep.control.commands.kinds import NonEmpty, WebSocketUrl, about
from strep.control.commands.messages import Message
from strep.control.commands.relays import (
    Interruptible,
    RelayAssistant,
    RelayEngine,
    RelayInterruptions,
    RelayLanguage,
    RelaySettings,
)
from strep.control.commands.results import CommandResult, ConversationBegun, ConversationRelayBegun
from strep.control.commands.voices import AssistantVoice, Voice
from strep.errors import ConfigError


@command
class AiAssistantStart(FullCallCommand[ConversationBegun]):
    """Have an AI assistant talk."""

    ACTION: ClassVar[str] = "ai_assistant_start"
    RESULT: ClassVar[type[Any]] = ConversationBegun

    assistant: Annotated[CallAssistant | None, about("Which assistant.")] = None
    greeting: Annotated[str | None, about("What it says first.", max_length=3000)] = None
    voice: Annotated[str, about("Voice: Provider.Model.Voice.")] = "Telnyx.KokoroTTS.af"
    voice_settings: Annotated[AssistantVoice | None, about("Settings of that voice.")] = None
    transcription: Annotated[AssistantTranscription | None, about("How it understands speech.")] = None
    interruption_settings: Annotated[Interruptions | None, about("Whether it can be interrupted.")] = None
    message_history: Annotated[list[Message] | None, about("What was said before.")] = None
    participants: Annotated[list[Participant] | None, about("Who takes part besides.")] = None
    send_message_history_updates: Annotated[bool, about("Have a webhook after each message.")] = False


@command
class AiAssistantStop(FullCallCommand[CommandResult]):
    """Have the AI assistant talk no more."""

    ACTION: ClassVar[str] = "ai_assistant_stop"


@command
class AiAssistantJoin(FullCallCommand[ConversationBegun]):
    """Take part in a conversation with an AI assistant."""

    ACTION: ClassVar[str] = "ai_assistant_join"
    RESULT: ClassVar[type[Any]] = ConversationBegun

    conversation_id: Annotated[NonEmpty, about("Which conversation.")]
    participant: Annotated[Participant, about("Who takes part.")]


@command
class AiAssistantAddMessages(FullCallCommand[CommandResult]):
    """Add messages to a conversation with an AI assistant."""

    ACTION: ClassVar[str] = "ai_assistant_add_messages"

    messages: Annotated[list[Message] | None, about("The messages.")] = None


@command
class ConversationRelayStart(FullCallCommand[ConversationRelayBegun]):
    """Have a program of yours, behind a WebSocket, talk in text.

    url: where it is; conversation_relay_url and conversation_relay_settings say the same in other ways. One of them is
    needed.
    """

    ACTION: ClassVar[str] = "conversation_relay_start"
    RESULT: ClassVar[type[Any]] = ConversationRelayBegun

    url: Annotated[WebSocketUrl | None, about("Your WebSocket: ws:// or wss://.")] = None
    conversation_relay_url: Annotated[WebSocketUrl | None, about("The same; url goes before it.")] = None
    conversation_relay_settings: Annotated[RelaySettings | None, about("The same, and more, as one.")] = None
    greeting: Annotated[str | None, about("What is said first.")] = None
    language: Annotated[str, about("Language that is spoken and understood.")] = "en"
    languages: Annotated[list[RelayLanguage] | None, about("More about each language.")] = None
    voice: Annotated[str, about("Voice: Provider.Model.Voice.")] = "Telnyx.KokoroTTS.af"
    voice_settings: Annotated[Voice | None, about("Settings of that voice.")] = None
    tts_provider: Annotated[str | None, about("Who makes the voice; by default as the voice says.")] = None
    provider: Annotated[str | None, about("The same, with structured_provider.")] = None
    structured_provider: Annotated[dict[str, Any] | None, about("Settings of that provider.")] = None
    transcription_engine: Annotated[RelayEngine, about("By what speech is understood.")] = "Google"
    transcription_engine_config: Annotated[dict[str, Any] | None, about("How it is understood.")] = None
    transcription: Annotated[dict[str, Any] | None, about("Deprecated: see transcription_engine.")] = None
    interruptible: Annotated[Interruptible, about("By what the caller may interrupt.")] = "any"
    interruptible_greeting: Annotated[Interruptible, about("By what the greeting may be interrupted.")] = "any"
    interruption_settings: Annotated[RelayInterruptions | None, about("More about interruptions.")] = None
    dtmf_detection: Annotated[bool, about("Tell your program of digits.")] = False
    conversation_relay_dtmf_detection: Annotated[bool, about("The same; dtmf_detection goes before it.")] = False
    custom_parameters: Annotated[dict[str, Any] | None, about("What your program is told of the call.")] = None
    assistant: Annotated[RelayAssistant | None, about("The same, as dynamic_variables.")] = None

    def complete(self) -> None:
        """Check that it is said where the program is."""
        super().complete()
        if not (self.url or self.conversation_relay_url or self.conversation_relay_settings):
            raise ConfigError("url: expected the URL of a WebSocket, found none")


@command
class ConversationRelayStop(FullCallCommand[CommandResult]):
    """End what conversation_relay_start began."""

    ACTION: ClassVar[str] = "conversation_relay_stop"
