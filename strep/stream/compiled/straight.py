"""Let the compiled steps take what is straight of a batch, and say what is left."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from strep.stream import table as t
from strep.stream.compiled.hand_on import hand_on
from strep.stream.compiled.identify import identify
from strep.stream.compiled.take import take
from strep.stream.index import KeyIndex
from strep.stream.intake import Accepted, Packets
from strep.stream.keys import PacketKeys
from strep.stream.placed import Placed
from strep.wire.batch import DatagramBatch
from strep.wire.fate import Fate

#: Packets at a time. With what they lead to they take some 400 bytes each, and fit into a cache of 64 KB. To feed one
#: takes 108 ns where there are 128 or 256 of them, 140 where 16, 123 where 1,024 or all in two passes.
BLOCK = 128


class StraightPath:
    """Is the compiled steps over one engine's tables."""

    def __init__(
        self,
        sources: t.Sources,
        streams: t.Streams,
        keys: PacketKeys,
        index: KeyIndex,
        fates: NDArray[np.int64],
    ) -> None:
        self._sources, self._streams, self._keys, self._index, self._fates = sources, streams, keys, index, fates
        self._seen = np.zeros(len(streams.release), np.int64)
        self._payload_bytes = 1  # the longest payload of the batch before

    def take(self, batch: DatagramBatch) -> tuple[Accepted, Packets, int, NDArray[np.int64]]:
        """Identify and account for packets up to one that is not straight to identify.

        Gives what was laid into cells; all packets, of which so many were looked at; and which of those are left.
        """
        self._keys.make_room(len(batch.endpoints))
        packets = _unidentified(batch)
        accepted, end, rest = self._take(batch, packets, self._payload_bytes, identified=False)
        if end:
            self._payload_bytes = max(1, int(packets.payload_length[:end].max()))
        return accepted, packets, end, rest

    def identify(self, batch: DatagramBatch) -> tuple[Packets, int]:
        """Read headers and find sources; `row` is UNKNOWN for as many packets as are left, the second value."""
        self._keys.make_room(len(batch.endpoints))
        packets = _unidentified(batch)
        missed = identify(*self._finding(batch), *_columns(packets))
        return packets, missed

    def account(self, batch: DatagramBatch, packets: Packets) -> tuple[Accepted, NDArray[np.int64]]:
        """Account for packets that are identified; gives what was laid into cells, and which packets are left."""
        self._payload_bytes = max(1, int(packets.payload_length.max()))
        accepted, _, rest = self._take(batch, packets, self._payload_bytes, identified=True)
        return accepted, rest

    def _take(
        self, batch: DatagramBatch, packets: Packets, payload_bytes: int, *, identified: bool
    ) -> tuple[Accepted, int, NDArray[np.int64]]:
        sources, n = self._sources, len(packets.row)
        row, sequence, rest = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
        cells = np.empty((n, t.CELL_COLUMNS), np.int64)
        payload = np.empty((n, payload_bytes), np.uint8)
        end, taken = take(
            BLOCK,
            identified,
            packets.arrival_ns,
            packets.claim,
            sources.intake,
            sources.intake_f,
            sources.release,
            sources.cells,
            sources.payloads.next_number,
            self._seen,
            row,
            sequence,
            cells,
            payload,
            rest,
            *self._finding(batch),
            *_columns(packets),
        )
        self._fates[Fate.ACCEPTED] += taken
        row, sequence, cells, payload = row[:taken], sequence[:taken], cells[:taken], payload[:taken]
        accepted = Accepted(row, sequence, cells[:, t.CELL_ARRIVAL_NS], cells, payload)
        if taken:
            sources.payloads.append(row, sequence, payload, int(accepted.arrival_ns[-1]))
        return accepted, end, rest[: end - taken]

    def _finding(self, batch: DatagramBatch) -> tuple[Any, ...]:
        """Give the arguments by which the kernels find the source of each datagram."""
        index, keys = self._index, self._keys
        datagrams = batch.flat, batch.offset, batch.length, batch.source
        tables = index.keys, index.tables, index.shift, index.multipliers
        return *datagrams, keys.conversation, keys.direction, *tables

    def hand_on(self, accepted: Accepted) -> tuple[Placed, NDArray[np.int64], NDArray[np.int64]]:
        """Place and decode packets; gives them, the slots of streams whose anchor moved, and which packets are left."""
        assert accepted.cells is not None
        assert accepted.payload is not None
        n = len(accepted.row)
        slots, position, arrival_ns, kind, moved, rest = (np.empty(n, np.int64) for _ in range(6))
        samples = np.empty(accepted.payload.shape, np.int16)
        taken, told = hand_on(
            accepted.row,
            accepted.sequence,
            accepted.cells,
            accepted.payload,
            self._sources.release,
            self._streams.release,
            self._seen,
            slots,
            position,
            arrival_ns,
            kind,
            samples,
            moved,
            rest,
        )
        placed = Placed(kind[:taken], slots[:taken], position[:taken], samples[:taken], arrival_ns[:taken])
        return placed, moved[:told], rest[: n - taken]


def _unidentified(batch: DatagramBatch) -> Packets:
    """Make room for the headers of a batch."""
    n = len(batch)
    columns = [np.empty(n, np.int64) for _ in range(6)]
    row, sequence_number, timestamp, rtp_start, payload_start, payload_length = columns
    return Packets(
        row,
        batch.arrival_ns,
        np.empty(n, np.uint8),
        np.empty(n, np.bool_),
        sequence_number,
        timestamp,
        rtp_start,
        payload_start,
        payload_length,
        np.zeros(n, np.uint8),
        batch.flat,
    )


def _columns(packets: Packets) -> tuple[Any, ...]:
    """Give the arguments that the kernels write what they have found to."""
    return (
        packets.row,
        packets.payload_type,
        packets.marker,
        packets.sequence_number,
        packets.timestamp,
        packets.rtp_start,
        packets.payload_start,
        packets.payload_length,
    )
