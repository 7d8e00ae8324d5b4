"""Hold compiled twins of the three steps that the columns do with every packet: identify, account, hand on.

Each does in one pass over the packets what the columns do in some fifty, for those packets that are straight, and
leaves the others to the columns: so the rules stay where they are. numba compiles them, where it is installed (`pip
install strep[fast]`): on first use, which takes some seconds, and from then on it finds them on disk. Where nothing
can be kept on disk, each process compiles them in memory.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import warnings

from strep.errors import StrepWarning


class CompilerWarning(StrepWarning):
    """A warning that numba is there but cannot be imported, or that what it compiles cannot be kept."""


@functools.cache
def is_available() -> bool:
    """Tell whether numba can be imported. One that is there and cannot is no numba: a CompilerWarning says so, once."""
    try:
        importlib.import_module("numba")
    except Exception as error:  # one that does not fit its numpy or its llvmlite raises whatever it comes across
        if importlib.util.find_spec("numba") is not None:
            warnings.warn(
                f"numba is installed but cannot be imported ({error}): strep does without it",
                CompilerWarning,
                stacklevel=2,
            )
        return False
    return True
