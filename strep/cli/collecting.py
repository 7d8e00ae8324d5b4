"""Keep the garbage collector's pauses short while calls are received."""

from __future__ import annotations

import gc


def spare_collector() -> None:
    """Let the garbage collector pass over all that is there now: for programs, once all is imported and compiled.

    A full collection goes through everything, and nothing is received meanwhile: 0.12 to 0.17 s where 1,000 calls
    began.
    """
    gc.collect()
    gc.freeze()
