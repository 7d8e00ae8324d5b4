"""Be the parameters that several commands have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from strep.control.commands.command import command
from strep.control.commands.headers import CustomSipHeader, SipHeader, SoundModifications
from strep.control.commands.kinds import Direction, Method, Side, Track, Uuid, about, secret
from strep.control.commands.part import Part
from strep.control.commands.transcribers import TranscriptionSettings

StreamCodec = Literal["PCMU", "PCMA", "G722", "OPUS", "AMR-WB", "L16"]


class RetryPolicy(Part):
    """A retry policy that says how long to wait before each time that a webhook is sent again; 60 s in all at most."""

    retries_ms: Annotated[list[int], Field(max_length=5)] | None = None


class Dialogflow(Part):
    """What sets up Google Dialogflow for a stream."""

    analyze_sentiment: bool = False
    partial_automated_agent_reply: bool = False


class DeepfakeDetection(Part):
    """A deepfake detection: the platform judges whether a voice is a machine's. timeout, rtp_timeout: seconds."""

    enabled: bool
    timeout: Annotated[int, Field(ge=5, le=60)] = 15
    rtp_timeout: Annotated[int, Field(ge=5, le=120)] = 30


class MachineDetection(Part):
    """A machine detection that tunes how an answering machine is told from a person. The premium detection takes the
    first two only.
    """

    total_analysis_time_millis: int = 3500
    greeting_duration_millis: int = 3500
    after_greeting_silence_millis: int = 800
    between_words_silence_millis: int = 50
    greeting_silence_duration_millis: int = 1500
    greeting_total_analysis_time_millis: int = 5000
    initial_silence_millis: int = 3500
    maximum_number_of_words: int = 5
    maximum_word_length_millis: int = 3500
    silence_threshold: int = 256


@command
class SipHeaders:
    """Headers that are added to the SIP message that the command causes."""

    custom_headers: Annotated[list[CustomSipHeader] | None, about("SIP headers of your own.")] = None
    sip_headers: Annotated[list[SipHeader] | None, about("Standard SIP headers: User-to-User.")] = None


@command
class SipLogin:
    """A SIP login that answers the challenge of the SIP peer."""

    sip_auth_username: Annotated[str | None, about("Name for the SIP peer's challenge.")] = None
    sip_auth_password: Annotated[str | None, secret("Password for the SIP peer's challenge.")] = None


@command
class RecordsFromAnswer:
    """A wish to have the platform record from the answer on."""

    record: Annotated[Literal["record-from-answer"] | None, about("Have the platform record the call.")] = None
    record_format: Annotated[Literal["wav", "mp3"], about("Format of the recording.")] = "mp3"
    record_channels: Annotated[Literal["single", "dual"], about("Mono, or a channel a party.")] = "dual"
    record_track: Annotated[Direction, about("Whom to record.")] = "both"
    record_max_length: Annotated[int, about("Longest recording, seconds; 0: no limit.", ge=0, le=43200)] = 0
    record_timeout_secs: Annotated[int, about("Silence that ends the recording, seconds; 0: never.", ge=0)] = 0
    record_trim: Annotated[Literal["trim-silence"] | None, about("Cut silence off at both ends.")] = None
    record_custom_file_name: Annotated[
        str | None, about("Name of the file, in place of the call_leg_id.", min_length=1, max_length=40)
    ] = None


@command
class Webhooks:
    """What says where this call's webhooks go."""

    webhook_url: Annotated[str | None, about("Where this call's webhooks go from now on.")] = None
    webhook_url_method: Annotated[Method, about("How they are sent there.")] = "POST"
    webhook_urls: Annotated[dict[str, str] | None, about("Where those of an event type go, by its name.")] = None
    webhook_urls_method: Annotated[Method, about("How they are sent there.")] = "POST"
    webhook_retries_policies: Annotated[
        dict[str, RetryPolicy] | None, about("When those of an event type are sent again, by its name.")
    ] = None


@command
class Streams:
    """A wish to have the platform stream the call's audio to a WebSocket."""

    stream_url: Annotated[str | None, about("WebSocket to stream the audio to.")] = None
    stream_track: Annotated[Track, about("Whose audio to stream.")] = "inbound_track"
    stream_codec: Annotated[Literal[StreamCodec, "default"], about("Codec of the stream; default: the call's.")] = (
        "default"
    )
    stream_bidirectional_mode: Annotated[Literal["mp3", "rtp"], about("Form of the audio that you send.")] = "mp3"
    stream_bidirectional_codec: Annotated[StreamCodec, about("Its codec, where it is rtp.")] = "PCMU"
    stream_bidirectional_target_legs: Annotated[Side, about("Who hears it.")] = "opposite"


@command
class StreamsFully(Streams):
    """A wish to have the platform stream the call's audio to a WebSocket, with all that can be set."""

    stream_bidirectional_sampling_rate: Annotated[
        Literal[8000, 16000, 22050, 24000, 48000], about("Sample rate of the audio that you send, Hz.")
    ] = 8000
    stream_auth_token: Annotated[str | None, secret("Token for the WebSocket.", max_length=4000)] = None
    enable_dialogflow: Annotated[bool, about("Have Google Dialogflow listen.")] = False
    dialogflow_config: Annotated[Dialogflow | None, about("How Dialogflow listens.")] = None


@command
class Transcribes:
    """A wish to have the platform write down what is said, from the answer on."""

    transcription: Annotated[bool, about("Write down what is said, from the answer on.")] = False
    transcription_config: Annotated[TranscriptionSettings | None, about("How it is written down.")] = None


@command
class Answering:
    """What dialing and answering have in common."""

    billing_group_id: Annotated[Uuid | None, about("Billing group that pays.")] = None
    deepfake_detection: Annotated[DeepfakeDetection | None, about("Judge whether the voice is a machine's.")] = None
    send_silence_when_idle: Annotated[bool, about("Send silence when there is nothing else to send.")] = False


@command
class NewLeg(SipLogin):
    """A leg that the platform dials."""

    from_display_name: Annotated[
        str | None, about("Caller's name to show.", max_length=128, pattern=r"^[A-Za-z0-9 \-_~!.+]*$")
    ] = None
    privacy: Annotated[Literal["id", "none"] | None, about("id: hide the caller's name and number.")] = None
    preferred_codecs: Annotated[str | None, about("Codecs by preference, with commas: G722,PCMU,...")] = None
    media_encryption: Annotated[Literal["disabled", "SRTP", "DTLS"], about("Encryption of the media.")] = "disabled"
    sip_transport_protocol: Annotated[Literal["UDP", "TCP", "TLS"], about("Transport of the SIP messages.")] = "UDP"
    sip_region: Annotated[
        Literal["US", "Europe", "Canada", "Australia", "Middle East"], about("Region that dials.")
    ] = "US"
    timeout_secs: Annotated[int, about("How long it may ring, seconds.", ge=5, le=600)] = 30
    time_limit_secs: Annotated[int, about("Longest call, seconds.", ge=30, le=14400)] = 14400
    send_digits_on_answer: Annotated[
        str | None, about("Digits to press on the answer; w, W: wait 0.5 s, 1 s.", pattern=r"^[0-9A-DwW*#]{0,64}$")
    ] = None
    audio_url: Annotated[str | None, about("File to play on the answer: its URL.")] = None
    media_name: Annotated[str | None, about("File to play on the answer: its name on the platform.")] = None
    answering_machine_detection: Annotated[
        Literal["premium", "detect", "detect_beep", "detect_words", "greeting_end", "disabled"],
        about("Tell answering machines from people."),
    ] = "disabled"
    answering_machine_detection_config: Annotated[MachineDetection | None, about("How to tell them.")] = None
    park_after_unbridge: Annotated[str | None, about("self: park this leg when a bridge of it ends.")] = None
    sound_modifications: Annotated[SoundModifications | None, about("Change the voice's pitch.")] = None
