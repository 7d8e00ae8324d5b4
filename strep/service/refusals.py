"""Say in words that webhooks and their connections are refused: at once, then once a minute for each reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from strep.control.webhooks import RefusalReason
from strep.control.webhooks.app import WebhookCounts
from strep.net.http_limits import ConnectionCounts

_EVERY_NS = 60_000_000_000
_WORDS = {
    RefusalReason.FORGED: "webhooks were refused as forged: is webhooks.public_key the platform's?",
    RefusalReason.STALE: "webhooks were refused as stale: is this machine's clock right?",
    "overflowed": "webhooks were put off, as too many wait to be worked at; the platform sends them again",
    "connections_refused": "connections to the port of webhooks were refused, as all others were being answered",
    "connections_displaced": "connections to the port of webhooks that asked nothing were closed to make room",
    "connections_too_slow": "connections to the port of webhooks were closed, as their request did not come in",
    "connections_malformed": "requests to the port of webhooks were no HTTP",
}


@dataclass(frozen=True, slots=True)
class Refused:
    """What was refused for one reason since it was told last."""

    reason: str
    count: int

    def __str__(self) -> str:
        return f"{self.count} {_WORDS.get(self.reason, f'webhooks were refused as {self.reason}')}"


class RefusalReport:
    """A memory of what was told."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[int, int]] = {}

    def due(self, counts: Mapping[str, int], now_ns: int) -> list[Refused]:
        """Give what is to be told now. counts: since the beginning, by reason; now_ns: of a steady clock."""
        found = []
        for reason, count in counts.items():
            told_ns, told = self._told.get(reason, (None, 0))
            if count > told and (told_ns is None or now_ns - told_ns >= _EVERY_NS):
                self._told[reason] = now_ns, count
                found.append(Refused(reason, count - told))
        return found


def refusals_of(webhooks: WebhookCounts, connections: ConnectionCounts) -> dict[str, int]:
    """Count what was refused, by reason."""
    of_connections = {f"connections_{name}": count for name, count in asdict(connections).items() if name != "accepted"}
    refused = {reason.value: count for reason, count in webhooks.refused.items()}
    return {**refused, "overflowed": webhooks.overflowed, **of_connections}
