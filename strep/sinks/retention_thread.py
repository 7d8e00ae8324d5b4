"""Keep a folder within its limits while calls are recorded into it, beside the receiver and never in its way.

The rules:

- The folder is gone over when it begins and once a minute, and within 5 s when the file system runs short.
- It gives way, for 5 ms after every some hundred names and every removal, so the receiver gets the interpreter between.
- What cannot be done is told once, until it works again, and is tried once a minute.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from strep.errors import SinkError
from strep.sinks.retention import Removed, Retention

_EVERY_NS = 60 * 10**9
_LOOK_EVERY_S = 5.0
_GIVE_WAY_S = 0.005


class Stopped(Exception):  # noqa: N818 -- it is no fault
    """An error that says that going over a folder was given up because it is to end."""


class RetentionThread:
    """A thread that removes old recordings, from `start` to `stop`.

    removed: gets each one that was removed; trouble: gets a line when something cannot be done. Both are called in the
    thread. clock_ns: the wall clock.
    """

    def __init__(
        self,
        retention: Retention,
        removed: Callable[[Removed], object],
        trouble: Callable[[str], object],
        clock_ns: Callable[[], int],
    ) -> None:
        self._retention, self._removed, self._trouble, self._clock_ns = retention, removed, trouble, clock_ns
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="strep retention", daemon=True)
        self._next_ns = 0
        self._told: str | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the removal that goes on just now."""
        self._stopping.set()
        self._thread.join()

    def look(self) -> None:
        """Do what is due. Raises Stopped."""
        now_ns = self._clock_ns()
        try:
            is_due = not self._next_ns - _EVERY_NS <= now_ns < self._next_ns  # before that: the clock was set back
            if is_due or (self._told is None and self._retention.is_short):
                self._next_ns = now_ns + _EVERY_NS
                for removed in self._retention.go_over(now_ns, give_way=self._give_way):
                    self._removed(removed)
                if self._retention.is_short:
                    raise SinkError(
                        f"{self._retention.folder}: less than {self._retention.limits.min_free_bytes} bytes are free, "
                        "and there is no finished recording left to remove"
                    )
                self._told = None
        except SinkError as error:
            if self._told != str(error):
                self._told = str(error)
                self._trouble(self._told)

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                self.look()
                self._stopping.wait(_LOOK_EVERY_S)
        except Stopped:
            return

    def _give_way(self) -> None:
        if self._stopping.wait(_GIVE_WAY_S):
            raise Stopped
