"""Keep payloads, still encoded, for as long as anybody may ask for them.

The payloads of a batch lie together in a chunk, in order of arrival, and each has a number that counts on for ever; the
packet's cell says the number. So laying a batch down is one copy to fresh memory, where a ring for each source would be
a copy to somewhere cold for each packet. A chunk goes when it is older than what is handed on; what is needed for
longer than that (the last packets before a pause), or came by itself, lies loose, under its source and sequence number.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Where a cell points whose payload is loose.
LOOSE = -1
#: Loose payloads of a source are sifted each time their number has grown by this many.
_SIFT_EVERY = 8


class Chunk(NamedTuple):
    """Is the payloads of packets of one batch: packet k of it has number first + k.

    row, sequence: int64[n], whose packets they are. payload: uint8[n, longest of them].
    """

    first: int
    last_arrival_ns: int
    row: NDArray[np.int64]
    sequence: NDArray[np.int64]
    payload: NDArray[np.uint8]


class Payloads:
    """Holds the payloads of all sources."""

    def __init__(self) -> None:
        self.next_number = 0
        self._chunks: list[Chunk] = []
        self._firsts: list[int] = []
        self._loose: dict[int, dict[int, tuple[int, bytes]]] = {}

    def append(
        self,
        row: NDArray[np.int64],
        sequence: NDArray[np.int64],
        payload: NDArray[np.uint8],
        last_arrival_ns: int,
    ) -> None:
        """Take the payloads of a batch over; the first one has the number `next_number` that was before."""
        self._chunks.append(Chunk(self.next_number, last_arrival_ns, row, sequence, payload))
        self._firsts.append(self.next_number)
        self.next_number += len(row)

    @property
    def oldest_number(self) -> int:
        """Give the lowest number that is in a chunk still."""
        return self._firsts[0] if self._firsts else self.next_number

    def read(self, number: int, length: int, row: int, sequence: int) -> bytes | None:
        """Give a payload of a chunk; None when it is gone, or not the one of that source and sequence number."""
        if not self.oldest_number <= number < self.next_number:
            return None
        chunk = self._chunks[bisect_right(self._firsts, number) - 1]
        k = number - chunk.first
        if k >= len(chunk.row) or (chunk.row[k], chunk.sequence[k]) != (row, sequence):
            return None
        return chunk.payload[k, :length].tobytes()

    def gather(self, number: NDArray[np.int64], length: int) -> NDArray[np.uint8]:
        """Give payloads of chunks, all of one length, uint8[n, length]."""
        payloads = np.empty((len(number), length), np.uint8)
        chunks = np.searchsorted(self._firsts, number, side="right") - 1
        for k in np.unique(chunks).tolist():
            mine = np.flatnonzero(chunks == k)
            payloads[mine] = self._chunks[k].payload[number[mine] - self._firsts[k], :length]
        return payloads

    def oldest(self, before_ns: int) -> Chunk | None:
        """Give the oldest chunk if all of it came before that time."""
        if self._chunks and self._chunks[0].last_arrival_ns < before_ns:
            return self._chunks[0]
        return None

    def drop_oldest(self) -> None:
        """Let go of the oldest chunk."""
        del self._chunks[0], self._firsts[0]

    def put_loose(self, row: int, sequence: int, payload_type: int, payload: bytes, needed_from: int) -> None:
        """Keep one payload; of the source's others, those below the sequence number `needed_from` may go."""
        loose = self._loose.setdefault(row, {})
        loose[sequence] = payload_type, payload
        if len(loose) % _SIFT_EVERY == 0:
            for old in [number for number in loose if number < needed_from]:
                del loose[old]

    def read_loose(self, row: int, sequence: int) -> tuple[int, bytes] | None:
        """Give payload type and payload of a loose one."""
        return self._loose.get(row, {}).get(sequence)

    def forget(self, row: int) -> None:
        """Forget the loose payloads of a source."""
        self._loose.pop(row, None)
