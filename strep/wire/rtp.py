"""Read and write RTP packets (RFC 3550 section 5.1, header extension section 5.3.1).

 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|V=2|P|X|  CC   |M|     PT      |       sequence number         |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|                           timestamp                           |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|                             SSRC                              |
+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
|                     CSRC (CC of them) ...                     |
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from strep.errors import WireError

RTP_BYTES = 12
RTP_VERSION = 2
_FIXED = struct.Struct("!BBHII")
_PADDING, _EXTENSION, _CSRC_COUNT = 0x20, 0x10, 0x0F
#: RFC 5761 section 4: RTCP packet types lie here, so RTP payload types 64 to 95 are not used with a marker beside RTCP.
RTCP_PACKET_TYPES = range(192, 224)


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One RTP packet. `payload` excludes padding; `padding_length` counts the padding with its length byte."""

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes = b""
    marker: bool = False
    csrc: tuple[int, ...] = ()
    extension: tuple[int, bytes] | None = None
    padding_length: int = 0

    @classmethod
    def parse(cls, data: bytes) -> RtpPacket:
        """Read a packet, believing all it claims. Raises WireError when a claim does not fit."""
        if len(data) < RTP_BYTES:
            raise WireError(f"RTP header needs {RTP_BYTES} bytes, got {len(data)}")
        first, second, sequence_number, timestamp, ssrc = _FIXED.unpack_from(data)
        if first >> 6 != RTP_VERSION:
            raise WireError(f"RTP version must be {RTP_VERSION}, got {first >> 6}")
        csrc, extension, start = _parse_claims(data, first)
        end = _end_of_payload(data, start) if first & _PADDING else len(data)
        return cls(
            payload_type=second & 0x7F,
            sequence_number=sequence_number,
            timestamp=timestamp,
            ssrc=ssrc,
            payload=bytes(data[start:end]),
            marker=bool(second & 0x80),
            csrc=csrc,
            extension=extension,
            padding_length=len(data) - end,
        )

    def serialize(self) -> bytes:
        """Write the packet. Raises WireError when a field does not fit."""
        if len(self.csrc) > 15 or not 0 <= self.payload_type <= 127 or not 0 <= self.padding_length <= 255:
            raise WireError(f"RTP needs at most 15 CSRCs, a payload type and padding that fit, got {self}")
        first = RTP_VERSION << 6 | (_PADDING if self.padding_length else 0) | len(self.csrc)
        claims = struct.pack(f"!{len(self.csrc)}I", *self.csrc)
        if self.extension is not None:
            profile, body = self.extension
            if len(body) % 4:
                raise WireError(f"RTP extension must be whole 32-bit words, got {len(body)} bytes")
            first |= _EXTENSION
            claims += struct.pack("!HH", profile, len(body) // 4) + body
        second = self.marker << 7 | self.payload_type
        header = _FIXED.pack(first, second, self.sequence_number, self.timestamp, self.ssrc)
        padding = bytes(self.padding_length - 1) + bytes((self.padding_length,)) if self.padding_length else b""
        return header + claims + self.payload + padding


def _parse_claims(data: bytes, first: int) -> tuple[tuple[int, ...], tuple[int, bytes] | None, int]:
    """Read what the CC and X bits claim: the CSRCs, the extension, and where the payload starts."""
    count = first & _CSRC_COUNT
    start = RTP_BYTES + 4 * count
    if len(data) < start:
        raise WireError(f"RTP header with {count} CSRCs needs {start} bytes, got {len(data)}")
    csrc = struct.unpack_from(f"!{count}I", data, RTP_BYTES)
    if not first & _EXTENSION:
        return csrc, None, start
    if len(data) < start + 4:
        raise WireError(f"RTP header extension needs {start + 4} bytes, got {len(data)}")
    profile, words = struct.unpack_from("!HH", data, start)
    end = start + 4 + 4 * words
    if len(data) < end:
        raise WireError(f"RTP header extension of {words} words needs {end} bytes, got {len(data)}")
    return csrc, (profile, bytes(data[start + 4 : end])), end


def _end_of_payload(data: bytes, start: int) -> int:
    padding_length = data[-1]
    if not 1 <= padding_length <= len(data) - start:
        raise WireError(f"RTP padding must be 1 to {len(data) - start} bytes, got {padding_length}")
    return len(data) - padding_length
