"""Put fragmented UDP datagrams together (RFC 791 section 3.2, RFC 8200 section 4.5) without copying a byte.

- A datagram is whole when its parts reach from its start to its last part. Parts that overlap damn it (RFC 5722);
  one that is there already is left out.
- It waits SPAN_NS of capture time for its parts, and no more than MOST_OPEN datagrams wait: the oldest makes room.
- Every part is counted once it is known what became of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from strep.net.capture.dissect import UDP_HEADER_BYTES, Fragment
from strep.net.capture.packets import PacketFate

#: Linux's ipfrag_time.
SPAN_NS: Final = 30 * 1_000_000_000
#: Enough for a busy link's large datagrams on their way at one instant. A datagram has 16 bits of length, so what
#: one holds is bounded too: places of 8 bytes or more in 64 KiB.
MOST_OPEN: Final = 256


class Parts(Protocol):
    """What parts lie in: a file, or whatever else gives the bytes from one place in it to another."""

    def __getitem__(self, place: slice, /) -> bytes | memoryview: ...


@dataclass(frozen=True, slots=True)
class WholeDatagram:
    """A datagram put together: `pieces` are the (start, end) in the file of its bytes, UDP header first."""

    pieces: tuple[tuple[int, int], ...]
    length: int
    flow: bytes

    def read(self, data: Parts) -> bytes:
        """Copy its payload out of the file."""
        return self.read_all(data)[UDP_HEADER_BYTES:]

    def read_all(self, data: Parts) -> bytes:
        """Copy it out of the file, with its UDP header."""
        whole = b"".join(data[start:end] for start, end in self.pieces)
        return whole[: UDP_HEADER_BYTES + self.length]


@dataclass(slots=True)
class _Open:
    first_ns: int
    parts: dict[int, Fragment] = field(default_factory=dict)
    held_bytes: int = 0
    total_bytes: int | None = None


class Reassembly:
    """The datagrams that wait for parts. joined, unused: parts whose fate is known, by fate."""

    def __init__(self, data: Parts) -> None:
        self._data = data
        self._open: dict[tuple[int, bytes, bytes, int], _Open] = {}
        self.joined = 0
        self.unused = 0

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing waits."""
        return not self._open

    def add(self, part: Fragment, arrival_ns: int) -> WholeDatagram | PacketFate | None:
        """Take a part. Give the datagram that it makes whole, or MALFORMED if that is none, or None: counted here."""
        self._expire(arrival_ns)
        waiting = self._open.get(part.key)
        if waiting is None:
            if len(self._open) >= MOST_OPEN:
                self._give_up(next(iter(self._open)))
            waiting = self._open[part.key] = _Open(arrival_ns)
        known = waiting.parts.get(part.offset)
        if known is not None and (known.end - known.start, known.last) == (part.end - part.start, part.last):
            self.unused += 1
            return None
        if known is not None or not self._fits(waiting, part):
            self.unused += 1
            self._give_up(part.key)
            return None
        waiting.parts[part.offset] = part
        waiting.held_bytes += part.end - part.start
        # Parts that do not overlap and hold as many bytes as the datagram has leave no hole in it: but to know that
        # they do not overlap takes a sort, which is done once, when the bytes are all there.
        return self._finish(part) if waiting.held_bytes == waiting.total_bytes else None

    def close(self) -> None:
        """Give up what still waits."""
        for key in list(self._open):
            self._give_up(key)

    def _expire(self, now_ns: int) -> None:
        while self._open:
            oldest = next(iter(self._open))
            if now_ns - self._open[oldest].first_ns <= SPAN_NS:
                return
            self._give_up(oldest)

    def _give_up(self, key: tuple[int, bytes, bytes, int]) -> None:
        self.unused += len(self._open.pop(key).parts)

    @staticmethod
    def _fits(waiting: _Open, part: Fragment) -> bool:
        """Tell whether the part agrees with the others on where the datagram ends, and there is room for it."""
        length = part.end - part.start
        if part.last:
            if waiting.total_bytes is not None:
                return False
            waiting.total_bytes = part.offset + length
        return waiting.total_bytes is None or waiting.held_bytes + length <= waiting.total_bytes

    def _finish(self, latest: Fragment) -> WholeDatagram | PacketFate | None:
        parts = sorted(self._open[latest.key].parts.values(), key=lambda part: part.offset)
        reached = 0
        for part in parts:
            if part.offset != reached:
                self._give_up(latest.key)
                return None
            reached += part.end - part.start
        del self._open[latest.key]
        whole = self._read_header(parts, reached)
        if whole is None:
            self.unused += len(parts) - 1
            return PacketFate.MALFORMED
        self.joined += len(parts) - 1
        return whole

    def _read_header(self, parts: list[Fragment], total_bytes: int) -> WholeDatagram | None:
        head = parts[0]
        # A first part that has others behind it holds a multiple of eight bytes: a UDP header at least.
        length = int.from_bytes(self._data[head.start + 4 : head.start + 6], "big")
        if not UDP_HEADER_BYTES <= length <= total_bytes:
            return None
        pieces = tuple((part.start, part.end) for part in parts)
        flow = head.flow(bytes(self._data[head.start : head.start + 4]))
        return WholeDatagram(pieces, length - UDP_HEADER_BYTES, flow)
