"""Know webhooks again: the platform sends one twice when our answer was lost or late."""

from __future__ import annotations

from collections import OrderedDict

#: The platform tries again for some minutes; 10,000 calls an hour with ten events each are 28 a second.
KEEP_S = 3600.0
#: 100 bytes each. Beyond this the oldest is forgotten early, and counted.
CAPACITY = 100_000


class Deduplicator:
    """Remembers ids for `keep_s` seconds, at most `capacity` of them; time is an argument and never runs back."""

    def __init__(self, capacity: int = CAPACITY, keep_s: float = KEEP_S) -> None:
        self.duplicates = self.forgotten_early = 0
        self._capacity, self._keep_s = capacity, keep_s
        self._seen: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def is_new(self, id: str, now_s: float) -> bool:
        """Tell whether an id was not seen lately, and remember it. An empty id is always new: it tells nothing."""
        while self._seen and next(iter(self._seen.values())) <= now_s - self._keep_s:
            self._seen.popitem(last=False)
        if not id:
            return True
        if id in self._seen:
            self.duplicates += 1
            return False
        if len(self._seen) >= self._capacity:
            self._seen.popitem(last=False)
            self.forgotten_early += 1
        self._seen[id] = now_s
        return True

    def forget(self, id: str) -> None:
        """Forget an id: its webhook was not taken after all, and will come again."""
        self._seen.pop(id, None)
