"""Read the headers of a whole batch as columns, and tell apart what is not RTP audio.

`parse_headers` is the columnar form; `parse_datagram` says the same of one datagram in a form that a person can read.
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
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strep.wire.batch import DatagramBatch, gather
from strep.wire.fate import Fate
from strep.wire.rtp import RTCP_PACKET_TYPES, RTP_BYTES
from strep.wire.strep import STREP_BYTES, STREP_MAGIC, STREP_VERSION

STUN_MAGIC_COOKIE = bytes.fromhex("2112a442")
_STUN_BYTES = 20


class Claim(enum.IntEnum):
    """Is what a packet's CC and X bits claim lies between its header and its payload."""

    NONE = 0
    FITS = 1
    FALSE = 2  #: it does not fit: the payload is taken to start right behind the 12 bytes


@dataclass(frozen=True, slots=True)
class Headers:
    """Is the headers of n datagrams; where `fate` is not ACCEPTED the other columns mean nothing.

    id_words: uint64[n, 2], the call_leg_id as it lies in memory; zero for plain RTP. strep: bool[n].
    leg_direction: uint8[n], L and D as in STREP's first byte (L << 1 | D); zero for plain RTP.
    payload_start: int64[n] into the batch's flat buffer; payload_length: int64[n], bytes, padding left out.
    rtp_start: int64[n]; claim: uint8[n] of Claim. The rest are the RTP fields as they were on the wire.
    """

    fate: NDArray[np.uint8]
    id_words: NDArray[np.uint64]
    strep: NDArray[np.bool_]
    leg_direction: NDArray[np.uint8]
    payload_type: NDArray[np.uint8]
    marker: NDArray[np.bool_]
    sequence_number: NDArray[np.int64]
    timestamp: NDArray[np.int64]
    ssrc: NDArray[np.int64]
    rtp_start: NDArray[np.int64]
    payload_start: NDArray[np.int64]
    payload_length: NDArray[np.int64]
    claim: NDArray[np.uint8]


_RTP = np.dtype([("first", "u1"), ("second", "u1"), ("sequence_number", ">u2"), ("timestamp", ">u4"), ("ssrc", ">u4")])
_BOTH = np.dtype([("magic", "<u2"), ("reserved", "u1", 6), ("id_words", "<u8", 2), ("rtp", _RTP)])
assert _BOTH.itemsize == STREP_BYTES + RTP_BYTES
#: First two bytes of a version 1 header of 24 bytes, read as a little-endian word, L and D masked away.
_PLAIN_STREP = STREP_BYTES << 8 | STREP_MAGIC | STREP_VERSION << 2
_MASK_LD = 0xFFFF & ~3
_PLAIN_RTP_FIRST = 0x80


def parse_headers(batch: DatagramBatch) -> Headers:
    """Read every datagram's headers. Its scalar twin is parse_datagram; no bytes make it raise."""
    rows = gather(batch.flat, batch.offset, _BOTH.itemsize).view(_BOTH)[:, 0]
    rtp = rows["rtp"]
    magic = rows["magic"]
    second = rtp["second"]
    headers = Headers(
        fate=np.zeros(len(batch), np.uint8),
        id_words=rows["id_words"],
        strep=np.ones(len(batch), np.bool_),
        leg_direction=(magic & 3).astype(np.uint8),
        payload_type=second & np.uint8(0x7F),
        marker=second > 0x7F,
        sequence_number=rtp["sequence_number"].astype(np.int64),
        timestamp=rtp["timestamp"].astype(np.int64),
        ssrc=rtp["ssrc"].astype(np.int64),
        rtp_start=batch.offset + STREP_BYTES,
        payload_start=batch.offset + _BOTH.itemsize,
        payload_length=batch.length - _BOTH.itemsize,
        claim=np.zeros(len(batch), np.uint8),
    )
    straight = (magic & _MASK_LD) == _PLAIN_STREP
    straight &= rtp["first"] == _PLAIN_RTP_FIRST
    straight &= (second < RTCP_PACKET_TYPES.start) | (second >= RTCP_PACKET_TYPES.stop)
    straight &= batch.length >= _BOTH.itemsize
    if not straight.all():
        _parse_odd(batch, headers, np.flatnonzero(~straight))
    return headers


def _parse_odd(batch: DatagramBatch, headers: Headers, rows: NDArray[np.int64]) -> None:
    """Do again, rule by rule, the rows that are not plain STREP in front of a plain RTP header."""
    flat, offset, length = batch.flat, batch.offset[rows], batch.length[rows]
    first, second = flat[offset], flat[offset + 1]
    kind = first >> 6
    strep = kind == 3
    skip = np.where(strep, second, 0).astype(np.int64)
    start, left = offset + skip, length - skip
    # A datagram may be shorter than its HeaderLen says; the slack behind every offset makes the read harmless.
    rtp = gather(flat, start, RTP_BYTES).view(_RTP)[:, 0]
    is_rtp = rtp["first"] >> 6 == 2
    is_rtcp = is_rtp & (rtp["second"] >= RTCP_PACKET_TYPES.start) & (rtp["second"] < RTCP_PACKET_TYPES.stop)
    stun = (gather(flat, offset + 4, 4) == np.frombuffer(STUN_MAGIC_COOKIE, np.uint8)).all(axis=1)
    fate = np.select(
        [
            length < 1,
            strep & (first >> 2 & 0xF != STREP_VERSION),
            strep & ((length < STREP_BYTES) | (skip < STREP_BYTES) | (left < 0)),
            (kind == 0) & stun & (length >= _STUN_BYTES),
            kind == 0,
            kind == 1,
            is_rtcp & (left > 1),
            (left < RTP_BYTES) | ~is_rtp,
        ],
        [
            np.uint8(verdict)
            for verdict in (
                Fate.MALFORMED_EMPTY,
                Fate.REJECTED_STREP_VERSION,
                Fate.MALFORMED_STREP,
                Fate.NOT_AUDIO_STUN,
                Fate.NOT_AUDIO_T38,
                Fate.NOT_AUDIO_SIP,
                Fate.NOT_AUDIO_RTCP,
                Fate.MALFORMED_RTP,
            )
        ],
        np.uint8(Fate.ACCEPTED),
    )
    headers.strep[rows] = strep
    headers.id_words[rows[~strep]] = 0
    headers.leg_direction[rows] = np.where(strep, first & 3, 0)
    headers.payload_type[rows] = rtp["second"] & 0x7F
    headers.marker[rows] = rtp["second"] > 0x7F
    for name in ("sequence_number", "timestamp", "ssrc"):
        getattr(headers, name)[rows] = rtp[name]
    headers.rtp_start[rows] = start
    _bound_payload(batch, headers, rows, rtp["first"], left, fate)


def _bound_payload(
    batch: DatagramBatch,
    headers: Headers,
    rows: NDArray[np.int64],
    first: NDArray[np.uint8],
    left: NDArray[np.int64],
    fate: NDArray[np.uint8],
) -> None:
    """Find where each payload starts and ends; `left` is the length of the RTP packet in bytes."""
    start = headers.rtp_start[rows]
    fine = fate == Fate.ACCEPTED
    claimed = RTP_BYTES + 4 * (first & 0xF).astype(np.int64)
    extended = (first & 0x10 != 0) & fine
    fits = claimed + 4 * extended <= left
    # Only what fits is read, so that a claim never reaches beyond the datagram.
    words_at = np.where(extended & fits, start + claimed + 2, 0)
    words = batch.flat[words_at].astype(np.int64) << 8 | batch.flat[words_at + 1]
    claimed += np.where(extended & fits, 4 + 4 * words, 0)
    fits &= claimed <= left
    claims = first & 0x1F != 0
    skip = np.where(claims & fits, claimed, RTP_BYTES)
    padded = (first & 0x20 != 0) & fine
    padding = np.where(padded, batch.flat[np.where(padded, start + left - 1, 0)], 0).astype(np.int64)
    fate[padded & ((padding < 1) | (padding > left - skip))] = Fate.MALFORMED_RTP
    headers.fate[rows] = fate
    headers.payload_start[rows] = start + skip
    headers.payload_length[rows] = left - skip - padding
    headers.claim[rows] = np.where(claims, np.where(fits, np.uint8(Claim.FITS), np.uint8(Claim.FALSE)), np.uint8(0))
