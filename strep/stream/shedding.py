"""Leave sources out: so that others stay whole when more arrives than can be carried, or as nobody wants them.

The sources that are left out stay in the index, under rows that no table has: their packets are known by a look-up
like all others, and cost nothing more.
"""

from __future__ import annotations

from strep.stream.index import Key
from strep.stream.keys import leg_key


class LeftOut:
    """A set of sources that are left out, by leg. They have rows from `first_row` on, `capacity` of them."""

    def __init__(self, first_row: int, capacity: int) -> None:
        self._free = list(range(first_row + capacity - 1, first_row - 1, -1))
        self._rows: dict[bytes, list[int]] = {}  # by leg, in the order in which they were left out

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, leg: bytes) -> bool:
        return leg in self._rows

    def add(self, key: Key) -> int | None:
        """Leave a source out; give its row, None where there is no more room."""
        if not self._free:
            return None
        row = self._free.pop()
        self._rows.setdefault(leg_key(key), []).append(row)
        return row

    def make_room(self, sources: int) -> list[int]:
        """Forget the oldest legs until so many sources fit or none is left; give the rows that they had.

        An eighth of the legs at a time: whoever makes up a leg with each packet costs their own look-ups, hardly ours.
        """
        rows: list[int] = []
        while len(self._free) < sources and self._rows:
            rows += self.take_back(-(-len(self._rows) // 8))
        return rows

    def take_back(self, legs: int | None = None) -> list[int]:
        """Forget so many legs (or all), those first that were left out first; give the rows that they had."""
        rows = [row for leg in list(self._rows)[:legs] for row in self._rows.pop(leg)]
        self._free += rows
        return rows
