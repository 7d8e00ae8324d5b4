"""Say in words that webhooks are refused, at once, and then at most once a minute for each reason."""

from __future__ import annotations

from collections.abc import Mapping

from strep.control.webhooks import RefusalReason

_EVERY_NS = 60_000_000_000
_HINTS = {
    RefusalReason.FORGED: ": is webhooks.public_key the platform's?",
    RefusalReason.STALE: ": is this machine's clock right?",
}


class RefusalReport:
    """Remembers what was said."""

    def __init__(self) -> None:
        self._told: dict[RefusalReason, tuple[int, int]] = {}

    def lines(self, refused: Mapping[RefusalReason, int], now_ns: int) -> list[str]:
        """Give what is to be said now. refused: counts since the beginning; now_ns: of a steady clock."""
        found = []
        for reason, count in refused.items():
            told_ns, told = self._told.get(reason, (None, 0))
            if count > told and (told_ns is None or now_ns - told_ns >= _EVERY_NS):
                self._told[reason] = now_ns, count
                found.append(f"{count - told} webhooks were refused as {reason.value}{_HINTS.get(reason, '')}")
        return found
