"""Unpack redundant audio (RED, RFC 2198): the audio of this packet, and copies of that of earlier ones before it.

 0                   1                    2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3  4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|F|   block PT  |  timestamp offset         |   block length    |   F = 1: one for each copy, the oldest first
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|0|   block PT  |                                                 the last header: the audio of this packet itself
+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

from typing import NamedTuple

from strep.errors import WireError

_COPY_HEADER_BYTES = 4


class RedBlock(NamedTuple):
    """Is one block: where its audio lies in the payload, what it means, and by how many ticks it is older."""

    payload_type: int
    start: int
    length: int
    timestamp_offset: int = 0


def parse_red(payload: bytes) -> tuple[RedBlock, ...]:
    """Find the blocks of a payload in their order, so that the last is the audio of this packet itself.

    Raises WireError when the headers, or the audio that they announce, do not fit.
    """
    headers, position = list[tuple[int, int, int]](), 0
    while position < len(payload) and payload[position] & 0x80:
        header = int.from_bytes(payload[position : position + _COPY_HEADER_BYTES].ljust(_COPY_HEADER_BYTES, b"\0"))
        headers.append((header >> 24 & 0x7F, header >> 10 & 0x3FFF, header & 0x3FF))
        position += _COPY_HEADER_BYTES
    start = position + 1
    stop = start + sum(length for _, _, length in headers)
    if stop > len(payload):
        raise WireError(f"RED payload needs {stop} bytes for what its headers announce, got {len(payload)}")
    blocks = list[RedBlock]()
    for payload_type, timestamp_offset, length in headers:
        blocks.append(RedBlock(payload_type, start, length, timestamp_offset))
        start += length
    return (*blocks, RedBlock(payload[position] & 0x7F, start, len(payload) - start))
