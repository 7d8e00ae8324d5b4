"""Say in a picture what a telephone event is: a key speaks for itself, the number of another one does not."""

from __future__ import annotations

#: RFC 4734 sections 2.2 to 2.4, as IANA registers them: what modems and fax machines say.
_NAMES = {
    32: "ANS",
    33: "/ANS",
    34: "ANSam",
    35: "/ANSam",
    36: "CNG",
    37: "V.21 channel 1, 0 bit",
    38: "V.21 channel 1, 1 bit",
    39: "V.21 channel 2, 0 bit",
    40: "V.21 channel 2, 1 bit",
    49: "CT",
}


def event_text(event: int, name: str) -> str:
    """Give a name as it is, "event 32 (ANS)" for what has only a number."""
    if name != str(event) or event < 10:
        return name
    return f"event {event} ({_NAMES[event]})" if event in _NAMES else f"event {event}"
