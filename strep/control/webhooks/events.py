"""Tell what a webhook says: one class for each type of event that the platform documents, and one for the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping

from strep.control.webhooks.analysis_events import (
    CallAiGatherEnded,
    CallAiGatherMessageHistoryUpdated,
    CallAiGatherPartialResults,
    CallConversationEnded,
    CallConversationInsightsGenerated,
    CallDeepfakeDetectionError,
    CallDeepfakeDetectionResult,
    CallMachineDetectionEnded,
    CallMachineGreetingEnded,
    CallMachinePremiumDetectionEnded,
    CallMachinePremiumGreetingEnded,
)
from strep.control.webhooks.call_events import (
    CallAnswered,
    CallBridged,
    CallCost,
    CallDequeued,
    CallEnqueued,
    CallHangup,
    CallHold,
    CallInitiated,
    CallReferCompleted,
    CallReferFailed,
    CallReferStarted,
    CallSipInfoReceived,
    CallUnhold,
)
from strep.control.webhooks.errors import MalformedWebhook
from strep.control.webhooks.event import GenericEvent, WebhookEvent
from strep.control.webhooks.media_events import (
    CallDtmfReceived,
    CallForkStarted,
    CallForkStopped,
    CallGatherEnded,
    CallPlaybackEnded,
    CallPlaybackStarted,
    CallRecordingError,
    CallRecordingSaved,
    CallRecordingTranscriptionSaved,
    CallSpeakEnded,
    CallSpeakStarted,
    CallTranscription,
    SiprecFailed,
    SiprecStarted,
    SiprecStopped,
    StreamingFailed,
    StreamingStarted,
    StreamingStopped,
)
from strep.control.webhooks.values import integer, text

#: The class of each type of event; what is not here is a GenericEvent.
EVENT_TYPES: Mapping[str, type[WebhookEvent]] = {
    "call.ai_gather.ended": CallAiGatherEnded,
    "call.ai_gather.message_history_updated": CallAiGatherMessageHistoryUpdated,
    "call.ai_gather.partial_results": CallAiGatherPartialResults,
    "call.answered": CallAnswered,
    "call.bridged": CallBridged,
    "call.conversation.ended": CallConversationEnded,
    "call.conversation_insights.generated": CallConversationInsightsGenerated,
    "call.cost": CallCost,
    "call.deepfake_detection.error": CallDeepfakeDetectionError,
    "call.deepfake_detection.result": CallDeepfakeDetectionResult,
    "call.dequeued": CallDequeued,
    "call.dtmf.received": CallDtmfReceived,
    "call.enqueued": CallEnqueued,
    "call.fork.started": CallForkStarted,
    "call.fork.stopped": CallForkStopped,
    "call.gather.ended": CallGatherEnded,
    "call.hangup": CallHangup,
    "call.hold": CallHold,
    "call.initiated": CallInitiated,
    "call.machine.detection.ended": CallMachineDetectionEnded,
    "call.machine.greeting.ended": CallMachineGreetingEnded,
    "call.machine.premium.detection.ended": CallMachinePremiumDetectionEnded,
    "call.machine.premium.greeting.ended": CallMachinePremiumGreetingEnded,
    "call.playback.ended": CallPlaybackEnded,
    "call.playback.started": CallPlaybackStarted,
    "call.recording.error": CallRecordingError,
    "call.recording.saved": CallRecordingSaved,
    "call.recording.transcription.saved": CallRecordingTranscriptionSaved,
    "call.refer.completed": CallReferCompleted,
    "call.refer.failed": CallReferFailed,
    "call.refer.started": CallReferStarted,
    "call.sip_info.received": CallSipInfoReceived,
    "call.speak.ended": CallSpeakEnded,
    "call.speak.started": CallSpeakStarted,
    "call.transcription": CallTranscription,
    "call.unhold": CallUnhold,
    "siprec.failed": SiprecFailed,
    "siprec.started": SiprecStarted,
    "siprec.stopped": SiprecStopped,
    "streaming.failed": StreamingFailed,
    "streaming.started": StreamingStarted,
    "streaming.stopped": StreamingStopped,
}

#: What today's API calls the events of the older one. There, they stand in the document itself instead of under "data".
_OLDER_NAMES = {
    "call_answered": "call.answered",
    "call_bridged": "call.bridged",
    "call_hangup": "call.hangup",
    "call_initiated": "call.initiated",
    "dtmf": "call.dtmf.received",
    "gather_ended": "call.gather.ended",
    "playback_ended": "call.playback.ended",
    "playback_started": "call.playback.started",
    "recording_saved": "call.recording.saved",
    "speak_ended": "call.speak.ended",
    "speak_started": "call.speak.started",
}


def parse_event(body: bytes) -> WebhookEvent:
    """Read a webhook's body, of today's API or the older one.

    Raises MalformedWebhook for what is no JSON object with an event type, and nothing else, whatever the bytes.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedWebhook from None
    if not isinstance(document, dict):
        raise MalformedWebhook
    data = document.get("data", document)
    named = data.get("event_type") if isinstance(data, dict) else None
    event_type = text(named) if isinstance(named, str) else None
    if event_type is None:
        raise MalformedWebhook
    if data is document:
        event_type = _OLDER_NAMES.get(event_type, event_type)
    meta = document.get("meta")
    attempt = integer(meta.get("attempt")) if isinstance(meta, dict) else None
    return EVENT_TYPES.get(event_type, GenericEvent).read(event_type, data, attempt)
