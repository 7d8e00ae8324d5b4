"""Compile ahead what numba compiles, and say so where that takes its time: some seconds, once a machine."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable

from strep.cli.errors import say
from strep.stream import compiled

#: From the disk it comes within half a second, on a busy machine within one.
_PATIENCE_S = 2.0


def compile_ahead(
    tell: Callable[[str], None] = say, patience_s: float = _PATIENCE_S, load: Callable[[], object] | None = None
) -> None:
    """Load the compiled path, if numba is installed, and tell of it when it is not there after `patience_s`.

    An engine would do it by itself, in silence. load: what loads it.
    """
    if not compiled.is_available():
        return
    notice = "compiling what is done with every packet: some seconds, and only once"
    timer = threading.Timer(patience_s, tell, [notice])
    timer.daemon = True
    timer.start()
    try:
        (load or _load)()
    finally:
        timer.cancel()


def _load() -> None:
    importlib.import_module("strep.stream.compiled.straight")
