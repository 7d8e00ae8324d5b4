"""Keep what the platform's webhooks say of a call, in whatever order they come."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from strep.control.webhooks import WebhookEvent

#: Numbers, SIP URIs and ids are shorter; what is longer is cut off, as it is kept for as long as the call is known.
_LONGEST_TEXT = 1024
#: client_state of a call is what somebody's program put there; the platform documents no limit.
_LONGEST_STATE_BYTES = 8192
#: Headers and codecs of a call: more are not looked at.
_MOST_LISTED = 64


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known of a call. None: nobody said so yet, or the platform does not say it at all.

    call_leg_id: what the STREP header of its forked media says. headers: SIP headers of the call, custom ones included,
    names in lower case. codecs: names that were offered, or enabled for the connection, upper case. is_initiated,
    is_answered: its call.initiated was seen, its call.answered; between them they say all that rules ask for.
    """

    call_control_id: str
    call_leg_id: uuid.UUID | None = None
    call_session_id: str | None = None
    connection_id: str | None = None
    from_: str | None = None
    to: str | None = None
    direction: str | None = None
    client_state: bytes | None = None
    client_state_at: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    codecs: tuple[str, ...] = ()
    is_initiated: bool = False
    is_answered: bool = False

    @property
    def is_complete(self) -> bool:
        """Tell whether what is not known now will stay so."""
        return self.is_initiated and self.is_answered

    def with_event(self, event: WebhookEvent) -> CallFacts:
        """Add what an event says. What was known stays, but client_state is that of the latest event that has one."""
        payload = event.payload
        facts = replace(
            self,
            call_leg_id=self.call_leg_id or _uuid(event.call_leg_id),
            call_session_id=self.call_session_id or _text(event.call_session_id),
            connection_id=self.connection_id or _text(event.connection_id),
            from_=self.from_ or _text(event.from_),
            to=self.to or _text(event.to),
            direction=self.direction or _text(event.direction),
            headers=_merged(self.headers, _headers(payload)),
            codecs=_merged(self.codecs, _codecs(payload)),
            is_initiated=self.is_initiated or event.event_type == "call.initiated",
            is_answered=self.is_answered or event.event_type == "call.answered",
        )
        at = event.occurred_at.isoformat() if event.occurred_at else ""
        state = event.client_state
        if state is None or at < self.client_state_at or len(state) > _LONGEST_STATE_BYTES:
            return facts
        return replace(facts, client_state=state, client_state_at=at)

    def describe(self) -> dict[str, Any]:
        """Give what a sidecar and events say of the call; client_state is Base64, as the platform has it."""
        return {
            "call_control_id": self.call_control_id,
            "call_leg_id": str(self.call_leg_id) if self.call_leg_id else None,
            "call_session_id": self.call_session_id,
            "connection_id": self.connection_id,
            "from": self.from_,
            "to": self.to,
            "direction": self.direction,
            "client_state": None if self.client_state is None else base64.b64encode(self.client_state).decode("ascii"),
        }

    def document(self) -> dict[str, Any]:
        """Give all of it, for the state file."""
        return self.describe() | {
            "client_state_at": self.client_state_at,
            "headers": [list(header) for header in self.headers],
            "codecs": list(self.codecs),
            "is_initiated": self.is_initiated,
            "is_answered": self.is_answered,
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> CallFacts:
        """Read what `document` made. Raises ValueError, TypeError or KeyError for anything else."""
        state = document["client_state"]
        return cls(
            call_control_id=_required(document["call_control_id"]),
            call_leg_id=_uuid(document["call_leg_id"]),
            call_session_id=_text(document["call_session_id"]),
            connection_id=_text(document["connection_id"]),
            from_=_text(document["from"]),
            to=_text(document["to"]),
            direction=_text(document["direction"]),
            client_state=None if state is None else base64.b64decode(state, validate=True),
            client_state_at=str(document["client_state_at"]),
            headers=tuple((str(name), str(value)) for name, value in document["headers"]),
            codecs=tuple(map(str, document["codecs"])),
            is_initiated=bool(document["is_initiated"]),
            is_answered=bool(document["is_answered"]),
        )


def _required(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected a call_control_id, found {value!r}")
    return value


def _text(value: object) -> str | None:
    """Take text that is not empty; anything else is nothing said."""
    return value[:_LONGEST_TEXT] if isinstance(value, str) and value else None


def _uuid(value: object) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(value)) if value else None
    except ValueError:
        return None


def _merged(known: tuple[Any, ...], told: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys((*known, *told)))[:_MOST_LISTED]


def _headers(payload: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for kind in ("sip_headers", "custom_headers"):
        listed = payload.get(kind)
        for header in listed[:_MOST_LISTED] if isinstance(listed, list) else ():
            if isinstance(header, Mapping):
                name, value = _text(header.get("name")), _text(header.get("value"))
                if name and value:
                    yield name.lower(), value


def _codecs(payload: Mapping[str, Any]) -> Iterable[str]:
    for kind in ("offered_codecs", "connection_codecs"):
        for name in (_text(payload.get(kind)) or "").split(","):
            if name.strip():
                yield name.strip().upper()
