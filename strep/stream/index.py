"""Find the row of each packet's source: 128 bits of call_leg_id, L, D and SSRC become a row number.

A key is mixed to 64 bits, whose upper ones are its place in a table of row numbers. Then the whole key is compared, so
that two calls whose places collide are never joined. A key whose place was taken has a second one, in another table;
one that finds both taken is known to a plain dictionary alone, the scalar twin, as all keys are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Key = tuple[int, int, int]
UNKNOWN = -1
#: Odd constants with well spread bits, a set for each table. Keys made to collide cost time, never a wrong row.
ODD = np.array(
    [
        [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9],
        [0xD6E8FEB86659FD93, 0xA0761D6478BD642F, 0xE7037ED1A0B428DB],
    ],
    np.uint64,
)
_LEAST_BITS = 12
#: A table has at least this many places a key: at most one key in 8 finds its first place taken, one in 64 both.
_SPARSITY = 8


class KeyIndex:
    """Maps keys to row numbers; rows are handed out by the owner, below `capacity`.

    keys: uint64[capacity, 3], by row. tables: int32[2, places], row numbers; shift: 64 less the bits of a place.
    """

    def __init__(self, capacity: int) -> None:
        self.keys = np.zeros((capacity, 3), np.uint64)
        self._rows: dict[Key, int] = {}
        self._lay_out(_LEAST_BITS)

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: Key) -> int:
        """Look one key up: the scalar twin of `look_up`."""
        return self._rows.get(key, UNKNOWN)

    def key(self, row: int) -> Key:
        """Give the key of a row."""
        a, b, c = self.keys[row].tolist()
        return a, b, c

    def look_up(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Give the row of each key (uint64[n, 3]), UNKNOWN where there is none."""
        rows = self._first(keys, 0)
        unknown = rows == UNKNOWN
        if unknown.any():
            missed = np.flatnonzero(unknown)
            rows[missed] = self._first(keys[missed], 1)
            for n in missed[rows[missed] == UNKNOWN].tolist():
                a, b, c = keys[n].tolist()
                rows[n] = self._rows.get((a, b, c), UNKNOWN)
        return rows

    def add(self, keys: list[Key], rows: list[int]) -> None:
        """Map new keys to rows."""
        added = np.array(keys, np.uint64)
        self.keys[rows] = added
        self._rows.update(zip(keys, rows, strict=True))
        if len(self._rows) * _SPARSITY > self.tables.shape[1]:
            self._lay_out(len(self._rows) * _SPARSITY)
        else:
            self._put(np.array(rows), added)

    def remove(self, rows: list[int]) -> None:
        """Forget rows."""
        for row in rows:
            del self._rows[self.key(row)]
        for table in (0, 1):
            places = self._places(self.keys[rows], table)
            mine = self.tables[table][places] == rows
            self.tables[table][places[mine]] = UNKNOWN

    def _first(self, keys: NDArray[np.uint64], table: int) -> NDArray[np.int64]:
        """Give the rows that one table knows."""
        rows: NDArray[np.int64] = self.tables[table].take(self._places(keys, table)).astype(np.int64)
        same = self.keys.take(rows, axis=0, mode="wrap") == keys  # the last row stands in for UNKNOWN
        rows[~(same[:, 0] & same[:, 1] & same[:, 2])] = UNKNOWN
        return rows

    def _places(self, keys: NDArray[np.uint64], table: int) -> NDArray[np.int64]:
        places: NDArray[np.uint64] = (keys @ ODD[table]) >> self.shift
        return places.view(np.int64)

    def _lay_out(self, places: int) -> None:
        """Make tables of at least this many places, for twice as many keys, and put every row where it belongs."""
        bits = max(_LEAST_BITS, (2 * places - 1).bit_length())
        self.shift = np.uint64(64 - bits)
        self.tables = np.full((2, 1 << bits), UNKNOWN, np.int32)
        if self._rows:
            rows = np.fromiter(self._rows.values(), np.int64, len(self._rows))
            self._put(rows, self.keys[rows])

    def _put(self, rows: NDArray[np.int64], keys: NDArray[np.uint64]) -> None:
        """Put rows where there is place for them."""
        for table in (0, 1):
            places = self._places(keys, table)
            free = self.tables[table][places] == UNKNOWN
            self.tables[table][places[free]] = rows[free]
            rest = self.tables[table][places] != rows  # of those that share a place, all but the last
            rows, keys = rows[rest], keys[rest]
