"""Say which source a packet belongs to: its key, and the identity of its stream.

A key is two 64-bit words of identity (the call_leg_id, or the number of a plain RTP conversation, which has none) and a
word of SSRC, L, D and whether the packet is plain. The key of a stream is its sources' with the SSRC left out.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from strep.stream.events import Direction, Leg, StreamIdentity
from strep.wire.batch import DatagramBatch, Endpoint
from strep.wire.headers import Headers

SSRC_BITS = 32
PLAIN = 1 << 34


class PacketKeys:
    """Makes keys; numbers the conversations of plain RTP by the endpoints that their datagrams came from."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.conversation = np.zeros(0, np.int64)
        self.direction = np.zeros(0, np.int64)

    def of(self, batch: DatagramBatch, headers: Headers) -> NDArray[np.uint64]:
        """Give each packet's key, uint64[n, 3]."""
        keys = np.empty((len(batch), 3), np.uint64)
        keys[:, :2] = headers.id_words
        tail = headers.leg_direction.astype(np.int64)
        tail <<= SSRC_BITS
        tail |= headers.ssrc
        if not headers.strep.all():
            plain = np.flatnonzero(~headers.strep)
            conversation, direction = self._look_up(batch.endpoints, batch.source[plain])
            keys[plain, 0] = conversation
            tail[plain] |= direction << SSRC_BITS | PLAIN
        keys[:, 2] = tail
        return keys

    def _look_up(
        self, endpoints: Sequence[Endpoint], source: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give conversation number and direction of each datagram's endpoint."""
        self.learn(endpoints)
        return self.conversation[source], self.direction[source]

    def learn(self, endpoints: Sequence[Endpoint]) -> None:
        """Number the conversations of endpoints that are new: `conversation` and `direction`, int64, by endpoint."""
        if len(endpoints) > len(self.conversation):
            new = endpoints[len(self.conversation) :]
            numbers = [self._numbers.setdefault(e.conversation, len(self._numbers)) for e in new]
            self.conversation = np.concatenate((self.conversation, np.array(numbers, np.int64)))
            self.direction = np.concatenate((self.direction, np.array([e.direction for e in new], np.int64)))


def stream_key(key: tuple[int, int, int]) -> tuple[int, int, int]:
    """Give the key of the stream that a source's key belongs to."""
    return key[0], key[1], key[2] >> SSRC_BITS


def identity_of(headers: Headers, n: int, endpoint: Endpoint) -> StreamIdentity:
    """Give the identity of the stream that the n-th packet belongs to."""
    if not headers.strep[n]:
        return StreamIdentity(None, Leg.A, Direction(endpoint.direction), endpoint.conversation)
    leg_direction = int(headers.leg_direction[n])
    call_leg_id = uuid.UUID(bytes=headers.id_words[n].tobytes())
    return StreamIdentity(call_leg_id, Leg(leg_direction >> 1), Direction(leg_direction & 1))
