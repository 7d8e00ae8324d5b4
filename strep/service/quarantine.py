"""Bound what is recorded of media that nobody here asked for."""

from __future__ import annotations

from collections.abc import Iterator


class Quarantine:
    """Admits so many legs at one time, so much of each, and so many in all; counts those that it refuses.

    A leg is named as its recordings are (StreamIdentity.call).
    """

    def __init__(self, legs: int, limit_ns: int, total: int) -> None:
        self._most, self._limit_ns, self._left = legs, limit_ns, total
        self._legs: dict[str, int] = {}
        self._over: set[str] = set()  # no more than `total`
        self.admitted = self.refused = self.released = 0

    def __contains__(self, leg: str) -> bool:
        return leg in self._legs

    def admit(self, leg: str, now_ns: int) -> bool:
        """Tell whether a leg may be recorded in quarantine; its time begins now, or began before."""
        if leg in self._legs:
            return True
        if leg in self._over or len(self._legs) >= self._most or self._left <= 0:
            self.refused += 1
            return False
        self._legs[leg] = now_ns
        self._left -= 1
        self.admitted += 1
        return True

    def leave(self, leg: str) -> None:
        """Take note that a leg is over."""
        self._legs.pop(leg, None)

    def release(self, leg: str) -> bool:
        """Let a leg go on in its place, now that its call is known; tell whether it was here."""
        found = self._legs.pop(leg, None) is not None
        self.released += found
        return found

    def over(self, now_ns: int) -> Iterator[str]:
        """Give the legs that have had their time; they are not admitted again."""
        for leg in [leg for leg, since_ns in self._legs.items() if now_ns - since_ns >= self._limit_ns]:
            del self._legs[leg]
            self._over.add(leg)
            yield leg
