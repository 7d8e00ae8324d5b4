"""Compile once for all test processes, beside their collecting: or each of them would, at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import fcntl
except ImportError:  # where there is none, each test process compiles for itself
    fcntl = None  # type: ignore[assignment]

_LOCK = "STREP_TESTS_COMPILING"


def begin() -> subprocess.Popen[bytes] | None:
    """Start to compile, in a process of its own that holds a lock as long as it lives; test processes inherit where."""
    if fcntl is None or _LOCK in os.environ:
        return None
    lock, os.environ[_LOCK] = tempfile.mkstemp(prefix="strep-tests-")
    fcntl.flock(lock, fcntl.LOCK_EX)
    command = [sys.executable, "-c", "import strep.stream.__main__, strep.net.__main__"]
    compiling = subprocess.Popen(command, pass_fds=[lock], stderr=subprocess.DEVNULL)
    os.close(lock)
    return compiling


def wait() -> None:
    """Wait until it has compiled, if it was begun."""
    if _LOCK in os.environ:
        with Path(os.environ[_LOCK]).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)


def end(compiling: subprocess.Popen[bytes] | None) -> None:
    """Tidy up behind it."""
    if compiling is not None:
        compiling.wait()
        Path(os.environ.pop(_LOCK)).unlink()
