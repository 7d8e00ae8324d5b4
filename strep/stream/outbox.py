"""Collect what the engine puts out, in order, and make blocks of single pieces."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.audio.block import AudioBlock, SampleState
from strep.stream.events import Event

Output = Event | AudioBlock


class Piece(NamedTuple):
    """Is one packet interval of one stream, before it joins a block."""

    sample_rate_hz: int
    slot: int
    position: int
    samples: NDArray[np.int16]
    state: SampleState
    arrival_ns: int


class Outbox:
    """Holds events and audio until they are taken. An event is never after the audio that it speaks of."""

    def __init__(self) -> None:
        self._items: list[Output] = []
        self._pieces: list[Piece] = []
        self._slots: set[int] = set()  # whose the pieces are

    def event(self, event: Event) -> None:
        """Add an event behind all that is there."""
        self._items.append(event)

    def block(self, block: AudioBlock) -> None:
        """Add a block behind all that is there."""
        self.settle()
        self._items.append(block)

    def piece(self, piece: Piece) -> None:
        """Add one piece; it joins others of its length and rate."""
        self._pieces.append(piece)
        self._slots.add(piece.slot)

    def settle(self, slot: int | None = None) -> None:
        """Turn the pieces so far into blocks; if a slot is given, only when one of them is its."""
        if self._pieces and (slot is None or slot in self._slots):
            self._items += _blocks(self._pieces)
            self._pieces = []
            self._slots.clear()

    def take(self) -> list[Output]:
        """Give all that is there, and forget it."""
        self.settle()
        items, self._items = self._items, []
        return items


def _blocks(pieces: list[Piece]) -> list[AudioBlock]:
    """Group pieces by rate and length, wave by wave, so that each stream's pieces stay in order."""
    waves: dict[tuple[int, int, int], list[Piece]] = {}
    count: dict[int, int] = {}
    for piece in pieces:
        wave = count[piece.slot] = count.get(piece.slot, -1) + 1
        waves.setdefault((wave, piece.sample_rate_hz, len(piece.samples)), []).append(piece)
    return [
        AudioBlock(
            sample_rate_hz=group[0].sample_rate_hz,
            slots=np.array([p.slot for p in group], np.int64),
            position=np.array([p.position for p in group], np.int64),
            samples=_stacked([p.samples for p in group]),
            state=np.array([p.state for p in group], np.uint8),
            arrival_ns=np.array([p.arrival_ns for p in group], np.int64),
        )
        for _, group in sorted(waves.items(), key=lambda item: item[0][0])
    ]


def _stacked(rows: list[NDArray[np.int16]]) -> NDArray[np.int16]:
    """Make int16[n, m] of n rows; zeros that take no memory go on taking none."""
    if all(row.strides == (0,) for row in rows):
        return np.broadcast_to(rows[0][:1], (len(rows), len(rows[0])))
    return rows[0][None, :] if len(rows) == 1 else np.stack(rows)
