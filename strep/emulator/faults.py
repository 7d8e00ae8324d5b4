"""Have the platform fail now and then: which answers and which webhooks, decided by a seed.

Every decision is drawn from the seed, the kind of fault, what it is about (a call) and how many of that kind and call
came before. So a run can be repeated: neither other calls nor other kinds of fault change who is struck.
"""

from __future__ import annotations

import enum
import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, fields

from strep.errors import ConfigError

_LONGEST_S = 3600


class Fault(enum.StrEnum):
    """A kind of fault; the names are those of the shares in `Faults`."""

    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    ANSWER_LOST = "answer_lost"
    TIMEOUT = "timeout"
    WEBHOOK_LATE = "webhook_late"
    WEBHOOK_REPEATED = "webhook_repeated"
    WEBHOOK_DISORDERED = "webhook_disordered"


#: What can happen to an answer, in order of precedence: one request suffers one of them.
ANSWER_FAULTS = (Fault.RATE_LIMITED, Fault.SERVER_ERROR, Fault.ANSWER_LOST, Fault.TIMEOUT)


@dataclass(frozen=True, slots=True)
class Faults:
    """How often the platform fails: shares of 0 to 1, of the requests, or of the webhooks.

    rate_limited: answered 429 with x-ratelimit-reset, not carried out. server_error: answered 500, not carried out.
    answer_lost: carried out, but answered 500. timeout: carried out, but not answered for `timeout_s`, then with 504.
    webhook_late: sent up to `late_s` later than it should be. webhook_repeated: sent once more, up to `late_s` later.
    webhook_disordered: sent after the next one of the same call. rate_limit_reset_s: what x-ratelimit-reset says.
    seed: equal seeds strike the same. Raises ConfigError when a value cannot be.
    """

    rate_limited: float = 0.0
    server_error: float = 0.0
    answer_lost: float = 0.0
    timeout: float = 0.0
    webhook_late: float = 0.0
    webhook_repeated: float = 0.0
    webhook_disordered: float = 0.0
    rate_limit_reset_s: int = 1
    timeout_s: float = 30.0
    late_s: float = 5.0
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConfigError(f"{field.name}: expected a number, found {value!r}")
        for name in Fault:
            if not 0 <= self.share(name) <= 1:
                raise ConfigError(f"{name}: expected a share of 0 to 1, found {self.share(name)}")
        for name_s in ("rate_limit_reset_s", "timeout_s", "late_s"):
            if not 0 <= getattr(self, name_s) <= _LONGEST_S:
                raise ConfigError(f"{name_s}: expected 0 to {_LONGEST_S}, found {getattr(self, name_s)}")
        for name_int in ("rate_limit_reset_s", "seed"):
            if not isinstance(getattr(self, name_int), int):
                raise ConfigError(f"{name_int}: expected a whole number, found {getattr(self, name_int)}")

    def share(self, fault: Fault) -> float:
        """Give the share of one kind of fault."""
        return float(getattr(self, fault.value))


class FaultDraws:
    """Draws of who is struck. `faults` may be replaced while it does; another seed begins anew."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._drawn: defaultdict[str, Counter[str]] = defaultdict(Counter)  # one a call: the platform bounds those
        self.struck: Counter[Fault] = Counter()

    @property
    def faults(self) -> Faults:
        """Give how often the platform fails now."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        if faults.seed != self._faults.seed:
            self._drawn.clear()
        self._faults = faults

    def strikes(self, fault: Fault, subject: str) -> bool:
        """Draw whether the next one of a subject (a call) is struck, and count it."""
        is_struck = self.fraction(fault, subject) < self._faults.share(fault)
        self.struck[fault] += is_struck
        return is_struck

    def answer_fault(self, subject: str) -> Fault | None:
        """Draw what happens to the next answer to a subject. Every kind is drawn for, whichever strikes."""
        hits = [self.fraction(fault, subject) < self._faults.share(fault) for fault in ANSWER_FAULTS]
        struck = next((fault for fault, is_hit in zip(ANSWER_FAULTS, hits, strict=True) if is_hit), None)
        if struck:
            self.struck[struck] += 1
        return struck

    def fraction(self, kind: str, subject: str) -> float:
        """Draw the next number of a kind for a subject: 0 to 1, the latter excluded."""
        number = self._drawn[subject][kind]
        self._drawn[subject][kind] += 1
        text = f"{self._faults.seed} {kind} {number} {subject}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) / (1 << 64)

    def forget(self, subject: str) -> None:
        """Let go of what is kept for a subject that will not come again."""
        self._drawn.pop(subject, None)
