"""Hand audio, and whatever is large, to another process through memory that both see.

The ring itself has no locks in it: one side says by a message where a record lies, the other that it has read it.
"""

from __future__ import annotations

import mmap
import os
import pickle
import struct
import tempfile

import numpy as np

from strep.analysis.waiting import Item
from strep.plugins.base import Hops

#: Holds 12 ticks of 2,000 streams; what waits longer, waits in the sender's own memory, where it can be dropped.
RING_BYTES = 8 * 1024 * 1024
_HEADER = struct.Struct("<4q")  # sample_rate_hz, n, sides (0: no pairs), hop_samples; or -1 and the pickle's length
_PICKLED = -1


class RingWriter:
    """The side that writes. fd: of the memory, to be passed on; it has no name, so nothing is left behind."""

    def __init__(self, size_bytes: int = RING_BYTES) -> None:
        self.fd = _anonymous_memory(size_bytes)
        self.size_bytes = size_bytes
        self._memory = mmap.mmap(self.fd, size_bytes)
        self._written = self._read = 0

    @property
    def largest_record_bytes(self) -> int:
        """Give how long a record may be, so that four of them fit."""
        return self.size_bytes // 4

    def write(self, record: list[bytes | memoryview]) -> tuple[int, int] | None:
        """Lay a record down; give where it begins and how much it takes up, or None while there is no room."""
        length = sum(map(len, record))
        begin = self._written % self.size_bytes
        unused = self.size_bytes - begin if begin + length > self.size_bytes else 0
        if self._written + unused + length - self._read > self.size_bytes:
            return None
        begin = 0 if unused else begin
        self._written += unused + length
        at = begin
        for part in record:
            self._memory[at : at + len(part)] = part
            at += len(part)
        return begin, unused + length

    def free(self, taken_bytes: int) -> None:
        """Note that records taking up so much were read, in the order in which they were written."""
        self._read += taken_bytes

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
        os.close(self.fd)


class RingReader:
    """The side that reads."""

    def __init__(self, fd: int, size_bytes: int) -> None:
        self._memory = mmap.mmap(fd, size_bytes, access=mmap.ACCESS_READ)

    def read(self, begin: int) -> object:
        """Copy out the record that begins there."""
        rate_hz, n, sides, hop = _HEADER.unpack_from(self._memory, begin)
        at = begin + _HEADER.size
        if rate_hz == _PICKLED:
            return pickle.loads(self._memory[at : at + n])
        shape = (n, sides) if sides else (n,)
        cells, width = n * max(sides, 1), 8
        rows, position, time_ns = np.frombuffer(self._memory, np.int64, 3 * n, at).reshape(3, n).copy()
        at += 3 * n * width
        arrival_ns = np.frombuffer(self._memory, np.int64, cells, at).reshape(shape).copy()
        at += cells * width
        samples = np.frombuffer(self._memory, np.int16, cells * hop, at).reshape(*shape, hop).copy()
        at += cells * hop * 2
        state = np.frombuffer(self._memory, np.uint8, cells, at).reshape(shape).copy()
        return Hops(rate_hz, rows, position, time_ns, samples, state, arrival_ns)


def record_of(item: object) -> list[bytes | memoryview]:
    """Write down an item: audio as it is, anything else pickled."""
    if not isinstance(item, Hops):
        data = pickle.dumps(item)
        return [_HEADER.pack(_PICKLED, len(data), 0, 0), data]
    hops = item
    sides = hops.state.shape[1] if hops.state.ndim == 2 else 0
    arrival_ns = hops.arrival_ns if hops.arrival_ns is not None else np.zeros(hops.state.shape, np.int64)
    header = _HEADER.pack(hops.sample_rate_hz, len(hops), sides, hops.samples.shape[-1])
    arrays = (hops.rows, hops.position, hops.time_ns, arrival_ns, hops.samples, hops.state)
    return [header, *(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data for array in arrays)]


def parts_of(item: Item, most_bytes: int) -> list[Item]:
    """Cut audio of too many streams for one record."""
    if not isinstance(item, Hops) or len(item) < 2 or item.samples.nbytes * 2 + 64 * len(item) <= most_bytes:
        return [item]
    half = len(item) // 2
    return [part for rows in (slice(half), slice(half, None)) for part in parts_of(_select(item, rows), most_bytes)]


def _select(hops: Hops, rows: slice) -> Hops:
    return Hops(
        hops.sample_rate_hz,
        hops.rows[rows],
        hops.position[rows],
        hops.time_ns[rows],
        hops.samples[rows],
        hops.state[rows],
        None if hops.arrival_ns is None else hops.arrival_ns[rows],
    )


def given_memory(data: bytes) -> int:
    """Lay down what another process is to read once; gives the descriptor to be passed on, which is the caller's."""
    fd = _anonymous_memory(0)
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(data)
    return fd


def read_given(fd: int) -> bytes:
    """Read what was laid down, and let go of it."""
    with os.fdopen(fd, "rb") as file:
        file.seek(0)
        return file.read()


def _anonymous_memory(size_bytes: int) -> int:
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("strep")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size_bytes)
    return fd
