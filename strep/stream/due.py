"""Carry packets that are to be handed on as columns, and move their streams on behind them.

What goes on from the packet before is told and done here for every codec: by strep.stream.timeline for G.711, by
strep.stream.coded for the others. The scalar twin is strep.stream.placing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.audio.decoders import measure_payloads
from strep.audio.formats import AudioFormat
from strep.stream import table as t
from strep.stream.clock import NS, STALL_NS, TELL_ANCHOR_NS
from strep.stream.intake import Accepted
from strep.wire.batch import scatter


class Due(NamedTuple):
    """Is packets to hand on, with their sources' and streams' rows of strep.stream.table, copied to be changed.

    samples, ticks: how long each is, in samples and by the clock of its timestamps.
    """

    row: NDArray[np.int64]
    sequence: NDArray[np.int64]
    source: NDArray[np.int64]
    slots: NDArray[np.int64]
    stream: NDArray[np.int64]
    cells: NDArray[np.int64]
    payload: NDArray[np.uint8]
    samples: NDArray[np.int64]
    ticks: NDArray[np.int64]
    anchor_ns: NDArray[np.int64]

    def select(self, some: NDArray[np.int64]) -> Due:
        """Copy some of the packets."""
        return Due._make(column[some] for column in self)

    @property
    def arrival_ns(self) -> NDArray[np.int64]:
        """Give when they came."""
        return self.cells[:, t.CELL_ARRIVAL_NS]

    @property
    def length(self) -> NDArray[np.int64]:
        """Give their payloads' lengths, bytes."""
        return self.cells[:, t.CELL_LENGTH_AND_TYPE] & t.LENGTH_MASK

    def goes_on(self) -> NDArray[np.bool_]:
        """Tell which packets simply go on from the one before, whatever their payload type."""
        straight: NDArray[np.bool_] = self.source[:, t.CURSOR] == self.sequence
        straight &= self.cells[:, t.CELL_TIMESTAMP] == self.source[:, t.NEXT_TIMESTAMP]
        straight &= self.source[:, t.NEXT_POSITION] == self.stream[:, t.END_POSITION]
        straight &= self.stream[:, t.ACTIVE_ROW] == self.row
        straight &= self.samples > 0
        straight &= self.anchor_ns - self.stream[:, t.ANCHOR_NS] <= STALL_NS
        return straight

    def move_on(self, sources: t.Sources, streams: t.Streams) -> tuple[NDArray[np.int64], list[int]]:
        """Move the streams, each of which is here once, on behind these packets.

        Gives the packets' positions, and the slots of streams whose anchor moved far enough to tell.
        """
        source, stream = self.source, self.stream
        position = stream[:, t.END_POSITION].copy()
        source[:, t.CURSOR] += 1
        source[:, t.NEXT_TIMESTAMP] += self.ticks
        source[:, t.NEXT_POSITION] += self.samples
        stream[:, t.END_POSITION] += self.samples
        np.minimum(stream[:, t.ANCHOR_NS], self.anchor_ns, out=stream[:, t.ANCHOR_NS])
        np.minimum(stream[:, t.WINDOW_ANCHOR_NS], self.anchor_ns, out=stream[:, t.WINDOW_ANCHOR_NS])
        scatter(sources.release, self.row, source)
        scatter(streams.release, self.slots, stream)
        better = stream[:, t.ANCHOR_NS] < stream[:, t.PUBLISHED_ANCHOR_NS] - TELL_ANCHOR_NS
        return position, self.slots[better].tolist()


class Rows(NamedTuple):
    """Is copies of the rows of packets' sources and streams, and the streams' slots."""

    source: NDArray[np.int64]
    slots: NDArray[np.int64]
    stream: NDArray[np.int64]


def rows_of(accepted: Accepted, sources: t.Sources, streams: t.Streams) -> Rows:
    """Copy the rows of packets' sources and streams, to be changed."""
    source = sources.release.take(accepted.row, axis=0)
    slots = source[:, t.STREAM]
    return Rows(source, slots, streams.release.take(slots, axis=0))


def gather(accepted: Accepted, sources: t.Sources, streams: t.Streams) -> Due:
    """Gather packets as G.711 at whole nanoseconds a sample: a byte is a sample and a tick."""
    cells, payload = accepted.cells, accepted.payload
    assert cells is not None
    assert payload is not None
    source, slots, stream = rows_of(accepted, sources, streams)
    length = cells[:, t.CELL_LENGTH_AND_TYPE] & t.LENGTH_MASK
    anchor_ns = cells[:, t.CELL_ARRIVAL_NS] - stream[:, t.END_POSITION] * stream[:, t.NS_PER_SAMPLE]
    row, sequence = accepted.row, accepted.sequence
    return Due(row, sequence, source, slots, stream, cells, payload, length, length, anchor_ns)


def as_coded(due: Due, format: AudioFormat) -> Due:
    """Say of packets of one other format how long they are, and what they say of the anchor."""
    rate_hz = format.sample_rate_hz
    samples = measure_payloads(format, due.payload, due.length)
    # In two steps: within days, a position times nanoseconds would leave 64 bits.
    seconds, rest = np.divmod(due.stream[:, t.END_POSITION], rate_hz)
    return due._replace(
        samples=samples,
        ticks=samples // (rate_hz // format.rtp_clock_hz),
        anchor_ns=due.arrival_ns - seconds * NS - rest * NS // rate_hz,
    )
