"""Be the settings of the engines that write down what is said in a call."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from strep.control.commands.languages import (
    AzureLanguage,
    DeepgramNova2Language,
    DeepgramNova3Language,
    GoogleLanguage,
    SpeechmaticsLanguage,
    TelnyxLanguage,
    XaiLanguage,
)
from strep.control.commands.part import Part


class SpeechContext(Part):
    """Phrases that are made likelier to be understood."""

    phrases: list[str] | None = None
    boost: Annotated[float, Field(ge=0, le=20)] = 1.0


class _Google(Part):
    language: GoogleLanguage = "en"
    interim_results: bool = False
    enable_speaker_diarization: bool = False
    min_speaker_count: int = 2
    max_speaker_count: int = 6
    profanity_filter: bool = False
    use_enhanced: bool = False
    model: (
        Literal[
            "latest_long",
            "latest_short",
            "command_and_search",
            "phone_call",
            "video",
            "default",
            "medical_conversation",
            "medical_dictation",
        ]
        | None
    ) = None
    hints: list[str] | None = None
    speech_context: list[SpeechContext] | None = None


class GoogleTranscription(_Google):
    """Google's engine."""

    transcription_engine: Literal["Google"]


class TranscriptionA(_Google):
    """Google's engine under its older name."""

    transcription_engine: Literal["A"]


class _Telnyx(Part):
    language: TelnyxLanguage = "en"
    transcription_model: Literal["openai/whisper-tiny", "openai/whisper-large-v3-turbo"] = "openai/whisper-tiny"


class TelnyxTranscription(_Telnyx):
    """The platform's own engine."""

    transcription_engine: Literal["Telnyx"]


class TranscriptionB(_Telnyx):
    """The platform's own engine under its older name."""

    transcription_engine: Literal["B"]


class _Deepgram(Part):
    transcription_engine: Literal["Deepgram"]
    interim_results: bool = False
    smart_format: bool = True
    utterance_end_ms: Annotated[int, Field(ge=0, le=5000)] = 1000
    keywords_boosting: dict[str, float] | None = None


class DeepgramNova2Transcription(_Deepgram):
    """Deepgram's engine Nova 2."""

    transcription_model: Literal["deepgram/nova-2"]
    language: DeepgramNova2Language = "en"
    hints: Annotated[list[str], Field(max_length=100)] | None = None


class DeepgramNova3Transcription(_Deepgram):
    """Deepgram's engine Nova 3."""

    transcription_model: Literal["deepgram/nova-3"]
    language: DeepgramNova3Language = "en"
    keyterms: Annotated[list[str], Field(max_length=100)] | None = None


class AzureTranscription(Part):
    """Azure's engine. api_key_ref: names the secret that holds your key."""

    transcription_engine: Literal["Azure"]
    region: Literal["australiaeast", "centralindia", "eastus", "northcentralus", "westeurope", "westus2"]
    api_key_ref: str | None = None
    language: AzureLanguage = "en"


class XaiTranscription(Part):
    """XAI's engine."""

    transcription_engine: Literal["xAI"]
    transcription_model: Literal["xai/grok-stt"] = "xai/grok-stt"
    language: XaiLanguage = "en"
    interim_results: bool = False


class AssemblyAiTranscription(Part):
    """AssemblyAI's engine."""

    transcription_engine: Literal["AssemblyAI"]
    transcription_model: Literal["assemblyai/universal-streaming"] = "assemblyai/universal-streaming"
    interim_results: bool = False


class SpeechmaticsTranscription(Part):
    """Speechmatics' engine."""

    transcription_engine: Literal["Speechmatics"]
    transcription_model: Literal["speechmatics/standard"] = "speechmatics/standard"
    language: SpeechmaticsLanguage = "en"
    interim_results: bool = False


class SonioxTranscription(Part):
    """Soniox's engine."""

    transcription_engine: Literal["Soniox"]
    transcription_model: Literal["soniox/stt-rt-v4"] = "soniox/stt-rt-v4"
    language: str = "auto"
    interim_results: bool = False
    enable_endpoint_detection: bool = False
    max_endpoint_delay_ms: Annotated[int, Field(ge=500, le=3000)] | None = None


class ParakeetTranscription(Part):
    """Nvidia's engine Parakeet."""

    transcription_engine: Literal["Parakeet"]
    transcription_model: Literal["nvidia/parakeet-v3"] = "nvidia/parakeet-v3"
    interim_results: bool = False


Transcription = Annotated[
    GoogleTranscription
    | TelnyxTranscription
    | Annotated[DeepgramNova2Transcription | DeepgramNova3Transcription, Field(discriminator="transcription_model")]
    | AzureTranscription
    | XaiTranscription
    | AssemblyAiTranscription
    | SpeechmaticsTranscription
    | SonioxTranscription
    | ParakeetTranscription
    | TranscriptionA
    | TranscriptionB,
    Field(discriminator="transcription_engine"),
]

TranscriptionEngine = Literal[
    "Google",
    "Telnyx",
    "Deepgram",
    "Azure",
    "xAI",
    "AssemblyAI",
    "Speechmatics",
    "Soniox",
    "Parakeet",
    "A",
    "B",
]


class TranscriptionSettings(Part):
    """What says how the platform writes down what is said, where another command starts that."""

    transcription_engine: TranscriptionEngine = "Google"
    transcription_engine_config: Transcription | None = None
    transcription_tracks: str = "inbound"
    client_state: str | None = None
    command_id: str | None = None
