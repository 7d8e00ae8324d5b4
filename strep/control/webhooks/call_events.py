"""Type what happens to a call itself: it comes, is answered, bridged, queued, referred, and ends.

Fields are documented by the platform under the same names.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from strep.control.webhooks.event import WebhookEvent
from strep.control.webhooks.values import Document, SipHeader


@dataclass(frozen=True, slots=True, kw_only=True)
class CallInitiated(WebhookEvent):
    """A call that comes in or is dialed: the only event with `direction`, and with codecs.

    state: "parked" or "bridging". connection_codecs, offered_codecs: names with commas between, those enabled for the
    connection and those of the caller. sip_headers: User-to-User and Diversion of the INVITE; custom_headers: its own.
    """

    state: str | None = None
    start_time: datetime | None = None
    caller_id_name: str | None = None
    connection_codecs: str | None = None
    offered_codecs: str | None = None
    custom_headers: tuple[SipHeader, ...] = ()
    sip_headers: tuple[SipHeader, ...] = ()
    call_screening_result: str | None = None
    shaken_stir_attestation: str | None = None
    shaken_stir_validated: bool | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswered(WebhookEvent):
    """A call that was answered."""

    state: str | None = None
    start_time: datetime | None = None
    custom_headers: tuple[SipHeader, ...] = ()
    sip_headers: tuple[SipHeader, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallBridged(WebhookEvent):
    """A call that hears another one now; each of the two has its own event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHangup(WebhookEvent):
    """A call that has ended.

    hangup_cause: as in "normal_clearing"; sip_hangup_cause: the SIP status behind it, if there was one. hangup_source:
    "caller", "callee" or "unknown". call_quality_stats: of the platform's own, by direction.
    """

    state: str | None = None
    start_time: datetime | None = None
    hangup_cause: str | None = None
    hangup_source: str | None = None
    sip_hangup_cause: str | None = None
    call_quality_stats: Document | None = None
    custom_headers: tuple[SipHeader, ...] = ()
    sip_headers: tuple[SipHeader, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHold(WebhookEvent):
    """A call that was put on hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallUnhold(WebhookEvent):
    """A call that goes on after hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnqueued(WebhookEvent):
    """A call that waits in a queue now."""

    queue: str | None = None
    current_position: int | None = None
    queue_avg_wait_time_secs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDequeued(WebhookEvent):
    """A call that has left its queue.

    reason: "bridged", "bridging-in-process", "hangup", "leave" or "timeout".
    """

    queue: str | None = None
    queue_position: int | None = None
    reason: str | None = None
    wait_time_secs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReferStarted(WebhookEvent):
    """A REFER that was sent.

    sip_notify_response: the SIP status that the other side reported.
    """

    sip_notify_response: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReferCompleted(WebhookEvent):
    """A REFER that the other side carried out."""

    sip_notify_response: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReferFailed(WebhookEvent):
    """A REFER that the other side did not carry out."""

    sip_notify_response: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSipInfoReceived(WebhookEvent):
    """A SIP INFO that came; what it said has no documented fields, and is in `payload`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCost(WebhookEvent):
    """What a call cost.

    total_cost: an amount of money, as text so that no digit is lost. cost_parts: what it is made of.
    """

    status: str | None = None
    total_cost: str | None = None
    billed_duration_secs: int | None = None
    billing_group_id: str | None = None
    cost_parts: tuple[Document, ...] = ()
