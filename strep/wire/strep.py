"""Read and write the STREP header that a call platform puts in front of forked RTP.

      0                   1                   2                   3
      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
     |1 1|Version|L|D|    HeaderLen  |  reserved (2 bytes)           |
     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
     |       reserved (4 bytes, for UDP ports or anything else)      |
     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
     |                          call_leg_id                          |
     |                           (16 bytes)                          |
     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

L is the leg (0 A, 1 B), D the direction (0 received by the platform, 1 transmitted by it). HeaderLen is 24 in
version 1; a longer header is skipped over. Reserved bytes are ignored.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from strep.errors import WireError

STREP_BYTES = 24
STREP_VERSION = 1
#: The two top bits of the first byte tell STREP (11) from RTP (10), T.38 or STUN (00) and SIP text (01).
STREP_MAGIC = 0xC0


@dataclass(frozen=True, slots=True)
class StrepHeader:
    """One STREP header."""

    call_leg_id: uuid.UUID
    leg: int
    direction: int
    version: int = STREP_VERSION
    header_length: int = STREP_BYTES

    @classmethod
    def parse(cls, data: bytes) -> StrepHeader:
        """Read a header of any version from the front of a datagram. Raises WireError when it is none."""
        if len(data) < STREP_BYTES:
            raise WireError(f"STREP header needs {STREP_BYTES} bytes, got {len(data)}")
        if data[0] & STREP_MAGIC != STREP_MAGIC:
            raise WireError(f"STREP header begins with bits 11, got byte 0x{data[0]:02x}")
        if not STREP_BYTES <= data[1] <= len(data):
            raise WireError(f"STREP HeaderLen must be {STREP_BYTES} to {len(data)} (the datagram), got {data[1]}")
        return cls(
            call_leg_id=uuid.UUID(bytes=bytes(data[8:24])),
            leg=data[0] >> 1 & 1,
            direction=data[0] & 1,
            version=data[0] >> 2 & 0xF,
            header_length=data[1],
        )

    def serialize(self) -> bytes:
        """Write the header; bytes beyond the 24 known ones are zero. Raises WireError when a field does not fit."""
        if not (0 <= self.version <= 15 and self.leg in (0, 1) and self.direction in (0, 1)):
            raise WireError(f"STREP needs version 0 to 15, leg and direction 0 or 1, got {self}")
        if not STREP_BYTES <= self.header_length <= 255:
            raise WireError(f"STREP HeaderLen must be {STREP_BYTES} to 255, got {self.header_length}")
        first = STREP_MAGIC | self.version << 2 | self.leg << 1 | self.direction
        fixed = bytes((first, self.header_length)) + bytes(6) + self.call_leg_id.bytes
        return fixed + bytes(self.header_length - STREP_BYTES)
