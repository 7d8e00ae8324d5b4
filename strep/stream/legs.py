"""Hold the legs that are open, their streams (one a direction) and the sources of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.audio.block import SampleState
from strep.audio.formats import PayloadTypeMap
from strep.stream.events import StreamIdentity, StreamOpened
from strep.stream.formats import Formats
from strep.stream.index import Key, KeyIndex
from strep.stream.keys import identity_of, sender_of, ssrc_of, stream_key
from strep.stream.outbox import Outbox
from strep.stream.records import LONG_AGO_NS, MAX_SOURCES_PER_STREAM, NEVER, STREAM, Records, columns_of, records
from strep.stream.rows import Rows
from strep.stream.source_lock import host_of
from strep.stream.sources import Sources, SourceState
from strep.stream.state import DEFAULT_RATE_HZ, StreamState
from strep.wire.batch import Endpoint


def _new_stream() -> np.void:
    (stream,) = records(1, STREAM)
    stream.window_anchor_ns = NEVER
    stream.active_source = stream.payload_type = stream.segment = -1
    stream.sample_rate_hz, stream.pause_state = DEFAULT_RATE_HZ, SampleState.SILENCE
    return np.void(stream)


_NEW_STREAM = _new_stream()


class NewSource(NamedTuple):
    """A source that begins: its key, which says whose it is, and when and from where its first packet came."""

    key: Key
    endpoint: Endpoint
    arrival_ns: int


class Legs:
    """The open legs. `state`: the streams by slot, None where it is free; `index`: the rows of their sources."""

    def __init__(
        self,
        sources: Sources,
        streams: Records,
        outbox: Outbox,
        payload_types_of: Callable[[StreamIdentity, Endpoint], PayloadTypeMap],
        index: KeyIndex,
        formats: Formats,
    ) -> None:
        self._sources, self._streams, self._outbox, self._formats = sources, streams, outbox, formats
        self._payload_types_of = payload_types_of
        self.index = index
        self._stream_columns, count = columns_of(streams), len(streams)
        self.state: list[StreamState | None] = [None] * count
        self._slots = Rows(count, self._renew)
        self._by_key: dict[bytes, StreamState] = {}  # by strep.stream.keys.stream_key
        self._legs: dict[bytes, list[StreamState]] = {}  # by strep.stream.keys.leg_key
        self._leg_of_call: dict[str, bytes] = {}

    @property
    def open_streams(self) -> int:
        """Count the streams that are open."""
        return len(self._by_key)

    @property
    def open_calls(self) -> int:
        """Count the legs that are open."""
        return len(self._legs)

    def streams(self) -> list[StreamState]:
        """Give the streams that are open."""
        return list(self._by_key.values())

    def of_call(self, call: str) -> list[StreamState]:
        """Give the open streams of a leg, by its StreamIdentity.call."""
        return list(self.of_leg(self._leg_of_call.get(call, b"")))

    def of_leg(self, leg: bytes) -> Sequence[StreamState]:
        """Give the open streams of a leg, by strep.stream.keys.leg_key."""
        return self._legs.get(leg, ())

    def by_key(self, key: bytes) -> StreamState | None:
        """Give an open stream, by strep.stream.keys.stream_key."""
        return self._by_key.get(key)

    def stream_of(self, row: int) -> StreamState:
        """Give the stream of a source."""
        state = self.state[int(self._sources.columns["stream"][row])]
        assert state is not None
        return state

    def keys_of(self, states: Iterable[StreamState]) -> list[Key]:
        """Give the keys of all sources of streams."""
        return [self.index.key(row) for state in states for row in state.rows]

    def youngest(self, calls: int) -> list[StreamState]:
        """Give the streams of so many legs, those that were opened last."""
        return [state for leg in list(self._legs)[-calls:] for state in self._legs[leg]]

    def silent_since(self, heard_before_ns: int, most_packets: int | None = None) -> list[StreamState]:
        """Give the streams of the legs of which no direction was heard after a time.

        most_packets: only of the legs that have sent so few in all.
        """
        quiet = self._sources.silent_since(heard_before_ns)
        slots = self._sources.columns["stream"][quiet].tolist()
        legs = dict.fromkeys(state.leg for slot in slots if (state := self.state[slot]))
        silent = set(quiet.tolist())
        return [
            state
            for leg in legs
            if all(row in silent for state in self._legs[leg] for row in state.rows)
            and (most_packets is None or self._packets(self._legs[leg]) <= most_packets)
            for state in self._legs[leg]
        ]

    def least_heard(self, heard_before_ns: int, most_packets: int, calls: int) -> list[StreamState]:
        """Give the streams of so many silent legs: of those that have sent so few in all, the ones that sent least."""
        silent = {state.leg for state in self.silent_since(heard_before_ns, most_packets)}
        in_order = [leg for leg in self._legs if leg in silent]
        chosen = sorted(in_order, key=lambda leg: self._packets(self._legs[leg]))[:calls]
        return [state for leg in chosen for state in self._legs[leg]]

    def last_heard_ns(self, states: Sequence[StreamState]) -> int:
        """Say when any of some streams was heard last."""
        rows = [row for state in states for row in state.rows]
        return int(self._sources.columns["latest_arrival_ns"][rows].max())

    def heard_ns(self) -> NDArray[np.int64]:
        """Give when each source was heard last, int64[sources that are open]."""
        heard_ns: NDArray[np.int64] = self._sources.columns["latest_arrival_ns"]
        open_ns: NDArray[np.int64] = heard_ns[heard_ns != LONG_AGO_NS]
        return open_ns

    def has_room_for(self, stream: StreamState | None) -> bool:
        """Tell whether another source fits: into a stream, or, with None, into a new one."""
        if stream is None:
            return self._slots.has_room and self._sources.has_room
        return len(stream.rows) < MAX_SOURCES_PER_STREAM and self._sources.has_room

    def open(self, new: NewSource) -> int:
        """Begin a source, and its stream if need be; give its row. There must be room."""
        stream = self._by_key.get(stream_key(new.key)) or self._open_stream(new)
        row = self._sources.take(SourceState(ssrc_of(new.key), sender_of(new.key), new.arrival_ns))
        columns = self._sources.columns
        columns["latest_arrival_ns"][row], columns["stream"][row] = new.arrival_ns, stream.slot
        columns["meanings"][row] = self._formats.number_of_map(stream.payload_types)
        if stream.rows:
            columns["next_source"][stream.rows[-1]] = row
        else:
            self._stream_columns["first_source"][stream.slot] = row
        stream.rows.append(row)
        return row

    def close(self, states: Sequence[StreamState]) -> None:
        """Let go of streams, whose slots and rows may serve again."""
        rows = [row for state in states for row in state.rows]
        for state in states:
            streams = self._legs[state.leg]
            streams.remove(state)
            if not streams:
                del self._legs[state.leg], self._leg_of_call[state.identity.call]
            del self._by_key[state.key]
            self.state[state.slot] = None
        self._slots.give_back([state.slot for state in states])
        self.index.remove(sorted(row for row in rows if self.index.get(self.index.key(row)) == row))
        self._sources.give_back(rows)

    def _packets(self, states: Sequence[StreamState]) -> int:
        rows = [row for state in states for row in state.rows]
        return int(self._sources.columns["packets"][rows].sum())

    def _renew(self, slots: NDArray[np.int64]) -> None:
        np.asarray(self._streams)[slots] = _NEW_STREAM

    def _open_stream(self, new: NewSource) -> StreamState:
        slot, endpoint, identity = self._slots.take(), new.endpoint, identity_of(new.key, new.endpoint)
        state = StreamState(slot, new.key, identity, self._payload_types_of(identity, endpoint), new.arrival_ns)
        state.owner, state.owner_host = sender_of(new.key), host_of(endpoint.source)
        for name in ("anchor_ns", "told_anchor_ns", "start_ns"):
            self._stream_columns[name][slot] = new.arrival_ns
        self.state[slot] = self._by_key[state.key] = state
        self._legs.setdefault(state.leg, []).append(state)
        self._leg_of_call[identity.call] = state.leg
        ssrc = ssrc_of(new.key)
        self._outbox.event(StreamOpened(new.arrival_ns, slot, identity, ssrc, endpoint.source, endpoint.destination))
        return state
