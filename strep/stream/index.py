"""Find the row of each packet's source: 128 bits of call_leg_id, L, D, SSRC and sender become a row number.

A key is mixed to 64 bits, whose upper ones are its place in a table of row numbers. Then the whole key is compared, so
that two calls whose places collide are never joined. A key whose place was taken has a second one, in another table;
one that finds both taken is known to a plain dictionary alone, the scalar twin, as all keys are.

Peers choose the keys, so the mix is keyed: multilinear over 32-bit words with secret multipliers, of which two keys
share the upper bits as often as two random numbers do, whoever chose them (Lemire and Kaser 2014, "Strongly universal
string hashing is fast"). Python hashes bytes, unlike integers, with a secret of its process, too.
"""

from __future__ import annotations

import secrets

import numpy as np
from numpy.typing import NDArray

#: Three 64-bit words in the machine's order.
Key = bytes
KEY_WORDS = 3
UNKNOWN = -1
_LOW = np.uint64(0xFFFF_FFFF)
_HIGH_BITS = np.uint64(32)
_LEAST_BITS = 12
#: A table has at least this many places a key: at most one key in 8 finds its first place taken, one in 64 both.
_SPARSITY = 8


class KeyIndex:
    """Maps keys to row numbers; rows are handed out by the owner, below `capacity`.

    keys: uint64[capacity, 3], by row. tables: int32[2, places], row numbers; shift: 64 less the bits of a place.
    multipliers: uint64[2, 6], the secret of each table; made up unless a test brings its own.
    """

    def __init__(self, capacity: int, multipliers: NDArray[np.uint64] | None = None) -> None:
        self.keys = np.zeros((capacity, KEY_WORDS), np.uint64)
        self.multipliers = secret_multipliers() if multipliers is None else multipliers
        self._rows: dict[Key, int] = {}
        self._lay_out(_LEAST_BITS)

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: Key) -> int:
        """Look one key up: the scalar twin of `look_up`."""
        return self._rows.get(key, UNKNOWN)

    def key(self, row: int) -> Key:
        """Give the key of a row."""
        key: bytes = self.keys[row].tobytes()
        return key

    def rows(self) -> NDArray[np.int64]:
        """Give the rows of all keys."""
        return np.fromiter(self._rows.values(), np.int64, len(self._rows))

    def look_up(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Give the row of each key (uint64[n, 3]), UNKNOWN where there is none."""
        rows = self._first(keys, 0)
        unknown = rows == UNKNOWN
        if unknown.any():
            missed = np.flatnonzero(unknown)
            rows[missed] = self._first(keys[missed], 1)
            for n in missed[rows[missed] == UNKNOWN].tolist():
                rows[n] = self._rows.get(keys[n].tobytes(), UNKNOWN)
        return rows

    def add(self, keys: list[Key], rows: list[int]) -> None:
        """Map new keys to rows."""
        if not keys:
            return
        added = np.frombuffer(b"".join(keys), np.uint64).reshape(-1, KEY_WORDS)
        self.keys[rows] = added
        self._rows.update(zip(keys, rows, strict=True))
        if len(self._rows) * _SPARSITY > self.tables.shape[1]:
            self._lay_out(len(self._rows) * _SPARSITY)
        else:
            self._put(np.array(rows), added)

    def remove(self, rows: list[int]) -> None:
        """Forget rows."""
        if not rows:
            return
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
        multipliers = self.multipliers[table]
        mixed = (keys & _LOW) @ multipliers[:KEY_WORDS] + (keys >> _HIGH_BITS) @ multipliers[KEY_WORDS:]
        places: NDArray[np.uint64] = mixed >> self.shift
        return places.view(np.int64)

    def _lay_out(self, places: int) -> None:
        """Make tables of at least this many places, for twice as many keys, and put every row where it belongs."""
        bits = max(_LEAST_BITS, (2 * places - 1).bit_length())
        self.shift = np.uint64(64 - bits)
        self.tables = np.full((2, 1 << bits), UNKNOWN, np.int32)
        if self._rows:
            rows = self.rows()
            self._put(rows, self.keys[rows])

    def _put(self, rows: NDArray[np.int64], keys: NDArray[np.uint64]) -> None:
        """Put rows where there is place for them."""
        for table in (0, 1):
            places = self._places(keys, table)
            free = self.tables[table][places] == UNKNOWN
            self.tables[table][places[free]] = rows[free]
            rest = self.tables[table][places] != rows  # of those that share a place, all but the last
            rows, keys = rows[rest], keys[rest]


def secret_multipliers() -> NDArray[np.uint64]:
    """Make up multipliers that nobody else knows, uint64[2, 6]: of the low halves of a key's words, then the high."""
    return np.frombuffer(secrets.token_bytes(2 * 2 * KEY_WORDS * 8), np.uint64).reshape(2, -1).copy()
