"""Unpack redundant audio (RED, RFC 2198): the audio of this packet, and copies of that of earlier ones before it.

 0                   1                    2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3  4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|F|   block PT  |  timestamp offset         |   block length    |   F = 1: one for each copy, the oldest first
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|0|   block PT  |                                                 the last header: the audio of this packet itself
+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strep.compiler import rule
from strep.wire.headers import widen

_COPY_HEADER_BYTES = 4


@rule
def find_primary(flat: NDArray[np.uint8], start: int, stop: int) -> tuple[int, int]:
    """Find the audio of a packet itself in a payload: its payload type, and where it begins; (-1, start) where no
    such headers, or not what they announce, fit into it.
    """
    at, copies_bytes = start, 0
    while at < stop and flat[at] & 0x80:
        if at + _COPY_HEADER_BYTES > stop:
            return -1, start
        copies_bytes += (widen(flat[at + 2]) & 3) << 8 | widen(flat[at + 3])
        at += _COPY_HEADER_BYTES
    if at >= stop or at + 1 + copies_bytes > stop:
        return -1, start
    return widen(flat[at]) & 0x7F, at + 1 + copies_bytes
