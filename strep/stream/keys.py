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
from strep.wire.fate import Fate
from strep.wire.headers import Headers

SSRC_BITS = 32
PLAIN = 1 << 34


#: In PacketKeys.conversation: of an endpoint that no plain RTP came from yet. No key has it, read as a word.
UNLEARNT = -1


class PacketKeys:
    """Makes keys; numbers the conversations of plain RTP by the endpoints that their datagrams came from.

    conversation, direction: int64, by endpoint, of those that plain RTP came from.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._next = 0
        self.conversation = np.zeros(0, np.int64)
        self.direction = np.zeros(0, np.int64)

    def of(self, batch: DatagramBatch, headers: Headers) -> NDArray[np.uint64]:
        """Give each RTP packet's key, uint64[n, 3]; those of other datagrams mean nothing."""
        keys = np.empty((len(batch), 3), np.uint64)
        keys[:, :2] = headers.id_words
        tail = headers.leg_direction.astype(np.int64)
        tail <<= SSRC_BITS
        tail |= headers.ssrc
        if not headers.strep.all():
            plain = np.flatnonzero(~headers.strep & (headers.fate == Fate.ACCEPTED))
            conversation, direction = self._look_up(batch.endpoints, batch.source[plain])
            keys[plain, 0] = conversation
            tail[plain] |= direction << SSRC_BITS | PLAIN
        keys[:, 2] = tail
        return keys

    def _look_up(
        self, endpoints: Sequence[Endpoint], source: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give conversation number and direction of each datagram's endpoint."""
        self.make_room(len(endpoints))
        unlearnt = source[self.conversation[source] == UNLEARNT]
        for number in np.unique(unlearnt).tolist():
            endpoint = endpoints[number]
            self.conversation[number] = self._number_of(endpoint.conversation)
            self.direction[number] = endpoint.direction
        return self.conversation[source], self.direction[source]

    def make_room(self, endpoints: int) -> None:
        """Let the columns be as long as the list of endpoints."""
        more = endpoints - len(self.conversation)
        if more > 0:
            more = max(more, len(self.conversation))  # so that a growing list is not copied each time
            self.conversation = np.append(self.conversation, np.full(more, UNLEARNT))
            self.direction = np.append(self.direction, np.zeros(more, np.int64))

    def forget(self, endpoints: NDArray[np.int64]) -> None:
        """Forget endpoints, whose numbers others will have, and conversations that no endpoint belongs to any more."""
        self.conversation[endpoints[endpoints < len(self.conversation)]] = UNLEARNT
        kept = set(self.conversation.tolist())
        self._numbers = {name: number for name, number in self._numbers.items() if number in kept}

    def _number_of(self, conversation: str) -> int:
        """Number a conversation; no number ever serves again."""
        number = self._numbers.setdefault(conversation, self._next)
        self._next += number == self._next
        return number


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
