"""Stall the disk of a process: every system call by which recordings are written waits until the stall is over.

Python's own functions are replaced, since a stall of a real disk takes root and a device of one's own to make. What
waits has let go of the interpreter, as it has in the kernel.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

_SYSTEM_CALLS = ("open", "pwrite", "pread", "ftruncate", "link", "unlink", "replace", "rename", "stat", "fsync")


class StallingDisk:
    """A disk that stalls for `stall_s`, `after_s` after it was first written to. stalled_s: for how long it did."""

    def __init__(self, stall_s: float, after_s: float) -> None:
        self._stall_s, self._after_s = stall_s, after_s
        self._moves = threading.Event()
        self._moves.set()
        self._first = threading.Event()
        self.stalled_s = 0.0

    def install(self) -> None:
        """Replace what writes, in this process."""
        for name in _SYSTEM_CALLS:
            setattr(os, name, self._waiting(getattr(os, name)))
        threading.Thread(target=self._run, daemon=True).start()

    def _waiting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self._first.set()
            self._moves.wait()
            return function(*arguments, **options)

        return call

    def _run(self) -> None:
        self._first.wait()
        time.sleep(self._after_s)
        self._moves.clear()
        began_s = time.monotonic()
        time.sleep(self._stall_s)
        self.stalled_s = time.monotonic() - began_s
        self._moves.set()
