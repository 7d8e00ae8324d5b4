"""Say which source a packet belongs to: its key, and the identity of its stream.

A key is three 64-bit words: two of identity (the call_leg_id, or a digest of the name of a plain RTP conversation,
which has none), and one of SSRC (32 bits), D, L, whether the packet is plain, and above these the number of its sender.
So what another address sends is another source, whatever it claims to be. The key of a stream is its sources' without
SSRC and sender; that of a leg is without D, too.
"""

from __future__ import annotations

import hashlib
import sys
import uuid
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from strep.stream.events import Direction, Leg, StreamIdentity
from strep.stream.index import KEY_WORDS, Key
from strep.wire.batch import DatagramBatch, Endpoint
from strep.wire.fate import Fate
from strep.wire.headers import Headers

SSRC_BITS = 32
PLAIN = 1 << 34
SENDER_SHIFT = 35
#: Of the byte above the SSRC.
_STREAM_BITS, _LEG_BITS, _PLAIN_BIT = 0b111, 0b110, 0b100
_IDENTITY_BYTES = 16
_ABOVE_SSRC = _IDENTITY_BYTES + SSRC_BITS // 8


#: In PacketKeys.conversation: of an endpoint that no plain RTP came from yet. No digest is this.
UNLEARNT = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


class PacketKeys:
    """Keys of packets; knows the conversations of plain RTP by the endpoints that their datagrams came from.

    conversation: uint64[endpoints, 2], the identity of each endpoint's conversation. direction: int64[endpoints].
    """

    def __init__(self) -> None:
        self.conversation = np.full((0, 2), UNLEARNT)
        self.direction = np.zeros(0, np.int64)

    def of(self, batch: DatagramBatch, headers: Headers) -> NDArray[np.uint64]:
        """Give each RTP packet's key, uint64[n, 3]; those of other datagrams mean nothing."""
        keys = np.empty((len(batch), KEY_WORDS), np.uint64)
        keys[:, :2] = headers.id_words
        tail = headers.leg_direction.astype(np.int64)
        tail <<= SSRC_BITS
        tail |= headers.ssrc
        tail |= batch.source << SENDER_SHIFT
        if not headers.strep.all():
            plain = np.flatnonzero(~headers.strep & (headers.fate == Fate.ACCEPTED))
            senders = batch.source[plain]
            self._learn(batch.endpoints, senders)
            keys[plain, :2] = self.conversation[senders]
            tail[plain] |= self.direction[senders] << SSRC_BITS | PLAIN
        keys[:, 2] = tail
        return keys

    def make_room(self, endpoints: int) -> None:
        """Let the columns be as long as the list of endpoints."""
        more = endpoints - len(self.conversation)
        if more > 0:
            more = max(more, len(self.conversation))  # so that a growing list is not copied each time
            self.conversation = np.concatenate((self.conversation, np.full((more, 2), UNLEARNT)))
            self.direction = np.append(self.direction, np.zeros(more, np.int64))

    def forget(self, endpoints: NDArray[np.int64]) -> None:
        """Forget endpoints, whose numbers others will have."""
        self.conversation[endpoints[endpoints < len(self.conversation)]] = UNLEARNT

    def _learn(self, endpoints: Sequence[Endpoint], senders: NDArray[np.int64]) -> None:
        """Take note of the conversations of senders that are new."""
        self.make_room(len(endpoints))
        unlearnt = senders[self.conversation[senders, 0] == UNLEARNT]
        for number in np.unique(unlearnt).tolist():
            self.conversation[number] = _digest(endpoints[number].conversation)
            self.direction[number] = endpoints[number].direction


def _digest(conversation: str) -> tuple[int, int]:
    digest = hashlib.blake2b(conversation.encode(), digest_size=_IDENTITY_BYTES).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")


def stream_key(key: Key) -> bytes:
    """Give the key of the stream that a source's key belongs to."""
    return key[:_IDENTITY_BYTES] + bytes((key[_ABOVE_SSRC] & _STREAM_BITS,))


def leg_key(key: Key) -> bytes:
    """Give what the keys of a leg's sources have in common."""
    return key[:_IDENTITY_BYTES] + bytes((key[_ABOVE_SSRC] & _LEG_BITS,))


def leg_and_sender(key: Key) -> bytes:
    """Give what the keys of all sources have in common that one sender has in one leg."""
    above = key[_ABOVE_SSRC:]
    return key[:_IDENTITY_BYTES] + bytes((above[0] & ~1,)) + above[1:]


def sender_of(key: Key) -> int:
    """Give the number of a source's sender."""
    return int.from_bytes(key[_IDENTITY_BYTES:], sys.byteorder) >> SENDER_SHIFT


def identity_of(key: Key, endpoint: Endpoint) -> StreamIdentity:
    """Give the identity of the stream that a source's key belongs to; plain RTP is named by its endpoint."""
    bits = key[_ABOVE_SSRC]
    if bits & _PLAIN_BIT:
        return StreamIdentity(None, Leg.A, Direction(endpoint.direction), endpoint.conversation)
    return StreamIdentity(uuid.UUID(bytes=key[:_IDENTITY_BYTES]), Leg(bits >> 1 & 1), Direction(bits & 1))


def ssrc_of(key: Key) -> int:
    """Give a source's SSRC."""
    return int.from_bytes(key[_IDENTITY_BYTES:_ABOVE_SSRC], sys.byteorder)
