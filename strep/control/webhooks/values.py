"""Read single values of a webhook, whatever was sent: what is not what it should be is None, and nothing raises."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

Document = Mapping[str, object]

#: Numbers beyond are no counts, seconds or status codes; what they would become as text or float is nobody's business.
_LARGEST = 2**63


@dataclass(frozen=True, slots=True)
class SipHeader:
    """One header of a call's SIP messages."""

    name: str
    value: str


def text(value: object) -> str | None:
    """Read text. A whole number is taken too, as ids and codes come as either; '' is how the platform says nothing."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST:
        return str(value)
    if not isinstance(value, str) or not value:
        return None
    # JSON can name half a character, which no file or terminal takes.
    return value.encode("utf-8", "replace").decode("utf-8")


def integer(value: object) -> int | None:
    """Read a whole number, also from text."""
    if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST:
        return value
    return None


def number(value: object) -> float | None:
    """Read a finite number."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST:
        return float(value)
    return None


def boolean(value: object) -> bool | None:
    """Read true or false."""
    return value if isinstance(value, bool) else None


def base64_bytes(value: object) -> bytes | None:
    """Read bytes in Base64; '' is how the platform says that there are none."""
    if not isinstance(value, str) or not value:
        return None
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None


def instant(value: object) -> datetime | None:
    """Read a time (ISO 8601) in UTC, which is also meant where no zone is named."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def document(value: object) -> Document | None:
    """Read an object."""
    return value if isinstance(value, dict) else None


def texts(value: object) -> tuple[str, ...]:
    """Read a list of texts, without what is none."""
    return tuple(word for word in map(text, value) if word is not None) if isinstance(value, list) else ()


def documents(value: object) -> tuple[Document, ...]:
    """Read a list of objects, without what is none."""
    return tuple(entry for entry in value if isinstance(entry, dict)) if isinstance(value, list) else ()


def sip_headers(value: object) -> tuple[SipHeader, ...]:
    """Read a list of {"name", "value"}, without what is none; a header may be empty."""
    pairs = [(text(entry.get("name")), entry.get("value")) for entry in documents(value)]
    return tuple(SipHeader(name, text(what) or "") for name, what in pairs if name and isinstance(what, str | int))
