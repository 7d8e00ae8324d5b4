"""Report a key that was heard twice, as a tone and as a telephone event, as one.

A tone and an event are the same key when both say the same digit, and overlap or are no further apart than
TOLERANCE_SAMPLES. Each waits until its stream has gone on by WAIT_SAMPLES from its end: so the result depends on where
both lie in the stream, and not on which of them was told first. What comes later still, and matches what was reported,
is not reported again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from strep.plugins.base import Finding
from strep.plugins.tone_pairs import SAMPLE_RATE_HZ

Source = Literal["inband", "rfc4733", "both"]
#: 30 ms: a gateway begins the event where it heard the tone, or up to a packet behind what it let through of it. Less
#: than the shortest pause between two digits (40 ms), so that neighbours stay apart.
TOLERANCE_SAMPLES = 30 * SAMPLE_RATE_HZ // 1000
#: 250 ms: an event that lost its end packets is told 200 ms after its last packet.
WAIT_SAMPLES = 250 * SAMPLE_RATE_HZ // 1000
#: A tone comes with one event, and 250 ms hold six digits; a peer that sends more has the oldest reported early.
MOST_WAITING = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Digit(Finding):
    """A key that was pressed. digit: 0-9, *, #, A-D. level_dbm0: of both tones together (RFC 4733 section 2.3.3).

    source: how it came; of both, position and length are from the earlier beginning to the later end, and the level is
    the tone's.
    """

    KIND: ClassVar[str] = "digit"

    digit: str
    source: Source
    duration_ms: float
    level_dbm0: float

    @property
    def end(self) -> int:
        """Give the position behind its last sample."""
        return self.position + self.length_samples

    def is_same_key(self, other: Digit) -> bool:
        """Tell whether one is the tone and the other the event of the same key."""
        if self.digit != other.digit or {self.source, other.source} != {"inband", "rfc4733"}:
            return False
        return max(self.position, other.position) - min(self.end, other.end) <= TOLERANCE_SAMPLES

    def joined(self, other: Digit) -> Digit:
        """Make one of a tone and its event."""
        position, end = min(self.position, other.position), max(self.end, other.end)
        return replace(
            self,
            position=position,
            length_samples=end - position,
            source="both",
            duration_ms=(end - position) * 1000 / SAMPLE_RATE_HZ,
            level_dbm0=self.level_dbm0 if self.source == "inband" else other.level_dbm0,
        )


@dataclass(slots=True)
class DigitPairing:
    """A digit pairing that keeps one stream's digits until nothing can come that belongs to them."""

    _waiting: list[Digit] = field(default_factory=list)
    _reported: deque[Digit] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))

    @property
    def due(self) -> int | None:
        """Give the position that the stream has to reach for something to be reported, if anything waits."""
        return min(digit.end for digit in self._waiting) + WAIT_SAMPLES if self._waiting else None

    def add(self, digit: Digit) -> list[Digit]:
        """Take a tone or an event; gives what has to make room for it."""
        for reported in self._reported:
            if reported.is_same_key(digit):
                self._reported.remove(reported)
                self._reported.append(reported.joined(digit))
                return []
        for place, waiting in enumerate(self._waiting):
            if waiting.is_same_key(digit):
                self._waiting[place] = waiting.joined(digit)
                return []
        self._waiting.append(digit)
        return self._report(self._waiting[:1]) if len(self._waiting) > MOST_WAITING else []

    def reach(self, position: int) -> list[Digit]:
        """Give, in order of position, what has waited long enough when the stream has come so far."""
        return self._report([digit for digit in self._waiting if digit.end + WAIT_SAMPLES <= position])

    def finish(self) -> list[Digit]:
        """Give all that waits."""
        return self._report(self._waiting)

    def _report(self, digits: list[Digit]) -> list[Digit]:
        self._reported.extend(digits)
        self._waiting = [digit for digit in self._waiting if digit not in digits]
        return sorted(digits, key=lambda digit: digit.position)
