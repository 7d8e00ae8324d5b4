"""Hold compiled twins of the three steps that the columns do with every packet: identify, account, hand on.

Each does in one pass over the packets what the columns do in some fifty, for those packets that are straight, and
leaves the others to the columns: so the rules stay where they are. numba compiles them, where it is installed (`pip
install strep[fast]`): on first use, which takes some seconds, and from then on it finds them on disk.
"""

from __future__ import annotations

import functools
import importlib.util


@functools.cache
def is_available() -> bool:
    """Tell whether numba is installed."""
    return importlib.util.find_spec("numba") is not None
