"""Take in what the platform tells of calls: verify a webhook's signature, read its event, or serve the whole thing.

    inbox = webhook_app(public_key)  # as the platform's portal shows it
    async with inbox.serve("0.0.0.0", 8080):
        async for event in inbox:
            if isinstance(event, CallAnswered):
                ...

In an application of your own: `verify(body, headers, public_key, time.time())`, then `parse_event(body)`. Events come
late, twice and in any order: Deduplicator, in_order and stage_after are for that.
"""

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
from strep.control.webhooks.app import WebhookCounts, WebhookInbox, webhook_app
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
from strep.control.webhooks.deduplicator import Deduplicator
from strep.control.webhooks.errors import (
    ForgedWebhook,
    MalformedWebhook,
    RefusalReason,
    StaleWebhook,
    UnsignedWebhook,
    WebhookError,
)
from strep.control.webhooks.event import GenericEvent, WebhookEvent
from strep.control.webhooks.events import EVENT_TYPES, parse_event
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
from strep.control.webhooks.order import CallStage, in_order, stage_after
from strep.control.webhooks.signature import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    TOLERANCE_S,
    read_public_key,
    sign,
    verify,
    write_public_key,
)
from strep.control.webhooks.values import SipHeader

__all__ = [
    "EVENT_TYPES",
    "SIGNATURE_HEADER",
    "TIMESTAMP_HEADER",
    "TOLERANCE_S",
    "CallAiGatherEnded",
    "CallAiGatherMessageHistoryUpdated",
    "CallAiGatherPartialResults",
    "CallAnswered",
    "CallBridged",
    "CallConversationEnded",
    "CallConversationInsightsGenerated",
    "CallCost",
    "CallDeepfakeDetectionError",
    "CallDeepfakeDetectionResult",
    "CallDequeued",
    "CallDtmfReceived",
    "CallEnqueued",
    "CallForkStarted",
    "CallForkStopped",
    "CallGatherEnded",
    "CallHangup",
    "CallHold",
    "CallInitiated",
    "CallMachineDetectionEnded",
    "CallMachineGreetingEnded",
    "CallMachinePremiumDetectionEnded",
    "CallMachinePremiumGreetingEnded",
    "CallPlaybackEnded",
    "CallPlaybackStarted",
    "CallRecordingError",
    "CallRecordingSaved",
    "CallRecordingTranscriptionSaved",
    "CallReferCompleted",
    "CallReferFailed",
    "CallReferStarted",
    "CallSipInfoReceived",
    "CallSpeakEnded",
    "CallSpeakStarted",
    "CallStage",
    "CallTranscription",
    "CallUnhold",
    "Deduplicator",
    "ForgedWebhook",
    "GenericEvent",
    "MalformedWebhook",
    "RefusalReason",
    "SipHeader",
    "SiprecFailed",
    "SiprecStarted",
    "SiprecStopped",
    "StaleWebhook",
    "StreamingFailed",
    "StreamingStarted",
    "StreamingStopped",
    "UnsignedWebhook",
    "WebhookCounts",
    "WebhookError",
    "WebhookEvent",
    "WebhookInbox",
    "in_order",
    "parse_event",
    "read_public_key",
    "sign",
    "stage_after",
    "verify",
    "webhook_app",
    "write_public_key",
]
