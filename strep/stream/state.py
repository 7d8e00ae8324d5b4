"""Hold what changes seldom about a stream, next to its record (strep.stream.records.STREAM)."""

from __future__ import annotations

from strep.audio.decoders import Decoder
from strep.audio.formats import PayloadTypeMap
from strep.stream.events import StreamIdentity
from strep.stream.index import Key
from strep.stream.keys import leg_key, stream_key

#: Until a stream says what it carries, its positions count at the telephone rate.
DEFAULT_RATE_HZ = 8000


class StreamState:
    """One stream: one direction of one call leg."""

    __slots__ = (
        "decoder",
        "earlier_owners",
        "first_window",
        "identity",
        "key",
        "last_window",
        "leg",
        "owner",
        "owner_host",
        "payload_types",
        "refused_senders",
        "rows",
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
        self.decoder: Decoder | None = None
        self.owner = -1  # the sender whose packets are its own (strep.stream.source_lock)
        self.owner_host = ""
        self.earlier_owners: list[int] = []  # who owned it before, and takes it back by speaking
        self.refused_senders: dict[str, int] = {}  # packets of other addresses
        self.first_window: tuple[int, int] | None = None  # (anchor_ns, at_ns) of the first and last full interval
        self.last_window: tuple[int, int] | None = None
