"""Remember which commands were carried out, so that one that is sent again is not carried out again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

Answer = Mapping[str, object]

#: For so long the platform knows a command_id again.
REMEMBERED_NS = 60 * 1_000_000_000
#: Of one call; a call that gets more commands within a minute is under test, and the oldest are forgotten first.
_REMEMBERED_COMMANDS = 1000


class RecentCommands:
    """A memory of the ids of the commands that were carried out within the last minute, and what was answered."""

    def __init__(self, capacity: int = _REMEMBERED_COMMANDS) -> None:
        self._capacity = capacity
        self._done: OrderedDict[str, tuple[int, Answer]] = OrderedDict()

    def answer(self, command_id: str, now_ns: int) -> Answer | None:
        """Give what was answered to this command if it was carried out already, else None."""
        done_ns, answer = self._done.get(command_id, (None, None))
        return answer if done_ns is not None and now_ns - done_ns < REMEMBERED_NS else None

    def add(self, command_id: str, now_ns: int, answer: Answer) -> None:
        """Remember a command that was carried out."""
        self._done[command_id] = now_ns, answer
        self._done.move_to_end(command_id)
        if len(self._done) > self._capacity:
            self._done.popitem(last=False)
