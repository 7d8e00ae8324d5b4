"""Sum up repeated measurements: the median, and how far they lie apart."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some measurements, with the least and the largest."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Sum up at least one value."""
        values = list(values)
        return cls(statistics.median(values), min(values), max(values))

    @classmethod
    def of_ratios(cls, values: Iterable[float], references: Iterable[float]) -> Spread:
        """Sum up values held against references of the same round, pair by pair.

        A machine that is slow for a while slows both of a pair, so these lie closer together than the values do.
        """
        return cls.of(value / reference for value, reference in zip(values, references, strict=True))

    def rounded(self, digits: int) -> dict[str, float]:
        """Give the three numbers for a report."""
        return {name: round(value, digits) for name, value in asdict(self).items()}

    def ends(self, digits: int = 0) -> str:
        """Write both ends: `750–1,010`."""
        return f"{self.min:,.{digits}f}–{self.max:,.{digits}f}"
