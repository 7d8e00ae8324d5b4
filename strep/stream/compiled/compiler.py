"""Compile functions of arrays by their annotations, and keep the result on disk, or in memory where that cannot be."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pickle import UnpicklingError
from typing import Annotated, Any, TypeVar, get_type_hints

import numpy as np
import numpy.ma  # numba wants it at its first call: with the first datagrams, for 50 ms
from numba import njit, types
from numba.core.event import Listener, install_listener
from numpy.typing import NDArray

from strep.stream.compiled import CompilerWarning

F = TypeVar("F", bound=Callable[..., object])

Int = Annotated[int, types.int64]
Flag = Annotated[bool, types.boolean]
Pair = Annotated[tuple[int, int], types.UniTuple(types.int64, 2)]
Word = Annotated[np.uint64, types.uint64]
#: Arrays are C-contiguous; a table has two dimensions. Those called read-only may also be writable.
ReadOnlyBytes = Annotated[NDArray[np.uint8], types.Array(types.uint8, 1, "C", readonly=True)]
ReadOnlyInts = Annotated[NDArray[np.int64], types.Array(types.int64, 1, "C", readonly=True)]
Bytes = Annotated[NDArray[np.uint8], types.Array(types.uint8, 1, "C")]
Bools = Annotated[NDArray[np.bool_], types.Array(types.boolean, 1, "C")]
Ints = Annotated[NDArray[np.int64], types.Array(types.int64, 1, "C")]
ByteTable = Annotated[NDArray[np.uint8], types.Array(types.uint8, 2, "C")]
ShortTable = Annotated[NDArray[np.int16], types.Array(types.int16, 2, "C")]
Int32Table = Annotated[NDArray[np.int32], types.Array(types.int32, 2, "C")]
IntTable = Annotated[NDArray[np.int64], types.Array(types.int64, 2, "C")]
WordTable = Annotated[NDArray[np.uint64], types.Array(types.uint64, 2, "C")]
FloatTable = Annotated[NDArray[np.float64], types.Array(types.float64, 2, "C")]


#: What numba raises where it can neither read nor write what it keeps: it found no folder that can be written to (a
#: RuntimeError), the disk is full, a file was cut short. What it cannot compile is a NumbaError, and none of these.
_NOT_KEPT = (RuntimeError, OSError, EOFError, UnpicklingError)


def compiled(function: F) -> F:
    """Compile for the types above, which all arguments and the result must be annotated with.

    What was compiled before is taken from the disk. What cannot be kept there is compiled in memory, and a
    CompilerWarning says so, once.
    """
    kinds = {name: hint.__metadata__[0] for name, hint in get_type_hints(function, include_extras=True).items()}
    result = kinds.pop("return")
    signature = result(*kinds.values())
    fast: F
    try:
        fast = njit(signature, cache=True, nogil=True)(function)
    except _NOT_KEPT:
        _warn_that_nothing_is_kept()
        fast = njit(signature, nogil=True)(function)
    return fast


@functools.cache
def _warn_that_nothing_is_kept() -> None:
    warnings.warn(
        "compiled code cannot be kept, so each start compiles it anew, for some seconds: "
        "name a folder that can be written to in NUMBA_CACHE_DIR",
        CompilerWarning,
        stacklevel=3,
    )


class _Compilations(Listener):
    """A listener to numba that passes on, once, that it compiles: not that it loads what it has compiled before."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = functools.cache(tell)

    def on_start(self, event: Any) -> None:
        """Hear that a function begins to be compiled."""
        if not _warn_that_nothing_is_kept.cache_info().currsize:  # that warning says the same
            self._tell()

    def on_end(self, event: Any) -> None:
        """Hear that a function is compiled."""


@contextmanager
def telling_of_compilation(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` when something has to be compiled that will be kept: once, and not when it only is loaded."""
    with install_listener("numba:compile", _Compilations(tell)):
        yield
