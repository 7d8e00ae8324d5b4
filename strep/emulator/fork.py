"""Keep a fork while it runs, and the account of what it sent: the truth that a recording is compared with."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from strep.emulator.media import Datagram, ForkedStream, Impairments, RtpStream, fork_media
from strep.emulator.speech import conversation


class SentStream:
    """Is the account of one direction of one leg. Packets are numbered from the beginning of the call, 20 ms each.

    stream: what was forked. first_packet: where the fork began. copies: uint8[n], how many datagrams the kernel took
    of packet first_packet + i; n is what was left of the call then. refused: datagrams that the kernel did not take.
    """

    def __init__(self, stream: RtpStream, packets: range) -> None:
        self.stream = stream
        self.first_packet = packets.start
        self.copies: NDArray[np.uint8] = np.zeros(len(packets), dtype=np.uint8)
        self.refused = 0

    @property
    def end_packet(self) -> int:
        """Give the number after the last packet sent."""
        sent = np.flatnonzero(self.copies)
        return self.first_packet + (int(sent[-1]) + 1 if len(sent) else 0)

    @property
    def packets(self) -> int:
        """Count the packets sent, a doubled one once."""
        return int(np.count_nonzero(self.copies))

    @property
    def lost(self) -> int:
        """Count the packets lost between the first of the fork and the last sent."""
        return self.end_packet - self.first_packet - self.packets

    @property
    def duplicates(self) -> int:
        """Count the datagrams that repeated a packet."""
        return int(self.copies.sum()) - self.packets

    @property
    def first_sample(self) -> int:
        """Give the conversation position of the first sample, at the codec's sample rate."""
        return self.first_packet * self.stream.codec.packet_samples

    def payloads(self) -> list[bytes]:
        """List the encoded payloads from first_packet to end_packet, those that the network lost included."""
        every = self.stream.payloads
        return [every[index % len(every)] for index in range(self.first_packet, self.end_packet)]

    def samples(self) -> NDArray[np.int16]:
        """Give what was spoken from first_packet to end_packet, before it was encoded: int16[n]."""
        codec = self.stream.codec
        spoken = conversation(codec.format.sample_rate_hz)[self.stream.leg ^ self.stream.direction]
        span = np.arange(self.first_packet * codec.packet_samples, self.end_packet * codec.packet_samples)
        return spoken.take(span, mode="wrap")


class Fork:
    """Is the copying of a call's media, from fork_start until fork_stop, hang-up or the end of the conversation."""

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
        self._streams, self._packets, self._impairments = streams, packets, impairments
        self._ended = asyncio.Event()

    @property
    def is_active(self) -> bool:
        """Tell whether there is more to send."""
        return not self._ended.is_set()

    def media(self) -> Iterator[Datagram]:
        """Yield what there is to send, in order."""
        return fork_media(self._streams, self._packets, self._impairments)

    def count(self, datagram: Datagram, was_sent: bool) -> None:
        """Enter one datagram into the account."""
        account = self.sent[datagram.stream]
        if was_sent:
            account.copies[datagram.packet - account.first_packet] += 1
        else:
            account.refused += 1

    def end(self) -> None:
        """Send nothing more."""
        self._ended.set()

    async def wait_ended(self) -> None:
        """Wait until there is nothing more to send."""
        await self._ended.wait()
