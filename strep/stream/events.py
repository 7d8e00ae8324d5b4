"""Say what happens to a stream besides its samples. Positions count samples at `sample_rate_hz` since it began."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass, field

from strep.audio.block import SampleState
from strep.audio.formats import AudioFormat


class Leg(enum.IntEnum):
    """The L bit of STREP: which leg of the call."""

    A = 0
    B = 1


class Direction(enum.IntEnum):
    """The D bit of STREP, seen from the platform: 0 is what it received, 1 what it transmitted."""

    INBOUND = 0
    OUTBOUND = 1


@dataclass(frozen=True, slots=True)
class StreamIdentity:
    """A stream identity that names one direction of one leg. Plain RTP has no call_leg_id: there, `conversation` is all
    we know.
    """

    call_leg_id: uuid.UUID | None
    leg: Leg
    direction: Direction
    conversation: str = ""

    @property
    def call(self) -> str:
        """Name the recording that this stream belongs to: the same for both directions of a leg."""
        return f"{self.call_leg_id}-{self.leg.name}" if self.call_leg_id else self.conversation


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The first event of a stream; `slot` names it until StreamClosed, after which the number may serve again."""

    time_ns: int
    slot: int
    identity: StreamIdentity
    ssrc: int
    source: str
    destination: str


@dataclass(frozen=True, slots=True)
class AnchorMoved:
    """An event that says that sample 0 of the stream lies at wall time `anchor_ns`: a less delayed packet told better.

    Until the first of these, sample 0 lies at the time of StreamOpened. Estimates only ever move to earlier.
    """

    time_ns: int
    slot: int
    anchor_ns: int


@dataclass(frozen=True, slots=True)
class FormatChanged:
    """An event that says what the payload type now means; `format` is None when nobody told us. Comes before the first
    samples.
    """

    time_ns: int
    slot: int
    position: int
    payload_type: int
    format: AudioFormat | None


@dataclass(frozen=True, slots=True)
class SourceChanged:
    """An event that says that another SSRC (or a restarted timestamp base of the same one) goes on from `position`."""

    time_ns: int
    slot: int
    position: int
    ssrc: int


@dataclass(frozen=True, slots=True)
class Gap:
    """An interval without received audio: lost (and perhaps concealed), or silence that the sender meant."""

    time_ns: int
    slot: int
    position: int
    length_samples: int
    sample_rate_hz: int
    lost_packets: int
    state: SampleState


@dataclass(frozen=True, slots=True)
class TelephoneEvent:
    """One RFC 4733 event, its repeats folded into one. `complete` is False when no end packet arrived."""

    time_ns: int
    slot: int
    position: int
    event: int
    name: str
    duration_ms: float
    volume_dbm0: int
    complete: bool


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What one SSRC did (RFC 3550 A.3 and A.8): packets counts every valid one, duplicates and late included.

    mean_jitter_ms, max_jitter_ms: None where nobody knows the clock of any payload type that was heard.
    earlier_sources: the addresses that it came from before `source`, the first one first.
    """

    ssrc: int
    payload_types: dict[int, str]
    source: str
    destination: str
    first_arrival_ns: int
    last_arrival_ns: int
    packets: int
    payload_bytes: int
    expected: int
    lost: int
    duplicates: int
    late: int
    reordered: int
    rejected: int
    undecoded: int
    mean_jitter_ms: float | None
    max_jitter_ms: float | None
    max_delta_ms: float
    restarts: int
    false_header_claims: bool
    earlier_sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StreamReport:
    """The totals of a stream, all its sources together.

    anchor_ns: wall time of sample 0 by the least delayed packet. samples_by_state: per SampleState name, samples.
    refused_senders: packets that other addresses sent to this stream, by address; they are none of its own.
    """

    identity: StreamIdentity
    anchor_ns: int
    start_ns: int
    end_ns: int
    length_samples: int
    sample_rate_hz: int
    skew_ppm: float
    samples_by_state: dict[str, int]
    fates: dict[str, int]
    overlapped_samples: int
    sources: list[SourceReport] = field(default_factory=list)
    refused_senders: dict[str, int] = field(default_factory=dict)


class CloseReason(enum.StrEnum):
    """Why a stream ended."""

    IDLE = "idle"  #: neither direction of its leg was heard for the idle time-out
    STOPPED = "stopped"  #: the receiver stopped, or the capture file ended
    OVERLOADED = "overloaded"  #: more came than could be carried, and this leg was left out
    DISPLACED = "displaced"  #: slots were short, and this leg had sent little and nothing of late
    FAULT = "fault"  #: our own fault: its rules raised
    ENDED = "ended"  #: the caller said that the fork is over


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """The last event of a stream, with its totals."""

    time_ns: int
    slot: int
    reason: CloseReason
    report: StreamReport


Event = StreamOpened | AnchorMoved | FormatChanged | SourceChanged | Gap | TelephoneEvent | StreamClosed
