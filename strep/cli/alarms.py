"""Watch a recorder's counters, and write its alarms short enough for the status line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from strep.alarms import Alarm, Alarms, class_of
from strep.audio.block import AudioBlock
from strep.stream.events import Event

#: How classes of fates are told in short.
_CLASSES = {"rejected": "refused", "malformed": "malformed", "over": "over limit", "not": "not audio"}


class AlarmWatch:
    """A watch over counters, which hands on each alarm when it is to be told. A sink: its time is the receiver's.

    totals: gives all counters by name. It is asked once a second.
    """

    def __init__(self, totals: Callable[[], Mapping[str, int]], tell: Callable[[Alarm], None]) -> None:
        self._alarms = Alarms()
        self._totals, self._tell = totals, tell

    @property
    def standing(self) -> list[Alarm]:
        """Give the alarms that stand, the most important one first."""
        return self._alarms.standing

    def event(self, event: Event) -> None:
        """Do nothing: what is counted is counted elsewhere."""

    def block(self, block: AudioBlock) -> None:
        """Do nothing."""

    def flush(self, now_ns: int) -> None:
        """Look, if it is time to."""
        if self._alarms.is_due(now_ns):
            for alarm in self._alarms.look(now_ns, self._totals()):
                self._tell(alarm)

    def close(self) -> None:
        """Do nothing: there is no file."""


def in_short(standing: Sequence[Alarm]) -> list[str]:
    """Write alarms for one line, in the order given, each class of fates once: its sum, and the fate that most had."""
    shown = []
    for name, group in groupby(standing, lambda alarm: class_of(alarm.reason)):
        first, *others = group
        total = first.total + sum(alarm.total for alarm in others)
        if name in _CLASSES:
            shown.append(f"{_CLASSES[name]} {total:,} ({first.reason})")
        else:
            shown.append(f"{total:,} {first.reason.replace('_', ' ')}")
    return shown
