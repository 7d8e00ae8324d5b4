"""Say whose a finding is, and when it was."""

from __future__ import annotations

from dataclasses import dataclass

from strep.plugins.base import Finding
from strep.stream.events import StreamIdentity


@dataclass(frozen=True, slots=True)
class Found:
    """A finding of a plugin in a stream.

    identity: of a plugin that wants pairs, the leg's inbound direction. time_ns: wall time of the finding's first
    sample. start_s: the same since the stream (the pair) began. duration_ms: 0 for what has no length.
    """

    plugin: str
    identity: StreamIdentity
    is_pair: bool
    time_ns: int
    start_s: float
    duration_ms: float
    finding: Finding
