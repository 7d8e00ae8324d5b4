"""Receive what the platform tells of its calls.

webhooks = Webhooks(public_key)         # webhooks.app is an ASGI application: POST /webhooks
async for event in webhooks:
    match event:
        case CallAnswered():
            ...
"""

from strep.control.webhooks.app import WebhookFate, Webhooks
from strep.control.webhooks.deduplicator import Deduplicator
from strep.control.webhooks.events import (
    EVENT_TYPES,
    CallAnswered,
    CallBridged,
    CallHangup,
    CallInitiated,
    DtmfReceived,
    ForkStarted,
    ForkStopped,
    GenericEvent,
    NotAWebhook,
    WebhookEvent,
    parse_event,
)
from strep.control.webhooks.signature import Reason, UnverifiedWebhook, read_public_key, sign, verify

webhook_app = Webhooks

__all__ = [
    "EVENT_TYPES",
    "CallAnswered",
    "CallBridged",
    "CallHangup",
    "CallInitiated",
    "Deduplicator",
    "DtmfReceived",
    "ForkStarted",
    "ForkStopped",
    "GenericEvent",
    "NotAWebhook",
    "Reason",
    "UnverifiedWebhook",
    "WebhookEvent",
    "WebhookFate",
    "Webhooks",
    "parse_event",
    "read_public_key",
    "sign",
    "verify",
]
