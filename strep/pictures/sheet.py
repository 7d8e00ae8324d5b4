"""Be what is drawn of a call: both directions on one time axis, with all that is known of them."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


class Trouble(enum.Enum):
    """Why an interval has no received audio."""

    LOST = "lost"
    CONCEALED = "concealed"
    SILENCE = "silence"
    UNDECODED = "undecoded"


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval of a direction, seconds from the beginning of the picture."""

    start_s: float
    end_s: float
    trouble: Trouble


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a moment. is_event: a key or another telephone event, else a codec or a source."""

    at_s: float
    text: str
    is_event: bool = False


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When packets came: at_s float64[n], delay_ms beyond the least delayed one, jitter_ms (RFC 3550 A.8)."""

    at_s: NDArray[np.float64]
    delay_ms: NDArray[np.float64]
    jitter_ms: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Side:
    """One direction. start_s: where its first sample lies. samples: int16[n]. arrivals: None where nobody knows."""

    name: str
    start_s: float
    sample_rate_hz: int
    samples: NDArray[np.int16]
    intervals: list[Interval] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    arrivals: Arrivals | None = None

    @property
    def end_s(self) -> float:
        """Give where its last sample ends, or the last thing happened."""
        return max(self.start_s + len(self.samples) / self.sample_rate_hz, *(mark.at_s for mark in self.marks), 0.0)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One picture. title, subtitle: whose call it is, and when it was."""

    title: str
    subtitle: str
    sides: list[Side]

    @property
    def end_s(self) -> float:
        """Give how long it is."""
        return max((side.end_s for side in self.sides), default=0.0)
