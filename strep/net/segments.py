"""Cut super-packets into the datagrams that were sent, many at a time.

With UDP_GRO (udp(7), Linux 5.0) the kernel may hand over consecutive datagrams of one sender as one message: their
bytes lie one behind the other, all of the same length but the last, which may be shorter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.int64]


def cut_messages(offset: Column, length: Column, segment_bytes: Column) -> tuple[Column, Column, Column]:
    """Cut n messages into m datagrams, m >= n.

    offset, length: int64[n], of whole messages, bytes. segment_bytes: int64[n], the length of a message's datagrams; 0
    for a message that is one datagram. Returns offset and length int64[m] of the datagrams, and the row int64[m] of the
    message that each belongs to.
    """
    step = np.where(segment_bytes > 0, segment_bytes, length)
    datagrams = np.maximum(-(-length // np.maximum(step, 1)), 1)  # a message of no bytes is a datagram, too
    end = datagrams.cumsum()
    row = np.arange(len(offset)).repeat(datagrams)
    cut_length = step[row]
    cut_offset = np.arange(len(row)) * cut_length
    cut_offset += (offset - (end - datagrams) * step)[row]
    cut_length[end - 1] = length - (datagrams - 1) * step
    return cut_offset, cut_length, row


def cut_message(offset: int, length: int, segment_bytes: int) -> list[tuple[int, int]]:
    """Cut one message into the (offset, length) of its datagrams: the scalar twin of the columns."""
    if not 0 < segment_bytes < length:
        return [(offset, length)]
    starts = range(0, length, segment_bytes)
    return [(offset + start, min(segment_bytes, length - start)) for start in starts]
