"""Turn wire counters into unbounded ones. This is the only place where that is done (RFC 3550 A.1).

The 16-bit sequence number and the 32-bit timestamp wrap; an unbounded counter is the one nearest to a reference.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: RFC 3550 A.1: a jump ahead of more than this is a restart rather than a loss. One minute at 20 ms.
MAX_DROPOUT = 3000


def extend_sequence(sequence_number: int, reference: int) -> int:
    """Give the unbounded number nearest to `reference` whose low 16 bits are `sequence_number`."""
    return reference + ((sequence_number - reference + 0x8000) & 0xFFFF) - 0x8000


def extend_timestamp(timestamp: int, reference: int) -> int:
    """Give the unbounded timestamp nearest to `reference` whose low 32 bits are `timestamp`."""
    return reference + ((timestamp - reference + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000


def extend_sequence_columns(
    sequence_number: NDArray[np.int64], reference: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Do the same for columns: (unbounded sequence, its distance from the reference), both int64[n]."""
    return _extend_columns(sequence_number, reference, 0x8000)


def extend_timestamp_columns(
    timestamp: NDArray[np.int64], reference: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Do the same for columns: (unbounded timestamp, its distance from the reference), both int64[n]."""
    return _extend_columns(timestamp, reference, 0x8000_0000)


def _extend_columns(
    value: NDArray[np.int64], reference: NDArray[np.int64], half: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bring values of 2 * half to those nearest to the reference."""
    distance = value - reference
    distance += half
    distance &= 2 * half - 1
    distance -= half
    return reference + distance, distance
