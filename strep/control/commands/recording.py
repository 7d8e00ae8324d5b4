"""Have the platform record a call, stream it, or write it down."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from strep.control.commands.command import CallCommand, FullCallCommand, HasClientState, command
from strep.control.commands.groups import StreamsFully
from strep.control.commands.kinds import Direction, Track, Uuid, about
from strep.control.commands.languages import TranscriptionLanguage
from strep.control.commands.part import Part
from strep.control.commands.results import CommandResult
from strep.control.commands.transcribers import Transcription, TranscriptionEngine


@command
class RecordStart(FullCallCommand[CommandResult]):
    """Have the platform record the call."""

    ACTION: ClassVar[str] = "record_start"

    format: Annotated[Literal["wav", "mp3"], about("Format of the recording.")]
    channels: Annotated[Literal["single", "dual"], about("Mono, or a channel a party.")]
    recording_track: Annotated[Direction, about("Whom to record.")] = "both"
    max_length: Annotated[int, about("Longest recording, seconds; 0: no limit.", ge=0, le=14400)] = 0
    timeout_secs: Annotated[int, about("Silence that ends the recording, seconds; 0: never.", ge=0)] = 0
    trim: Annotated[Literal["trim-silence"] | None, about("Cut silence off at both ends.")] = None
    play_beep: Annotated[bool | None, about("Beep when it begins.")] = None
    custom_file_name: Annotated[
        str | None, about("Name of the file, in place of the call_leg_id.", min_length=1, max_length=40)
    ] = None
    transcription: Annotated[bool, about("Write it down afterwards.")] = False
    transcription_engine: Annotated[
        Literal["A", "B", "deepgram/nova-3"], about("A: Google's; B: the platform's own.")
    ] = "A"
    transcription_language: Annotated[TranscriptionLanguage, about("Language that is spoken.")] = "en-US"
    transcription_speaker_diarization: Annotated[bool, about("Tell the speakers apart.")] = False
    transcription_min_speaker_count: Annotated[int, about("Fewest speakers.", ge=1)] = 2
    transcription_max_speaker_count: Annotated[int, about("Most speakers.", ge=1)] = 6
    transcription_profanity_filter: Annotated[bool, about("Leave bad words out.")] = False


@command
class OneRecording:
    """What says which recording is meant, where there are several."""

    recording_id: Annotated[Uuid | None, about("Which recording, where there are several.")] = None


@command
class RecordPause(FullCallCommand[CommandResult], OneRecording):
    """Pause a recording."""

    ACTION: ClassVar[str] = "record_pause"


@command
class RecordResume(FullCallCommand[CommandResult], OneRecording):
    """Go on with a recording."""

    ACTION: ClassVar[str] = "record_resume"


@command
class RecordStop(FullCallCommand[CommandResult], OneRecording):
    """End a recording."""

    ACTION: ClassVar[str] = "record_stop"


@command
class SiprecStart(CallCommand[CommandResult], HasClientState):
    """Have the platform send the call to a recorder by SIPREC.

    It takes no command_id, so it is not sent again when no answer comes.
    """

    ACTION: ClassVar[str] = "siprec_start"

    connector_name: Annotated[str | None, about("Connector of yours on the platform.")] = None
    siprec_track: Annotated[Track, about("Whose audio.")] = "both_tracks"
    sip_transport: Annotated[Literal["udp", "tcp", "tls"], about("Transport of the SIP messages.")] = "udp"
    secure: Annotated[bool | None, about("Encrypt media and signalling.")] = None
    session_timeout_secs: Annotated[int, about("Session-Expires, seconds: from 90, or 0: none.", ge=0)] = 1800
    include_metadata_custom_headers: Annotated[
        bool | None, about("Send what you add as metadata, rather than SIP headers.")
    ] = None


@command
class SiprecStop(FullCallCommand[CommandResult]):
    """End what siprec_start began."""

    ACTION: ClassVar[str] = "siprec_stop"


class StreamParameter(Part):
    """Something that your WebSocket is told."""

    name: str | None = None
    value: str | None = None


@command
class StreamingStart(FullCallCommand[CommandResult], StreamsFully):
    """Stream the call's audio to a WebSocket."""

    ACTION: ClassVar[str] = "streaming_start"

    custom_parameters: Annotated[list[StreamParameter] | None, about("What the WebSocket is told.")] = None


@command
class StreamingStop(FullCallCommand[CommandResult]):
    """End a stream, or all of a call's."""

    ACTION: ClassVar[str] = "streaming_stop"

    stream_id: Annotated[Uuid | None, about("Which stream; all of them when not given.")] = None


@command
class TranscriptionStart(FullCallCommand[CommandResult]):
    """Write down what is said."""

    ACTION: ClassVar[str] = "transcription_start"

    transcription_engine: Annotated[TranscriptionEngine, about("By what.")] = "Google"
    transcription_engine_config: Annotated[Transcription | None, about("How.")] = None
    transcription_tracks: Annotated[str, about("Whom: inbound, outbound or both.")] = "inbound"


@command
class TranscriptionStop(FullCallCommand[CommandResult]):
    """Write down no more."""

    ACTION: ClassVar[str] = "transcription_stop"
