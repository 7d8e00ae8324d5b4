"""Have text read out in a call."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from strep.control.commands.command import FullCallCommand, command
from strep.control.commands.kinds import Loop, NonEmpty, Side, about
from strep.control.commands.languages import SpokenLanguage
from strep.control.commands.results import CommandResult
from strep.control.commands.voices import Voice


@command
class Spoken:
    """What says which text is read out, and how."""

    payload: Annotated[NonEmpty, about("The text, or SSML.", max_length=3000)]
    voice: Annotated[NonEmpty, about("Voice: Provider.Model.Voice, such as AWS.Polly.Joanna.")]
    payload_type: Annotated[Literal["text", "ssml"], about("What the payload is.")] = "text"
    service_level: Annotated[Literal["basic", "premium"], about("basic: text in en-US only.")] = "premium"
    language: Annotated[SpokenLanguage | None, about("Language, where the voice does not say it.")] = None
    voice_settings: Annotated[Voice | None, about("Settings of that voice.")] = None


@command
class Speak(FullCallCommand[CommandResult], Spoken):
    """Read a text out."""

    ACTION: ClassVar[str] = "speak"

    loop: Annotated[Loop | None, about("Times to read it: 1 to 100, or infinity.")] = None
    stop: Annotated[str | None, about("What to stop first: current or all.")] = None
    target_legs: Annotated[Side, about("Who hears it.")] = "self"
