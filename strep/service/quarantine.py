"""Bound what is recorded of media that nobody here asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QuarantineLimits:
    """How many legs at one time, how long each, how many in all, and how many bytes in all."""

    legs: int
    limit_ns: int
    total: int
    most_bytes: int


class Quarantine:
    """A ward for legs that nobody asked for, within limits; counts those that it refuses.

    A leg is named as its recordings are (StreamIdentity.call). recorded_bytes: how much was recorded of one so far.
    """

    def __init__(self, limits: QuarantineLimits, recorded_bytes: Callable[[str], int]) -> None:
        self._limits, self._recorded_bytes = limits, recorded_bytes
        self._left, self._spent_bytes = limits.total, 0
        self._legs: dict[str, int] = {}
        self._bytes: dict[str, int] = {}
        self._over: set[str] = set()  # no more than `total`
        self.admitted = self.refused = self.released = 0

    def __contains__(self, leg: str) -> bool:
        return leg in self._legs

    @property
    def recorded_bytes(self) -> int:
        """Count what was recorded in here, as far as it was looked at."""
        return self._spent_bytes + sum(self._bytes.values())

    def admit(self, leg: str, now_ns: int) -> bool:
        """Tell whether a leg may be recorded in quarantine; its time begins now, or began before."""
        if leg in self._legs:
            return True
        is_full = len(self._legs) >= self._limits.legs or self._left <= 0
        if leg in self._over or is_full or self.recorded_bytes >= self._limits.most_bytes:
            self.refused += 1
            return False
        self._legs[leg] = now_ns
        self._left -= 1
        self.admitted += 1
        return True

    def leave(self, leg: str) -> None:
        """Take note that a leg is over."""
        if self._legs.pop(leg, None) is not None:
            self._spent_bytes += self._bytes.pop(leg, 0)

    def release(self, leg: str) -> bool:
        """Let a leg go on in its place, now that its call is known; tell whether it was here."""
        found = self._legs.pop(leg, None) is not None
        self._bytes.pop(leg, None)
        self.released += found
        return found

    def over(self, now_ns: int) -> Iterator[str]:
        """Give the legs that have had their time, or all when they have had their bytes; none is admitted again."""
        for leg in self._legs:
            self._bytes[leg] = self._recorded_bytes(leg)
        is_full = self.recorded_bytes >= self._limits.most_bytes
        for leg in [leg for leg, since in self._legs.items() if is_full or now_ns - since >= self._limits.limit_ns]:
            self.leave(leg)
            self._over.add(leg)
            yield leg
