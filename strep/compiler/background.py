"""Let a child process compile, while what is to be compiled is done as it stands.

1. What was compiled before is loaded, in a thread, as that takes a second.
2. Else a child process compiles, with less priority, and its parent loads what the child has kept. Of children that
   are to compile the same, one does, and the others wait for it.
3. Where nothing can be kept, the child keeps it in a folder that goes with its parent; a CompilerWarning says so.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from strep.compiler import (
    can_keep,
    is_available,
    keeping_in,
    warn_that_nothing_is_compiled,
    warn_that_nothing_is_kept,
)

#: Some machine may take long; a child that hangs is not waited for.
_MOST_S = 600
_CHILD_NICE = 10


class Background:
    """A thread that loads what is compiled, once it is.

    load: loads it, and gives None where nothing was kept. module: what a child runs to compile and keep it.
    """

    def __init__(self, load: Callable[[], object | None], module: str) -> None:
        self._load, self._module = load, module
        self._thread = threading.Thread(target=self._run, name="strep compiling")
        self._thread.start()

    def wait(self) -> None:
        """Wait until it is there, or cannot be."""
        self._thread.join()

    def _run(self) -> None:
        if not is_available() or (can_keep() and (self._load() or self._compile(dict(os.environ)))):
            return
        if _is_running():
            warn_that_nothing_is_kept()
            with tempfile.TemporaryDirectory(prefix="strep-compiled-") as folder, keeping_in(folder):
                is_compiled = self._compile({**os.environ, "NUMBA_CACHE_DIR": folder})
            if not is_compiled and _is_running():
                warn_that_nothing_is_compiled()

    def _compile(self, environment: dict[str, str]) -> bool:
        return _compile_in_child(self._module, environment) and self._load() is not None


def _compile_in_child(module: str, environment: dict[str, str]) -> bool:
    """Compile in a child; tells whether it did. When the program ends, the child goes on for the next one."""
    code = f"import os, runpy; os.nice({_CHILD_NICE}); runpy.run_module({module!r}, run_name='__main__')"
    silent = subprocess.DEVNULL
    child = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=silent, stdout=silent, stderr=silent, close_fds=True
    )
    for _ in range(10 * _MOST_S):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(0.1) == 0
        if not _is_running():
            child.returncode = 0  # nobody waits for it, and nothing is to be said of that
            return False
    child.kill()
    return False


def _is_running() -> bool:
    return threading.main_thread().is_alive()


def wait_for_turn(what: str) -> None:
    """Wait until no other process of this user does something, and keep others from it until this one ends.

    The lock is a file that is this user's: for one that another user has laid there, nobody waits.
    """
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        name = f"strep-{os.getuid()}-{what}.lock"
        turn = os.open(Path(tempfile.gettempdir()) / name, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        if os.fstat(turn).st_uid == os.getuid():
            fcntl.flock(turn, fcntl.LOCK_EX)
