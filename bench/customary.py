"""Receive as one does without strep: a DatagramProtocol, one call a datagram, struct or aiortc for the headers.

What each does per packet is what a first working program does: read the STREP and RTP headers, find the stream in a
dictionary, decode to int16. No loss, no order, no clock, no file. Decoding is by two bytes.translate and an
interleaving copy, 0.7 µs for 160 bytes; the ways through numpy took 1.0 to 1.4 µs. (audioop took 0.1 µs, and left
Python in 3.13.)
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.drains import bind_deep
from bench.turns import Progress
from strep.audio.g711 import Law, decode
from strep.net.source import QueueMeter

_STREP = struct.Struct("!BB6x16s")
_RTP = struct.Struct("!BBHII")
_SAMPLES = decode(np.arange(256, dtype=np.uint8), Law.MU).astype("<i2").view(np.uint8)
_LOW_BYTES, _HIGH_BYTES = _SAMPLES[0::2].tobytes(), _SAMPLES[1::2].tobytes()
#: A loop that has not seen all by then has lost some.
_PATIENCE_S = 10.0


def decode_packet(payload: bytes) -> bytearray:
    """Decode mu-law to little-endian int16 without numpy."""
    samples = bytearray(2 * len(payload))
    samples[0::2] = payload.translate(_LOW_BYTES)
    samples[1::2] = payload.translate(_HIGH_BYTES)
    return samples


class StructProtocol(asyncio.DatagramProtocol):
    """A struct protocol that reads headers by struct. `latest` has the last packet of each stream; `all_here` is set at
    `awaited` packets.
    """

    def __init__(self) -> None:
        self.received = 0
        self.awaited = 0
        self.all_here = asyncio.Event()
        self.latest: dict[tuple[bytes, int], tuple[int, int, bytearray]] = {}

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Take one datagram."""
        first, header_bytes, call_leg_id = _STREP.unpack_from(data)
        _, _, sequence_number, timestamp, _ = _RTP.unpack_from(data, header_bytes)
        samples = decode_packet(data[header_bytes + 12 :])
        self.latest[call_leg_id, first & 3] = sequence_number, timestamp, samples
        self.received += 1
        if self.received == self.awaited:
            self.all_here.set()


def aiortc_protocol() -> type[StructProtocol]:
    """Make the protocol that reads RTP headers by aiortc. Raises ImportError where aiortc is missing."""
    from aiortc.rtp import RtpPacket

    class AiortcProtocol(StructProtocol):
        """An aiortc protocol that reads the STREP header by struct, the RTP header by aiortc."""

        def datagram_received(self, data: bytes, addr: Any) -> None:
            """Take one datagram."""
            first, header_bytes, call_leg_id = _STREP.unpack_from(data)
            packet = RtpPacket.parse(data[header_bytes:])
            samples = decode_packet(packet.payload)
            self.latest[call_leg_id, first & 3] = packet.sequence_number, packet.timestamp, samples
            self.received += 1
            if self.received == self.awaited:
                self.all_here.set()

    return AiortcProtocol


def uvloop_loop() -> asyncio.AbstractEventLoop:
    """Make a loop of uvloop's. Raises ImportError where it is missing."""
    import uvloop

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


class ProtocolDrain:
    """A protocol drain that runs an event loop until all that was queued went through a DatagramProtocol."""

    def __init__(
        self, queued: int, protocol: Callable[[], StructProtocol], new_loop: Callable[[], asyncio.AbstractEventLoop]
    ) -> None:
        bound = bind_deep(queued)
        self.address = bound.address
        self._queue = QueueMeter(bound.socket)
        self._loop = new_loop()
        self._transport, self._protocol = self._loop.run_until_complete(
            self._loop.create_datagram_endpoint(protocol, sock=bound.socket)
        )

    def drain(self, queued: int) -> None:
        """Take all that is queued."""
        self._loop.run_until_complete(self._until(self._protocol.received + queued))

    async def _until(self, received: int) -> None:
        self._protocol.awaited = received
        self._protocol.all_here.clear()
        patience = self._loop.call_later(_PATIENCE_S, self._protocol.all_here.set)
        await self._protocol.all_here.wait()
        patience.cancel()

    def progress(self) -> Progress:
        """Tell what was done so far."""
        self._queue.update()
        received = self._protocol.received
        return Progress(received, received, received, self._queue.drops or 0)

    def close(self) -> None:
        """Close the socket and the loop."""
        self._transport.close()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()
