"""Compile ahead what numba compiles, and say so where it must be compiled: some seconds, once a machine."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from strep.cli.errors import say
from strep.stream import compiled

NOTICE = "compiling what is done with every packet: some seconds, and only once"


def compile_ahead(tell: Callable[[str], None] = say, load: Callable[[], object] | None = None) -> None:
    """Load the compiled path, if there is a numba, and tell of it when it has to be compiled first.

    An engine would do it by itself, in silence. load: what loads it.
    """
    if not compiled.is_available():
        return
    from strep.stream.compiled.compiler import telling_of_compilation  # which needs numba

    with telling_of_compilation(lambda: tell(NOTICE)):
        (load or _load)()


def _load() -> None:
    importlib.import_module("strep.stream.compiled.straight")
