"""Write a plugin for one stream at a time: each stream has an object of its own.

    from dataclasses import dataclass

    from strep.plugins.base import Finding
    from strep.plugins.each import StreamPlugin

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Peak(Finding):
        KIND = "peak"  # what its lines say as their event
        level: int

    class Loudest(StreamPlugin):
        NAME = "loudest"

        def start(self, identity):
            self.level = self.length = 0

        def process(self, frame):  # 20 ms at 8 kHz, unless `wants` says otherwise
            self.level = max(self.level, int(abs(frame.samples.astype(int)).max()))
            self.length = frame.position + len(frame.samples)
            return []  # what is found already may be told here

        def finish(self):
            return [Peak(row=0, position=0, length_samples=self.length, level=self.level)]

As my_loudest.py in the folder that you are in, it is run by `strep analyze call.pcap --plugins my_loudest:Loudest`.
It costs some microseconds per hop and stream. What many streams shall share goes into a BlockPlugin.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from strep.plugins.base import BlockPlugin, Finding, Hops, PlacedEvent, PluginConfig, Wants
from strep.stream.events import StreamIdentity


@dataclass(frozen=True, slots=True)
class Frame:
    """One hop of one stream: a row of Hops. samples: int16[hop_samples], of pairs int16[2, hop_samples].

    state, arrival_ns: of pairs, arrays of two.
    """

    row: int
    position: int
    time_ns: int
    samples: NDArray[np.int16]
    sample_rate_hz: int
    state: Any
    arrival_ns: Any


class StreamPlugin:
    """A stream plugin that listens to one stream; to inherit from. Findings may leave `row` at 0: it is filled in."""

    NAME: ClassVar[str] = "nothing"
    CONFIG: ClassVar[type[PluginConfig]] = PluginConfig
    wants: ClassVar[Wants] = Wants()

    def __init__(self, config: PluginConfig | None = None) -> None:
        self.config: Any = config or self.CONFIG()

    def start(self, identity: StreamIdentity) -> None:
        """Begin."""

    def process(self, frame: Frame) -> Iterable[Finding]:
        """Take audio."""
        return ()

    def event(self, placed: PlacedEvent) -> Iterable[Finding]:
        """Take what the engine says of the stream."""
        return ()

    def finish(self) -> Iterable[Finding]:
        """End."""
        return ()


class EachStream(BlockPlugin):
    """An each stream that makes a plugin for many streams of one for a single stream."""

    def __init__(self, kind: type[StreamPlugin], config: PluginConfig | None = None) -> None:
        self.NAME = kind.NAME  # type: ignore[misc]  # a class for each kind could not be sent to another process
        self.wants = kind.wants
        super().__init__(config or kind.CONFIG())
        self._kind = kind
        self._streams: dict[int, StreamPlugin] = {}

    def start(self, rows: int) -> None:
        """Forget all streams."""
        self._streams = {}

    def open(self, row: int, identity: StreamIdentity) -> None:
        """Make the stream its own plugin."""
        stream = self._streams[row] = self._kind(self.config)
        stream.start(identity)

    def process(self, hops: Hops) -> Iterator[Finding]:
        """Give each stream its hop; what one of them raises is raised when all have had theirs."""
        failure: Exception | None = None
        arrival_ns = hops.arrival_ns if hops.arrival_ns is not None else np.zeros_like(hops.state, np.int64)
        columns = zip(
            hops.rows.tolist(), hops.position.tolist(), hops.time_ns.tolist(), hops.samples, hops.state, arrival_ns,
            strict=True,
        )  # fmt: skip
        for row, position, time_ns, samples, state, arrival in columns:
            frame = Frame(row, position, time_ns, samples, hops.sample_rate_hz, state, arrival)
            try:
                yield from _of(row, self._streams[row].process(frame))
            except Exception as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def event(self, row: int, placed: PlacedEvent) -> Iterator[Finding]:
        """Give a stream what was said of it."""
        yield from _of(row, self._streams[row].event(placed))

    def close(self, row: int) -> Iterator[Finding]:
        """End a stream."""
        yield from _of(row, self._streams.pop(row).finish())


def _of(row: int, findings: Iterable[Finding]) -> Iterator[Finding]:
    for finding in findings:
        yield finding if finding.row == row else replace(finding, row=row)
