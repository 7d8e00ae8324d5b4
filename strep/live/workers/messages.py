"""Say what a worker tells its supervisor, each message as one line of JSON.

A worker reports its Counts often, each time all of them since it started, so that a report may be left out; and it
sends an Entry once for every recording that it finished, for every failure, and for what else is news. The supervisor
says one thing only: what to do, as a Document on the first line. That its end of the channel closes, because the worker
is to stop or because the supervisor died, means stop.
"""

from __future__ import annotations

import enum
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

#: A JSON object.
Document = dict[str, Any]
#: The longest line that is sent. The document of a recording has 3 kB; one with all the sources that a stream may have
#: has 60 kB. Longer ones are left out, and show in the counts alone.
MAX_LINE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Counts:
    """What a worker has done since it started, and below the line, what it has at hand.

    fates: of the datagrams received, by name; they add up to `received`. recordings: finished ones.
    unproven_packets: of the fates, those that wait for their sender's proof and count as refused until then.
    """

    received: int = 0
    fates: Mapping[str, int] = field(default_factory=dict)
    lost_packets: int = 0
    recordings: int = 0
    failures: int = 0
    # ---
    calls: int = 0
    streams: int = 0
    open_recordings: int = 0
    unproven_packets: int = 0

    def __add__(self, other: Counts) -> Counts:
        fates = Counter(self.fates)
        fates.update(other.fates)  # unlike Counter's sum, this keeps those that are 0
        return Counts(
            received=self.received + other.received,
            fates=dict(fates),
            lost_packets=self.lost_packets + other.lost_packets,
            recordings=self.recordings + other.recordings,
            failures=self.failures + other.failures,
            calls=self.calls + other.calls,
            streams=self.streams + other.streams,
            open_recordings=self.open_recordings + other.open_recordings,
            unproven_packets=self.unproven_packets + other.unproven_packets,
        )

    def without_the_living(self) -> Counts:
        """Give what remains when the worker is gone: it has nothing at hand any more."""
        return replace(self, calls=0, streams=0, open_recordings=0, unproven_packets=0)


class EntryKind(enum.StrEnum):
    """What an entry tells of."""

    RECORDING = "recording"
    FAILURE = "failure"
    FORMAT = "format"  #: what a payload type means, or that nobody knows
    LEFT_OUT = "left_out"  #: a call that was left out because more came than could be carried


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that a worker finished, failed to, or came across."""

    kind: EntryKind
    document: Document


Message = Counts | Entry


def encode(message: Message) -> bytes:
    """Write a message as a line."""
    value = {"counts": asdict(message)} if isinstance(message, Counts) else {message.kind.value: message.document}
    return encode_document(value)


def decode(line: bytes) -> Message:
    """Read a line. Raises ValueError for what `encode` did not write."""
    try:
        ((kind, value),) = json.loads(line).items()
        return Counts(**value) if kind == "counts" else Entry(EntryKind(kind), value)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"expected a worker's message, found {line[:80]!r}") from error


def encode_document(document: Document) -> bytes:
    """Write a document as a line."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode() + b"\n"
