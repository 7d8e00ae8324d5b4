"""Read bits, the most significant first, out of one payload or out of many at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: How many bits can be read at once: as many as two bytes hold, wherever they begin.
MOST_BITS = 9


def read_bits(payload: bytes, position: int, count: int) -> int:
    """Read `count` bits from bit `position` on, MOST_BITS at most; behind the end come zeros."""
    pair = int.from_bytes(payload[position // 8 : position // 8 + 2].ljust(2, b"\0"))
    return pair >> (16 - position % 8 - count) & ((1 << count) - 1)


def read_bit_columns(payload: NDArray[np.uint8], position: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Read of each row as `read_bits` does: uint8[n, m] and int64[n] to int64[n]; behind the end comes anything."""
    rows, last, byte = np.arange(len(payload)), payload.shape[1] - 1, position // 8
    pair = payload[rows, np.minimum(byte, last)].astype(np.int64) << 8 | payload[rows, np.minimum(byte + 1, last)]
    bits: NDArray[np.int64] = pair >> (16 - position % 8 - count) & ((1 << count) - 1)
    return bits


def cut_bits(payload: bytes, start: int, stop: int) -> bytes:
    """Cut out bits, and put them at the beginning of bytes; zeros fill the last one up."""
    size = -(-(stop - start) // 8)
    number = int.from_bytes(payload[start // 8 : -(-stop // 8)]) >> -stop % 8
    return ((number & ((1 << (stop - start)) - 1)) << (8 * size - (stop - start))).to_bytes(size)
