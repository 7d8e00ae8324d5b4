"""Carry decoded audio: many streams at a time (AudioBlock), or one row of that (AudioFrame)."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


class SampleState(enum.IntEnum):
    """The cause of a packet interval of samples: every output sample has one."""

    RECEIVED = 0
    CONCEALED = 1  #: made up from what came before a short loss
    SILENCE = 2  #: the sender sent nothing on purpose (DTX, comfort noise, hold, a telephone event)
    LOST = 3  #: the network lost it, and it was too long to conceal; samples are zero
    UNDECODED = 4  #: it came, but nothing here decodes its payload type; samples are zero


def silence(samples: int) -> NDArray[np.int16]:
    """Make int16[samples] zeros that take no memory, however many; nobody may write to them."""
    return np.broadcast_to(np.int16(0), samples)


def is_silence(samples: NDArray[np.int16]) -> bool:
    """Tell whether int16[m] is what `silence` makes. Zeros that take memory are not looked at: that would take time."""
    return samples.strides[-1] == 0 and samples.size > 0 and not samples[0]


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """One packet interval of one stream.

    slot: the stream's number, as in its StreamOpened event. position: index of the first sample since the stream
    began, at `sample_rate_hz`. samples: int16[m], mono. arrival_ns: kernel receive time of the packet it came from.
    """

    slot: int
    position: int
    samples: NDArray[np.int16]
    sample_rate_hz: int
    state: SampleState
    arrival_ns: int


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """N packet intervals of one length and sample rate, of as many streams as had one ready.

    slots, position, arrival_ns: int64[n]; samples: int16[n, m]; state: uint8[n] of SampleState. A stream may have
    several rows; they are in order of position. `samples` may be a read-only broadcast (silence): do not write to it.
    """

    sample_rate_hz: int
    slots: NDArray[np.int64]
    position: NDArray[np.int64]
    samples: NDArray[np.int16]
    state: NDArray[np.uint8]
    arrival_ns: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.slots)

    @classmethod
    def joined(cls, blocks: Sequence[AudioBlock]) -> AudioBlock:
        """Make one block of several of one length and sample rate."""
        if len(blocks) == 1:
            return blocks[0]
        return cls(
            blocks[0].sample_rate_hz,
            np.concatenate([block.slots for block in blocks]),
            np.concatenate([block.position for block in blocks]),
            np.concatenate([block.samples for block in blocks]),
            np.concatenate([block.state for block in blocks]),
            np.concatenate([block.arrival_ns for block in blocks]),
        )

    def select(self, rows: NDArray[np.int64]) -> AudioBlock:
        """Give some of the rows."""
        is_zero = self.samples.strides == (0, 0)  # and takes no memory
        samples = self.samples[: len(rows)] if is_zero else self.samples[rows]
        return AudioBlock(
            self.sample_rate_hz, self.slots[rows], self.position[rows], samples, self.state[rows], self.arrival_ns[rows]
        )

    def frame(self, row: int) -> AudioFrame:
        """Give one row, with samples of its own: whoever keeps it does not keep the block of thousands of streams."""
        samples = self.samples[row] if self.samples.strides == (0, 0) else self.samples[row].copy()
        told = int(self.slots[row]), int(self.position[row]), samples, self.sample_rate_hz
        return AudioFrame(*told, SampleState(self.state[row]), int(self.arrival_ns[row]))

    def frames(self) -> Iterator[AudioFrame]:
        """Walk the rows one by one, for consumers that look at one stream at a time."""
        columns = zip(
            self.slots.tolist(), self.position.tolist(), self.state.tolist(), self.arrival_ns.tolist(), strict=True
        )
        for row, (slot, position, state, arrival_ns) in enumerate(columns):
            yield AudioFrame(slot, position, self.samples[row], self.sample_rate_hz, SampleState(state), arrival_ns)
