"""Make sense of events in whatever order they come: the platform keeps none.

A call's stage only moves forwards, so any order of the same events, repeated or not, gives the same stage: an answer
that comes after the hangup does not bring the call back.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeVar

from strep.control.webhooks.event import WebhookEvent

EventT = TypeVar("EventT", bound=WebhookEvent)

#: What does not say when it happened is put first.
_NO_TIME = datetime.min.replace(tzinfo=UTC)


class CallStage(enum.IntEnum):
    """How far a call has come."""

    UNKNOWN = 0
    INITIATED = 1
    ANSWERED = 2
    BRIDGED = 3
    ENDED = 4


_STAGES = {
    "call.initiated": CallStage.INITIATED,
    "call.answered": CallStage.ANSWERED,
    "call.bridged": CallStage.BRIDGED,
    "call.hangup": CallStage.ENDED,
}


def stage_after(stage: CallStage, event: WebhookEvent) -> CallStage:
    """Give the stage of a call, of which this is one more event."""
    return max(stage, _STAGES.get(event.event_type, stage))


def in_order(events: Iterable[EventT]) -> list[EventT]:
    """Sort events by when they happened; those of one instant by the stage that they bring."""
    return sorted(events, key=lambda event: (event.occurred_at or _NO_TIME, _STAGES.get(event.event_type, 0)))
