"""Read the headers of a batch and find the rows of its sources: parse_headers, PacketKeys and KeyIndex in one pass."""

from __future__ import annotations

import numpy as np

from strep.stream.compiled.compiler import (
    Bools,
    Bytes,
    Int,
    Int32Table,
    Ints,
    ReadOnlyBytes,
    ReadOnlyInts,
    Word,
    WordTable,
    compiled,
)
from strep.stream.index import UNKNOWN
from strep.stream.keys import PLAIN, SENDER_SHIFT, SSRC_BITS
from strep.wire.rtp import RTCP_PACKET_TYPES, RTP_BYTES
from strep.wire.strep import STREP_BYTES, STREP_MAGIC, STREP_VERSION

_STREP_FIRST = np.uint8(STREP_MAGIC | STREP_VERSION << 2)
_RTP_FIRST = np.uint8(0x80)
_RTCP_FROM, _RTCP_TO = RTCP_PACKET_TYPES.start, RTCP_PACKET_TYPES.stop
_PLAIN, _SSRC_BITS, _SENDER_SHIFT = np.uint64(PLAIN), np.uint64(SSRC_BITS), np.uint64(SENDER_SHIFT)
_LOW, _HIGH_BITS = np.uint64(0xFFFF_FFFF), np.uint64(32)


@compiled
def _little_endian_word(flat: ReadOnlyBytes, at: Int) -> Word:
    word = np.uint64(0)
    for k in range(8):
        word |= np.uint64(flat[at + k]) << np.uint64(8 * k)
    return word


@compiled
def _mixed(a: Word, b: Word, c: Word, multipliers: WordTable, table: Int) -> Word:
    """Mix a key as strep.stream.index does."""
    low = multipliers[table, 0] * (a & _LOW) + multipliers[table, 1] * (b & _LOW) + multipliers[table, 2] * (c & _LOW)
    a, b, c = a >> _HIGH_BITS, b >> _HIGH_BITS, c >> _HIGH_BITS
    mixed: np.uint64 = low + multipliers[table, 3] * a + multipliers[table, 4] * b + multipliers[table, 5] * c
    return mixed


@compiled
def identify(
    flat: ReadOnlyBytes,
    offset: ReadOnlyInts,
    length: ReadOnlyInts,
    sender: ReadOnlyInts,
    conversation: WordTable,
    direction: Ints,
    keys: WordTable,
    tables: Int32Table,
    shift: Word,
    multipliers: WordTable,
    row: Ints,
    payload_type: Bytes,
    marker: Bools,
    sequence_number: Ints,
    timestamp: Ints,
    rtp_start: Ints,
    payload_start: Ints,
    payload_length: Ints,
) -> Int:
    """Fill in the columns from `row` on, row UNKNOWN for those left to others; returns how many those are.

    Straight are packets of a source that is known, with a plain RTP header, by itself or behind a plain STREP header.
    """
    # What the kernel wrote has left the nearest cache: all headers are asked for at once, see account.
    touched = np.uint8(0)
    for n in range(len(offset)):
        touched ^= flat[offset[n]] ^ flat[offset[n] + 64] ^ flat[offset[n] + 128] ^ flat[offset[n] + 192]
    payload_type[0] = touched  # or they would be optimised away
    missed = 0
    for n in range(len(offset)):
        row[n] = UNKNOWN
        missed += 1
        start, end = offset[n], offset[n] + length[n]
        if flat[start] & 0xFC == _STREP_FIRST and flat[start + 1] == STREP_BYTES:
            a, b = _little_endian_word(flat, start + 8), _little_endian_word(flat, start + 16)
            c = np.uint64(flat[start] & 3) << _SSRC_BITS
            start += STREP_BYTES
        else:
            a, b = conversation[sender[n], 0], conversation[sender[n], 1]
            c = np.uint64(direction[sender[n]]) << _SSRC_BITS | _PLAIN
        second = flat[start + 1]
        if end - start < RTP_BYTES or flat[start] != _RTP_FIRST or _RTCP_FROM <= second < _RTCP_TO:
            continue
        c |= np.uint64(
            np.uint32(flat[start + 8]) << 24
            | np.uint32(flat[start + 9]) << 16
            | np.uint32(flat[start + 10]) << 8
            | np.uint32(flat[start + 11])
        )
        c |= np.uint64(sender[n]) << _SENDER_SHIFT
        found = tables[0, _mixed(a, b, c, multipliers, 0) >> shift]
        if found < 0 or keys[found, 0] != a or keys[found, 1] != b or keys[found, 2] != c:
            found = tables[1, _mixed(a, b, c, multipliers, 1) >> shift]
            if found < 0 or keys[found, 0] != a or keys[found, 1] != b or keys[found, 2] != c:
                continue
        missed -= 1
        row[n] = found
        payload_type[n] = second & 0x7F
        marker[n] = second > 0x7F
        sequence_number[n] = np.int64(flat[start + 2]) << 8 | np.int64(flat[start + 3])
        timestamp[n] = (
            np.int64(flat[start + 4]) << 24
            | np.int64(flat[start + 5]) << 16
            | np.int64(flat[start + 6]) << 8
            | np.int64(flat[start + 7])
        )
        rtp_start[n] = start
        payload_start[n] = start + RTP_BYTES
        payload_length[n] = end - start - RTP_BYTES
    return missed
