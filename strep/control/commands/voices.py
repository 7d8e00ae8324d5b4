"""Be the settings of a voice that reads text out, by who makes it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from strep.control.commands.languages import MinimaxLanguage
from strep.control.commands.part import Part


class AwsVoice(Part):
    """A voice of Amazon Polly."""

    type: Literal["aws"]


class AzureVoice(Part):
    """A voice of Azure. api_key_ref: names the secret that holds your key."""

    type: Literal["azure"]
    api_key_ref: str | None = None
    deployment_id: str | None = None
    effect: Literal["eq_car", "eq_telecomhp8k"] | None = None
    gender: Literal["Male", "Female"] | None = None
    region: str | None = None


class ElevenLabsVoice(Part):
    """A voice of ElevenLabs. api_key_ref: names the secret that holds your key."""

    type: Literal["elevenlabs"]
    api_key_ref: str | None = None


class InworldVoice(Part):
    """A voice of Inworld."""

    type: Literal["inworld"]
    delivery_mode: Literal["STABLE", "BALANCED", "CREATIVE"] | None = None


class MinimaxVoice(Part):
    """A voice of Minimax. vol: how loud, language_boost: which language to speak better."""

    type: Literal["minimax"]
    language_boost: MinimaxLanguage | None = None
    pitch: int = 0
    speed: float = 1.0
    vol: float = 1.0


class ResembleVoice(Part):
    """A voice of Resemble."""

    type: Literal["resemble"]
    format: Literal["wav", "mp3"] = "mp3"
    precision: Literal["PCM_16", "PCM_24", "PCM_32", "MULAW"] = "PCM_32"
    sample_rate: Literal["8000", "16000", "22050", "32000", "44100", "48000"] = "48000"


class RimeVoice(Part):
    """A voice of Rime."""

    type: Literal["rime"]
    voice_speed: float = 1.0


class TelnyxVoice(Part):
    """A voice of the platform's own."""

    type: Literal["telnyx"]
    voice_speed: Annotated[float, Field(ge=0.1, le=2.0)] = 1.0


class XaiVoice(Part):
    """A voice of xAI."""

    type: Literal["xai"]
    language: str = "auto"


#: Of a voice that an assistant speaks with.
AssistantVoice = Annotated[
    ElevenLabsVoice | TelnyxVoice | AwsVoice | AzureVoice | RimeVoice | ResembleVoice | XaiVoice,
    Field(discriminator="type"),
]
#: Of a voice that reads text out.
Voice = Annotated[
    ElevenLabsVoice
    | TelnyxVoice
    | AwsVoice
    | MinimaxVoice
    | AzureVoice
    | RimeVoice
    | ResembleVoice
    | InworldVoice
    | XaiVoice,
    Field(discriminator="type"),
]
