"""Read the headers of a datagram, and tell apart what is not RTP audio.

The rules, in order:

1. No byte at all: malformed_empty.
2. First bits 11: STREP. A version other than 1 is rejected; a header cut short or a HeaderLen below 24 or beyond the
   datagram is malformed_strep; what follows HeaderLen is read as 3.
3. First bits 10: RTCP when the second byte is an RTCP packet type (RFC 5761 section 4), else RTP.
   Inside STREP nothing else may follow: malformed_rtp.
4. First bits 00: STUN when it has the magic cookie (RFC 8489 section 5), else T.38. First bits 01: SIP text.
5. RTP shorter than 12 bytes, or with padding that cannot be, is malformed_rtp (RFC 3550 A.1).
6. What the CC and X bits claim is believed only when it fits: forked packets can keep these bits although the CSRCs
   and the extension were cut out. A claim that does not fit is ignored, and said so in `claim`.
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strep.compiler import rule
from strep.wire.fate import Fate
from strep.wire.rtp import RTCP_PACKET_TYPES, RTP_BYTES
from strep.wire.strep import STREP_BYTES, STREP_VERSION

STUN_MAGIC_COOKIE = bytes.fromhex("2112a442")
_COOKIE = int.from_bytes(STUN_MAGIC_COOKIE)
_STUN_BYTES = 20
_RTCP_FROM, _RTCP_TO = RTCP_PACKET_TYPES.start, RTCP_PACKET_TYPES.stop
_ACCEPTED, _RTCP = int(Fate.ACCEPTED), int(Fate.NOT_AUDIO_RTCP)
_STUN, _T38, _SIP = int(Fate.NOT_AUDIO_STUN), int(Fate.NOT_AUDIO_T38), int(Fate.NOT_AUDIO_SIP)
_EMPTY, _BAD_STREP, _BAD_RTP = int(Fate.MALFORMED_EMPTY), int(Fate.MALFORMED_STREP), int(Fate.MALFORMED_RTP)
_BAD_VERSION = int(Fate.REJECTED_STREP_VERSION)


class Claim(enum.IntEnum):
    """What a packet's CC and X bits claim lies between its header and its payload."""

    NONE = 0
    FITS = 1
    FALSE = 2  #: it does not fit: the payload is taken to start right behind the 12 bytes


_NONE, _FITS, _FALSE = int(Claim.NONE), int(Claim.FITS), int(Claim.FALSE)


@rule
def widen(byte: np.uint8) -> int:
    """Make 64 bits of a byte, so that shifting it loses none."""
    return np.int64(byte)  # type: ignore[return-value] # Python's own int here


@rule
def read_u16(flat: NDArray[np.uint8], at: int) -> int:
    """Read two bytes, the most significant one first."""
    return widen(flat[at]) << 8 | widen(flat[at + 1])


@rule
def read_u32(flat: NDArray[np.uint8], at: int) -> int:
    """Read four bytes, the most significant one first."""
    return read_u16(flat, at) << 16 | read_u16(flat, at + 2)


@rule
def read_word(flat: NDArray[np.uint8], at: int) -> np.uint64:
    """Read eight bytes, the least significant one first."""
    word = np.uint64(0)
    for k in range(8):
        word |= np.uint64(flat[at + k]) << np.uint64(8 * k)
    return word


@rule
def parse_headers(flat: NDArray[np.uint8], start: int, length: int, header: Any) -> int:
    """Read a datagram's headers into a record (strep.stream.records.HEADER); give its fate.

    flat must be readable for SLACK_BYTES behind `start`. Where the fate is not accepted, the record means nothing.
    """
    if length < 1:
        return _EMPTY
    end, kind = start + length, flat[start] >> 6
    header.is_strep = kind == 3
    header.leg_direction = 0
    header.id_high = header.id_low = 0
    if kind == 3:
        if flat[start] >> 2 & 0xF != STREP_VERSION:
            return _BAD_VERSION
        skip = widen(flat[start + 1])
        if length < STREP_BYTES or skip < STREP_BYTES or skip > length:
            return _BAD_STREP
        header.leg_direction = flat[start] & 3
        header.id_high, header.id_low = read_word(flat, start + 8), read_word(flat, start + 16)
        start += skip
    elif kind == 0:
        is_stun = length >= _STUN_BYTES and read_u32(flat, start + 4) == _COOKIE
        return _STUN if is_stun else _T38
    elif kind == 1:
        return _SIP
    return _parse_rtp(flat, start, end, header)


@rule
def _parse_rtp(flat: NDArray[np.uint8], start: int, end: int, header: Any) -> int:
    first, second, left = widen(flat[start]), widen(flat[start + 1]), end - start
    if left > 1 and first >> 6 == 2 and _RTCP_FROM <= second < _RTCP_TO:
        return _RTCP
    if left < RTP_BYTES or first >> 6 != 2:
        return _BAD_RTP
    header.payload_type, header.marker = second & 0x7F, second >> 7
    header.sequence_number = read_u16(flat, start + 2)
    header.timestamp = read_u32(flat, start + 4)
    header.ssrc = read_u32(flat, start + 8)
    header.rtp_start = start
    skip, claim = RTP_BYTES, _NONE
    if first & 0x1F:
        claimed = _claimed_bytes(flat, start, first, left)
        claim = _FITS if claimed <= left else _FALSE
        skip = claimed if claim == _FITS else RTP_BYTES
    padding = widen(flat[end - 1]) if first & 0x20 else 0
    if first & 0x20 and not 1 <= padding <= left - skip:
        return _BAD_RTP
    header.claim = claim
    header.payload_start = start + skip
    header.payload_bytes = left - skip - padding
    return _ACCEPTED


@rule
def _claimed_bytes(flat: NDArray[np.uint8], start: int, first: int, left: int) -> int:
    """Say how long the header is by its CC and X bits; only what lies within the packet is read."""
    claimed = RTP_BYTES + 4 * (first & 0xF)
    if first & 0x10:
        claimed += 4
        if claimed <= left:
            claimed += 4 * read_u16(flat, start + claimed - 2)
    return claimed
