"""Tell what is dropped, refused, left out or unwritten while it happens: from counts, looked at once a second.

The rules, by which nobody reads of a flood line by line:

1. A reason is a counter's name: a fate's (strep.wire.fate), or that of what is counted elsewhere, such as kernel_drops.
   A new fate is a reason by itself: only what a network does anyway (_NO_ALARM) is none.
2. A first packet waits for its sender's proof, and has not gone wrong while it does (`gone_wrong`).
3. Its alarm is raised by the first look at which it has grown; what a port may well get (_LEAST_PER_S) must have grown
   by so much a second.
4. While it grows, it is told again every REPEAT_NS.
5. It is cleared when it has not grown for QUIET_NS. So no reason is told more than four times a minute.

Like everything that is not a socket, this has no clock: time is an argument.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from strep.utc import utc_text
from strep.wire.fate import Fate

_log = logging.getLogger(__name__)
LOOK_NS = 1_000_000_000
REPEAT_NS = 60_000_000_000
QUIET_NS = 30_000_000_000
#: Classes of fates, the first word of their names, that are told in the sidecars alone.
_NO_ALARM = frozenset(("accepted", "duplicate", "late"))
#: RTCP, STUN and T.38 come beside calls, some a second for each hundred of them: ten times that is a flood.
_LEAST_PER_S = {"not": 1000}
#: What costs whole calls goes first; then classes of fates. Others are last.
_IMPORTANCE = ("kernel_drops", "write_errors", "over", "rejected", "malformed", "not")
_NOUNS = {"write_errors": "failed write"}


class AlarmState(enum.StrEnum):
    """Where an alarm is between its beginning and its end."""

    RAISED = "raised"
    STANDING = "standing"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that goes wrong, as it is at one moment.

    reason: a stable word. count: how often it happened since it was last told. total: since reception began.
    time_ns, since_ns: now, and when the alarm was raised; wall time.
    """

    reason: str
    state: AlarmState
    count: int
    total: int
    time_ns: int
    since_ns: int

    def describe(self) -> dict[str, Any]:
        """Give what its line of JSON says beside event and time."""
        return {
            "reason": self.reason,
            "state": self.state.value,
            "count": self.count,
            "total": self.total,
            "since": utc_text(self.since_ns),
        }

    def __str__(self) -> str:
        noun = _NOUNS.get(self.reason, "datagram")
        count = f"{self.count:,} {noun}" if self.count == 1 else f"{self.count:,} {noun}s"
        match self.state:
            case AlarmState.RAISED:
                return f"{self.reason} began: {count} so far"
            case AlarmState.STANDING:
                return f"{self.reason} goes on: {count} more, {self.total:,} in all"
            case AlarmState.CLEARED:
                return f"{self.reason} is over: {count} more, {self.total:,} in all"


@dataclass(slots=True)
class _Standing:
    """What is remembered of an alarm: when it was raised, when it last grew and was last told, and what was not."""

    since_ns: int
    grown_ns: int
    told_ns: int
    untold: int = 0


@dataclass(slots=True)
class Alarms:
    """The alarms of one set of counters, by the rules above."""

    _looked_ns: int | None = None
    _totals: dict[str, int] = field(default_factory=dict)
    _standing: dict[str, _Standing] = field(default_factory=dict)

    def is_due(self, now_ns: int) -> bool:
        """Tell whether it is time to look: a second has passed, or the clock was set back."""
        return self._looked_ns is None or not 0 <= now_ns - self._looked_ns < LOOK_NS

    def look(self, now_ns: int, totals: Mapping[str, int]) -> list[Alarm]:
        """Look at counters by name, all of them each time; give what is to be told. Nothing before it is due."""
        if not self.is_due(now_ns):
            return []
        elapsed_s = max(now_ns - (self._looked_ns or now_ns), LOOK_NS) / 1e9
        self._looked_ns = now_ns
        told = []
        for reason, total in totals.items():
            growth = total - self._totals.get(reason, 0)
            self._totals[reason] = total
            if has_grown(reason, growth, elapsed_s):
                alarm = self._grow(now_ns, reason, growth)
            else:
                alarm = self._pass(now_ns, reason, growth)
            if alarm is not None:
                told.append(alarm)
        return sorted(told, key=importance)

    @property
    def standing(self) -> list[Alarm]:
        """Give the alarms that are not cleared, the most important one first, then the largest."""
        now_ns = self._looked_ns or 0
        alarms = [
            Alarm(reason, AlarmState.STANDING, one.untold, self._totals[reason], now_ns, one.since_ns)
            for reason, one in self._standing.items()
        ]
        return sorted(alarms, key=importance)

    def _grow(self, now_ns: int, reason: str, growth: int) -> Alarm | None:
        """Take what was counted since the last look; give the alarm if it is raised by it."""
        if one := self._standing.get(reason):
            one.grown_ns = now_ns
            one.untold += growth
            return self._pass(now_ns, reason, 0)
        self._standing[reason] = _Standing(now_ns, now_ns, now_ns)
        return Alarm(reason, AlarmState.RAISED, growth, self._totals[reason], now_ns, now_ns)

    def _pass(self, now_ns: int, reason: str, growth: int) -> Alarm | None:
        """Let time pass for an alarm that stands; give it when it is cleared, or told again."""
        one = self._standing.get(reason)
        if one is None:
            return None
        one.untold += max(0, growth)  # too little to keep it standing
        one.grown_ns, one.told_ns = min(one.grown_ns, now_ns), min(one.told_ns, now_ns)  # the clock was set back
        if now_ns - one.grown_ns >= QUIET_NS:
            state = AlarmState.CLEARED
            del self._standing[reason]
        elif now_ns - one.told_ns >= REPEAT_NS:
            state = AlarmState.STANDING
        else:
            return None
        alarm = Alarm(reason, state, one.untold, self._totals[reason], now_ns, one.since_ns)
        one.told_ns, one.untold = now_ns, 0
        return alarm


def warn(alarm: Alarm) -> None:
    """Tell an alarm in the log."""
    _log.warning("%s", alarm)


def gone_wrong(fates: Mapping[str, int], unproven_packets: int) -> dict[str, int]:
    """Give the fates of datagrams without those packets that may still be taken.

    unproven_packets: how many wait for their sender's proof (strep.stream.probation).
    """
    reason = Fate.REJECTED_PROBATION.label
    return {**fates, reason: max(0, fates.get(reason, 0) - unproven_packets)}


def class_of(reason: str) -> str:
    """Give the class of a fate's name: its first word."""
    return reason.partition("_")[0]


def has_grown(reason: str, growth: int, elapsed_s: float) -> bool:
    """Tell whether a counter has grown so much that it is an alarm."""
    if class_of(reason) in _NO_ALARM:
        return False
    return growth >= max(1, _LEAST_PER_S.get(class_of(reason), 0) * elapsed_s)


def importance(alarm: Alarm) -> tuple[int, int]:
    """Give a key to sort alarms by."""
    for place, name in enumerate(_IMPORTANCE):
        if name in (alarm.reason, class_of(alarm.reason)):
            return place, -alarm.total
    return len(_IMPORTANCE), -alarm.total
