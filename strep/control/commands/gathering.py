"""Gather what a caller presses, or says to an AI assistant."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from strep.control.commands.assistants import AssistantTranscription, GatheringAssistant, Interruptions
from strep.control.commands.command import FullCallCommand, command
from strep.control.commands.kinds import about
from strep.control.commands.languages import GoogleLanguage
from strep.control.commands.messages import PlainMessage
from strep.control.commands.results import CommandResult, ConversationBegun
from strep.control.commands.speaking import Spoken
from strep.control.commands.voices import AssistantVoice
from strep.errors import ConfigError

Millis = Annotated[int, Field(ge=0)]


@command
class Digits:
    """What says which digits, how many of them, and how long to wait."""

    minimum_digits: Annotated[int, about("Fewest digits.", ge=1, le=128)] = 1
    maximum_digits: Annotated[int, about("Most digits.", ge=1, le=128)] = 128
    valid_digits: Annotated[str, about("Digits that count.", pattern=r"^[0-9A-D#*]*$")] = "0123456789#*"
    terminating_digit: Annotated[str, about("Digit that ends the input early.", pattern=r"^[0-9A-D#*]?$")] = "#"
    inter_digit_timeout_millis: Annotated[Millis, about("Longest wait between two digits.")] = 5000
    timeout_millis: Annotated[Millis, about("Longest wait in all, or after the prompt.")] = 60000

    def check_digits(self) -> None:
        """Check the fewest digits against the most. Raises ConfigError."""
        if self.minimum_digits > self.maximum_digits:
            raise ConfigError(
                f"minimum_digits: expected at most maximum_digits, {self.maximum_digits}, found {self.minimum_digits}"
            )


@command
class Gather(FullCallCommand[CommandResult], Digits):
    """Gather digits."""

    ACTION: ClassVar[str] = "gather"

    gather_id: Annotated[str | None, about("Comes back in call.gather.ended.", min_length=1, max_length=40)] = None
    initial_timeout_millis: Annotated[Millis, about("Longest wait for the first digit.")] = 5000

    def complete(self) -> None:
        """Check the fewest digits against the most."""
        super().complete()
        self.check_digits()


@command
class GatherUsingAudio(FullCallCommand[CommandResult], Digits):
    """Play a file, and gather digits."""

    ACTION: ClassVar[str] = "gather_using_audio"

    audio_url: Annotated[str | None, about("File to play: its URL.")] = None
    media_name: Annotated[str | None, about("File to play: its name on the platform.")] = None
    invalid_audio_url: Annotated[str | None, about("File to play after a wrong input: its URL.")] = None
    invalid_media_name: Annotated[str | None, about("File to play after a wrong input: its name.")] = None
    maximum_tries: Annotated[int, about("Times to play it while nothing comes.", ge=1)] = 3

    def complete(self) -> None:
        """Check the fewest digits against the most, and that no file is named twice."""
        super().complete()
        self.check_digits()
        for url, name in (("audio_url", "media_name"), ("invalid_audio_url", "invalid_media_name")):
            if getattr(self, url) and getattr(self, name):
                raise ConfigError(f"{url}: expected either it or {name}, found both")


@command
class GatherUsingSpeak(FullCallCommand[CommandResult], Digits, Spoken):
    """Read a text out, and gather digits."""

    ACTION: ClassVar[str] = "gather_using_speak"

    invalid_payload: Annotated[str | None, about("Text for a wrong input.", max_length=3000)] = None
    maximum_tries: Annotated[int, about("Times to read it while nothing comes.", ge=1)] = 3

    def complete(self) -> None:
        """Check the fewest digits against the most."""
        super().complete()
        self.check_digits()


@command
class GatherUsingAi(FullCallCommand[ConversationBegun]):
    """Have an AI assistant ask for what a JSON schema describes."""

    ACTION: ClassVar[str] = "gather_using_ai"
    RESULT: ClassVar[type[Any]] = ConversationBegun

    parameters: Annotated[dict[str, Any], about("What to ask for, as a JSON schema.")]
    assistant: Annotated[GatheringAssistant | None, about("Model, instructions and tools.")] = None
    greeting: Annotated[str | None, about("What it says first.", max_length=3000)] = None
    gather_ended_speech: Annotated[str | None, about("What it says last.", max_length=3000)] = None
    language: Annotated[GoogleLanguage, about("Language that is spoken.")] = "en"
    voice: Annotated[str, about("Voice: Provider.Model.Voice.")] = "Telnyx.KokoroTTS.af"
    voice_settings: Annotated[AssistantVoice | None, about("Settings of that voice.")] = None
    transcription: Annotated[AssistantTranscription | None, about("How it understands speech.")] = None
    interruption_settings: Annotated[Interruptions | None, about("Whether it can be interrupted.")] = None
    message_history: Annotated[list[PlainMessage] | None, about("What was said before.")] = None
    send_message_history_updates: Annotated[bool | None, about("Have a webhook after each message.")] = None
    send_partial_results: Annotated[bool | None, about("Have a webhook after each answer.")] = None
    user_response_timeout_ms: Annotated[Millis, about("Longest wait for the caller.")] = 10000


@command
class GatherStop(FullCallCommand[CommandResult]):
    """End the gathering of digits."""

    ACTION: ClassVar[str] = "gather_stop"
