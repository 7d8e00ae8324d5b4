"""Decide when to start a worker again, and when to give up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """A restart policy that says how long to wait before each restart in a row; behind the last one comes no other.

    delays_s: the first is 0, as a worker that dies once has calls that go on; what dies again at once is given time.
    steady_s: a worker that lived so long has recovered, and the row begins anew. patience_s: how long a worker may be
    silent (it reports several times a second) before it is taken for dead. starting_s: how long until it says its
    first word: where compiled code cannot be kept, it compiles, 9 s on an idle core, and often beside others.
    """

    delays_s: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 4.0)
    steady_s: float = 60.0
    patience_s: float = 30.0
    starting_s: float = 120.0


class Restarts:
    """A count of the restarts of one worker."""

    def __init__(self, policy: RestartPolicy) -> None:
        self._policy = policy
        self.in_a_row = 0

    def next_delay_s(self, lived_s: float) -> float | None:
        """Say how long to wait now that a worker has died that lived so long; None: give up."""
        if lived_s >= self._policy.steady_s:
            self.in_a_row = 0
        if self.in_a_row == len(self._policy.delays_s):
            return None
        self.in_a_row += 1
        return self._policy.delays_s[self.in_a_row - 1]
