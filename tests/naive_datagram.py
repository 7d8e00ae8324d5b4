"""Read one datagram, as naively as it can be done: what strep.wire.headers is held against."""

from __future__ import annotations

from dataclasses import dataclass

from strep.errors import WireError
from strep.wire.fate import Fate
from strep.wire.headers import STUN_MAGIC_COOKIE, Claim
from strep.wire.rtp import RTCP_PACKET_TYPES, RTP_BYTES, RtpPacket
from strep.wire.strep import STREP_BYTES, STREP_VERSION, StrepHeader


@dataclass(frozen=True, slots=True)
class ParsedDatagram:
    """Is what one datagram turned out to be; `rtp` is there exactly when `fate` is ACCEPTED."""

    fate: Fate
    strep: StrepHeader | None = None
    rtp: RtpPacket | None = None
    claim: Claim = Claim.NONE


def parse_datagram(data: bytes) -> ParsedDatagram:
    """Say what a datagram is. No bytes make it raise."""
    if not data:
        return ParsedDatagram(Fate.MALFORMED_EMPTY)
    kind = data[0] >> 6
    if kind == 3:
        return _parse_strep(data)
    if kind == 2:
        return _parse_rtp(None, data)
    if kind == 1:
        return ParsedDatagram(Fate.NOT_AUDIO_SIP)
    is_stun = len(data) >= 20 and data[4:8] == STUN_MAGIC_COOKIE
    return ParsedDatagram(Fate.NOT_AUDIO_STUN if is_stun else Fate.NOT_AUDIO_T38)


def _parse_strep(data: bytes) -> ParsedDatagram:
    if data[0] >> 2 & 0xF != STREP_VERSION:
        return ParsedDatagram(Fate.REJECTED_STREP_VERSION)
    if len(data) < STREP_BYTES:
        return ParsedDatagram(Fate.MALFORMED_STREP)
    try:
        header = StrepHeader.parse(data)
    except WireError:
        return ParsedDatagram(Fate.MALFORMED_STREP)
    return _parse_rtp(header, data[header.header_length :])


def _parse_rtp(header: StrepHeader | None, data: bytes) -> ParsedDatagram:
    if len(data) >= 2 and data[0] >> 6 == 2 and data[1] in RTCP_PACKET_TYPES:
        return ParsedDatagram(Fate.NOT_AUDIO_RTCP, header)
    if len(data) < RTP_BYTES or data[0] >> 6 != 2:
        return ParsedDatagram(Fate.MALFORMED_RTP, header)
    claim = Claim.NONE
    if data[0] & 0x1F:
        claim = Claim.FITS if _claims_fit(data) else Claim.FALSE
    if claim is Claim.FALSE:
        data = bytes((data[0] & 0xE0,)) + data[1:]
    try:
        return ParsedDatagram(Fate.ACCEPTED, header, RtpPacket.parse(data), claim)
    except WireError:
        return ParsedDatagram(Fate.MALFORMED_RTP, header)


def _claims_fit(data: bytes) -> bool:
    """Tell whether the CSRCs and the extension that the header claims lie within the packet."""
    try:
        RtpPacket.parse(bytes((data[0] & 0xDF,)) + data[1:])
    except WireError:
        return False
    return True
