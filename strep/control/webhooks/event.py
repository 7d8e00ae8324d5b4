"""Say what every event of the platform has, and read it from a webhook's document.

A field that is missing, or is not what it is documented to be, is None (or empty, where there may be several), and what
came stands in `payload` still.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Self, get_args, get_origin, get_type_hints

from strep.control.webhooks import values
from strep.control.webhooks.values import Document, SipHeader

_READERS: Mapping[Any, Callable[[object], Any]] = {
    str: values.text,
    int: values.integer,
    float: values.number,
    bool: values.boolean,
    bytes: values.base64_bytes,
    datetime: values.instant,
    Document: values.document,
    tuple[str, ...]: values.texts,
    tuple[SipHeader, ...]: values.sip_headers,
    tuple[Document, ...]: values.documents,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """Something that happened on the platform.

    id: of the event; the same again is the same event, sent again. event_type: as in 'call.initiated'; those of the
    older API have today's names here. occurred_at: in UTC. attempt: 1 is the first time that it was sent. client_state:
    decoded; what the last command that set one gave. payload: all that the platform said of it, as it came.
    """

    id: str | None = None
    event_type: str
    occurred_at: datetime | None = None
    record_type: str | None = None
    attempt: int | None = None
    call_control_id: str | None = None
    call_leg_id: str | None = None
    call_session_id: str | None = None
    connection_id: str | None = None
    client_state: bytes | None = None
    from_: str | None = None
    to: str | None = None
    direction: str | None = None
    #: Not shown: it is long, and URLs in it may open what they point to.
    payload: Document = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, event_type: str, data: Document, attempt: int | None) -> Self:
        """Make the event of a webhook's data: whatever that is, nothing is raised.

        data: with id, occurred_at (created_at in the older API), record_type and payload.
        """
        payload = values.document(data.get("payload")) or {}
        times = (data.get("occurred_at"), payload.get("occurred_at"), data.get("created_at"))
        return cls(
            **{name: reader(payload.get(key)) for name, key, reader in _plan(cls)},
            id=values.text(data.get("id")),
            event_type=event_type,
            occurred_at=next((time for time in map(values.instant, times) if time), None),
            record_type=values.text(data.get("record_type")),
            attempt=attempt,
            payload=payload,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GenericEvent(WebhookEvent):
    """An event of a type that is not known here; `event_type` and `payload` say what it is."""


_NOT_OF_THE_PAYLOAD = frozenset({"id", "event_type", "occurred_at", "record_type", "attempt", "payload"})

#: Attribute, key in the payload, and how to read it.
_Plan = tuple[tuple[str, str, Callable[[object], Any]], ...]
_PLANS: dict[type, _Plan] = {}


def _plan(cls: type[WebhookEvent]) -> _Plan:
    """List a class's fields that stand in the payload. Looked up once a class, as that takes a millisecond."""
    if cls not in _PLANS:
        hints = get_type_hints(cls)
        names = [each.name for each in fields(cls) if each.name not in _NOT_OF_THE_PAYLOAD]
        _PLANS[cls] = tuple((name, name.removesuffix("_"), _READERS[_without_none(hints[name])]) for name in names)
    return _PLANS[cls]


def _without_none(hint: Any) -> Any:
    if get_origin(hint) is not types.UnionType:
        return hint
    return next(kind for kind in get_args(hint) if kind is not types.NoneType)
