"""Cut one stream into hops, whatever its sample rate, and wherever its pieces lie: the scalar twin of the columns."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.audio.block import SampleState
from strep.sinks.recordings.adapter import RateAdapter

#: States of audio that a packet brought: only these have a time of arrival.
CAME = (SampleState.RECEIVED, SampleState.UNDECODED)


class RowHop(NamedTuple):
    """One hop of one stream, as a row of Hops."""

    position: int
    samples: NDArray[np.int16]
    state: int
    arrival_ns: int


class _Mark(NamedTuple):
    """A mark that says what the samples up to a position, at the wanted rate, are."""

    end: int
    state: int
    arrival_ns: int


class RowFramer:
    """A row framer that cuts one stream. offset: how much later than hop 0 its sample 0 lies, in samples of the wanted
    rate.

    position: where its next sample is expected, in hops' positions. late_samples: how many were dropped because
    their place had gone out.
    """

    def __init__(self, sample_rate_hz: int, hop_samples: int, offset: int = 0) -> None:
        self._rate_hz, self._hop, self._offset = sample_rate_hz, hop_samples, offset
        self._held = np.zeros(hop_samples, np.int16)
        self._worst = 0
        self._adapter: RateAdapter | None = None
        self._marks: deque[_Mark] = deque()
        self._expected = 0  # where the stream goes on, at its own rate
        self.position = max(0, offset)
        self.late_samples = 0

    def go_on(self, position: int, held: NDArray[np.int16], worst: int) -> None:
        """Take over a stream that has come to a position; held: what there is of the hop that it lies in."""
        self.position, self._worst = position, worst
        self._held[: len(held)] = held

    def feed(
        self, sample_rate_hz: int, position: int, samples: NDArray[np.int16], state: int, arrival_ns: int
    ) -> list[RowHop]:
        """Take int16[m] at the stream's own rate and position; give the hops that are full."""
        hops: list[RowHop] = []
        if self._adapter is None or self._adapter.from_hz != sample_rate_hz or position != self._expected:
            hops = self._finish_adapter()
            self._adapter = RateAdapter(sample_rate_hz, self._rate_hz)
        self._expected = position + len(samples)
        pieces = self._adapter.feed(position, samples)
        end = -(-(position + len(samples)) * self._rate_hz // sample_rate_hz)
        self._marks.append(_Mark(end, state, arrival_ns if state in CAME else 0))
        return hops + self._place(pieces)

    def finish(self) -> list[RowHop]:
        """Give what is left; zeros fill the last hop."""
        hops = self._finish_adapter()
        fill = self.position % self._hop
        return hops + self._append(np.zeros(self._hop - fill, np.int16), 0, 0) if fill else hops

    def _finish_adapter(self) -> list[RowHop]:
        hops = self._place(self._adapter.finish()) if self._adapter else []
        self._marks.clear()
        return hops

    def _place(self, pieces: list[tuple[int, NDArray[np.int16]]]) -> list[RowHop]:
        """Cut what comes out of the resampler where what it is changes."""
        hops: list[RowHop] = []
        for position, samples in pieces:
            while len(samples):
                while len(self._marks) > 1 and self._marks[0].end <= position:
                    self._marks.popleft()
                mark = self._marks[0]
                some = max(1, mark.end - position) if len(self._marks) > 1 else len(samples)
                hops += self._write(position + self._offset, samples[:some], mark.state, mark.arrival_ns)
                position, samples = position + len(samples[:some]), samples[some:]
        return hops

    def _write(self, position: int, samples: NDArray[np.int16], state: int, arrival_ns: int) -> list[RowHop]:
        hops: list[RowHop] = []
        late = min(max(0, self.position - position), len(samples))
        if late and state != SampleState.SILENCE:
            self.late_samples += late
        if position > self.position:
            hole = np.broadcast_to(np.int16(0), position - self.position)
            hops = self._append(hole, SampleState.LOST, 0)
        return hops + self._append(samples[late:], state, arrival_ns)

    def _append(self, samples: NDArray[np.int16], state: int, arrival_ns: int) -> list[RowHop]:
        hops: list[RowHop] = []
        while len(samples):
            fill = self.position % self._hop
            some = samples[: self._hop - fill]
            self._held[fill : fill + len(some)] = some
            self._worst = max(self._worst, int(state))
            self.position += len(some)
            samples = samples[len(some) :]
            if self.position % self._hop == 0:
                hops.append(RowHop(self.position - self._hop, self._held.copy(), self._worst, arrival_ns))
                self._worst = 0
        return hops
