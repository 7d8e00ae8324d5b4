"""Let a child process compile, while what is to be compiled is done as it stands.

1. What was compiled before is loaded, in a thread, as that takes a second.
2. Else a child process compiles, with less priority, and its parent loads what the child has kept. Of children that
   are to compile the same, one does, and the others wait for it.
3. Where nothing can be kept, the child keeps it in a folder that goes with its parent, as does the child; a
   CompilerWarning says so.
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
    is_available,
    keeping_in,
    kept_in,
    warn_that_nothing_is_compiled,
    warn_that_nothing_is_kept,
)

#: Some machine may take long; a child that hangs is not waited for.
_MOST_S = 600
_CHILD_NICE = 10
#: A parent that is killed says nothing, but its end of the pipe is closed.
_ENDS_WITH_PARENT = (
    "import os, sys, threading\nthreading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()\n"
)


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
        if not is_available() or (kept_in() and (self._load() or self._compile(dict(os.environ), goes_on=True))):
            return
        if _is_running():
            warn_that_nothing_is_kept()
            with tempfile.TemporaryDirectory(prefix="strep-compiled-") as folder, keeping_in(folder):
                is_compiled = self._compile({**os.environ, "NUMBA_CACHE_DIR": folder}, goes_on=False)
            if not is_compiled and _is_running():
                warn_that_nothing_is_compiled()

    def _compile(self, environment: dict[str, str], *, goes_on: bool) -> bool:
        return _compile_in_child(self._module, environment, goes_on=goes_on) and self._load() is not None


def _compile_in_child(module: str, environment: dict[str, str], *, goes_on: bool) -> bool:
    """Compile in a child; tells whether it did. When this program ends, the child goes on for the next one, or ends."""
    code = f"import os, runpy; os.nice({_CHILD_NICE}); runpy.run_module({module!r}, run_name='__main__')"
    silent = subprocess.DEVNULL
    child = subprocess.Popen(
        [sys.executable, "-c", code if goes_on else _ENDS_WITH_PARENT + code],
        env=environment,
        stdin=silent if goes_on else subprocess.PIPE,
        stdout=silent,
        stderr=silent,
    )
    for _ in range(10 * _MOST_S):
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.1)
            break
        if not _is_running():
            break
    return _leave(child, goes_on=goes_on and not _is_running())


def _leave(child: subprocess.Popen[bytes], *, goes_on: bool) -> bool:
    """Let go of a child, or end it; tells whether it compiled."""
    if goes_on and child.returncode is None:
        child.returncode = 0  # nobody waits for it, and nothing is to be said of that
        return False
    child.kill()
    child.communicate()
    return child.returncode == 0


def _is_running() -> bool:
    return threading.main_thread().is_alive()


def wait_for_turn(folder: str | None, what: str = "compiling") -> None:
    """Wait until no other process of this user does this for a folder (kept_in), and keep others from it to the end.

    The lock is a file that is this user's: for one that another user has laid there, nobody waits.
    """
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        if folder is None:
            return
        name = f"strep-{os.getuid()}-{what}.lock"
        turn = os.open(Path(folder) / name, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        if os.fstat(turn).st_uid == os.getuid():
            fcntl.flock(turn, fcntl.LOCK_EX)
