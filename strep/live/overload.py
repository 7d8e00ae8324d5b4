"""Decide how many calls to leave out when more arrives than this machine carries, and when to take them back.

Without this, the kernel drops packets of all calls alike when its queue is full, and every recording has holes. The
rules, by which most calls stay whole:

1. A receiver that for PATIENCE_NS did not empty its queue in any turn is late. It is overloaded when meanwhile packets
   were dropped, or when the queue is nearly full and what is read has become older. A stall alone does not do that: the
   queue holds what it left, and what is read becomes younger again.
2. Where less than MEDIA_SHARE of what was read meanwhile is of calls, to leave out calls does not help: what floods us
   are strangers, whose datagrams are refused one way or the other. Then no call pays for it.
3. Otherwise so many of the calls are left out, the youngest first, as the receiver fell behind the clock, and
   SPARE_SHARE more, but not more than MOST_SHARE. To end their recordings takes time, too, so one looks again after
   SETTLE_NS.
4. Until the first of them comes back, new ones are left out, too.
5. When the queue was emptied in every turn for CALM_NS, one in READMIT_SHARE comes back, and another each second. When
   that was too much, the next time begins after twice as long a calm, up to MOST_CALM_NS.
6. What waits to be written is a queue like the socket's, and all of it is of calls: when that is nearly full and gets
   older, calls are left out, too. But not while nothing at all is written: that is a disk that stalls, and less to
   write would not help it.

Like everything that is not a socket, this has no clock: time is an argument.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from strep.sinks.base import NO_BACKLOG, Backlog

PATIENCE_NS = 500_000_000
SETTLE_NS = 1_500_000_000
#: Linux gives back the room of what was read only when that is a quarter of all: so full may be two thirds full.
FULL_SHARE = 0.9
MEDIA_SHARE = 0.5
SPARE_SHARE, MOST_SHARE = 0.1, 0.25
CALM_NS, MOST_CALM_NS = 5_000_000_000, 60_000_000_000
READMIT_SHARE = 20
READMIT_INTERVAL_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Load:
    """How a receiver does after a turn.

    emptied: whether the queue was emptied in this turn. lag_ns: how old is what was read last. queued_share: of the
    queue's room, how much is taken. drops, received, media: datagrams since the beginning: dropped, read, and of these
    such as are of calls, also of those that are left out. calls: how many are open; left_out: how many are not.
    writing: what waits to be written.
    """

    emptied: bool
    lag_ns: int
    queued_share: float
    drops: int
    received: int
    media: int
    calls: int
    left_out: int
    writing: Backlog = NO_BACKLOG

    @property
    def is_writing_late(self) -> bool:
        """Whether less to write would help whoever writes."""
        return self.writing.moves and self.writing.share > FULL_SHARE

    @property
    def age_ns(self) -> int:
        """How old is what was done last."""
        return self.lag_ns + (self.writing.age_ns if self.is_writing_late else 0)


class Overload:
    """What watches one receiver's queue."""

    def __init__(self) -> None:
        self._from_ns: int | None = None  # since when what is read is looked at; None while the queue is emptied
        self._age_ns = self._drops = self._received = self._media = 0  # as they were then
        self._calm_from_ns = self._readmitted_ns = 0
        self._calm_ns = CALM_NS

    def look(self, now_ns: int, load: Load) -> int:
        """Tell how many calls to leave out, or, below zero, how many to take back."""
        if load.emptied and not load.is_writing_late:
            self._from_ns = None
            return -self._take_back(now_ns, load.calls, load.left_out)
        self._calm_from_ns = now_ns
        if self._from_ns is None or now_ns <= self._from_ns:  # what is looked at begins only now
            self._begin(max(now_ns, self._from_ns or 0), load)
            return 0
        since_ns = now_ns - self._from_ns
        if since_ns < PATIENCE_NS:
            return 0
        grown_ns = load.age_ns - self._age_ns
        is_full = load.is_writing_late or load.queued_share > FULL_SHARE
        overloaded = load.drops > self._drops or (is_full and grown_ns > 0)
        of_calls = load.is_writing_late or load.media - self._media >= MEDIA_SHARE * (load.received - self._received)
        self._begin(now_ns, load)
        if not (overloaded and of_calls):
            return 0
        self._from_ns = now_ns + SETTLE_NS
        if self._readmitted_ns:
            self._calm_ns = min(2 * self._calm_ns, MOST_CALM_NS)
            self._readmitted_ns = 0
        return math.ceil(load.calls * min(max(grown_ns / since_ns, 0) + SPARE_SHARE, MOST_SHARE))

    def _begin(self, now_ns: int, load: Load) -> None:
        self._from_ns, self._age_ns, self._drops = now_ns, load.age_ns, load.drops
        self._received, self._media = load.received, load.media

    def _take_back(self, now_ns: int, calls: int, left_out: int) -> int:
        calm_ns = now_ns - self._calm_from_ns
        if not left_out and calm_ns > MOST_CALM_NS:
            self._calm_ns, self._readmitted_ns = CALM_NS, 0
        if not left_out or calm_ns < self._calm_ns:
            return 0
        if now_ns - self._readmitted_ns < READMIT_INTERVAL_NS:
            return 0
        self._readmitted_ns = now_ns
        return min(left_out, -(-(calls + left_out) // READMIT_SHARE))
