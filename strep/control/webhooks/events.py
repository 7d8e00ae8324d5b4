"""Read webhooks as typed events; what we have no type for is a GenericEvent, and its payload is there as it came.

A peer's webhook is read leniently: a field that is missing, or not of its documented type, is None. Only what is no
webhook at all (no JSON object with `data.event_type`) is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, ClassVar

from strep.errors import ControlError

Document = Mapping[str, Any]


class NotAWebhook(ControlError):  # noqa: N818 -- named by what happened, like the others of its tree
    """Says that bytes are not a webhook."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """Is what all events have. client_state: decoded. payload: as it came, with what has no attribute here.

    attempt: which delivery this is, from 1; 0 when the platform does not say.
    """

    EVENT_TYPE: ClassVar[str] = ""

    id: str
    event_type: str
    occurred_at: datetime | None
    record_type: str
    attempt: int
    payload: Document
    call_control_id: str | None = None
    call_leg_id: str | None = None
    call_session_id: str | None = None
    connection_id: str | None = None
    client_state: bytes | None = None
    from_: str | None = None
    to: str | None = None
    direction: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenericEvent(WebhookEvent):
    """Is an event that has no type of its own here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallInitiated(WebhookEvent):
    """Says that a call begins. offered_codecs, connection_codecs: names with commas between."""

    EVENT_TYPE: ClassVar[str] = "call.initiated"
    state: str | None = None
    start_time: str | None = None
    caller_id_name: str | None = None
    offered_codecs: str | None = None
    connection_codecs: str | None = None
    call_screening_result: str | None = None
    shaken_stir_attestation: str | None = None
    shaken_stir_validated: bool | None = None
    custom_headers: tuple[Any, ...] | None = None
    sip_headers: tuple[Any, ...] | None = None
    tags: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswered(WebhookEvent):
    """Says that a call was answered."""

    EVENT_TYPE: ClassVar[str] = "call.answered"
    state: str | None = None
    start_time: str | None = None
    custom_headers: tuple[Any, ...] | None = None
    sip_headers: tuple[Any, ...] | None = None
    tags: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallBridged(WebhookEvent):
    """Says that a call was bridged with another."""

    EVENT_TYPE: ClassVar[str] = "call.bridged"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHangup(WebhookEvent):
    """Says that a call has ended."""

    EVENT_TYPE: ClassVar[str] = "call.hangup"
    state: str | None = None
    start_time: str | None = None
    hangup_cause: str | None = None
    hangup_source: str | None = None
    sip_hangup_cause: str | None = None
    call_quality_stats: Document | None = None
    custom_headers: tuple[Any, ...] | None = None
    sip_headers: tuple[Any, ...] | None = None
    tags: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHold(WebhookEvent):
    """Says that a call is on hold."""

    EVENT_TYPE: ClassVar[str] = "call.hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallUnhold(WebhookEvent):
    """Says that a call is no longer on hold."""

    EVENT_TYPE: ClassVar[str] = "call.unhold"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkStarted(WebhookEvent):
    """Says that a call's audio is being forked."""

    EVENT_TYPE: ClassVar[str] = "call.fork.started"
    stream_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkStopped(WebhookEvent):
    """Says that a fork has ended."""

    EVENT_TYPE: ClassVar[str] = "call.fork.stopped"
    stream_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DtmfReceived(WebhookEvent):
    """Says which key a party pressed."""

    EVENT_TYPE: ClassVar[str] = "call.dtmf.received"
    digit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherEnded(WebhookEvent):
    """Says which digits a gather command got."""

    EVENT_TYPE: ClassVar[str] = "call.gather.ended"
    digits: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AiGatherEnded(WebhookEvent):
    """Says what gather_using_ai got."""

    EVENT_TYPE: ClassVar[str] = "call.ai_gather.ended"
    message_history: tuple[Any, ...] | None = None
    result: Document | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AiGatherPartialResults(WebhookEvent):
    """Says what gather_using_ai has got so far."""

    EVENT_TYPE: ClassVar[str] = "call.ai_gather.partial_results"
    message_history: tuple[Any, ...] | None = None
    partial_results: Document | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AiGatherMessageHistoryUpdated(WebhookEvent):
    """Says what was said during gather_using_ai."""

    EVENT_TYPE: ClassVar[str] = "call.ai_gather.message_history_updated"
    message_history: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationEnded(WebhookEvent):
    """Says that a conversation with an assistant has ended."""

    EVENT_TYPE: ClassVar[str] = "call.conversation.ended"
    assistant_id: str | None = None
    calling_party_type: str | None = None
    conversation_id: str | None = None
    duration_sec: int | None = None
    llm_model: str | None = None
    reason: str | None = None
    stt_model: str | None = None
    tts_model_id: str | None = None
    tts_provider: str | None = None
    tts_voice_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationInsightsGenerated(WebhookEvent):
    """Gives what was found in a conversation."""

    EVENT_TYPE: ClassVar[str] = "call.conversation_insights.generated"
    calling_party_type: str | None = None
    insight_group_id: str | None = None
    results: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCost(WebhookEvent):
    """Says what a call costs."""

    EVENT_TYPE: ClassVar[str] = "call.cost"
    billed_duration_secs: int | None = None
    billing_group_id: str | None = None
    cost_parts: tuple[Any, ...] | None = None
    status: str | None = None
    total_cost: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepfakeDetectionResult(WebhookEvent):
    """Says how likely a voice is a machine's."""

    EVENT_TYPE: ClassVar[str] = "call.deepfake_detection.result"
    consistency: float | None = None
    result: str | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepfakeDetectionError(WebhookEvent):
    """Says that the detection failed."""

    EVENT_TYPE: ClassVar[str] = "call.deepfake_detection.error"
    error_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnqueued(WebhookEvent):
    """Says that a call waits in a queue."""

    EVENT_TYPE: ClassVar[str] = "call.enqueued"
    current_position: int | None = None
    queue: str | None = None
    queue_avg_wait_time_secs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDequeued(WebhookEvent):
    """Says that a call has left its queue."""

    EVENT_TYPE: ClassVar[str] = "call.dequeued"
    queue: str | None = None
    queue_position: int | None = None
    reason: str | None = None
    wait_time_secs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineDetectionEnded(WebhookEvent):
    """Says whether a machine has answered."""

    EVENT_TYPE: ClassVar[str] = "call.machine.detection.ended"
    result: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineGreetingEnded(WebhookEvent):
    """Says that a machine's greeting has ended."""

    EVENT_TYPE: ClassVar[str] = "call.machine.greeting.ended"
    result: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinePremiumDetectionEnded(WebhookEvent):
    """Says whether a machine has answered, by the premium detection."""

    EVENT_TYPE: ClassVar[str] = "call.machine.premium.detection.ended"
    result: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinePremiumGreetingEnded(WebhookEvent):
    """Says that a machine's greeting has ended, by the premium detection."""

    EVENT_TYPE: ClassVar[str] = "call.machine.premium.greeting.ended"
    result: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackStarted(WebhookEvent):
    """Says that audio is being played."""

    EVENT_TYPE: ClassVar[str] = "call.playback.started"
    media_name: str | None = None
    media_url: str | None = None
    overlay: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackEnded(WebhookEvent):
    """Says that audio is no longer being played."""

    EVENT_TYPE: ClassVar[str] = "call.playback.ended"
    media_name: str | None = None
    media_url: str | None = None
    overlay: bool | None = None
    status: str | None = None
    status_detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingSaved(WebhookEvent):
    """Says where the platform's own recording is."""

    EVENT_TYPE: ClassVar[str] = "call.recording.saved"
    channels: str | None = None
    public_recording_urls: Document | None = None
    recording_ended_at: str | None = None
    recording_started_at: str | None = None
    recording_urls: Document | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingError(WebhookEvent):
    """Says that the platform's own recording failed."""

    EVENT_TYPE: ClassVar[str] = "call.recording.error"
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingTranscriptionSaved(WebhookEvent):
    """Gives what was said in the platform's own recording."""

    EVENT_TYPE: ClassVar[str] = "call.recording.transcription.saved"
    calling_party_type: str | None = None
    recording_id: str | None = None
    recording_transcription_id: str | None = None
    status: str | None = None
    transcription_text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferStarted(WebhookEvent):
    """Says that a SIP REFER was sent."""

    EVENT_TYPE: ClassVar[str] = "call.refer.started"
    sip_notify_response: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferCompleted(WebhookEvent):
    """Says that a SIP REFER was carried out."""

    EVENT_TYPE: ClassVar[str] = "call.refer.completed"
    sip_notify_response: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferFailed(WebhookEvent):
    """Says that a SIP REFER failed."""

    EVENT_TYPE: ClassVar[str] = "call.refer.failed"
    sip_notify_response: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiprecStarted(WebhookEvent):
    """Says that a SIPREC session has begun."""

    EVENT_TYPE: ClassVar[str] = "siprec.started"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiprecStopped(WebhookEvent):
    """Says that a SIPREC session has ended."""

    EVENT_TYPE: ClassVar[str] = "siprec.stopped"
    hangup_cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiprecFailed(WebhookEvent):
    """Says that a SIPREC session failed."""

    EVENT_TYPE: ClassVar[str] = "siprec.failed"
    failure_cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakStarted(WebhookEvent):
    """Says that text is being spoken."""

    EVENT_TYPE: ClassVar[str] = "call.speak.started"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakEnded(WebhookEvent):
    """Says that text is no longer being spoken."""

    EVENT_TYPE: ClassVar[str] = "call.speak.ended"
    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamingStarted(WebhookEvent):
    """Says that media streaming has begun."""

    EVENT_TYPE: ClassVar[str] = "streaming.started"
    stream_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamingStopped(WebhookEvent):
    """Says that media streaming has ended."""

    EVENT_TYPE: ClassVar[str] = "streaming.stopped"
    stream_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamingFailed(WebhookEvent):
    """Says that media streaming failed."""

    EVENT_TYPE: ClassVar[str] = "streaming.failed"
    failure_reason: str | None = None
    stream_id: str | None = None
    stream_params: Document | None = None
    stream_type: str | None = None


#: Every type, by data.event_type.
EVENT_TYPES: Mapping[str, type[WebhookEvent]] = types.MappingProxyType(
    {kind.EVENT_TYPE: kind for kind in WebhookEvent.__subclasses__() if kind.EVENT_TYPE}
)
_NOT_OF_PAYLOAD = frozenset({"id", "event_type", "occurred_at", "record_type", "attempt", "payload", "client_state"})


def _payload_fields(kind: type[WebhookEvent]) -> Mapping[str, Any]:
    """Give the type of each attribute that is in the payload, without the None."""
    hints = typing.get_type_hints(kind)
    names = [field.name for field in fields(kind) if field.name not in _NOT_OF_PAYLOAD]
    return {name: typing.get_args(hints[name])[0] for name in names}


_FIELDS = {event_type: _payload_fields(kind) for event_type, kind in EVENT_TYPES.items()}
_COMMON_FIELDS = _payload_fields(GenericEvent)


def parse_event(body: bytes) -> WebhookEvent:
    """Read a webhook's body. Raises NotAWebhook for what is none, whatever the bytes are."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise NotAWebhook(f"expected JSON, found {len(body)} bytes of something else") from None
    data = document.get("data") if isinstance(document, dict) else None
    event_type = data.get("event_type") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(event_type, str) or not event_type:
        raise NotAWebhook("expected a JSON object with data.event_type, found none")
    payload = data.get("payload")
    payload = payload if isinstance(payload, dict) else {}
    meta = document.get("meta")
    kind = EVENT_TYPES.get(event_type, GenericEvent)
    attempt = _as(int, meta.get("attempt")) if isinstance(meta, dict) else None
    return kind(
        id=_as(str, data.get("id")) or "",
        event_type=event_type,
        occurred_at=_time(data.get("occurred_at")),
        record_type=_as(str, data.get("record_type")) or "",
        attempt=attempt or 0,
        payload=types.MappingProxyType(payload),
        client_state=_decoded(payload.get("client_state")),
        **{
            name: _as(of, payload.get(name.rstrip("_"))) for name, of in _FIELDS.get(event_type, _COMMON_FIELDS).items()
        },
    )


def _as(kind: Any, value: object) -> Any:
    """Give a value of JSON if it is of this type, else None. A whole number will do for a float."""
    kind = typing.get_origin(kind) or kind
    if kind is tuple:
        return tuple(value) if isinstance(value, list) else None
    if kind is Mapping:
        return value if isinstance(value, dict) else None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < 2**53 else None
    if isinstance(value, bool) and kind is not bool:
        return None
    return value if isinstance(value, kind) else None


def _time(value: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time and time.tzinfo is None else time


def _decoded(value: object) -> bytes | None:
    if not isinstance(value, str) or not value:
        return None
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
