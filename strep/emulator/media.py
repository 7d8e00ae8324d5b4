"""Lay out the datagrams of a fork in time. Pure: no clock, no socket, and the same seed gives the same datagrams."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from strep.emulator.codec import PACKET_NS
from strep.emulator.impairments import Copies, Impairments, NetworkPath
from strep.emulator.stream import RtpStream
from strep.net.address import UdpAddress

__all__ = ["ForkDatagram", "ForkMedia", "ForkedStream", "Impairments", "RtpStream", "fork_media"]


@dataclass(frozen=True, slots=True)
class ForkedStream:
    """A stream and where its copy goes; `header` goes in front of each packet (STREP, or nothing)."""

    stream: RtpStream
    destination: UdpAddress
    header: bytes = b""


class ForkDatagram(NamedTuple):
    """One datagram to send, `offset_ns` after the fork began: RTP packet number `packet` of stream `stream`."""

    offset_ns: int
    destination: UdpAddress
    data: bytes
    stream: int
    packet: int


class ForkMedia:
    """What lays out the datagrams of a fork as time goes on: of each stream, the packets numbered by `packets`."""

    def __init__(self, streams: Sequence[ForkedStream], packets: range, impairments: Impairments) -> None:
        self._streams, self._packets = streams, packets
        names = (f"{forked.stream.leg} {forked.stream.direction}" for forked in streams)
        self.paths = [NetworkPath(impairments, name) for name in names]
        # When each stream's next packet is due by its own clock, and which one that is.
        self._due: list[tuple[float, int, int]] = [(0.0, n, packets.start) for n in range(len(streams)) if packets]
        # What the network delays, in order of arrival: bounded by the largest jitter.
        self._delayed: list[tuple[int, int, ForkDatagram]] = []
        self._order = count()

    @property
    def next_offset_ns(self) -> int | None:
        """Give when there is something to do next, from the fork's beginning on; None when all is done."""
        if not self._delayed:
            return round(self._due[0][0]) if self._due else None
        delayed_ns = self._delayed[0][0]
        return min(delayed_ns, round(self._due[0][0])) if self._due else delayed_ns

    def take(self, until_ns: int) -> list[ForkDatagram]:
        """Give what is to be sent up to a time, in that order."""
        taken = list[ForkDatagram]()
        while self._due and self._due[0][0] <= until_ns + 0.5:
            due_ns, stream, packet = self._due[0]
            path = self.paths[stream]
            self._lay_out(round(due_ns), stream, packet, path, taken)
            if packet + 1 < self._packets.stop:
                heapq.heapreplace(self._due, (due_ns + path.period_ns(PACKET_NS), stream, packet + 1))
            else:
                heapq.heappop(self._due)
                self._delay(stream, path.flush(round(due_ns)))
        while self._delayed and self._delayed[0][0] <= until_ns:
            taken.append(heapq.heappop(self._delayed)[2])
        return taken

    def _lay_out(self, due_ns: int, number: int, packet: int, path: NetworkPath, taken: list[ForkDatagram]) -> None:
        """Lay out 20 ms of a stream."""
        forked = self._streams[number]
        stream = forked.stream
        if packet >= stream.laid_out:
            stream.laid_out = packet + 1
        packets = stream.rtp_packets(packet)
        if not self._delayed and path.is_clear:  # most are, so let it be cheap
            taken += [ForkDatagram(due_ns, forked.destination, forked.header + rtp, number, n) for n, rtp in packets]
        else:
            self._delay(number, path.carry(due_ns, packets))

    def _delay(self, number: int, arriving: Iterable[Copies]) -> None:
        forked = self._streams[number]
        for offset_ns, packet, rtp, copies in arriving:
            datagram = ForkDatagram(offset_ns, forked.destination, forked.header + rtp, number, packet)
            for _ in range(copies):
                heapq.heappush(self._delayed, (offset_ns, next(self._order), datagram))


def fork_media(streams: Sequence[ForkedStream], packets: range, impairments: Impairments) -> Iterator[ForkDatagram]:
    """Yield every datagram of a fork in the order of sending: of each stream, the packets numbered by `packets`."""
    media = ForkMedia(streams, packets, impairments)
    while (offset_ns := media.next_offset_ns) is not None:
        yield from media.take(offset_ns)
