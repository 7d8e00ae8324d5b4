"""Contain our own faults: a rule that raises closes the stream that it was at, and costs no other.

No input should make a rule raise; where one does all the same, it is logged with its bytes, so that it can be made a
test. What is done for many streams at a time is done again for each by itself, to find the one.
"""

from __future__ import annotations

import logging

_log = logging.getLogger(__name__)
#: Bytes of a packet that a log line shows: its headers and what makes a payload odd.
_SHOWN_BYTES = 200


class RuleFaults:
    """Streams whose rules raised, until they are closed; `count` is how often that was."""

    def __init__(self) -> None:
        self.count = 0
        self._slots: dict[int, None] = {}

    def __contains__(self, slot: int) -> bool:
        return slot in self._slots

    def note(self, slot: int, name: str, packet: bytes) -> None:
        """Take note of the exception that is being handled, at a packet of one stream."""
        self.count += 1
        if slot not in self._slots:
            _log.exception("%s is closed: its rules failed at the packet %s", name, packet[:_SHOWN_BYTES].hex())
        self._slots[slot] = None

    def note_nobody(self, packet: bytes) -> None:
        """Take note of the exception that is being handled, at a datagram of which no stream is known."""
        self.count += 1
        _log.exception("the rules failed at the datagram %s", packet[:_SHOWN_BYTES].hex())

    def note_many(self, what: str) -> None:
        """Take note of the exception that is being handled, at many streams together."""
        self.count += 1
        _log.exception("%s failed for many streams together, and is done for each by itself", what)

    @property
    def slots(self) -> list[int]:
        """Give the slots of the streams that are to be closed."""
        return list(self._slots)

    def forget(self) -> None:
        """Forget them: they are closed."""
        self._slots.clear()
