"""Hold many datagrams as columns over one flat buffer.

A packet is (offset, length) into the buffer, so the same code serves recvmmsg's fixed strides, a GRO super-packet cut
at its segment size, a capture file mapped into memory, and a test's hand-made bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

#: Bytes that must be readable behind every offset, so that a header gather never needs a bounds check:
#: 24 of STREP, 12 of RTP, and room for a HeaderLen byte that lies (at most 255).
SLACK_BYTES = 320

#: Values of DatagramBatch.source below 0, of datagrams that are counted and nothing else: the sender is in no allowed
#: network; the table of senders is full; it is no STREP, where only that is taken.
REFUSED_SENDER, SENDER_OVER_LIMIT, NOT_STREP = -1, -2, -3
#: The same, of one that is held back, and was counted (strep.stream.admission).
HELD_BACK = -4


def windows(flat: NDArray[np.uint8], width: int, stride: int = 1) -> NDArray[np.void]:
    """View bytes as overlapping items of `width` bytes, one every `stride`: item k begins at byte k * stride.

    Indexing this with many starts copies each item in one piece, in half the time of a two-dimensional byte view.
    """
    return np.ndarray(((len(flat) - width) // stride + 1,), np.dtype((np.void, width)), flat, strides=(stride,))


def gather(flat: NDArray[np.uint8], start: NDArray[np.int64], width: int) -> NDArray[np.uint8]:
    """Copy `width` bytes from each start into rows uint8[n, width]; every start must have that many behind it."""
    return windows(flat, width)[start].view(np.uint8).reshape(len(start), width)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What tells where datagrams of one `source` number came from, and what that says of plain RTP (no STREP header).

    `conversation` names the call that plain RTP from here belongs to; `direction` is 0 (received by the platform)
    or 1 (transmitted by it). A STREP header overrides both.
    """

    source: str
    destination: str
    conversation: str
    direction: int = 0


@dataclass(frozen=True, slots=True)
class DatagramBatch:
    """N datagrams in order of arrival, column by column.

    flat: uint8[bytes], readable for at least SLACK_BYTES behind every offset.
    offset, length: int64[n], bytes. arrival_ns: int64[n], nanoseconds since the Unix epoch, kernel receive time.
    source: int64[n], index into `endpoints`, a list that is shared between batches; below 0 one of the constants above.
    """

    flat: NDArray[np.uint8]
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    arrival_ns: NDArray[np.int64]
    source: NDArray[np.int64]
    endpoints: Sequence[Endpoint] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.offset)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> DatagramBatch:
        """Select datagrams; the buffer is shared, not copied."""
        return DatagramBatch(
            self.flat, self.offset[rows], self.length[rows], self.arrival_ns[rows], self.source[rows], self.endpoints
        )

    def datagram(self, row: int) -> bytes:
        """Copy out the bytes of one datagram."""
        start = int(self.offset[row])
        return self.flat[start : start + int(self.length[row])].tobytes()

    @classmethod
    def from_datagrams(
        cls,
        datagrams: Sequence[bytes],
        arrival_ns: Iterable[int],
        source: Iterable[int] | None = None,
        endpoints: Sequence[Endpoint] = (Endpoint("", "", "default"),),
    ) -> DatagramBatch:
        """Build a batch from byte strings: for tests, tools and the portable receive loop."""
        length = np.array([len(d) for d in datagrams], dtype=np.int64)
        offset = np.cumsum(length) - length
        flat = np.frombuffer(b"".join(datagrams) + bytes(SLACK_BYTES), dtype=np.uint8)
        sources = np.zeros(len(length), np.int64) if source is None else np.fromiter(source, np.int64, len(length))
        return cls(flat, offset, length, np.fromiter(arrival_ns, np.int64, len(length)), sources, endpoints)
