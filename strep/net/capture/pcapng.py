"""Walk the packet blocks of a pcapng file (draft-ietf-opsawg-pcapng): several sections, interfaces, byte orders."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from strep.net.capture.description import SpoolDescription
from strep.net.capture.packets import CHUNK_PACKETS, NO_INTERFACE, PacketColumns, rows_at

SECTION_MAGIC: Final = b"\x0a\x0d\x0d\x0a"
SECTION_HEADER_BYTES: Final = 28
_ORDERS: Final = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}

_SECTION, _INTERFACE, _OBSOLETE, _SIMPLE, _STATISTICS, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 5, 6
_PACKET_BLOCKS: Final = (_ENHANCED, _SIMPLE, _OBSOLETE)
_SMALLEST_BLOCK_BYTES = 12
_PACKET_HEADER_BYTES = 28  #: of the enhanced block, and of the obsolete one
_TRAILER_BYTES = 4  #: every block ends in its length once more

_STATISTICS_BYTES = 24
_OPTION_COMMENT, _OPTION_RESOLUTION, _OPTION_OFFSET = 1, 9, 14
_MICROSECONDS = 6  #: the resolution of an interface that names none
_SECTION_OPTIONS_AT = 24
#: Interface numbers of obsolete blocks have 16 bits; no capture has more. Packets of further ones are counted.
_MOST_INTERFACES = 65_536

#: Times are clipped to 1970..2116: the last whole second of 62 bits, so that adding two of them cannot overflow.
LATEST_NS: Final = 2**62 // 1_000_000_000 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Interface:
    """What an interface description block says that bears on its packets.

    resolution: the if_tsresol byte: 10**-n, or 2**-n with the top bit set, of a second. snap_length_bytes: 0 is none.
    """

    link_type: int
    snap_length_bytes: int
    resolution: int = _MICROSECONDS
    offset_seconds: int = 0


def walk_pcapng(flat: NDArray[np.uint8]) -> Iterator[PacketColumns]:
    """Read the packet blocks in runs of up to CHUNK_PACKETS; stop at the first block that is incomplete or damaged.

    flat: uint8[bytes], the file, at least SECTION_HEADER_BYTES. The last run's `consumed` tells where reading stopped.
    Simple packet blocks have no time: they get that of the packet before them.
    """
    walk = _Walk(flat, is_spool=read_description(flat) is not None)
    while True:
        before = walk.position
        yield walk.next_run()
        if walk.position == before:
            return


class _Walk:
    def __init__(self, flat: NDArray[np.uint8], *, is_spool: bool = False) -> None:
        self.position = 0
        self._is_spool = is_spool
        self._flat, self._data = flat, flat.data
        self._order = "<"
        self._interfaces: list[Interface] = []
        self._last_arrival_ns = 0

    def next_run(self) -> PacketColumns:
        """Collect packet blocks up to the next block that changes what they mean."""
        blocks: list[int] = []
        odd: list[tuple[int, int, int]] = []  # row, start, end
        turns: list[tuple[int, int]] = []
        head = struct.Struct(self._order + "II").unpack_from
        data, size, position = self._data, len(self._data), self.position
        while position <= size - _SMALLEST_BLOCK_BYTES and len(blocks) < CHUNK_PACKETS:
            kind, length = head(data, position)
            if kind == _SECTION and not blocks:
                length = self._begin_section(position)
                head = struct.Struct(self._order + "II").unpack_from
            elif kind in (_SECTION, _INTERFACE) and blocks:
                break
            if length < _SMALLEST_BLOCK_BYTES or length % 4 or position + length > size:
                break
            if kind == _INTERFACE:
                self._add_interface(data[position : position + length])
            elif kind in _PACKET_BLOCKS:
                if kind == _SIMPLE or length < _PACKET_HEADER_BYTES + _TRAILER_BYTES:
                    odd.append((len(blocks), *self._odd_packet(kind, position, length)))
                blocks.append(position)
            elif kind == _STATISTICS and self._is_spool and length >= _STATISTICS_BYTES:
                high, low = struct.unpack_from(self._order + "II", data, position + 12)
                turns.append((len(blocks), min(high << 32 | low, LATEST_NS)))
            position += length
        self.position = position
        return replace(self._columns(np.array(blocks, np.int64), odd), turns=tuple(turns))

    def _begin_section(self, position: int) -> int:
        """Start anew in the byte order of the section; give its header's length, 0 when it is none."""
        order = _ORDERS.get(bytes(self._data[position + 8 : position + 12]))
        if order is None:
            return 0
        self._order, self._interfaces = order, []
        length: int = struct.unpack_from(order + "I", self._data, position + 4)[0]
        return length if length >= SECTION_HEADER_BYTES else 0

    def _add_interface(self, block: memoryview) -> None:
        # A description too short to be one is none; its packets will be counted as without an interface.
        if len(block) >= 20 and len(self._interfaces) < _MOST_INTERFACES:
            self._interfaces.append(read_interface(block, self._order))

    def _odd_packet(self, kind: int, position: int, length: int) -> tuple[int, int]:
        """Find the bytes of a packet whose block has no time, or is too short for its own header (then none)."""
        start, end = position + 12, position + length - _TRAILER_BYTES
        if kind != _SIMPLE or end < start:
            return position, position
        original: int = struct.unpack_from(self._order + "I", self._data, position + 8)[0]
        snap = self._interfaces[0].snap_length_bytes if self._interfaces else 0
        return start, min(end, start + min(original, snap or original))

    def _columns(self, blocks: NDArray[np.int64], odd: list[tuple[int, int, int]]) -> PacketColumns:
        rows = [row for row, _, _ in odd]
        # The file's own start stands in for a block without the common header, so that the gather stays in bounds.
        headed = blocks.copy()
        headed[rows] = 0
        fields = rows_at(self._flat, headed, _PACKET_HEADER_BYTES).view(self._order + "u4").astype(np.int64)
        # Obsolete blocks have an interface number of 16 bits, and a drop count behind it.
        short_number = fields[:, 2] & 0xFFFF if self._order == "<" else fields[:, 2] >> 16
        number = np.where(fields[:, 0] == _OBSOLETE, short_number, fields[:, 2])
        number[rows] = 0
        start = blocks + _PACKET_HEADER_BYTES
        end = np.minimum(start + fields[:, 5], blocks + fields[:, 1] - _TRAILER_BYTES)
        arrival_ns, link_type = self._resolve(number, fields[:, 3] << 32 | fields[:, 4])
        for row, first, last in odd:
            start[row], end[row] = first, last
            arrival_ns[row] = arrival_ns[row - 1] if row else self._last_arrival_ns
        if len(arrival_ns):
            self._last_arrival_ns = int(arrival_ns[-1])
        return PacketColumns(start, end, arrival_ns, link_type, self.position)

    def _resolve(
        self, number: NDArray[np.int64], ticks: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Apply each packet's interface: its unit of time, and its link type."""
        arrival_ns = np.zeros(len(number), np.int64)
        link_type = np.full(len(number), NO_INTERFACE, np.int64)
        for present in np.unique(number).tolist():
            if present >= len(self._interfaces):
                continue
            interface, rows = self._interfaces[present], number == present
            link_type[rows] = interface.link_type
            arrival_ns[rows] = nanoseconds(ticks[rows].view(np.uint64), interface.resolution, interface.offset_seconds)
        return arrival_ns, link_type


def read_interface(block: memoryview, order: str) -> Interface:
    """Read an interface description block of at least 20 bytes; options that are cut short or unknown are left out."""
    link_type, snap_length_bytes = struct.unpack_from(order + "H2xI", block, 8)
    resolution, offset_seconds = _MICROSECONDS, 0
    for code, value in _options(block, 16, order):
        if code == _OPTION_RESOLUTION and len(value) == 1:
            resolution = value[0]
        elif code == _OPTION_OFFSET and len(value) == 8:
            offset_seconds = struct.unpack(order + "q", value)[0]
    return Interface(link_type, snap_length_bytes, resolution, offset_seconds)


def read_description(flat: NDArray[np.uint8]) -> SpoolDescription | None:
    """Read what a spool says of its receiver; None when it is none."""
    comment = read_comment(flat)
    return None if comment is None else SpoolDescription.parse(comment)


def read_comment(flat: NDArray[np.uint8]) -> str | None:
    """Read the first comment of the first section header, None where there is none, or the file begins otherwise."""
    order = _ORDERS.get(flat[8:12].tobytes()) if flat[:4].tobytes() == SECTION_MAGIC else None
    if order is None:
        return None
    (length,) = struct.unpack_from(order + "I", flat.data, 4)
    for code, value in _options(flat[: min(length, len(flat))].data, _SECTION_OPTIONS_AT, order):
        if code == _OPTION_COMMENT:
            return bytes(value).decode("utf-8", "replace")
    return None


def _options(block: memoryview, position: int, order: str) -> Iterator[tuple[int, memoryview]]:
    """Step through the options of a block, up to the last or to one that is cut short."""
    last = len(block) - _TRAILER_BYTES
    while position + 4 <= last:
        code, length = struct.unpack_from(order + "HH", block, position)
        if code == 0:
            return
        yield code, block[position + 4 : min(position + 4 + length, last)]
        position += 4 + (length + 3 & ~3)


def nanoseconds(ticks: NDArray[np.uint64], resolution: int, offset_seconds: int) -> NDArray[np.int64]:
    """Turn an interface's ticks into nanoseconds since the Unix epoch, clipped to 0..LATEST_NS.

    resolution: the if_tsresol byte. Units finer than a nanosecond are rounded down.
    """
    exponent = resolution & 0x7F
    if resolution & 0x80:
        since = _from_powers_of_two(ticks, exponent)
    elif exponent <= 9:
        scale = 10 ** (9 - exponent)
        since = np.minimum(ticks, np.uint64(LATEST_NS // scale)) * np.uint64(scale)
    else:
        divisor = 10 ** (exponent - 9)
        since = ticks // np.uint64(divisor) if divisor < 2**64 else np.zeros_like(ticks)
    offset_ns = max(-LATEST_NS, min(offset_seconds * 1_000_000_000, LATEST_NS))
    return np.clip(np.minimum(since, np.uint64(LATEST_NS)).view(np.int64) + offset_ns, 0, LATEST_NS)


def _from_powers_of_two(ticks: NDArray[np.uint64], exponent: int) -> NDArray[np.uint64]:
    # A fraction of 34 bits times 10**9 just fits into 64, and tells 0.06 ns apart; finer bits are dropped.
    spare = max(0, exponent - 34)
    ticks, exponent = ticks >> np.uint64(min(spare, 63)), exponent - spare
    seconds = np.minimum(ticks >> np.uint64(exponent), np.uint64(LATEST_NS // 1_000_000_000))
    fraction = ticks & np.uint64((1 << exponent) - 1)
    billion = np.uint64(1_000_000_000)
    since: NDArray[np.uint64] = seconds * billion + (fraction * billion >> np.uint64(exponent))
    return since
