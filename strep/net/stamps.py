"""Read the kernel's receive times from a table of control messages, as columns.

A socket with SO_TIMESTAMPNS gives each datagram one control message (cmsg(3)): a header of 16 bytes and a timespec, on
a 64-bit Linux. So all rows look the same, and one that does not is read by itself, by `find_stamp_ns`.
"""

from __future__ import annotations

import socket

import numpy as np
from numpy.typing import NDArray

#: SO_TIMESTAMPNS_OLD: 64-bit fields on a 64-bit system, as SO_TIMESTAMPNS_NEW (64) has them, and older than Linux 5.1.
SO_TIMESTAMPNS = 35
#: A row of the table: one cache line, so there is room for another message besides.
CONTROL = np.dtype(
    [("length", "u8"), ("level", "i4"), ("type", "i4"), ("seconds", "i8"), ("nanoseconds", "i8"), ("rest", "u8", 4)]
)
_HEADER_BYTES = 16
_STAMP_BYTES = 32
_SECOND_NS = 1_000_000_000


class StampTable:
    """Holds the control messages of `rows` datagrams: `messages`, an array of CONTROL for the kernel to fill."""

    def __init__(self, rows: int) -> None:
        self.messages = np.zeros(rows, CONTROL)
        self._seconds, self._nanoseconds = self.messages["seconds"], self.messages["nanoseconds"]
        # The first two words of a row: the message's length; its level and type together.
        words = self.messages.view(np.uint64).reshape(rows, -1)
        self._length, self._kind = words[:, 0], words[:, 1]
        expected = np.zeros(1, CONTROL)
        expected["level"], expected["type"] = socket.SOL_SOCKET, SO_TIMESTAMPNS
        self._expected_kind = expected.view(np.uint64)[1]

    def read(self, used_bytes: NDArray[np.uint64], stamps_ns: NDArray[np.int64], now_ns: int) -> None:
        """Write the receive times of the first n rows to stamps_ns int64[n].

        used_bytes: uint64[n], how much of each row the kernel filled. now_ns: what to write where there is no stamp.
        """
        n = len(used_bytes)
        np.multiply(self._seconds[:n], _SECOND_NS, out=stamps_ns)
        stamps_ns += self._nanoseconds[:n]
        expected = used_bytes == _STAMP_BYTES
        expected &= self._length[:n] == _STAMP_BYTES
        expected &= self._kind[:n] == self._expected_kind
        if not expected.all():
            for row in np.flatnonzero(~expected).tolist():
                stamp_ns = find_stamp_ns(self.messages[row].tobytes()[: int(used_bytes[row])])
                stamps_ns[row] = now_ns if stamp_ns is None else stamp_ns


def find_stamp_ns(messages: bytes) -> int | None:
    """Find the receive time in the used bytes of one row: the scalar twin of the columns. None: there is none."""
    start = 0
    while start + _HEADER_BYTES <= len(messages):
        message = np.frombuffer(messages[start:].ljust(CONTROL.itemsize, b"\0"), CONTROL, 1)[0]
        length = int(message["length"])
        if not _HEADER_BYTES <= length <= len(messages) - start:
            return None
        if (message["level"], message["type"], length) == (socket.SOL_SOCKET, SO_TIMESTAMPNS, _STAMP_BYTES):
            return int(message["seconds"]) * _SECOND_NS + int(message["nanoseconds"])
        start += length + 7 & ~7
    return None
