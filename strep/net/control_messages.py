"""Read what the kernel says beside each message (cmsg(3)), as columns: when it arrived, and whether it must be cut.

A row of the table holds what one message came with: a receive time (SO_TIMESTAMPNS), always in the same place, and
behind it, for a super-packet, the length of its datagrams (UDP_GRO). A row that is neither of these two forms is read
by itself, by `read_row`.
"""

from __future__ import annotations

import socket
import struct

import numpy as np
from numpy.typing import NDArray

#: SO_TIMESTAMPNS_OLD: 64-bit fields on a 64-bit system, as SO_TIMESTAMPNS_NEW (64) has them, and older than Linux 5.1.
SO_TIMESTAMPNS = 35
#: Both the option and the type of its control message (linux/udp.h, Linux 5.0).
UDP_GRO = 104
#: A row of the table: one cache line. The third message that nobody asked for would be cut off, and is not missed.
CONTROL = np.dtype(
    [
        ("stamp_length", "u8"),
        ("stamp_level", "i4"),
        ("stamp_type", "i4"),
        ("seconds", "i8"),
        ("nanoseconds", "i8"),
        ("segment_length", "u8"),
        ("segment_level", "i4"),
        ("segment_type", "i4"),
        ("segment_bytes", "i4"),
        ("rest", "u4", 3),
    ]
)
_HEADER = struct.Struct("=Qii")
_STAMP = struct.Struct("=qq")
_SEGMENT = struct.Struct("=i")
_STAMP_LENGTH, _SEGMENT_LENGTH = _HEADER.size + _STAMP.size, _HEADER.size + _SEGMENT.size
_STAMP_ALONE_BYTES = _STAMP_LENGTH
_STAMP_AND_SEGMENT_BYTES = _STAMP_LENGTH + _SEGMENT_LENGTH + 4  # padded to whole words (CMSG_SPACE)
_SECOND_NS = 1_000_000_000


class ControlTable:
    """A control table that holds the control messages of `rows` messages: `messages`, an array of CONTROL for the
    kernel to fill.
    """

    def __init__(self, rows: int) -> None:
        self.messages = np.zeros(rows, CONTROL)
        self._seconds, self._nanoseconds = self.messages["seconds"], self.messages["nanoseconds"]
        self._segment_bytes = self.messages["segment_bytes"]
        # Of each of the two: its length; its level and type together.
        words = self.messages.view(np.uint64).reshape(rows, -1)
        self._stamp, self._segment = (words[:, 0], words[:, 1]), (words[:, 4], words[:, 5])

    def read(
        self, used_bytes: NDArray[np.uint64], stamps_ns: NDArray[np.int64], now_ns: int
    ) -> NDArray[np.int64] | None:
        """Write the receive times of the first n rows to stamps_ns int64[n], and give the lengths of their datagrams.

        used_bytes: uint64[n], how much of each row the kernel filled. now_ns: what to write where there is no stamp.
        Returns int64[n], for each message the length of its datagrams, 0 where it is but one; None: all are but one.
        """
        n = len(used_bytes)
        np.multiply(self._seconds[:n], _SECOND_NS, out=stamps_ns)
        stamps_ns += self._nanoseconds[:n]
        stamped = _is_message(self._stamp, n, _STAMP_LENGTH, socket.SOL_SOCKET, SO_TIMESTAMPNS)
        expected = used_bytes == _STAMP_ALONE_BYTES
        expected &= stamped
        if expected.all():
            return None
        segmented = _is_message(self._segment, n, _SEGMENT_LENGTH, socket.IPPROTO_UDP, UDP_GRO)
        segmented &= used_bytes == _STAMP_AND_SEGMENT_BYTES
        segmented &= stamped
        segment_bytes = np.where(segmented, self._segment_bytes[:n], 0).astype(np.int64)
        for row in np.flatnonzero(~(expected | segmented)).tolist():
            stamp_ns, segment_bytes[row] = read_row(self.messages[row].tobytes()[: int(used_bytes[row])])
            stamps_ns[row] = now_ns if stamp_ns is None else stamp_ns
        np.maximum(segment_bytes, 0, out=segment_bytes)
        return segment_bytes


def _is_message(
    words: tuple[NDArray[np.uint64], NDArray[np.uint64]], n: int, length: int, level: int, kind: int
) -> NDArray[np.bool_]:
    """Tell for the first n rows whether the message in this place is of this length, level and type."""
    is_message: NDArray[np.bool_] = words[0][:n] == length
    is_message &= words[1][:n] == np.frombuffer(struct.pack("=ii", level, kind), np.uint64)[0]
    return is_message


def read_row(messages: bytes) -> tuple[int | None, int]:
    """Read the used bytes of one row, in whatever order its messages come: the scalar twin of the columns.

    Returns the receive time, None if there is none, and the length of the datagrams, 0 if the message is but one.
    """
    stamp_ns, segment_bytes, start = None, 0, 0
    while start + _HEADER.size <= len(messages):
        length, level, kind = _HEADER.unpack_from(messages, start)
        if not _HEADER.size <= length <= len(messages) - start:
            break
        if (level, kind, length) == (socket.SOL_SOCKET, SO_TIMESTAMPNS, _STAMP_LENGTH):
            seconds, nanoseconds = _STAMP.unpack_from(messages, start + _HEADER.size)
            stamp_ns = seconds * _SECOND_NS + nanoseconds
        elif (level, kind, length) == (socket.IPPROTO_UDP, UDP_GRO, _SEGMENT_LENGTH):
            segment_bytes = max(0, *_SEGMENT.unpack_from(messages, start + _HEADER.size))
        start += length + 7 & ~7
    return stamp_ns, segment_bytes
