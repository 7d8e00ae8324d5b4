"""Hold back what comes of a leg that is not open, until its sender proves that it is RTP (RFC 3550 A.1).

1. The proof is two packets of one source whose sequence numbers follow each other. It holds for all that this sender
   sent to the leg: that was held back until then, and is taken now, at its own time. Waiting for it loses nothing.
2. What is held back is bounded in time (HOLD_NS since the sender's last packet), in packets each, in senders and in
   bytes; the oldest goes first. Random datagrams of 100,000 a second leave a call 160 ms for its second packet.
3. Who was proven but may not begin yet, because there is no slot, goes on to be held back.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import NamedTuple

from strep.stream.index import Key
from strep.stream.keys import leg_and_sender, sender_of
from strep.stream.legs import NewSource
from strep.wire.fate import Fate

#: Comfort noise comes every few 100 ms; whoever sends more seldom than this begins with what comes next.
HOLD_NS = 5_000_000_000
#: Packets each: 1.28 s at 10 ms. What is done at whole seconds (slots, owners) finds all that waited for it.
MOST_PACKETS = 128
#: Each takes 0.8 KB with its first packet.
MOST_SENDERS = 16_384
MOST_BYTES = 8 << 20


class HeldPacket(NamedTuple):
    """A datagram that was held back: whose it is, and the fate that it was counted by."""

    new: NewSource
    sequence_number: int
    timestamp: int
    datagram: bytes
    fate: Fate


class _Candidate:
    """What one sender sent to one leg."""

    __slots__ = ("is_proven", "next_sequence_number", "packets")

    def __init__(self) -> None:
        self.packets: deque[HeldPacket] = deque()
        self.next_sequence_number: dict[Key, int] = {}  # by source
        self.is_proven = False


class Probation:
    """A bounded store of packets that are held back, by leg and sender."""

    def __init__(self) -> None:
        self._candidates: OrderedDict[bytes, _Candidate] = OrderedDict()  # who was heard last is the last
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._candidates)

    def is_proven(self, key: Key, sequence_number: int | None = None) -> bool:
        """Tell whether a source's sender has proven itself, or does so by the packet of this number."""
        candidate = self._candidates.get(leg_and_sender(key))
        if candidate is None:
            return False
        return candidate.is_proven or candidate.next_sequence_number.get(key) == sequence_number

    def hold(self, packet: HeldPacket) -> None:
        """Hold a packet back."""
        key = packet.new.key
        whose = leg_and_sender(key)
        candidate = self._candidates.setdefault(whose, _Candidate())
        candidate.is_proven |= candidate.next_sequence_number.get(key) == packet.sequence_number
        candidate.next_sequence_number[key] = (packet.sequence_number + 1) & 0xFFFF
        candidate.packets.append(packet)
        self._bytes += len(packet.datagram)
        self._candidates.move_to_end(whose)
        if len(candidate.packets) > MOST_PACKETS:
            gone = candidate.packets.popleft()
            self._bytes -= len(gone.datagram)
            if gone.new.key not in {other.new.key for other in candidate.packets}:
                del candidate.next_sequence_number[gone.new.key]
        while len(self._candidates) > MOST_SENDERS or self._bytes > MOST_BYTES:
            self._pop(next(iter(self._candidates)))

    def release(self, key: Key) -> list[HeldPacket]:
        """Give what was held back of a source's leg and sender, in order of arrival, and forget it."""
        whose = leg_and_sender(key)
        return self._pop(whose) if whose in self._candidates else []

    def expire(self, now_ns: int) -> None:
        """Forget those that have not been heard for HOLD_NS."""
        for whose in list(self._candidates):
            if self._candidates[whose].packets[-1].new.arrival_ns > now_ns - HOLD_NS:
                break
            self._pop(whose)

    def senders(self) -> set[int]:
        """Give the numbers of all whose packets are held back."""
        return {sender_of(candidate.packets[-1].new.key) for candidate in self._candidates.values()}

    def _pop(self, whose: bytes) -> list[HeldPacket]:
        packets = self._candidates.pop(whose).packets
        self._bytes -= sum(len(packet.datagram) for packet in packets)
        return list(packets)
