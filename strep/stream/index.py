"""Find the row of each packet's source: 128 bits of call_leg_id, L, D, SSRC and sender become a row number.

A key is mixed to 64 bits, whose upper ones are its place in a table of row numbers. Then the whole key is compared, so
that two calls whose places collide are never joined. A key whose place was taken has another one in the next of TABLES
tables; should one find all of them taken, which happens to one in millions, all keys are mixed anew.

Peers choose the keys, so the mix is keyed: multilinear over 32-bit words with secret multipliers, of which two keys
share the upper bits as often as two random numbers do, whoever chose them (Lemire and Kaser 2014, "Strongly universal
string hashing is fast"). Python hashes bytes, unlike integers, with a secret of its process, too.
"""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strep.compiler import rule

#: Three 64-bit words in the machine's order.
Key = bytes
KEY_WORDS = 3
UNKNOWN = -1
_LOW, _HIGH_BITS = np.uint64(0xFFFF_FFFF), np.uint64(32)
_LEAST_BITS = 12
#: A table has at least this many places a key: at most one key in 8 is not in the first one.
_SPARSITY = 8
TABLES = 4


@rule
def find_row(
    keys: NDArray[np.uint64],
    places: NDArray[np.int32],
    multipliers: NDArray[np.uint64],
    shift: np.uint64,
    words: tuple[np.uint64, np.uint64, np.uint64],
) -> int:
    """Give the row of a key, UNKNOWN where no table has it."""
    for table in range(len(places)):
        row = places[table, find_place(multipliers, table, shift, words)]
        if row >= 0 and keys[row, 0] == words[0] and keys[row, 1] == words[1] and keys[row, 2] == words[2]:
            return row
    return UNKNOWN


@rule
def find_place(
    multipliers: NDArray[np.uint64], table: int, shift: np.uint64, words: tuple[np.uint64, np.uint64, np.uint64]
) -> int:
    """Give a key's place in one of the tables. What does not fit 64 bits is left out."""
    a, b, c = words
    mixed = multipliers[table, 0] * (a & _LOW) + multipliers[table, 1] * (b & _LOW) + multipliers[table, 2] * (c & _LOW)
    a, b, c = a >> _HIGH_BITS, b >> _HIGH_BITS, c >> _HIGH_BITS
    mixed += multipliers[table, 3] * a + multipliers[table, 4] * b + multipliers[table, 5] * c
    place: Any = np.int64(mixed >> shift)
    return place


class KeyIndex:
    """A map of keys to row numbers; rows are handed out by the owner, below `capacity`.

    keys: uint64[capacity, 3], by row. places: int32[TABLES, n], row numbers; shift: 64 less the bits of a place.
    multipliers: uint64[TABLES, 6], the secret of each table; made up unless a test brings its own.
    """

    def __init__(self, capacity: int, multipliers: NDArray[np.uint64] | None = None) -> None:
        self.keys = np.zeros((capacity, KEY_WORDS), np.uint64)
        self.multipliers = secret_multipliers() if multipliers is None else multipliers
        self._rows: dict[Key, int] = {}
        self._lay_out(_LEAST_BITS)

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: Key) -> int:
        """Look a key up, UNKNOWN where there is none."""
        return self._rows.get(key, UNKNOWN)

    def key(self, row: int) -> Key:
        """Give the key of a row."""
        key: bytes = self.keys[row].tobytes()
        return key

    def rows(self) -> NDArray[np.int64]:
        """Give the rows of all keys."""
        return np.fromiter(self._rows.values(), np.int64, len(self._rows))

    def add(self, keys: list[Key], rows: list[int]) -> None:
        """Map new keys to rows."""
        if not keys:
            return
        self.keys[rows] = np.frombuffer(b"".join(keys), np.uint64).reshape(-1, KEY_WORDS)
        self._rows.update(zip(keys, rows, strict=True))
        if len(self._rows) * _SPARSITY > self.places.shape[1]:
            self._lay_out(len(self._rows) * _SPARSITY)
        else:
            self._put(np.array(rows))

    def remove(self, rows: list[int]) -> None:
        """Forget rows."""
        if not rows:
            return
        for row in rows:
            del self._rows[self.key(row)]
        for table in range(TABLES):
            places = self._places_of(np.array(rows), table)
            mine = self.places[table][places] == rows
            self.places[table][places[mine]] = UNKNOWN

    def _places_of(self, rows: NDArray[np.int64], table: int) -> NDArray[np.int64]:
        words: Any = self.keys[rows, 0], self.keys[rows, 1], self.keys[rows, 2]  # of many keys, as numpy does it
        places: Any = find_place(self.multipliers, table, self.shift, words)
        return places

    def _lay_out(self, places: int) -> None:
        """Make tables of at least this many places, for twice as many keys, and put every row where it belongs."""
        bits = max(_LEAST_BITS, (2 * places - 1).bit_length())
        self.shift = np.uint64(64 - bits)
        self.places = np.full((TABLES, 1 << bits), UNKNOWN, np.int32)
        if self._rows:
            self._put(self.rows())

    def _put(self, rows: NDArray[np.int64]) -> None:
        """Put rows where there is place for them; should one find none, mix all keys anew."""
        for table in range(TABLES):
            places = self._places_of(rows, table)
            free = self.places[table][places] == UNKNOWN
            self.places[table][places[free]] = rows[free]
            rows = rows[self.places[table][places] != rows]  # of those that share a place, all but the last
        if len(rows):
            self.multipliers = secret_multipliers()
            self._lay_out(len(self._rows) * _SPARSITY)


def secret_multipliers() -> NDArray[np.uint64]:
    """Make up multipliers that nobody else knows: of the low halves of a key's words, then of the high ones."""
    return np.frombuffer(secrets.token_bytes(TABLES * 2 * KEY_WORDS * 8), np.uint64).reshape(TABLES, -1).copy()
