"""Make webhooks' events by hand."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta

from strep.control.webhooks import WebhookEvent, parse_event

BEGAN = datetime(2024, 5, 1, 12, tzinfo=UTC)
LEG_ID = uuid.UUID("428c31b6-7af4-4bcb-b7f5-5013ef9657c1")
SECOND_NS = 1_000_000_000


def notice(kind: str, call: str = "v3:one", at_s: float = 0, leg: uuid.UUID | None = LEG_ID, **payload) -> WebhookEvent:
    """Make the event of one webhook, as it is parsed."""
    body = {
        "data": {
            "record_type": "event",
            "id": str(uuid.uuid4()),
            "event_type": kind,
            "occurred_at": (BEGAN + timedelta(seconds=at_s)).isoformat().replace("+00:00", "Z"),
            "payload": {
                "call_control_id": call,
                "call_leg_id": str(leg),
                "call_session_id": "session",
                "connection_id": "7",
                **payload,
            },
        }
    }
    return parse_event(json.dumps(body).encode())


def initiated(call: str = "v3:one", direction: str = "incoming", **payload) -> WebhookEvent:
    parties = {"from": "+493012345", "to": "+493055555", "direction": direction}
    return notice("call.initiated", call, **(parties | payload))


def answered(call: str = "v3:one", **payload) -> WebhookEvent:
    return notice("call.answered", call, 1, **({"from": "+493012345", "to": "+493055555"} | payload))


def hangup(call: str = "v3:one", **payload) -> WebhookEvent:
    return notice("call.hangup", call, 9, **({"from": "+493012345", "to": "+493055555"} | payload))
