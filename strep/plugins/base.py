"""Say what a plugin is: something that listens to streams, many at a time, and tells what it finds.

A plugin declares what it wants (`Wants`), and is given exactly that, whatever comes over the wire: hops of one length
and sample rate, in order, without a hole, each stream at most once in a call. So it can keep its state in columns, a
row a stream, and update all of them in a few numpy calls. Who would rather look at one stream at a time writes a
`StreamPlugin`: strep.plugins.each gives each stream one of its own.

    start(rows)        once: make the state for so many streams
    open(row, ...)     a stream begins on a row: forget the one before
    process(hops)      audio; where some had to be dropped, the stream is opened anew, and begins at another position
    event(row, ...)    something that the engine says of a stream: a gap, a telephone event, another format
    tick(time_ns)      once a second while calls are live: time goes on, also for streams of which nothing comes
    close(row)         the stream ended: tell what was held back
    finish()           nothing more comes
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from strep.stream.events import Direction, Event, StreamIdentity


@dataclass(frozen=True, slots=True)
class Wants:
    """What says what a plugin is given.

    sample_rate_hz: what it is resampled to. hop_samples: how long a hop is. is_pair: both directions of a leg in one
    row, aligned by time, rather than each in a row of its own.
    """

    sample_rate_hz: int = 8000
    hop_samples: int = 160
    is_pair: bool = False


@dataclass(frozen=True, slots=True)
class Hops:
    """One hop of each of n streams.

    rows: int64[n], none twice. position: int64[n], of the first sample since the stream began; hop after hop it grows
    by hop_samples. time_ns: int64[n], wall time of that sample. samples: int16[n, hop_samples], and for pairs
    int16[n, 2, hop_samples], inbound first. state: uint8[n] (uint8[n, 2]) of SampleState: the worst that is in the hop.
    arrival_ns: int64[n] (int64[n, 2]), when the packet came that the hop's last sample is of; 0 where none came.

    `samples` may be a read-only broadcast: do not write to it.
    """

    sample_rate_hz: int
    rows: NDArray[np.int64]
    position: NDArray[np.int64]
    time_ns: NDArray[np.int64]
    samples: NDArray[np.int16]
    state: NDArray[np.uint8]
    arrival_ns: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class PlacedEvent:
    """Something that the engine says of a stream, and where that is among the hops.

    direction: of pairs, which of the two it is about. position: as Hops.position counts, at the sample rate that the
    plugin wants; the event's own is at the stream's. Of an anchor that moved it is the stream's first sample.
    """

    event: Event
    direction: Direction
    position: int


#: What findings are reported with; a finding has no field of its own of such a name.
RESERVED = frozenset(("sequence", "event", "time", "call", "call_leg_id", "leg", "plugin", "start_s", "file", "at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that a plugin found in a stream; each kind is a class of its own with its own fields.

    row: of the stream. position: of its first sample, at the sample rate that the plugin wants. length_samples: how
    long it is, 0 for what has no length. KIND: its name in reports, such as "digit". Fields of its own may be numbers,
    texts, None, and tuples or dicts of those.
    """

    KIND: ClassVar[str]

    row: int
    position: int
    length_samples: int = 0


class PluginConfig(BaseModel):
    """The base of a plugin's configuration: checked, and frozen. Raises pydantic's ValidationError."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Plugin(Protocol):
    """A plugin that listens to many streams. It may raise: whoever runs it counts that, and switches it off when it
    goes on.
    """

    NAME: ClassVar[str]
    wants: Wants

    def start(self, rows: int) -> None:
        """Make the state for so many streams."""

    def open(self, row: int, identity: StreamIdentity) -> None:
        """Begin a stream; of a pair, the inbound direction's identity."""

    def process(self, hops: Hops) -> Iterable[Finding]:
        """Take audio."""

    def event(self, row: int, placed: PlacedEvent) -> Iterable[Finding]:
        """Take what the engine says of a stream."""

    def tick(self, time_ns: int) -> Iterable[Finding]:
        """See how late it is, wall time; what came until then, but for the last moments, was given.

        Called once a second while calls are live, never for files. It is how silence is told of while it lasts.
        """

    def close(self, row: int) -> Iterable[Finding]:
        """End a stream."""

    def finish(self) -> Iterable[Finding]:
        """End everything."""


class BlockPlugin:
    """A plugin that does nothing: to inherit from, and fill in what is of interest. config: as CONFIG has it."""

    NAME: ClassVar[str] = "nothing"
    CONFIG: ClassVar[type[PluginConfig]] = PluginConfig
    wants = Wants()

    def __init__(self, config: PluginConfig | None = None) -> None:
        self.config: Any = config or self.CONFIG()

    def start(self, rows: int) -> None:
        """Make the state for so many streams."""

    def open(self, row: int, identity: StreamIdentity) -> None:
        """Begin a stream."""

    def process(self, hops: Hops) -> Iterable[Finding]:
        """Take audio."""
        return ()

    def event(self, row: int, placed: PlacedEvent) -> Iterable[Finding]:
        """Take what the engine says of a stream."""
        return ()

    def tick(self, time_ns: int) -> Iterable[Finding]:
        """See how late it is."""
        return ()

    def close(self, row: int) -> Iterable[Finding]:
        """End a stream."""
        return ()

    def finish(self) -> Iterable[Finding]:
        """End everything."""
        return ()
