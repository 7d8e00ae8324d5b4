"""Say who may send to a leg that is open: STREP and RTP prove nothing, so the address that it was learnt from does.

1. A stream belongs to the address and port that opened it, a leg to the host that opened its first stream.
2. The leg's other direction may come from another port of that host; from another host as in rule 3.
3. Another address takes a stream over when its owner has been silent: 1 s for another port of the same host (a sender
   that was restarted, or whose NAT forgot it), 3 s of the whole leg for another host, but for what that host itself
   sends to it. It must prove itself by two packets in sequence first, see strep.stream.probation, and the owner must
   still be silent then.
4. Where only networks that are allowed are heard (`senders_may_move`), an address may take over at once with a packet
   that goes on from the one before in sequence number and timestamp.
5. Who opened a stream takes it back at once: so whoever used a pause of his has it only until he speaks again.

What another address sends is refused, and counted by leg. So nobody feeds, shifts or ends a leg by guessing its id.
"""

from __future__ import annotations

import enum

from strep.stream.clock import STALL_NS
from strep.stream.sequence import MAX_DROPOUT

PORT_SILENT_NS = 1_000_000_000
HOST_SILENT_NS = 3_000_000_000


class Verdict(enum.Enum):
    """What becomes of a packet from a source that is new to an open leg."""

    ADMITTED = enum.auto()
    REFUSED = enum.auto()
    LATER = enum.auto()  #: its sender may become the owner at the next whole second: hold it back until then


def host_of(source: str) -> str:
    """Give the host of a sender's text, `203.0.113.5:40000` or `[2001:db8::1]:40000`."""
    return source.rpartition(":")[0]


def was_left(host: str, owner_host: str, stream_silent_ns: int, leg_silent_ns: int) -> bool:
    """Tell whether an owner has been silent for so long that another address may take over (rule 3)."""
    if host == owner_host:
        return stream_silent_ns >= PORT_SILENT_NS
    return leg_silent_ns >= HOST_SILENT_NS


def goes_on(sequence_step: int, time_difference_ns: float) -> bool:
    """Tell whether a packet goes on from the one before (rule 4).

    sequence_step: how far its sequence number is ahead. time_difference_ns: by how much its timestamp went on more, or
    less, than the time between the two packets' arrivals.
    """
    return 0 < sequence_step <= MAX_DROPOUT and abs(time_difference_ns) <= STALL_NS
