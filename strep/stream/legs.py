"""Say which legs are open, which are left out, and which of the two a new one becomes.

A source that is not known yet belongs to a leg that is open, or to one that begins, and then:

1. A leg that was refused stays so, until it is asked about again.
2. While too much comes (strep.overload), every other leg that begins is left out.
3. Otherwise `admits` is asked; a leg that it does not admit is refused.

So a leg is asked about once, not each of its sources. Those of a leg that is left out or refused are remembered under
rows that no table has, see strep.stream.shedding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from strep.audio.formats import PayloadTypeMap
from strep.stream import table as t
from strep.stream.events import StreamIdentity, StreamOpened
from strep.stream.index import UNKNOWN, Key, KeyIndex
from strep.stream.keys import identity_of, stream_key
from strep.stream.outbox import Outbox
from strep.stream.shedding import LeftOut
from strep.stream.state import StreamState
from strep.wire.batch import DatagramBatch, Endpoint
from strep.wire.fate import Fate
from strep.wire.headers import Headers

#: Sources (SSRCs) of one stream: a call on hold changes its SSRC now and then, an attacker all the time.
MAX_SOURCES_PER_STREAM = 64


class Legs:
    """Opens streams, and holds them until they are closed.

    state: by slot, None where it is free. takes_new: whether legs may begin.
    payload_types_of and admits: as in EngineConfig.
    """

    def __init__(
        self,
        sources: t.Sources,
        streams: t.Streams,
        outbox: Outbox,
        payload_types_of: Callable[[StreamIdentity, Endpoint], PayloadTypeMap],
        admits: Callable[[StreamIdentity, Endpoint], bool] | None,
    ) -> None:
        self._sources, self._streams, self._outbox = sources, streams, outbox
        self._payload_types_of, self._admits = payload_types_of, admits
        count, capacity = len(streams.release), sources.capacity
        self.index = KeyIndex(3 * capacity)
        self.state: list[StreamState | None] = [None] * count
        self.takes_new = True
        self._free = list(range(count - 1, -1, -1))
        self._by_key: dict[bytes, StreamState] = {}  # by strep.stream.keys.stream_key
        self._calls: dict[str, list[StreamState]] = {}
        self._shed = LeftOut(capacity, capacity)
        self._refused = LeftOut(2 * capacity, capacity)
        self._asks_again = False

    @property
    def open_streams(self) -> int:
        """Count the streams that are open."""
        return len(self._by_key)

    @property
    def open_calls(self) -> int:
        """Count the legs that are open."""
        return len(self._calls)

    @property
    def left_out_calls(self) -> int:
        """Count the legs that are left out because of the load."""
        return len(self._shed)

    @property
    def refused_calls(self) -> int:
        """Count the legs that were not admitted, as far as they are remembered."""
        return 0 if self._asks_again else len(self._refused)

    @property
    def are_all_taken(self) -> bool:
        """Tell whether every source in the index is one that is taken."""
        return not self._shed and not self._refused

    def streams(self) -> list[StreamState]:
        """Give the streams that are open."""
        return list(self._by_key.values())

    def of_call(self, call: str) -> list[StreamState]:
        """Give the open streams of a leg, by its StreamIdentity.call."""
        return list(self._calls.get(call, ()))

    def youngest(self, calls: int) -> list[StreamState]:
        """Give the streams of so many legs, those that were opened last."""
        return [state for call in list(self._calls)[-calls:] for state in self._calls[call]]

    def silent_since(self, heard_before_ns: int) -> list[StreamState]:
        """Give the streams of the legs of which no direction was heard after a time."""
        quiet = self._sources.silent_since(heard_before_ns)
        slots = self._sources.release[quiet, t.STREAM].tolist()
        calls = dict.fromkeys(state.identity.call for slot in slots if (state := self.state[slot]))
        silent = set(quiet.tolist())
        return [
            state
            for call in calls
            if all(row in silent for state in self._calls[call] for row in state.rows)
            for state in self._calls[call]
        ]

    def stream_of(self, row: int) -> StreamState:
        """Give the stream of a source."""
        state = self.state[int(self._sources.release[row, t.STREAM])]
        assert state is not None
        return state

    def keys_of(self, states: Iterable[StreamState]) -> list[Key]:
        """Give the keys of all sources of streams."""
        return [self.index.key(row) for state in states for row in state.rows]

    def leave_out(self, keys: list[Key]) -> None:
        """Take nothing of sources that were closed because of the load."""
        rows = {key: row for key in keys if (row := self._shed.add(key)) is not None}
        if rows:
            self.index.add(list(rows), list(rows.values()))

    def take_back(self, calls: int) -> None:
        """Take so many legs again that were left out because of the load, those first that were left out first."""
        self._forget(self._shed.take_back(calls))

    def ask_again(self) -> None:
        """Forget who was refused, from the next batch on: whoever is asked may call this."""
        self._asks_again = True

    def begin_batch(self) -> None:
        """Do what was asked for since the batch before."""
        if self._asks_again:
            self._asks_again = False
            self._forget(self._refused.take_back(len(self._refused)))

    def taken(self, row: NDArray[np.int64], fates: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give which packets, by their sources' rows, are of legs that are taken; count the others."""
        capacity = self._sources.capacity
        taken = row < capacity
        refused = np.count_nonzero(row >= 2 * capacity)
        fates[Fate.REJECTED_LEG] += refused
        fates[Fate.OVER_LIMIT_LOAD] += len(row) - np.count_nonzero(taken) - refused
        return np.flatnonzero(taken)

    def admit(
        self,
        batch: DatagramBatch,
        headers: Headers,
        keys: NDArray[np.uint64],
        rows: NDArray[np.int64],
        source: NDArray[np.int64],
    ) -> None:
        """Open sources (and streams) for keys not known yet; `source` is filled in where there was room."""
        unknown = np.flatnonzero(source == UNKNOWN).tolist()
        self._forget(self._refused.make_room(len(unknown)))
        added: dict[Key, int] = {}
        for n in unknown:
            key = keys[n].tobytes()
            if key not in added:
                row = self._open(batch, headers, int(rows[n]), key)
                if row is None:
                    continue
                added[key] = row
            source[n] = added[key]
        if added:
            self.index.add(list(added), list(added.values()))

    def close(self, states: Iterable[StreamState]) -> None:
        """Let go of streams, whose slots and rows may serve again."""
        rows = [row for state in states for row in state.rows]
        for state in states:
            streams = self._calls[state.identity.call]
            streams.remove(state)
            if not streams:
                del self._calls[state.identity.call]
            del self._by_key[state.key]
            self.state[state.slot] = None
            self._free.append(state.slot)
        self._forget(sorted(rows))
        for row in rows:
            self._sources.give_back(row)

    def _forget(self, rows: list[int]) -> None:
        if rows:
            self.index.remove(rows)

    def _open(self, batch: DatagramBatch, headers: Headers, n: int, key: Key) -> int | None:
        stream = self._by_key.get(stream_key(key))
        ssrc, sender, arrival_ns = int(headers.ssrc[n]), int(batch.source[n]), int(batch.arrival_ns[n])
        endpoint = batch.endpoints[sender]
        identity = identity_of(headers, n, endpoint)
        if identity.call not in self._calls and (left_out := self._left_out(key, identity, endpoint)) is not None:
            return left_out.add(key)
        full = not self._free if stream is None else len(stream.rows) >= MAX_SOURCES_PER_STREAM
        row = None if full else self._sources.take()
        if row is None:
            return None
        if stream is None:
            stream = self._open_stream(stream_key(key), identity, endpoint, ssrc, arrival_ns)
        stream.rows.append(row)
        self._sources.state[row] = t.SourceState(row, stream.slot, ssrc, sender, arrival_ns)
        self._sources.intake[row, t.STRAIGHT_PAYLOAD_TYPE] = -1
        self._sources.release[row, t.STREAM] = stream.slot
        return row

    def _left_out(self, key: Key, identity: StreamIdentity, endpoint: Endpoint) -> LeftOut | None:
        """Say among which the source of a leg that is not open belongs; None: the leg may begin."""
        if key in self._refused:
            return self._refused
        if key in self._shed or not self.takes_new:
            return self._shed
        return None if self._admits is None or self._admits(identity, endpoint) else self._refused

    def _open_stream(
        self, key: Key, identity: StreamIdentity, endpoint: Endpoint, ssrc: int, arrival_ns: int
    ) -> StreamState:
        slot = self._free.pop()
        state = StreamState(slot, key, identity, self._payload_types_of(identity, endpoint), arrival_ns)
        columns = self._streams.release[slot]
        columns[:] = 0
        columns[[t.ANCHOR_NS, t.PUBLISHED_ANCHOR_NS]] = arrival_ns
        columns[t.WINDOW_ANCHOR_NS] = t.NEVER
        columns[[t.COLUMNAR_TYPE, t.ACTIVE_ROW]] = -1
        self.state[slot] = self._by_key[key] = state
        self._calls.setdefault(identity.call, []).append(state)
        self._outbox.event(StreamOpened(arrival_ns, slot, identity, ssrc, endpoint.source, endpoint.destination))
        return state
