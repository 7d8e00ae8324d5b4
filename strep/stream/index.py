"""Find the row of each packet's source: 128 bits of call_leg_id, L, D and SSRC become a row number.

The keys are mixed to 64 bits and looked up in a sorted array; then the whole key is compared, so that two calls whose
mixes collide are never joined. A packet that misses is looked up in a plain dictionary, the scalar twin.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Key = tuple[int, int, int]
UNKNOWN = -1
_ODD = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)


def _mix(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Fold keys uint64[n, 3] to uint64[n]. Keys that were made to collide cost time, never a wrong row."""
    mixed: NDArray[np.uint64] = keys @ _ODD
    return mixed


class KeyIndex:
    """Maps keys to row numbers; rows are handed out by the owner."""

    def __init__(self, capacity: int) -> None:
        self._keys = np.zeros((capacity, 3), np.uint64)
        self._sorted_mix = np.zeros(0, np.uint64)
        self._sorted_row = np.zeros(0, np.int64)
        self._rows: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: Key) -> int:
        """Look one key up: the scalar twin of `look_up`."""
        return self._rows.get(key, UNKNOWN)

    def look_up(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Give the row of each key (uint64[n, 3]), UNKNOWN where there is none."""
        if not len(self._sorted_row):
            return np.full(len(keys), UNKNOWN, np.int64)
        place = np.searchsorted(self._sorted_mix, _mix(keys))
        rows = self._sorted_row.take(place, mode="clip")
        differs = self._keys.take(rows, axis=0) != keys
        if differs.any():
            for n in np.flatnonzero(differs.any(axis=1)).tolist():
                a, b, c = keys[n].tolist()
                rows[n] = self._rows.get((a, b, c), UNKNOWN)
        return rows

    def add(self, keys: list[Key], rows: list[int]) -> None:
        """Map new keys to rows."""
        added = np.array(keys, np.uint64)
        self._keys[rows] = added
        self._rows.update(zip(keys, rows, strict=True))
        self._sort(
            np.concatenate((self._sorted_mix, _mix(added))),
            np.concatenate((self._sorted_row, np.array(rows, np.int64))),
        )

    def remove(self, rows: list[int]) -> None:
        """Forget rows."""
        for row in rows:
            a, b, c = self._keys[row].tolist()
            del self._rows[(a, b, c)]
        keep = ~np.isin(self._sorted_row, rows)
        self._sort(self._sorted_mix[keep], self._sorted_row[keep])

    def _sort(self, mix: NDArray[np.uint64], row: NDArray[np.int64]) -> None:
        order = np.argsort(mix, kind="stable")
        self._sorted_mix, self._sorted_row = mix[order], row[order]
