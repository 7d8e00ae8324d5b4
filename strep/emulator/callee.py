"""Say what whoever is dialed does."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from strep.errors import ConfigError

_LONGEST_S = 600


class Outcome(enum.StrEnum):
    """What becomes of a call that is dialed."""

    ANSWERS = "answers"
    BUSY = "busy"
    REJECTS = "rejects"
    NOT_FOUND = "not_found"
    NO_ANSWER = "no_answer"  #: somewhere on the way it is given up
    SILENT = "silent"  #: nothing at all, until the caller's patience (timeout_secs) is over


@dataclass(frozen=True, slots=True)
class Callee:
    """Somebody who can be dialed.

    outcome: what comes of it. rings_after_s, acts_after_s: from dialing on, when the telephone rings, and when that
    happens. is_machine: what answers is an answering machine. Raises ConfigError when a value cannot be.
    """

    outcome: Outcome = Outcome.ANSWERS
    rings_after_s: float = 0.1
    acts_after_s: float = 1.0
    is_machine: bool = False

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "outcome", Outcome(self.outcome))
        except ValueError:
            raise ConfigError(f"outcome: expected one of {', '.join(Outcome)}, found {self.outcome!r}") from None
        for name in ("rings_after_s", "acts_after_s"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LONGEST_S:
                raise ConfigError(f"{name}: expected 0 to {_LONGEST_S}, found {value!r}")
        if not isinstance(self.is_machine, bool):
            raise ConfigError(f"is_machine: expected true or false, found {self.is_machine!r}")
