"""Read RFC 4733 telephone events (section 2.3) and name them (section 3.2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from strep.errors import WireError

EVENT_BYTES = 4
_EVENT = struct.Struct("!BBH")
#: RFC 4733 table 7: events 0 to 15 are the DTMF digits; 16 is a hook flash.
_DTMF = "0123456789*#ABCD"


@dataclass(frozen=True, slots=True)
class TelephoneEventPayload:
    """One event report: `volume_dbm0` at or below 0, `duration` in timestamp units since the event began."""

    event: int
    end: bool
    volume_dbm0: int
    duration: int

    @classmethod
    def parse(cls, payload: bytes) -> TelephoneEventPayload:
        """Read the first report of a payload. Raises WireError when it is cut short."""
        if len(payload) < EVENT_BYTES:
            raise WireError(f"telephone event needs {EVENT_BYTES} bytes, got {len(payload)}")
        event, flags, duration = _EVENT.unpack_from(payload)
        return cls(event, bool(flags & 0x80), -(flags & 0x3F), duration)

    def serialize(self) -> bytes:
        """Write the report."""
        return _EVENT.pack(self.event, self.end << 7 | -self.volume_dbm0 & 0x3F, self.duration)


def event_name(event: int) -> str:
    """Name an event: the digit for DTMF, "flash", else its number."""
    if event < len(_DTMF):
        return _DTMF[event]
    return "flash" if event == 16 else str(event)
