"""Keep the books of one client: what was sent and how it ended, and which command_id was first used when."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from strep.control.retries import Outcome

#: A command in the platform's eyes: the URL that it went to, and its command_id.
Use = tuple[str, str]
#: Uses that are remembered, some 4 MB: of a client that sends 100 commands a second those of the last 100 s, which is
#: past the 60 s of a command_id. The oldest is forgotten first, and counted.
_REMEMBERED_USES = 10_000


@dataclass(frozen=True, slots=True)
class SendingCounts:
    """What a client sent since it was made. attempts = the sum of outcomes, and those under way.

    commands: that were sent at least once. retries: attempts after a command's first. given_up: commands that failed
    in a way that could have passed, but had no attempt left, no time, or no safe repetition. waited_s: the waits before
    retries, added up. forgotten_ids: command_ids that were remembered no more; sending one of them a second time is not
    noticed.
    """

    commands: int
    retries: int
    given_up: int
    waited_s: float
    forgotten_ids: int
    outcomes: Mapping[Outcome, int]

    @property
    def attempts(self) -> int:
        """Count the requests that were begun."""
        return self.commands + self.retries


class Ledger:
    """A ledger that counts, and remembers the uses of command_ids. Every method may be called from any thread."""

    def __init__(self, remembered: int = _REMEMBERED_USES) -> None:
        self._lock = threading.Lock()
        self._commands = self._retries = self._given_up = self._forgotten = 0
        self._waited_s = 0.0
        self._outcomes = dict.fromkeys(Outcome, 0)
        self._uses: dict[Use, float] = {}
        self._remembered = remembered

    @property
    def counts(self) -> SendingCounts:
        """Give what was counted so far."""
        with self._lock:
            return SendingCounts(
                self._commands,
                self._retries,
                self._given_up,
                self._waited_s,
                self._forgotten,
                MappingProxyType(dict(self._outcomes)),
            )

    def begun(self, *, is_first: bool) -> None:
        """Count an attempt."""
        with self._lock:
            self._commands += is_first
            self._retries += not is_first

    def ended(self, outcome: Outcome, *, is_given_up: bool) -> None:
        """Count how an attempt ended, and whether its command was given up with it."""
        with self._lock:
            self._outcomes[outcome] += 1
            self._given_up += is_given_up

    def waited(self, seconds: float) -> None:
        """Count a wait."""
        with self._lock:
            self._waited_s += seconds

    def gave_up(self) -> None:
        """Count a command that was given up after its wait."""
        with self._lock:
            self._given_up += 1

    def first_use(self, use: Use | None) -> float | None:
        """Say when a command_id was first used so that it may have acted; None when it was not, or is forgotten."""
        with self._lock:
            return self._uses.get(use) if use else None

    def use(self, use: Use, began_s: float) -> None:
        """Remember the first use of a command_id."""
        with self._lock:
            if use not in self._uses and len(self._uses) >= self._remembered:
                del self._uses[next(iter(self._uses))]
                self._forgotten += 1
            self._uses[use] = min(began_s, self._uses.get(use, began_s))
