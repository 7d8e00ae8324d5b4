"""Hold back what comes of a leg that is not open, until its sender proves that it is RTP (RFC 3550 A.1).

1. The proof is a packet whose sequence number follows that of the last one of its source. It holds for all that this
   sender sent to the leg: that was held back until then, and is taken now, at its own time. Waiting loses nothing.
2. What is held back is bounded in time (HOLD_NS since the sender's last packet), in packets each, in senders and in
   bytes; the oldest goes first. Random datagrams of 100,000 a second leave a call 160 ms for its second packet.
3. Who was proven but may not begin yet, because there is no slot, goes on to be held back.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from strep.stream.index import Key
from strep.stream.keys import leg_and_sender, sender_of
from strep.wire.fate import Fate

#: Comfort noise comes every few 100 ms; whoever sends more seldom than this begins with what comes next.
HOLD_NS = 5_000_000_000
#: Packets each: 1.28 s at 10 ms. What is done at whole seconds (slots, owners) finds all that waited for it.
MOST_PACKETS = 128
#: Each takes 0.6 KB with its first packet.
MOST_SENDERS = 16_384
MOST_BYTES = 8 << 20


class HeldPacket(NamedTuple):
    """A datagram that is held back: its source, its RTP numbers, when it came, and the fate that it was counted by."""

    key: Key
    sequence_number: int
    timestamp: int
    arrival_ns: int
    datagram: bytes
    fate: Fate


def _arrival_ns(packet: HeldPacket) -> int:
    return packet.arrival_ns


class Probation:
    """A bounded store of packets that are held back, by leg and sender."""

    def __init__(self) -> None:
        self._held: OrderedDict[bytes, list[HeldPacket]] = OrderedDict()  # who was heard last is the last
        self._proven: set[bytes] = set()
        self._bytes = 0
        self._unproven = 0

    def __len__(self) -> int:
        return len(self._held)

    @property
    def unproven_packets(self) -> int:
        """Count the packets that may still prove to be RTP: what holds them back is REJECTED_PROBATION alone."""
        return self._unproven

    def is_proven(self, key: Key, sequence_number: int | None = None) -> bool:
        """Tell whether a source's sender has proven itself, or does so by the packet of this number."""
        whose = leg_and_sender(key)
        return whose in self._proven or self._proves(whose, key, sequence_number)

    def hold(self, packet: HeldPacket) -> None:
        """Hold a packet back."""
        whose = leg_and_sender(packet.key)
        held = self._held.get(whose)
        if held is None:
            self._held[whose] = [packet]
        else:
            if self._proves(whose, packet.key, packet.sequence_number):
                self._proven.add(whose)
            held.append(packet)
            self._held.move_to_end(whose)
            if len(held) > MOST_PACKETS:
                self._count(held.pop(0), -1)
        self._count(packet, 1)
        while len(self._held) > MOST_SENDERS or self._bytes > MOST_BYTES:
            self._pop(next(iter(self._held)))

    def release(self, key: Key) -> list[HeldPacket]:
        """Give what was held back of a source's leg and sender, in order of arrival, and forget it."""
        whose = leg_and_sender(key)
        packets = self._pop(whose) if whose in self._held else []
        return sorted(packets, key=_arrival_ns)  # what was taken, found no place and is held again came late

    def expire(self, now_ns: int) -> None:
        """Forget those that have not been heard for HOLD_NS."""
        while self._held:
            whose, held = next(iter(self._held.items()))
            if held[-1].arrival_ns > now_ns - HOLD_NS:
                break
            self._pop(whose)

    def senders(self) -> set[int]:
        """Give the numbers of all whose packets are held back."""
        return {sender_of(held[-1].key) for held in self._held.values()}

    def _proves(self, whose: bytes, key: Key, sequence_number: int | None) -> bool:
        for packet in reversed(self._held.get(whose, ())):
            if packet.key == key:
                return (packet.sequence_number + 1) & 0xFFFF == sequence_number
        return False

    def _pop(self, whose: bytes) -> list[HeldPacket]:
        self._proven.discard(whose)
        held = self._held.pop(whose)
        for packet in held:
            self._count(packet, -1)
        return held

    def _count(self, packet: HeldPacket, sign: int) -> None:
        self._bytes += sign * len(packet.datagram)
        if packet.fate is Fate.REJECTED_PROBATION:
            self._unproven += sign
