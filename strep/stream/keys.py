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

import numpy as np
from numpy.typing import NDArray

from strep.stream.events import Direction, Leg, StreamIdentity
from strep.stream.index import Key
from strep.wire.batch import Endpoint

SSRC_BITS = 32
PLAIN = 1 << 34
SENDER_SHIFT = 35
#: Of the byte above the SSRC.
_STREAM_BITS, _LEG_BITS, _PLAIN_BIT = 0b111, 0b110, 0b100
_IDENTITY_BYTES = 16
_FIRST_SENDERS = 64
_ABOVE_SSRC = _IDENTITY_BYTES + SSRC_BITS // 8


#: In Conversations.identity: of a sender that no plain RTP came from yet. No digest is this.
UNLEARNT = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


class Conversations:
    """The conversations of plain RTP, by the number of their senders.

    identity: uint64[senders, 2]. direction: int64[senders].
    """

    def __init__(self) -> None:
        self.identity = np.full((_FIRST_SENDERS, 2), UNLEARNT)
        self.direction = np.zeros(_FIRST_SENDERS, np.int64)

    def make_room(self, senders: int) -> None:
        """Let the columns be as long as the list of senders."""
        while len(self.identity) < senders:
            self.identity = np.concatenate((self.identity, np.full_like(self.identity, UNLEARNT)))
            self.direction = np.append(self.direction, np.zeros_like(self.direction))

    def learn(self, sender: int, endpoint: Endpoint) -> None:
        """Take note of the conversation of a sender that is new."""
        self.identity[sender] = _digest(endpoint.conversation)
        self.direction[sender] = endpoint.direction

    def forget(self, senders: NDArray[np.int64]) -> None:
        """Forget senders, whose numbers others will have."""
        self.identity[senders[senders < len(self.identity)]] = UNLEARNT


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
