"""Say what came out of a recording."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from strep.stream.events import StreamIdentity, StreamReport


class Layout(enum.StrEnum):
    """How the two directions of a leg are kept."""

    STEREO = "stereo"  #: one file a leg: INBOUND (D=0) is left, OUTBOUND (D=1) is right, always
    MONO = "mono"  #: one file a direction, each beginning with its own first sample


@dataclass(frozen=True, slots=True)
class Recording:
    """One finished recording. parts: all its files in order, nearly always just `path`.

    start_ns: wall time of its first sample, nanoseconds since the Unix epoch. reports: of each stream that has closed.
    unwritten_samples: frames that the system refused to write.
    """

    path: Path
    sidecar_path: Path
    identities: tuple[StreamIdentity, ...]
    start_ns: int
    duration_s: float
    sample_rate_hz: int
    channels: int
    parts: tuple[Path, ...]
    reports: tuple[StreamReport, ...]
    unwritten_samples: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that went wrong with one recording, mostly because the system refused; no other is affected."""

    call: str
    reason: str
