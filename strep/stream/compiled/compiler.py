"""Compile functions of arrays by their annotations, and keep the result on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar, get_type_hints

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

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


def compiled(function: F) -> F:
    """Compile for the types above, which all arguments and the result must be annotated with."""
    kinds = {name: hint.__metadata__[0] for name, hint in get_type_hints(function, include_extras=True).items()}
    result = kinds.pop("return")
    fast: F = njit(result(*kinds.values()), cache=True, nogil=True)(function)
    return fast
