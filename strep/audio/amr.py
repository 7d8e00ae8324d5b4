"""Cut up payloads of AMR and AMR-WB (RFC 4867): frames of 20 ms behind a table of contents.

There are two ways to write them, and a fork signals neither: `octet-align=1`, and `octet-align=0`, the
bandwidth-efficient one, which SDP also means when it says nothing. What is told is believed. Where nothing is, each
payload tells by its length, which must be exactly what its table of contents says. The few that fit both ways are
bandwidth-efficient if their first frame then is a good one (Q = 1): no speech that is octet-aligned looks like that.

`crc=1` is read over. Interleaving and robust sorting, which telephones do not use, are not decoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.audio.bits import cut_bits, read_bit_columns, read_bits
from strep.audio.formats import LONGEST_PACKET_MS, AudioFormat
from strep.audio.lavc import LavcCodec, Piece

#: So that not every byte of a table of contents becomes 20 ms, as those of frames without data could.
MOST_FRAMES = LONGEST_PACKET_MS // 20

#: RFC 4867 section 4.3.2 wants a packet with a frame of this type discarded.
_RESERVED = -1
#: By frame type, 3GPP TS 26.101 and 26.201: bits of speech at each rate, of comfort noise, of no data.
FRAME_BITS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "AMR": (95, 103, 118, 134, 148, 159, 204, 244, 39, *[_RESERVED] * 6, 0),
        "AMR-WB": (132, 177, 253, 285, 317, 365, 397, 461, 477, 40, *[_RESERVED] * 4, 0, 0),
    }
)
_LIBRARY_NAMES = {"AMR": "libopencore_amrnb", "AMR-WB": "libopencore_amrwb"}
#: An entry of the table of contents: whether another follows, the frame's type, and whether it is undamaged (Q).
_ENTRY_BITS, _MORE, _TYPE_SHIFT, _TYPE_MASK, _GOOD = 6, 0x20, 1, 15, 1


class _Layout(NamedTuple):
    """One way to write payloads: where its table begins, how far apart its entries are, and a frame by its type.

    All are in bits; checksum_bits are between the table and the frames, for each frame that has data.
    """

    table_start: int
    entry_step: int
    frame_bits: tuple[int, ...]
    checksum_bits: int = 0

    def checksums(self, frame_type: int) -> int:
        """Give how many bits a frame of this type has between the table and the frames."""
        return self.checksum_bits if self.frame_bits[frame_type] > 0 else 0


def _layouts(format: AudioFormat) -> tuple[_Layout, ...]:
    """Give the ways that a payload of this format may be written, at most the bandwidth-efficient one and another."""
    told, sizes = dict(format.parameters), FRAME_BITS[format.encoding]
    # Section 4.3 and 4.4: after the request for a mode, 4 bits, comes the table; or both are filled up to octets.
    efficient = _Layout(4, _ENTRY_BITS, sizes)
    whole_octets = tuple(size if size == _RESERVED else -(-size // 8) * 8 for size in sizes)
    aligned = _Layout(8, 8, whole_octets, 8 if told.get("crc") == "1" else 0)
    if told.get("octet-align") == "1" or aligned.checksum_bits:
        return (aligned,)
    return (efficient,) if told.get("octet-align") == "0" else (efficient, aligned)


def _table(payload: bytes, layout: _Layout) -> list[int]:
    """Read the entries of the table of contents; none if the payload is not exactly as long as they say."""
    entries, position, stop = list[int](), layout.table_start, 0
    while not entries or entries[-1] & _MORE:
        if position + _ENTRY_BITS > 8 * len(payload) or len(entries) == MOST_FRAMES:
            return []
        entry = read_bits(payload, position, _ENTRY_BITS)
        frame_type = entry >> _TYPE_SHIFT & _TYPE_MASK
        if layout.frame_bits[frame_type] == _RESERVED:
            return []
        entries.append(entry)
        position += layout.entry_step
        stop += layout.checksums(frame_type) + layout.frame_bits[frame_type]
    return entries if -(-(position + stop) // 8) == len(payload) else []


def _table_columns(
    payload: NDArray[np.uint8], length: NDArray[np.int64], layout: _Layout
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Count of each payload the entries that `_table` reads, and tell whether the first one's frame is a good one."""
    sizes = np.array([bits + layout.checksums(frame_type) for frame_type, bits in enumerate(layout.frame_bits)])
    position, stop, entries = np.full_like(length, layout.table_start), np.zeros_like(length), np.zeros_like(length)
    going, fits = length > 0, length > 0
    for _ in range(MOST_FRAMES):
        entry = read_bit_columns(payload, position, _ENTRY_BITS)
        bits = sizes[entry >> _TYPE_SHIFT & _TYPE_MASK]
        fits &= ~going | ((position + _ENTRY_BITS <= 8 * length) & (bits != _RESERVED))
        going &= fits
        entries += going
        position += going * layout.entry_step
        stop += going * bits
        going &= entry & _MORE != 0
        if not going.any():
            break
    fits &= ~going & ((position + stop + 7) // 8 == length)
    good = read_bit_columns(payload, np.full_like(length, layout.table_start), _ENTRY_BITS) & _GOOD
    return entries * fits, good != 0


def _cut(payload: bytes, entries: list[int], layout: _Layout, samples: int) -> list[Piece]:
    """Cut out frames as they are in files (RFC 4867 section 5.3): an octet of type and quality, and whole octets."""
    types = [entry >> _TYPE_SHIFT & _TYPE_MASK for entry in entries]
    position = layout.table_start + len(entries) * layout.entry_step + sum(map(layout.checksums, types))
    pieces = list[Piece]()
    for entry, frame_type in zip(entries, types, strict=True):
        stop = position + layout.frame_bits[frame_type]
        pieces.append(Piece(bytes([(entry & ~_MORE) << 2]) + cut_bits(payload, position, stop), samples))
        position = stop
    return pieces


def _codec(encoding: str, rate_hz: int, layouts: tuple[_Layout, ...]) -> LavcCodec:
    samples = rate_hz // 50

    def pieces(payload: bytes) -> list[Piece]:
        layout, entries = layouts[0], _table(payload, layouts[0])
        if len(layouts) > 1 and not (entries and entries[0] & _GOOD):
            other = _table(payload, layouts[1])
            layout, entries = (layouts[1], other) if other else (layout, entries)
        return _cut(payload, entries, layout, samples) if entries or not payload else [Piece(payload, 0)]

    def measure(payload: NDArray[np.uint8], length: NDArray[np.int64]) -> NDArray[np.int64]:
        frames, good = _table_columns(payload, length, layouts[0])
        if len(layouts) > 1:
            others, _ = _table_columns(payload, length, layouts[1])
            frames = np.where((others > 0) & ~((frames > 0) & good), others, frames)
        return frames * samples

    return LavcCodec(_LIBRARY_NAMES[encoding], rate_hz, rate_hz, 1, pieces, measure)


@lru_cache(maxsize=64)  # a bound, because SDP of anybody's may tell new parameters without end
def amr(format: AudioFormat) -> LavcCodec | None:
    """Choose the codec of a format that is AMR or AMR-WB; None when its parameters ask for what is not decoded."""
    told = dict(format.parameters)
    if "interleaving" in told or told.get("robust-sorting") == "1":
        return None
    return _codec(format.encoding, 16_000 if format.encoding == "AMR-WB" else 8000, _layouts(format))
