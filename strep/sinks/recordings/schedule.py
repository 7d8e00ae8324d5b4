"""Decide which recording goes to disk in which turn, so that no turn is long, however many calls there are.

The rules:

- A recording has its first turn FIRST_FLUSH_NS after it has begun, and creates its file then; after that it has one in
  every interval. The golden section spreads recordings that began together over the interval.
- Creating files is what takes long, so first turns have an allowance, and what is overdue waits, the oldest first.
  Nothing is lost by that: the rings hold more than twice as much, and a full one goes to disk out of turn.
- So when 4,000 calls begin at once, the last of them has its first sound on disk 1.8 s after it began, the first one
  after 0.8 s, and from then on none lacks more than an interval. Calls that begin by hundreds a second do not wait.
- All other turns are taken when they are due: they make up a fifth of the time at 4,000 calls, so a loop that was late
  has caught up soon.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from strep.sinks.recordings.open_recording import FIRST_FLUSH_NS, OpenRecording
from strep.stream.allowance import Allowance

#: A second and at once. Creating a file and writing its first second takes 0.15 to 0.2 ms, so this is up to 10 ms.
_FIRST_TURNS = (4000, 60)
_GOLDEN = 0.6180339887498949

#: When it is due, and how many recordings began before it, so that no two are alike.
_Turn = tuple[int, int, OpenRecording]


class FlushSchedule:
    """A schedule that knows all recordings under way, and whose turn it is."""

    def __init__(self, interval_ns: int) -> None:
        self._interval_ns = interval_ns
        self._begun = 0
        self._first: list[_Turn] = []
        self._next: list[_Turn] = []
        self._allowance = Allowance(*_FIRST_TURNS)

    def add(self, recording: OpenRecording) -> None:
        """Let a recording that begins have turns until it has finished."""
        self._begun += 1
        heapq.heappush(self._first, (recording.opened_ns + FIRST_FLUSH_NS, self._begun, recording))

    def due(self, now_ns: int) -> Iterator[OpenRecording]:
        """Give those whose turn it is."""
        self._allowance.refill(now_ns)
        while _is_due(self._first, now_ns) and self._allowance.use():
            due_ns, number, recording = heapq.heappop(self._first)
            yield recording
            self._plan(due_ns + 1 + int(self._interval_ns * (number * _GOLDEN % 1)), now_ns, number, recording)
        while _is_due(self._next, now_ns):
            due_ns, number, recording = heapq.heappop(self._next)
            yield recording
            self._plan(due_ns + self._interval_ns, now_ns, number, recording)

    def _plan(self, next_ns: int, now_ns: int, number: int, recording: OpenRecording) -> None:
        """Plan the next turn; those that were missed are left out."""
        if next_ns <= now_ns:
            next_ns += ((now_ns - next_ns) // self._interval_ns + 1) * self._interval_ns
        heapq.heappush(self._next, (next_ns, number, recording))


def _is_due(turns: list[_Turn], now_ns: int) -> bool:
    """Tell whether the first turn of a heap is due, after what has finished was thrown away."""
    while turns and turns[0][2].finished:
        heapq.heappop(turns)
    return bool(turns) and turns[0][0] <= now_ns
