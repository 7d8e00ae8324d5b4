"""Keep a fork while it runs, and the account of what it sent: the truth that a recording is compared with."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from strep.audio.decoders import new_decoder
from strep.emulator.impairments import Impairments
from strep.emulator.media import ForkDatagram, ForkedStream, ForkMedia, RtpStream
from strep.stream.events import Direction

#: The account begins with room for a minute, and doubles when it is full.
_ACCOUNT_PACKETS = 3000


class SentStream:
    """The account of one direction of one leg.

    A packet is 20 ms of the call, counted from its beginning. A number counts RTP packets from there; it runs ahead of
    the packets where telephone events were sent, and behind them after a pause (see strep.emulator.script).

    stream: what was forked. first_packet, first_number: where the fork began. copies: uint8[n], how many datagrams the
    kernel took of RTP packet first_number + i. refused: datagrams that the kernel did not take.
    """

    def __init__(self, stream: RtpStream, packets: range) -> None:
        self.stream = stream
        self.first_packet = packets.start
        self.first_number = stream.number(packets.start)
        # A byte for each RTP packet: a call of four hours, the longest that the platform allows, takes 0.7 MB.
        self.copies: NDArray[np.uint8] = np.zeros(min(len(packets), _ACCOUNT_PACKETS), np.uint8)
        self.refused = 0

    def count(self, number: int, was_sent: bool) -> None:
        """Enter one datagram: of which RTP packet it is, and whether the kernel took it."""
        index = number - self.first_number
        if not was_sent:
            self.refused += 1
            return
        if index >= len(self.copies):
            self.copies = np.pad(self.copies, (0, max(len(self.copies), index + 1 - len(self.copies))))
        self.copies[index] += 1

    @property
    def end_packet(self) -> int:
        """Give the packet after the last one sent."""
        sent = self._numbers
        return self.stream.packet_of(self.first_number + sent - 1) + 1 if sent else self.first_packet

    @property
    def packets(self) -> int:
        """Count the RTP packets sent, a doubled one once."""
        return int(np.count_nonzero(self.copies))

    @property
    def lost(self) -> int:
        """Count the RTP packets lost between the first of the fork and the last sent."""
        return self._numbers - self.packets

    @property
    def duplicates(self) -> int:
        """Count the datagrams that repeated a packet."""
        return int(self.copies.sum()) - self.packets

    @property
    def first_sample(self) -> int:
        """Give the call's position of the first sample, at the codec's sample rate."""
        return self.first_packet * self.stream.codec.packet_samples

    def payloads(self) -> list[bytes]:
        """List the encoded audio of each 20 ms from first_packet to end_packet, what the network lost included.

        Where no audio was to be sent (a pause, a telephone event), it is empty.
        """
        return [self.stream.payload(packet) for packet in self._packets]

    def samples(self) -> NDArray[np.int16]:
        """Give what was spoken from first_packet to end_packet, before it was encoded; zeros in a pause: int16[n]."""
        return np.concatenate([np.zeros(0, np.int16), *map(self.stream.samples, self._packets)])

    def arrived(self) -> NDArray[np.bool_]:
        """Tell of each 20 ms from first_packet to end_packet whether there was audio and it was sent: bool[n]."""
        return np.array([self._has_arrived(packet) for packet in self._packets], np.bool_)

    def heard(self) -> NDArray[np.int16]:
        """Give what a faithful receiver hears from first_packet to end_packet, int16[n].

        What arrived, decoded in order and in its place; zeros everywhere else.
        """
        decoder, silent = new_decoder(self.stream.codec.format), np.zeros(self.stream.codec.packet_samples, np.int16)
        heard = [np.zeros(0, np.int16)]
        for packet in self._packets:
            has_arrived = self._has_arrived(packet)
            heard.append(decoder.decode(self.stream.payload(packet)) if has_arrived else silent)
        return np.concatenate(heard)

    @property
    def _numbers(self) -> int:
        """Count the RTP packets made until the last one that was sent."""
        sent = np.flatnonzero(self.copies)
        return int(sent[-1]) + 1 if len(sent) else 0

    @property
    def _packets(self) -> range:
        return range(self.first_packet, self.end_packet)

    def _has_arrived(self, packet: int) -> bool:
        index = self.stream.number(packet) - self.first_number
        return bool(self.stream.has_audio(packet) and index < len(self.copies) and self.copies[index])


class Fork:
    """The copying of a call's media, from fork_start until fork_stop, hang-up or the end of the conversation."""

    def __init__(
        self,
        call_leg_id: uuid.UUID,
        stream_type: str,
        streams: Sequence[ForkedStream],
        packets: range,
        impairments: Impairments,
    ) -> None:
        self.call_leg_id = call_leg_id
        self.stream_type = stream_type
        self.sent = tuple(SentStream(forked.stream, packets) for forked in streams)
        #: Plain RTP is told apart by where it comes from alone, so such a fork needs sockets of its own.
        self.is_plain = not all(forked.header for forked in streams)
        self._media = ForkMedia(streams, packets, impairments)
        self._impairments = impairments
        self._ended = asyncio.Event()

    @property
    def is_active(self) -> bool:
        """Tell whether there is more to send."""
        return not self._ended.is_set()

    @property
    def impairments(self) -> Impairments:
        """Give what the network does to all directions, but for those that `impair` made an exception of."""
        return self._impairments

    @impairments.setter
    def impairments(self, impairments: Impairments) -> None:
        self.impair(impairments)

    def impair(self, impairments: Impairments, direction: Direction | None = None) -> None:
        """Have the network do this from the next packet on, to one direction or to all."""
        if direction is None:
            self._impairments = impairments
        for path, sent in zip(self._media.paths, self.sent, strict=True):
            if direction in (None, sent.stream.direction):
                path.impairments = impairments

    @property
    def next_offset_ns(self) -> int | None:
        """Give when there is something to do next, from the fork's beginning on; None when all is done."""
        return self._media.next_offset_ns

    def take(self, until_ns: int) -> list[ForkDatagram]:
        """Give what is to be sent up to a time, in that order. What has been given is not given again."""
        return self._media.take(until_ns)

    def media(self) -> Iterator[ForkDatagram]:
        """Yield all that is left to send, in order."""
        while (offset_ns := self.next_offset_ns) is not None:
            yield from self.take(offset_ns)

    def count(self, datagram: ForkDatagram, was_sent: bool) -> None:
        """Enter one datagram into the account."""
        self.sent[datagram.stream].count(datagram.packet, was_sent)

    def end(self) -> None:
        """Send nothing more."""
        self._ended.set()

    async def wait_ended(self) -> None:
        """Wait until there is nothing more to send."""
        await self._ended.wait()
