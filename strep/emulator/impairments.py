"""Do to a stream what networks do: lose, double, swap and delay its packets. Pure, and repeated by the same seed.

Each direction is a queue of its own: delay alone never puts packets out of order, only `reorder` does.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

from strep.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Impairments:
    """What the network does to a fork.

    loss, duplicate, reorder: probabilities, 0 to 1, for each packet. jitter_ms: each packet waits for a random time up
    to this. burst_packets: how long losses last on average; chance alone makes them 1 / (1 - loss) long, and no less.
    clock_drift_ppm: how much faster the sender's clock runs than ours, in millionths.

    Equal seeds do equal harm, and raising one probability leaves the others' victims the same.
    Raises ConfigError when a value cannot be.
    """

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    jitter_ms: float = 0.0
    seed: int = 0
    burst_packets: float = 1.0
    clock_drift_ppm: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConfigError(f"{field.name}: expected a number, found {value!r}")
        for name in ("loss", "duplicate", "reorder"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}: expected a probability of 0 to 1, found {getattr(self, name)}")
        if not 0 <= self.jitter_ms <= 10_000:  # beyond that it is an outage, not jitter
            raise ConfigError(f"jitter_ms: expected 0 to 10000, found {self.jitter_ms}")
        if not 1 <= self.burst_packets <= 1000:  # 20 s: beyond that it is an outage, too
            raise ConfigError(f"burst_packets: expected 1 to 1000, found {self.burst_packets}")
        if not -100_000 <= self.clock_drift_ppm <= 100_000:  # real clocks stay within a few hundred
            raise ConfigError(f"clock_drift_ppm: expected -100000 to 100000, found {self.clock_drift_ppm}")

    @property
    def are_harmless(self) -> bool:
        """Tell whether every packet comes through at once. A drifting clock is the sender's."""
        return not (self.loss or self.duplicate or self.reorder or self.jitter_ms)

    def loses(self, chance: float, *, lost_before: bool) -> bool:
        """Tell whether a packet is lost, by a draw of 0 to 1 and what became of the one before (Gilbert's model)."""
        if self.loss == 1:
            return True
        leaving = 1 / max(self.burst_packets, 1 / (1 - self.loss))
        entering = leaving * self.loss / (1 - self.loss)  # so that the share of lost packets is as asked for
        return chance < (1 - leaving if lost_before else entering)


class Copies(NamedTuple):
    """A packet that comes through, so many times, at a time counted from the fork's beginning."""

    offset_ns: int
    number: int
    data: bytes
    copies: int


class NetworkPath:
    """A network path that carries one stream's packets. `impairments` may be replaced while it does. name: the
    stream's, for the seed.

    Chance begins with the first packet that is in danger, and goes on when impairments of the same seed replace others.
    """

    def __init__(self, impairments: Impairments, name: str) -> None:
        self._name = name
        self._impairments = impairments
        self._is_harmless = impairments.are_harmless
        self._chance = self._seeded()
        self._offset_ns = 0
        self._was_lost = False
        self._held: Copies | None = None  # by reordering: until right after its successor

    @property
    def is_clear(self) -> bool:
        """Tell whether what is sent now comes through at once: then it need not be carried."""
        return self._is_harmless and self._held is None

    @property
    def impairments(self) -> Impairments:
        """Give what the network does now."""
        return self._impairments

    @impairments.setter
    def impairments(self, impairments: Impairments) -> None:
        seed, self._impairments = self._impairments.seed, impairments
        self._is_harmless = impairments.are_harmless
        if impairments.seed != seed:
            self._chance = self._seeded()

    def period_ns(self, period_ns: int) -> float:
        """Give how long a time of the sender's clock is by ours."""
        drift_ppm = self._impairments.clock_drift_ppm
        return period_ns / (1 + drift_ppm * 1e-6) if drift_ppm else period_ns

    def carry(self, due_ns: int, packets: Sequence[tuple[int, bytes]]) -> Iterator[Copies]:
        """Yield what comes through of packets (number, data) that are sent at one time, in the order of arrival.

        Of nothing sent comes what had been held back for its successor.
        """
        if not packets:
            yield from self.flush(due_ns)
        for number, data in packets:
            if self.is_clear:
                self._offset_ns = max(self._offset_ns, due_ns)
                yield Copies(self._offset_ns, number, data, 1)
                continue
            # Four draws a packet, used or not: so each kind of harm has the same victims whatever the others do.
            lost, doubled, late, delay = (self._chance.random() for _ in range(4))
            harm = self._impairments
            self._offset_ns = max(self._offset_ns, due_ns + round(delay * harm.jitter_ms * 1e6))
            self._was_lost = harm.loses(lost, lost_before=self._was_lost)
            copies = 0 if self._was_lost else 2 if doubled < harm.duplicate else 1
            packet = Copies(self._offset_ns, number, data, copies)
            if late < harm.reorder and not self._held:
                self._held = packet
            else:
                yield packet
                yield from self.flush(self._offset_ns)

    def flush(self, due_ns: int) -> Iterator[Copies]:
        """Yield what is held back."""
        if self._held:
            held, self._held = self._held, None
            self._offset_ns = max(self._offset_ns, due_ns)
            yield held._replace(offset_ns=self._offset_ns)

    def _seeded(self) -> random.Random:
        return random.Random(f"{self._impairments.seed} {self._name}")
