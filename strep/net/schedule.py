"""Say which datagrams of a capture go out again, and when. Pure: no socket, no clock.

The rules:

1. What is sent is RTP or STREP by its headers (strep.wire.headers). Signalling, RTCP, STUN and damage stay out.
2. Time starts at the first datagram that is sent, and goes on as in the capture.
3. Who sent a datagram in the capture is kept apart, by number: plain RTP is told apart by its sender alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from strep.stream.events import Leg
from strep.stream.records import HEADER, Record, records
from strep.wire.batch import DatagramBatch, Endpoint
from strep.wire.fate import Fate
from strep.wire.headers import parse_headers
from strep.wire.strep import StrepHeader

#: Any would do, as long as it never changes: the same capture gives the same call_leg_id on every machine.
_CONVERSATIONS = uuid.UUID("5f0c2f6e-5c1d-4c5c-9a3b-2f0f6d7c8e11")


class Due(NamedTuple):
    """One datagram to send, `offset_ns` after the first one; `flow` numbers its sender in the capture."""

    offset_ns: int
    data: bytes
    flow: int


def call_leg_id_of(conversation: str) -> uuid.UUID:
    """Make up the call_leg_id of a conversation of plain RTP; the same one each time (RFC 9562 section 5.5)."""
    return uuid.uuid5(_CONVERSATIONS, conversation)


def media_schedule(batches: Iterable[DatagramBatch], *, encapsulate: bool = False) -> Iterator[Due]:
    """Yield the media of batches in order of arrival, as a capture's reader gives them.

    encapsulate: put a STREP header in front of plain RTP: leg A, the direction of its endpoint, call_leg_id_of its
    conversation. What has one already keeps it.
    """
    first_ns: int | None = None
    headers: list[bytes] = []
    parsed: Record = records(1, HEADER)[0]
    for batch in batches:
        headers += _strep_headers(batch.endpoints[len(headers) :])
        for row in range(len(batch)):
            if parse_headers(batch.flat, int(batch.offset[row]), int(batch.length[row]), parsed) != Fate.ACCEPTED:
                continue
            arrival_ns, flow = int(batch.arrival_ns[row]), int(batch.source[row])
            first_ns = arrival_ns if first_ns is None else first_ns
            header = headers[flow] if encapsulate and not parsed.is_strep else b""
            yield Due(arrival_ns - first_ns, header + batch.datagram(row), flow)


def _strep_headers(endpoints: Sequence[Endpoint]) -> list[bytes]:
    return [
        StrepHeader(call_leg_id_of(endpoint.conversation), Leg.A, endpoint.direction).serialize()
        for endpoint in endpoints
    ]
