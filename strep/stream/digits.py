"""Fold the repeated packets of RFC 4733 telephone events into one event each.

An event's packets share a timestamp and grow in duration; the last is sent three times (section 2.5.1.4). All of them,
or all the last ones, may be lost: then the event ends when another begins, when audio has gone on for SETTLE_NS, or
when its stream closes, and is said to be incomplete.
"""

from __future__ import annotations

from dataclasses import dataclass

from strep.stream.events import TelephoneEvent
from strep.wire.telephone_event import TelephoneEventPayload, event_name

#: Packets of one event come every 20 to 50 ms (section 2.5.1.2); this is the loss of several in a row.
SETTLE_NS = 200_000_000


@dataclass(slots=True)
class _Running:
    """Is the event of which packets were seen last."""

    timestamp: int
    event: int
    time_ns: int
    last_ns: int
    position: int
    clock_hz: int
    volume_dbm0: int
    duration: int
    reported: bool = False


class EventFolder:
    """Folds one stream's event packets; each call gives the event that it completed, or None."""

    def __init__(self, slot: int) -> None:
        self._slot = slot
        self._running: _Running | None = None

    @property
    def is_waiting(self) -> bool:
        """Tell whether an event was begun and not yet reported."""
        return self._running is not None and not self._running.reported

    def packet(
        self, payload: TelephoneEventPayload, *, timestamp: int, arrival_ns: int, position: int, clock_hz: int
    ) -> list[TelephoneEvent]:
        """Take one packet."""
        done: list[TelephoneEvent] = []
        running = self._running
        if running is None or (running.timestamp, running.event) != (timestamp, payload.event):
            done += self.finish()
            running = self._running = _Running(
                timestamp, payload.event, arrival_ns, arrival_ns, position, clock_hz, payload.volume_dbm0, 0
            )
        running.duration = max(running.duration, payload.duration)
        running.last_ns = arrival_ns
        if payload.end and not running.reported:
            done.append(self._report(running, complete=True))
        return done

    def audio(self, arrival_ns: int) -> list[TelephoneEvent]:
        """Take note that audio came; it ends an event whose own end was lost."""
        if self._running is not None and arrival_ns - self._running.last_ns > SETTLE_NS:
            return self.finish()
        return []

    def finish(self) -> list[TelephoneEvent]:
        """Report the event that waits for its end, if one does."""
        if self._running is None or self._running.reported:
            return []
        return [self._report(self._running, complete=False)]

    def _report(self, running: _Running, *, complete: bool) -> TelephoneEvent:
        running.reported = True
        return TelephoneEvent(
            time_ns=running.time_ns,
            slot=self._slot,
            position=running.position,
            event=running.event,
            name=event_name(running.event),
            duration_ms=running.duration * 1000 / running.clock_hz,
            volume_dbm0=running.volume_dbm0,
            complete=complete,
        )
