"""Take redundant audio (RFC 2198) apart, as naively as it can be done."""

from __future__ import annotations

from typing import NamedTuple


class Block(NamedTuple):
    """One block of audio; the last one is that of the packet itself."""

    payload_type: int
    audio: bytes
    timestamp_offset: int = 0


def blocks_of(payload: bytes) -> list[Block]:
    """Give the blocks of a payload; none where its headers, or what they announce, do not fit."""
    headers, rest = [], payload
    while rest and rest[0] & 0x80:
        if len(rest) < 4:
            return []
        fields = int.from_bytes(rest[:4])
        headers.append((fields >> 24 & 0x7F, fields >> 10 & 0x3FFF, fields & 0x3FF))
        rest = rest[4:]
    if not rest:
        return []
    payload_type, rest, blocks = rest[0] & 0x7F, rest[1:], list[Block]()
    for copied_type, offset, length in headers:
        if len(rest) < length:
            return []
        blocks.append(Block(copied_type, rest[:length], offset))
        rest = rest[length:]
    return [*blocks, Block(payload_type, rest)]
