"""Carry packets that go on from the one before, placed and decoded, until they become blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.audio import g711
from strep.audio.block import AudioBlock, SampleState
from strep.stream import table as t

#: What the columns decode, one byte a sample; the LAW column of a stream is an index of these.
LAWS = (g711.Law.MU, g711.Law.A)


class Placed(NamedTuple):
    """Is n packets in order. kind, slots, position, arrival_ns: int64[n]; samples: int16[n, the longest].

    kind: length, law and nanoseconds a sample in one number (`kind_of`): what the packets of a block have in common.
    """

    kind: NDArray[np.int64]
    slots: NDArray[np.int64]
    position: NDArray[np.int64]
    samples: NDArray[np.int16]
    arrival_ns: NDArray[np.int64]

    def blocks(self) -> Iterator[AudioBlock]:
        """Make a block of the packets of each kind."""
        for kind, some in by_kind(self.kind):
            slots = self.slots[some]
            yield AudioBlock(
                sample_rate_hz=1_000_000_000 // (kind >> (t.TYPE_SHIFT + 1)),
                slots=slots,
                position=self.position[some],
                samples=np.ascontiguousarray(self.samples[some, : kind & t.LENGTH_MASK]),
                state=np.full(len(slots), SampleState.RECEIVED, np.uint8),
                arrival_ns=self.arrival_ns[some],
            )


def kind_of(length: NDArray[np.int64], law: NDArray[np.int64], ns_per_sample: NDArray[np.int64]) -> NDArray[np.int64]:
    """Put length in samples, law and nanoseconds a sample into one number."""
    return length | law << t.TYPE_SHIFT | ns_per_sample << (t.TYPE_SHIFT + 1)


def decode(payload: NDArray[np.uint8], law: NDArray[np.int64]) -> NDArray[np.int16]:
    """Decode uint8[n, m] to int16[n, m], each row by its law."""
    if (law == law[0]).all():
        return g711.decode(payload, LAWS[law[0]])
    samples = g711.decode(payload, LAWS[0])
    others = np.flatnonzero(law)
    samples[others] = g711.decode(payload[others], LAWS[1])
    return samples


def by_kind(kind: NDArray[np.int64]) -> Iterator[tuple[int, slice | NDArray[np.int64]]]:
    """Give each number that there is in a column, and which rows have it."""
    if not len(kind):
        return
    if (kind == kind[0]).all():
        yield int(kind[0]), slice(None)
        return
    for value in np.unique(kind).tolist():
        yield value, np.flatnonzero(kind == value)
