"""Be the settings of a conversation relay: a WebSocket of yours that hears and speaks in text."""

from __future__ import annotations

from typing import Any, Literal

from strep.control.commands.kinds import WebSocketUrl
from strep.control.commands.part import Part
from strep.control.commands.voices import Voice

#: By what the caller may interrupt.
Interruptible = Literal["none", "any", "speech", "dtmf"]
RelayEngine = Literal["Google", "Telnyx", "Deepgram", "Azure", "xAI", "AssemblyAI", "Speechmatics", "Soniox", "A", "B"]


class RelayLanguage(Part):
    """A relay language that says how one language is spoken and understood."""

    language: str
    voice: str | None = None
    voice_settings: Voice | None = None
    tts_provider: str | None = None
    transcription_engine: RelayEngine = "Google"
    transcription_engine_config: dict[str, Any] | None = None
    transcription_provider: str | None = None
    speech_model: str | None = None


class RelayInterruptions(Part):
    """What says by what the caller may interrupt."""

    enable: bool | None = None
    interruptible: Interruptible = "any"
    interruptible_greeting: Interruptible = "any"
    welcome_greeting_interruptible: Interruptible = "any"


class RelayAssistant(Part):
    """A relay assistant that carries what your WebSocket shall know of the call."""

    dynamic_variables: dict[str, str] | None = None


class RelaySettings(Part):
    """What says where your WebSocket is, and how the call is heard."""

    url: WebSocketUrl
    dtmf_detection: bool = False
    interruptible: Interruptible = "any"
    interruptible_greeting: Interruptible = "any"
    languages: list[RelayLanguage] | None = None


class EmbeddedRelay(RelaySettings):
    """A relay that begins as soon as the call is answered."""

    greeting: str | None = None
    custom_parameters: dict[str, Any] | None = None
    interruption_settings: RelayInterruptions | None = None
    language: str = "en"
    provider: str | None = None
    structured_provider: dict[str, Any] | None = None
    transcription_engine: RelayEngine = "Google"
    transcription_engine_config: dict[str, Any] | None = None
    tts_provider: str | None = None
    voice: str = "Telnyx.KokoroTTS.af"
    voice_settings: Voice | None = None
