"""Play files and digits in a call, and clean its sound."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from strep.control.commands.command import FullCallCommand, command
from strep.control.commands.kinds import Direction, Loop, NonEmpty, about
from strep.control.commands.part import Part
from strep.control.commands.results import CommandResult


@command
class PlaybackStart(FullCallCommand[CommandResult]):
    """Play a file: `audio_url`, `media_name` or `playback_content`."""

    ACTION: ClassVar[str] = "playback_start"

    audio_url: Annotated[str | None, about("The file's URL.")] = None
    media_name: Annotated[str | None, about("Its name on the platform.")] = None
    playback_content: Annotated[str | None, about("The file itself, in Base64.")] = None
    audio_type: Annotated[Literal["mp3", "wav"], about("Its format.")] = "mp3"
    loop: Annotated[Loop, about("Times to play it: 1 to 100, or infinity.")] = 1
    overlay: Annotated[bool, about("Mix it with what is being played.")] = False
    stop: Annotated[str | None, about("What to stop first: current or all.")] = None
    target_legs: Annotated[str, about("Who hears it: self, opposite or both.", pattern=r"^(self|opposite|both)$")] = (
        "self"
    )
    cache_audio: Annotated[bool, about("Keep the file for the next time.")] = True

    def complete(self) -> None:
        """Check that there is one file."""
        super().complete()
        self.needs_one_of("audio_url", "media_name", "playback_content")


@command
class PlaybackStop(FullCallCommand[CommandResult]):
    """Stop what is being played."""

    ACTION: ClassVar[str] = "playback_stop"

    stop: Annotated[str, about("current: this file; all: those that wait, too.")] = "all"
    overlay: Annotated[bool, about("Stop what is mixed in.")] = False


@command
class SendDtmf(FullCallCommand[CommandResult]):
    """Press digits."""

    ACTION: ClassVar[str] = "send_dtmf"

    digits: Annotated[str, about("0-9, A-D, *, #; w, W: wait 0.5 s, 1 s.", pattern=r"^[0-9A-DwW*#]+$")]
    duration_millis: Annotated[int, about("How long each is pressed.", ge=100, le=500)] = 250


@command
class SendSipInfo(FullCallCommand[CommandResult]):
    """Send a SIP INFO message."""

    ACTION: ClassVar[str] = "send_sip_info"

    content_type: Annotated[NonEmpty, about("MIME type of the body.")]
    body_: Annotated[NonEmpty, about("The body; 1,400 bytes at most.", max_length=1400)]


class SuppressionSettings(Part):
    """What tunes the suppression of noise; each engine knows some of these."""

    attenuation_limit: Annotated[int, Field(ge=0, le=100)] = 100
    enhancement_level: Annotated[float, Field(ge=0, le=1)] | None = None
    suppression_level: Annotated[float, Field(ge=0, le=100)] | None = None
    voice_gain: Annotated[float, Field(ge=0.1, le=4)] | None = None
    mode: Literal["standard", "advanced"] | None = None
    model: (
        Literal["krisp-viva-tel-v2.kef", "krisp-viva-tel-lite-v1.kef", "krisp-viva-pro-v1.kef", "krisp-viva-ss-v1.kef"]
        | None
    ) = None
    family: Literal["sparrow", "quail"] | None = None
    size: Literal["s", "l", "xs", "xxs", "vf_l", "vf_1_1_l"] | None = None


@command
class SuppressionStart(FullCallCommand[CommandResult]):
    """Take noise out of a call's sound."""

    ACTION: ClassVar[str] = "suppression_start"

    direction: Annotated[Direction, about("Whose sound.")] = "inbound"
    noise_suppression_engine: Annotated[
        Literal[
            "Denoiser",
            "DeepFilterNet",
            "Krisp",
            "AiCoustics",
            "aic_l_quail",
            "aic_l_rook",
            "aic_s_quail",
            "aic_s_rook",
            "quail_voice_focus_s",
            "quail_voice_focus_xs",
        ],
        about("By what."),
    ] = "Denoiser"
    noise_suppression_engine_config: Annotated[SuppressionSettings | None, about("How.")] = None


@command
class SuppressionStop(FullCallCommand[CommandResult]):
    """Leave the call's sound as it is again."""

    ACTION: ClassVar[str] = "suppression_stop"
