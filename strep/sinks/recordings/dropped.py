"""Remember which audio was left out because it could not be queued, within a bound."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.audio.block import AudioBlock, is_silence

#: Of one stream, until it is told; 50 bytes each. A stream whose rows do not follow on one another makes one of each.
#: Beyond this the last one grows instead, over what was not left out.
MOST_INTERVALS = 1000
_RATE_HZ, _BEGIN, _END = range(3)


class Missing(NamedTuple):
    """An interval of one stream's samples that were left out: positions from `begin` up to but without `end`."""

    sample_rate_hz: int
    begin: int
    end: int


class DroppedAudio:
    """A record of what was left out of each stream, in order. samples: how many in all, also those that were told."""

    def __init__(self) -> None:
        self.samples = 0
        self._run = np.zeros((64, 3), np.int64)  # by slot: what goes on with the next row; rate 0 is nothing
        self._ended: dict[int, list[Missing]] = {}  # has every slot that anything is known of

    def __bool__(self) -> bool:
        return bool(self._ended)

    def add(self, block: AudioBlock) -> list[int]:
        """Take note of a block that is left out; give the slots of which nothing had been left out before.

        Silence that takes no memory is no loss: what is not written is silent.
        """
        if not len(block) or is_silence(block.samples[0]):
            return []
        length = block.samples.shape[1]
        self.samples += block.samples.size
        most = int(block.slots.max())
        if most >= len(self._run):
            self._run = np.concatenate((self._run, np.zeros((most + 1, 3), np.int64)))
        run = self._run[block.slots]
        goes_on = (run[:, _RATE_HZ] == block.sample_rate_hz) & (run[:, _END] == block.position)
        self._run[block.slots[goes_on], _END] += length
        return [
            slot
            for slot, begin in zip(block.slots[~goes_on].tolist(), block.position[~goes_on].tolist(), strict=True)
            if self._add_row(slot, Missing(block.sample_rate_hz, begin, begin + length))
        ]

    def take(self, slot: int) -> list[Missing]:
        """Give what was left out of a stream, and forget it."""
        ended = self._ended.pop(slot, None)
        if ended is None:
            return []
        last = self._current(slot)
        self._run[slot] = 0
        return [*ended, last]

    def take_all(self) -> dict[int, list[Missing]]:
        """Give what was left out of every stream, and forget it."""
        return {slot: self.take(slot) for slot in list(self._ended)}

    def _add_row(self, slot: int, row: Missing) -> bool:
        ended = self._ended.get(slot)
        if ended is None:
            self._ended[slot] = []
            self._run[slot] = row
            return True
        last = self._current(slot)
        is_full = len(ended) >= MOST_INTERVALS
        if last.sample_rate_hz == row.sample_rate_hz and (row.begin == last.end or is_full):
            self._run[slot, _END] = max(last.end, row.end)
            return False
        ended.append(last)
        self._run[slot] = row
        return False

    def _current(self, slot: int) -> Missing:
        run: NDArray[np.int64] = self._run[slot]
        return Missing(*run.tolist())
