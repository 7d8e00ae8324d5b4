"""Collect what the engine puts out, in order."""

from __future__ import annotations

from collections.abc import Iterable

from strep.audio.block import AudioBlock
from strep.stream.events import Event

Output = Event | AudioBlock


class Outbox:
    """Events and audio, until they are taken. An event is never after the audio that it speaks of."""

    def __init__(self) -> None:
        self._items: list[Output] = []

    def event(self, event: Event) -> None:
        """Add an event behind all that is there."""
        self._items.append(event)

    def add(self, items: Iterable[Output]) -> None:
        """Add events and audio behind all that is there."""
        self._items += items

    def take(self) -> list[Output]:
        """Give all that is there, and forget it."""
        items, self._items = self._items, []
        return items
