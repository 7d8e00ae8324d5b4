"""Type what happens to a call's media: forks, playback, speech, keys, recordings, streams.

Fields are documented by the platform under the same names. URLs are not shown: some open what they point to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from strep.control.webhooks.event import WebhookEvent
from strep.control.webhooks.values import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class CallForkStarted(WebhookEvent):
    """A fork that sends from now on.

    stream_type: "raw" or "decrypted".
    """

    stream_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallForkStopped(WebhookEvent):
    """A fork that sends no more.

    stream_type: "raw" or "decrypted".
    """

    stream_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDtmfReceived(WebhookEvent):
    """One key that was pressed."""

    digit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallGatherEnded(WebhookEvent):
    """The keys that were gathered.

    status: "valid", "invalid", "call_hangup", "cancelled", "cancelled_amd" or "timeout".
    """

    digits: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPlaybackStarted(WebhookEvent):
    """Audio that is played from now on."""

    media_name: str | None = None
    media_url: str | None = field(default=None, repr=False)
    overlay: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPlaybackEnded(WebhookEvent):
    """Audio that is played no more.

    status: "completed", or why it ended before; status_detail: in words.
    """

    media_name: str | None = None
    media_url: str | None = field(default=None, repr=False)
    overlay: bool | None = None
    status: str | None = None
    status_detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSpeakStarted(WebhookEvent):
    """Text that is spoken from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSpeakEnded(WebhookEvent):
    """Text that is spoken no more.

    status: "completed", "call_hangup" or "cancelled_amd".
    """

    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecordingSaved(WebhookEvent):
    """A recording of the platform's that can be fetched. It names no call_control_id.

    channels: "single" or "dual". recording_urls: by format, for ten minutes; public_recording_urls: for good.
    """

    channels: str | None = None
    recording_started_at: datetime | None = None
    recording_ended_at: datetime | None = None
    recording_urls: Document | None = field(default=None, repr=False)
    public_recording_urls: Document | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecordingError(WebhookEvent):
    """A recording of the platform's that failed."""

    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecordingTranscriptionSaved(WebhookEvent):
    """The text of a recording."""

    recording_id: str | None = None
    recording_transcription_id: str | None = None
    transcription_text: str | None = None
    status: str | None = None
    calling_party_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTranscription(WebhookEvent):
    """A piece of a live transcription.

    transcription_data: transcript, confidence, is_final, transcription_track.
    """

    transcription_data: Document | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamingStarted(WebhookEvent):
    """A media stream over WebSocket that is sent from now on."""

    stream_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamingStopped(WebhookEvent):
    """A media stream that is sent no more."""

    stream_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamingFailed(WebhookEvent):
    """A media stream that could not be sent.

    stream_params: as they were asked for. stream_type: "websocket" or "dialogflow".
    """

    failure_reason: str | None = None
    stream_id: str | None = None
    stream_params: Document | None = field(default=None, repr=False)
    stream_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiprecStarted(WebhookEvent):
    """A SIPREC session that has begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiprecStopped(WebhookEvent):
    """A SIPREC session that has ended."""

    hangup_cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiprecFailed(WebhookEvent):
    """A SIPREC session that did not come about."""

    failure_cause: str | None = None
