"""Lay out the datagrams of a fork in time. Pure: no clock, no socket, and the same seed gives the same datagrams.

The network between the platform and you is part of this: `Impairments` lose, double, swap and delay datagrams. Each
direction is a queue of its own: delay alone never puts packets out of order, only `reorder` does.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from strep.emulator.codec import PACKET_NS, Codec
from strep.errors import ConfigError
from strep.net.address import UdpAddress
from strep.stream.events import Direction, Leg
from strep.wire.rtp import RtpPacket


@dataclass(frozen=True, slots=True)
class Impairments:
    """Is what the network does to a fork.

    loss, duplicate, reorder: probabilities, 0 to 1, for each packet. jitter_ms: each packet waits for a random time up
    to this. Equal seeds do equal harm, and raising one probability leaves the others' victims the same.
    Raises ConfigError when a value cannot be.
    """

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    jitter_ms: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("loss", "duplicate", "reorder"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}: expected a probability of 0 to 1, found {getattr(self, name)}")
        if not 0 <= self.jitter_ms <= 10_000:  # beyond that it is an outage, not jitter
            raise ConfigError(f"jitter_ms: expected 0 to 10000, found {self.jitter_ms}")


@dataclass(frozen=True, slots=True)
class RtpStream:
    """Is one direction of one leg, from the first packet of the call on: packet i holds payloads[i % len(payloads)]."""

    leg: Leg
    direction: Direction
    codec: Codec
    payloads: Sequence[bytes]
    ssrc: int
    first_sequence_number: int
    first_timestamp: int

    def packet(self, index: int) -> RtpPacket:
        """Build the packet of one 20 ms interval, counted from the beginning of the call."""
        return RtpPacket(
            payload_type=self.codec.payload_type,
            sequence_number=(self.first_sequence_number + index) & 0xFFFF,
            timestamp=(self.first_timestamp + index * self.codec.packet_ticks) & 0xFFFFFFFF,
            ssrc=self.ssrc,
            payload=self.payloads[index % len(self.payloads)],
        )


@dataclass(frozen=True, slots=True)
class ForkedStream:
    """Is a stream and where its copy goes; `header` goes in front of each packet (STREP, or nothing)."""

    stream: RtpStream
    destination: UdpAddress
    header: bytes = b""


class Datagram(NamedTuple):
    """Is one datagram to send, `offset_ns` after the fork began: packet `packet` of the fork's stream `stream`."""

    offset_ns: int
    destination: UdpAddress
    data: bytes
    stream: int
    packet: int


def fork_media(streams: Sequence[ForkedStream], packets: range, impairments: Impairments) -> Iterator[Datagram]:
    """Yield every datagram of a fork in the order of sending: of each stream, the packets numbered by `packets`."""
    each = (_stream_media(number, forked, packets, impairments) for number, forked in enumerate(streams))
    return heapq.merge(*each, key=attrgetter("offset_ns"))


def _stream_media(number: int, forked: ForkedStream, packets: range, impairments: Impairments) -> Iterator[Datagram]:
    """Yield one stream's datagrams; a reordered packet is held back until right after its successor."""
    chance = random.Random(f"{impairments.seed} {forked.stream.leg} {forked.stream.direction}")
    offset_ns, held = 0, list[tuple[int, int]]()  # at most one: its index and copies
    for nth, index in enumerate(packets):
        # Four draws for every packet, used or not: so each kind of harm has the same victims whatever the others are.
        is_lost, is_doubled, is_late, delay = (chance.random() for _ in range(4))
        offset_ns = max(offset_ns, nth * PACKET_NS + round(delay * impairments.jitter_ms * 1e6))
        packet = (index, 0 if is_lost < impairments.loss else 2 if is_doubled < impairments.duplicate else 1)
        if is_late < impairments.reorder and not held:
            held = [packet]
            continue
        for due in (packet, *held):
            yield from _copies(number, forked, *due, offset_ns)
        held = []
    for due in held:  # nothing came after it
        yield from _copies(number, forked, *due, offset_ns)


def _copies(number: int, forked: ForkedStream, index: int, copies: int, offset_ns: int) -> Iterator[Datagram]:
    if copies:
        data = forked.header + forked.stream.packet(index).serialize()
        yield from [Datagram(offset_ns, forked.destination, data, number, index)] * copies
