"""Convert what a killed recorder left, while calls are recorded again: it may be the work of hours."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from strep.errors import SinkError
from strep.sinks.recovery import Recovery, recover


class _Stopped(Exception):  # noqa: N818 -- it is no fault
    """An error that says that the rest is left to the next run."""


class ConversionThread:
    """A thread that goes over a folder once, from `start` to `stop`.

    finished: gets the report, in the thread.
    """

    def __init__(self, folder: Path, finished: Callable[[Recovery], object]) -> None:
        self._folder, self._finished = folder, finished
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="strep recovery", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the conversion that goes on just now; what is not converted stays for the next run."""
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            self._finished(recover(self._folder, progress=self._check))
        except (_Stopped, SinkError):  # the folder was listed a moment ago
            return

    def _check(self, done: int, total: int) -> None:
        if self._stopping.is_set():
            raise _Stopped
