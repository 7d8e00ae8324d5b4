"""Decide whether a command is sent again, and when. No I/O: time and chance are arguments.

What went wrong falls into two kinds, and the rules follow from them:

- *Not acted.* The request never left (no connection, no free one in the pool), or the answer says that it was refused
  before it was looked at (429). Every command may be sent again.
- *May have acted.* The request left and the answer did not come, or broke off, or is a 5xx: the platform may have
  carried the command out before it failed. It is sent again only where that changes nothing:
  - GET and PUT (RFC 9110 section 9.2.2): asking twice is asking once, and so is setting a state twice.
  - A command with a command_id: the platform ignores one that it has carried out, for 60 s. The 60 s are counted from
    the beginning of the first attempt that may have acted, and the last attempt begins so early that it has reached
    the platform before they are over. Then it is given up, and the error says that it may have acted.
  - Any other POST (siprec_start, switch_supervisor_role) is not sent again: it could act twice.

The number of attempts is bounded, and so is the time after which none begins. A wait that the platform asks for is
kept in full; if it ends after that time, the command is given up at once instead of being waited for in vain. Waits
double with each failure, but a rate limit is no sign of a platform that needs rest: it says itself when to come again,
and if it does not, the wait stays short. All other answers are final.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from strep.errors import ConfigError

#: For how long the platform remembers a command_id that it has carried out.
COMMAND_ID_LIFE_S = 60.0


class Outcome(enum.StrEnum):
    """How one attempt ended."""

    DONE = "done"
    REFUSED = "refused"
    UNEXPECTED = "unexpected"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    NOT_SENT = "not_sent"
    NO_ANSWER = "no_answer"
    INTERRUPTED = "interrupted"

    @property
    def may_have_acted(self) -> bool:
        """Tell whether the platform has, or may have, carried the command out."""
        return self not in (Outcome.REFUSED, Outcome.RATE_LIMITED, Outcome.NOT_SENT)

    @property
    def is_passing(self) -> bool:
        """Tell whether it may go better the next time."""
        return self in (Outcome.RATE_LIMITED, Outcome.SERVER_ERROR, Outcome.NOT_SENT, Outcome.NO_ANSWER)


class Repeatable(enum.Enum):
    """What makes a command safe to send again after it may have acted."""

    ALWAYS = enum.auto()
    BY_COMMAND_ID = enum.auto()
    NEVER = enum.auto()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient a client is.

    attempts: at most so many, the first one included. 8, so that even of a platform that fails one answer in five not
    one command in 100,000 is given up. total_s: no attempt begins later than this after the first one; 30 s, as a
    fork that begins later has lost most of a usual call, and as it leaves a command_id's 60 s room enough.
    first_wait_s, longest_wait_s: the wait after the first failure, which doubles with each further one up to the
    longest; a quarter of a second is what a platform takes to move on from a node that failed, and audio is lost
    meanwhile. longest_limited_wait_s: the same for a rate limit that does not say when it is lifted; limits are counted
    by the second, and 1 s leaves room for the 45 attempts in 50 s of which one succeeds (99 %) when nine in ten are
    refused. Of each wait a random part between none and half is left out, so that many clients that failed together
    do not come back together.

    Raises ConfigError, naming the field.
    """

    attempts: int = 8
    total_s: float = 30.0
    first_wait_s: float = 0.25
    longest_wait_s: float = 4.0
    longest_limited_wait_s: float = 1.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ConfigError(f"attempts: expected 1 or more, found {self.attempts}")
        for name in ("total_s", "first_wait_s", "longest_wait_s", "longest_limited_wait_s"):
            if not 0 <= (value := getattr(self, name)) < math.inf:
                raise ConfigError(f"{name}: expected a time of 0 or more, found {value}")

    def backoff_s(self, failures: int, chance: float) -> float:
        """Say how long to wait after so many failures. chance: from 0 to 1."""
        return self._doubled_s(failures, self.longest_wait_s) * (1 - chance / 2)

    def limited_s(self, failures: int, chance: float, asked_s: float | None) -> float:
        """Say how long to wait after so many failures, the last of which was a rate limit. asked_s: until it is lifted.

        Up to half of the first wait comes on top of what is asked for: whoever was told the same would come back at
        the same instant, and a longer one would cost attempts.
        """
        backoff_s = self._doubled_s(failures, min(self.longest_wait_s, self.longest_limited_wait_s))
        return max((asked_s or 0.0) + self.first_wait_s * chance / 2, backoff_s * (1 - chance / 2))

    def _doubled_s(self, failures: int, longest_s: float) -> float:
        whole = math.ldexp(self.first_wait_s, min(failures - 1, 64))  # 2 ** 64 waits are over any longest wait
        return min(whole, longest_s)


class Attempts:
    """The attempts at one command, from attempt to attempt by the rules above. Times are in seconds of one steady
    clock.

    reach_s: how long an attempt may take from its beginning until the request has reached the platform.
    first_used_s: when an earlier sending of the same command_id began that may have acted, if there was one.
    """

    def __init__(
        self, policy: RetryPolicy, repeatable: Repeatable, *, reach_s: float, first_used_s: float | None = None
    ) -> None:
        self.made = 0
        self.may_have_acted = False
        self.first_used_s = first_used_s
        self._policy, self._repeatable, self._reach_s = policy, repeatable, reach_s
        self._first_began_s = self._began_s = 0.0

    def may_begin(self, now_s: float) -> bool:
        """Tell whether an attempt may begin at this time; ask again after a wait, which can take longer than meant."""
        if self.made and (self.made >= self._policy.attempts or now_s > self._first_began_s + self._policy.total_s):
            return False
        if self._repeatable is Repeatable.BY_COMMAND_ID and self.first_used_s is not None:
            return now_s + self._reach_s <= self.first_used_s + COMMAND_ID_LIFE_S
        return self._repeatable is Repeatable.ALWAYS or not self.may_have_acted

    def begin(self, now_s: float) -> None:
        """Begin an attempt."""
        if not self.made:
            self._first_began_s = now_s
        self._began_s = now_s
        self.made += 1

    def end(self, outcome: Outcome, now_s: float, chance: float, asked_s: float | None = None) -> float | None:
        """End an attempt; say how many seconds to wait before the next one, None if there is none.

        asked_s: the wait that the platform asks for. The backoff comes on top of it.
        """
        if outcome.may_have_acted:
            self.may_have_acted = True
            self.first_used_s = self._began_s if self.first_used_s is None else min(self.first_used_s, self._began_s)
        if not outcome.is_passing:
            return None
        if outcome is Outcome.RATE_LIMITED:
            wait_s = self._policy.limited_s(self.made, chance, asked_s)
        else:
            wait_s = (asked_s or 0.0) + self._policy.backoff_s(self.made, chance)
        return wait_s if self.may_begin(now_s + wait_s) else None
