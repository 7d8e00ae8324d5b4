"""Hold what waits for a plugin that runs elsewhere, within bounds.

When too many hops wait, the oldest are dropped until half of the room is free: dropping few at a time would make the
plugin begin its streams anew all the time. That streams open and close is never dropped, or nothing would be right
behind it; a plugin so far behind that even this is too much is given up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeGuard

from strep.plugins.base import Hops, PlacedEvent
from strep.plugins.framing import Taker
from strep.stream.events import FormatChanged, StreamIdentity

Opened = tuple[int, StreamIdentity, int]  # row, whose it is, wall time
Told = tuple[int, PlacedEvent]


@dataclass(frozen=True, slots=True)
class Tick:
    """A second that has begun."""

    time_ns: int


Item = Hops | Opened | Told | Tick | int  # a number is a row that closes
#: Ten times what a second brings when each of 2,000 streams has some gaps in it.
MOST_ITEMS = 100_000


class TickTaker(Taker, Protocol):
    """A taker that is also told how late it is."""

    def tick(self, time_ns: int) -> None:
        """See how late it is."""


class Waiting:
    """A queue of what a plugin is to be given. missed_hops, missed_events: how many were dropped."""

    def __init__(self, most_hops: int) -> None:
        self._items: deque[Item] = deque()
        self._most = most_hops
        self._hops = self._events = 0  # that wait; a format is not counted among events, as it is never dropped
        self.missed_hops = self.missed_events = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_full(self) -> bool:
        """Tell whether the next hops would make room for themselves."""
        return self._hops >= self._most or len(self._items) >= MOST_ITEMS

    @property
    def is_hopeless(self) -> bool:
        """Tell whether there is more than dropping could help against."""
        return len(self._items) > 2 * MOST_ITEMS

    def put(self, item: Item) -> None:
        """Add what is to be given next."""
        self._append(item)
        if self._hops > self._most:
            self._drop(self._most // 2)
        if len(self._items) >= MOST_ITEMS and (self._hops or self._events):
            self._drop(0)
            self._items = deque(item for item in self._items if not _is_dropped(item))
            self.missed_events += self._events
            self._events = 0

    def put_first(self, items: Iterable[Item]) -> None:
        """Add what is to be given before all that waits; none of it is audio."""
        self._items.extendleft(reversed(list(items)))

    def pop(self) -> Item:
        """Take the next one out."""
        item = self._items.popleft()
        self._count(item, -1)
        return item

    def put_back(self, item: Item) -> None:
        """Undo `pop`."""
        self._items.appendleft(item)
        self._count(item, 1)

    def _append(self, item: Item) -> None:
        if isinstance(item, Tick) and self._items and isinstance(self._items[-1], Tick):
            self._items.pop()  # what is late sees the latest only
        self._items.append(item)
        self._count(item, 1)

    def _count(self, item: Item, one: int) -> None:
        self._hops += one * len(item) if isinstance(item, Hops) else 0
        self._events += one * _is_dropped(item)

    def refuse(self, item: Item) -> None:
        """Count what is not taken any more."""
        self.missed_hops += len(item) if isinstance(item, Hops) else 0
        self.missed_events += _is_dropped(item)

    def clear(self) -> None:
        """Drop everything."""
        self.missed_hops += self._hops
        self.missed_events += self._events
        self._hops = self._events = 0
        self._items.clear()

    def _drop(self, most_hops: int) -> None:
        kept: deque[Item] = deque()
        while self._hops > most_hops:
            item = self.pop()
            if isinstance(item, Hops):
                self.missed_hops += len(item)
            else:
                kept.append(item)
        for one in reversed(kept):
            self.put_back(one)


class Enqueuer:
    """A Taker that puts all it is given where it waits."""

    def open(self, row: int, identity: StreamIdentity, time_ns: int) -> None:
        """Begin a stream."""
        self._put((row, identity, time_ns))

    def process(self, hops: Hops) -> None:
        """Take audio."""
        self._put(hops)

    def event(self, row: int, placed: PlacedEvent) -> None:
        """Take what the engine says of a stream."""
        self._put((row, placed))

    def tick(self, time_ns: int) -> None:
        """Say how late it is."""
        self._put(Tick(time_ns))

    def close(self, row: int) -> None:
        """End a stream."""
        self._put(row)

    def _put(self, item: Item) -> None:
        raise NotImplementedError


class OpenStreams:
    """A memory of what a plugin has to be told of each open stream when it begins anew."""

    def __init__(self) -> None:
        self._opened: dict[int, Opened] = {}
        self._formats: dict[int, dict[int, Told]] = {}  # by row, and by slot: a pair has two

    def note(self, item: Item) -> None:
        """See what the plugin is given."""
        if isinstance(item, int):
            self._opened.pop(item, None)
            self._formats.pop(item, None)
        elif isinstance(item, tuple) and len(item) == 3:
            self._opened[item[0]] = item
        elif _is_format(item):
            row, placed = item
            self._formats.setdefault(row, {})[placed.event.slot] = item

    def of(self, row: int) -> list[Item]:
        """Give what to tell of a stream."""
        return [self._opened[row], *self._formats.get(row, {}).values()]

    def all(self) -> list[Item]:
        """Give what to tell of all streams."""
        return [item for row in self._opened for item in self.of(row)]


def apply(taker: TickTaker, item: Item) -> None:
    """Give an item to whom it is for."""
    if isinstance(item, Hops):
        taker.process(item)
    elif isinstance(item, Tick):
        taker.tick(item.time_ns)
    elif isinstance(item, int):
        taker.close(item)
    elif len(item) == 3:
        taker.open(*item)
    else:
        taker.event(*item)


def _is_dropped(item: Item) -> bool:
    """Tell whether an item is dropped when there are too many: what is only told, but for formats."""
    return _is_told(item) and not _is_format(item)


def _is_told(item: Item) -> TypeGuard[Told]:
    return isinstance(item, tuple) and len(item) == 2


def _is_format(item: Item) -> TypeGuard[Told]:
    return _is_told(item) and isinstance(item[1].event, FormatChanged)
