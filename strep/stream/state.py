"""Hold what changes seldom about a stream, next to its columns in strep.stream.table.Streams."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strep.audio.block import SampleState
from strep.audio.conceal import history_samples
from strep.audio.decoders import Decoder
from strep.audio.formats import AudioFormat, PayloadTypeMap
from strep.stream.clock import latest_position
from strep.stream.digits import EventFolder
from strep.stream.events import StreamIdentity
from strep.stream.index import Key
from strep.stream.keys import leg_key, stream_key

#: Until a stream says what it carries, its positions count at the telephone rate.
DEFAULT_RATE_HZ = 8000


class StreamState:
    """Is one stream: one direction of one call leg."""

    __slots__ = (
        "active_row",
        "decoder",
        "digits",
        "earlier_owners",
        "filling",
        "first_window",
        "format",
        "history",
        "identity",
        "key",
        "last_frame_samples",
        "last_window",
        "leg",
        "overlapped_samples",
        "owner",
        "owner_host",
        "payload_type",
        "payload_types",
        "refused_senders",
        "rows",
        "sample_rate_hz",
        "samples_by_state",
        "slot",
        "start_ns",
    )

    def __init__(
        self, slot: int, first: Key, identity: StreamIdentity, payload_types: PayloadTypeMap, start_ns: int
    ) -> None:
        self.slot, self.identity, self.start_ns = slot, identity, start_ns
        self.key, self.leg = stream_key(first), leg_key(first)  # first: its first source
        self.payload_types = payload_types
        self.rows: list[int] = []  # its sources, oldest first
        self.active_row: int | None = None  # the source that placed audio last
        self.payload_type = -1  # of the audio, -1 before any
        self.format: AudioFormat | None = None
        self.sample_rate_hz = DEFAULT_RATE_HZ
        self.decoder: Decoder | None = None
        self.history = (
            b""  # last received samples, int16, for concealment; codecs without a past leave them in the ring
        )
        self.last_frame_samples = 0
        self.filling = SampleState.SILENCE  # what the next gap without loss is
        self.samples_by_state = dict.fromkeys(SampleState, 0)  # all but RECEIVED, which is what is left
        self.overlapped_samples = 0
        self.digits = EventFolder(slot)
        self.owner = -1  # the sender whose packets are its own (strep.stream.source_lock)
        self.owner_host = ""
        self.earlier_owners: list[int] = []  # who owned it before, and takes it back by speaking
        self.refused_senders: dict[str, int] = {}  # packets of other addresses
        self.first_window: tuple[int, int] | None = None  # (anchor_ns, at_ns) of the first and last full interval
        self.last_window: tuple[int, int] | None = None

    def latest_position(self, arrival_ns: int, end: int) -> int:
        """Give the sample position that no gap may end beyond, at a time and with the stream's end where it is."""
        received = end - sum(self.samples_by_state.values())
        return latest_position(arrival_ns - self.start_ns, received, self.sample_rate_hz)

    def remember(self, samples: NDArray[np.int16]) -> None:
        """Keep the last received samples, as many as concealment looks at."""
        kept_bytes = history_samples(self.sample_rate_hz) * samples.itemsize
        self.history = (self.history + samples.tobytes())[-kept_bytes:]
