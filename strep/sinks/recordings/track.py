"""Keep what one stream needs on its way into a recording."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from strep.audio.formats import AudioFormat
from strep.sinks.recordings.adapter import Piece, RateAdapter
from strep.sinks.recordings.dropped import Missing
from strep.sinks.recordings.rings import Rings
from strep.sinks.sidecar import MAX_LISTED, Document, StreamNotes
from strep.stream.events import AnchorMoved, Event, StreamOpened
from strep.utc import utc_text


class Track:
    """One direction of a recording: a ring of its samples, and where they belong in the file.

    rings, row: where its ring is; None before its first samples and after it has closed.
    offset: the frame of the file where sample 0 of the stream belongs; None until that is decided.
    missing: what was left out before that, of the first seconds; the newest of it.
    """

    def __init__(self, opened: StreamOpened, channel: int, max_gaps: int) -> None:
        self.identity = opened.identity
        self.slot: int | None = opened.slot
        self.channel = channel
        self.opened_ns = opened.time_ns
        self.anchor_ns = opened.time_ns
        self.rings: Rings | None = None
        self.row = -1
        self.offset: int | None = None
        self.notes = StreamNotes(opened, max_gaps)
        self.missing: deque[Missing] = deque(maxlen=MAX_LISTED)
        self.clipped_samples = self.rewritten_samples = self.refused_samples = 0
        self._placed_anchor_ns = opened.time_ns
        self._adapter: RateAdapter | None = None

    @property
    def head(self) -> int:
        """Give the position, at the rate of its ring, where the last sample so far ends."""
        return int(self.rings.head[self.row]) if self.rings else 0

    @property
    def window(self) -> tuple[int, int]:
        """Give the positions that its ring can hold now: from, and up to but without."""
        assert self.rings is not None
        start = int(self.rings.start[self.row])
        return start, start + self.rings.capacity

    def note(self, event: Event) -> None:
        """Take an event of the stream."""
        if isinstance(event, AnchorMoved):
            self.anchor_ns = min(self.anchor_ns, event.anchor_ns)
        self.notes.note(event)

    def open_ring(self, rings: Rings) -> None:
        """Begin to hold samples, at the rate of `rings`."""
        self.rings, self.row = rings, rings.open(self.slot)

    def detach(self) -> None:
        """Let go of the slot, which may serve again; what the ring holds stays there."""
        if self.rings and self.slot is not None:
            self.rings.detach(self.slot)
        self.slot = None

    def close_ring(self) -> None:
        """Give the ring back, after the slot; what it holds must have been written."""
        if self.rings:
            self.rings.close(self.row)
        self.rings = None

    def move_to(self, rings: Rings) -> list[Piece]:
        """Go on at another rate, before anything was written; give what the old ring held, to be placed anew."""
        old, slot, head, held = self.rings, self.slot, self.head, self.held(0, self.head)
        assert old is not None
        self.detach()
        self.close_ring()
        self.slot = slot
        self.open_ring(rings)
        self._adapter = RateAdapter(old.sample_rate_hz, rings.sample_rate_hz)
        return self._adapter.feed(0, held) if head else []

    def adapt(self, position: int, samples: NDArray[np.int16], sample_rate_hz: int) -> list[Piece]:
        """Bring int16[m] to the rate of the ring, however it differs; give what is ready, with positions there."""
        assert self.rings is not None
        pieces: list[Piece] = []
        if self._adapter is None or self._adapter.from_hz != sample_rate_hz:
            pieces = self.finish_adapter()
            if sample_rate_hz != self.rings.sample_rate_hz:
                self._adapter = RateAdapter(sample_rate_hz, self.rings.sample_rate_hz)
        return pieces + (self._adapter.feed(position, samples) if self._adapter else [(position, samples)])

    def change_format(self, format: AudioFormat | None) -> list[Piece]:
        """Give what is still being resampled, if the stream goes on at another rate; an unknown format has none."""
        goes_on = format is None or (self._adapter and format.sample_rate_hz == self._adapter.from_hz)
        return [] if goes_on else self.finish_adapter()

    def finish_adapter(self) -> list[Piece]:
        """Give what is still being resampled, when the stream goes on at another rate or ends."""
        adapter, self._adapter = self._adapter, None
        return adapter.finish() if adapter else []

    def held(self, position: int, end: int) -> NDArray[np.int16]:
        """Copy samples out of the ring."""
        samples = np.zeros(max(end - position, 0), np.int16)
        if self.rings and len(samples):
            self.rings.read(self.row, position, samples)
        return samples

    def align(self, offset: int) -> None:
        """Fix where the stream lies in the file."""
        self.offset = offset
        self._placed_anchor_ns = self.anchor_ns

    @property
    def placement_error_ns(self) -> int:
        """Give how much later than where it was placed the stream lies by the last estimate; mostly below 0."""
        closed = self.notes.closed
        return (closed.report.anchor_ns if closed else self.anchor_ns) - self._placed_anchor_ns

    def describe(self, file_rate_hz: int, most_gaps: int | None = None) -> Document:
        """Give the stream's entry in the sidecar, with no more than the first `most_gaps` gaps."""
        start_s = None if self.offset is None else self.offset / file_rate_hz
        place = None if start_s is None else (lambda position, rate_hz: start_s + position / rate_hz)
        facts = self.notes.describe(place, most_gaps)
        return {
            "direction": facts.pop("direction"),
            "channel": self.channel,
            "start_s": start_s,
            "anchor": utc_text(self._placed_anchor_ns + self.placement_error_ns),
            "placement_error_ms": None if start_s is None else self.placement_error_ns / 1e6,
            "clipped_samples": self.clipped_samples,
            "rewritten_samples": self.rewritten_samples,
            "refused_samples": self.refused_samples,
            **facts,
        }
