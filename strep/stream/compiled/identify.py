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
from strep.stream.index import ODD, UNKNOWN
from strep.stream.keys import PLAIN, SSRC_BITS
from strep.wire.rtp import RTCP_PACKET_TYPES, RTP_BYTES
from strep.wire.strep import STREP_BYTES, STREP_MAGIC, STREP_VERSION

_STREP_FIRST = np.uint8(STREP_MAGIC | STREP_VERSION << 2)
_RTP_FIRST = np.uint8(0x80)
_RTCP_FROM, _RTCP_TO = RTCP_PACKET_TYPES.start, RTCP_PACKET_TYPES.stop
_PLAIN, _SSRC_BITS = np.uint64(PLAIN), np.uint64(SSRC_BITS)
_A0, _A1, _A2 = ODD[0]
_B0, _B1, _B2 = ODD[1]


@compiled
def _little_endian_word(flat: ReadOnlyBytes, at: Int) -> Word:
    word = np.uint64(0)
    for k in range(8):
        word |= np.uint64(flat[at + k]) << np.uint64(8 * k)
    return word


@compiled
def identify(
    flat: ReadOnlyBytes,
    offset: ReadOnlyInts,
    length: ReadOnlyInts,
    sender: ReadOnlyInts,
    conversation: Ints,
    direction: Ints,
    keys: WordTable,
    tables: Int32Table,
    shift: Word,
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
            a, b = np.uint64(conversation[sender[n]]), np.uint64(0)
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
        found = tables[0, (a * _A0 + b * _A1 + c * _A2) >> shift]
        if found < 0 or keys[found, 0] != a or keys[found, 1] != b or keys[found, 2] != c:
            found = tables[1, (a * _B0 + b * _B1 + c * _B2) >> shift]
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
