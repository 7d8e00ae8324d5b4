"""Know again what was seen already, within bounds. No clock: the time is an argument."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from strep.errors import ConfigError

#: Some 18 MB when full. At 100 webhooks a second, which is a busy service, that is the last 16 minutes.
CAPACITY = 100_000
#: The platform repeats a webhook for some minutes, and what a stranger repeats is stale after ten.
KEEP_S = 3600.0


class Deduplicator:
    """A deduplicator that remembers ids for a time, at most so many of them; the oldest are forgotten first.

    An id is to be asked about with `is_repeated`, and to be remembered with `add` once what it names was taken: what
    could not be taken is no duplicate when it comes again. forgotten_early: how many ids were forgotten before their
    time because there was no room.

    Raises ConfigError for a capacity or a time that keeps nothing.
    """

    def __init__(self, capacity: int = CAPACITY, keep_s: float = KEEP_S) -> None:
        if capacity < 1 or not keep_s > 0:
            raise ConfigError(f"expected to keep at least one id for some time, found {capacity} for {keep_s} s")
        self.forgotten_early = 0
        self._capacity, self._keep_s = capacity, keep_s
        self._seen_s: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen_s)

    def is_repeated(self, event_id: str, now_s: float) -> bool:
        """Tell whether an id was remembered less than keep_s ago."""
        seen_s = self._seen_s.get(_short(event_id))
        return seen_s is not None and now_s - seen_s < self._keep_s

    def add(self, event_id: str, now_s: float) -> None:
        """Remember an id from now on, and forget those whose time is over."""
        key = _short(event_id)
        self._seen_s.pop(key, None)
        while self._seen_s:
            is_over = now_s - next(iter(self._seen_s.values())) >= self._keep_s
            if not is_over and len(self._seen_s) < self._capacity:
                break
            self._seen_s.popitem(last=False)
            self.forgotten_early += not is_over
        self._seen_s[key] = now_s


def _short(event_id: str) -> bytes:
    """Make any id 16 bytes long, so that the bound on their number bounds the memory too."""
    return hashlib.blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
