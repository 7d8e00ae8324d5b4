"""What the tests with real senders share: sources, a relay that wraps RTP in STREP, and ffmpeg as the judge."""

from __future__ import annotations

import asyncio
import io
import socket
import subprocess
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from strep import Direction
from strep.sinks.recordings import Recording
from strep.wire.rtp import RtpPacket
from strep.wire.strep import StrepHeader
from tests.audio.signals import speech_like
from tests.receiving import BOUND_S, streams_of

SECONDS = 2.0
#: What libopus's encoder looks ahead, at 48 kHz.
OPUS_LOOKAHEAD_SAMPLES = 312
_END = b"that was all"


def source(rate_hz: int, direction: Direction) -> NDArray[np.int16]:
    """Make what one party says: int16[n]; the two directions are nothing alike."""
    speech = speech_like(SECONDS, rate_hz, seed=1 + direction)
    return speech if direction is Direction.INBOUND else speech[::-1].copy()


def write_sources(folder: Path) -> None:
    """Write what both parties say into WAV files, at every rate that a test asks for."""
    for rate_hz in (8000, 16000, 48000):
        for direction in Direction:
            soundfile.write(source_path(folder, rate_hz, direction), source(rate_hz, direction), rate_hz)


def source_path(folder: Path, rate_hz: int, direction: Direction) -> Path:
    """Give where `write_sources` put a file."""
    return folder / f"{direction.name.lower()}-{rate_hz}.wav"


async def run_program(*command: str) -> None:
    """Run a program to its end, and fail with what it said if that is not a good one. It never outlives this call."""
    program = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        said, _ = await asyncio.wait_for(program.communicate(), BOUND_S)
    finally:
        with suppress(ProcessLookupError):
            program.kill()
        await program.wait()
    assert program.returncode == 0, f"{' '.join(command)}: {said.decode(errors='replace')[-2000:]}"


class Relay(asyncio.DatagramProtocol):
    """Passes on what arrives at one port with a STREP header in front, and keeps it."""

    def __init__(self, header: StrepHeader, target: tuple[str, int]) -> None:
        self.datagrams: list[bytes] = []
        self._header, self._target = header.serialize(), target
        self._ended = asyncio.Event()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data == _END:
            self._ended.set()
            return
        self.datagrams.append(data)
        self._transport.sendto(self._header + data, self._target)

    @property
    def port(self) -> int:
        """Give the port to send to."""
        return self._transport.get_extra_info("sockname")[1]

    @property
    def packets(self) -> list[RtpPacket]:
        """Parse the RTP that was passed on."""
        return [RtpPacket.parse(datagram) for datagram in self.datagrams]

    async def finish(self) -> None:
        """Wait until everything that was sent here before has been passed on."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(_END, ("127.0.0.1", self.port))
        async with asyncio.timeout(BOUND_S):
            await self._ended.wait()


@asynccontextmanager
async def open_relay(call_leg_id: uuid.UUID, direction: Direction, port: int, to_port: int) -> AsyncIterator[Relay]:
    """Open one relay from a port of loopback (0: any) to another."""
    loop = asyncio.get_running_loop()
    header = StrepHeader(call_leg_id, 0, direction)
    transport, relay = await loop.create_datagram_endpoint(
        lambda: Relay(header, ("127.0.0.1", to_port)), local_addr=("127.0.0.1", port)
    )
    try:
        yield relay
    finally:
        transport.close()


@dataclass(frozen=True)
class Call:
    """Is one call as it came out: what each direction sent, and what was recorded."""

    packets: Mapping[Direction, list[RtpPacket]]
    control_packets: int
    recording: Recording

    def payload(self, direction: Direction) -> bytes:
        """Join what the packets of one direction carried."""
        return b"".join(packet.payload for packet in self.packets[direction])


def alignment_ms(recording: Recording) -> float:
    """Give how far apart the two directions lie in a recording whose sender began both at once."""
    inbound, outbound = (stream["start_s"] for stream in streams_of(recording))
    return abs(inbound - outbound) * 1000


def ffmpeg(data: bytes, *options: str, to: str = "s16le") -> bytes:
    """Let ffmpeg read `data` as `options` say, and write another form of it."""
    command = ["ffmpeg", "-v", "error", *options, "-i", "pipe:0", "-f", to, "pipe:1"]
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=BOUND_S).stdout


def decoded(encoding: str, payloads: list[bytes]) -> NDArray[np.int16]:
    """Decode payloads by ffmpeg's command line, as `decoded_file` does."""
    return decoded_file(encoding, ogg_opus(payloads) if encoding == "OPUS" else b"".join(payloads))


def decoded_file(encoding: str, data: bytes) -> NDArray[np.int16]:
    """Decode a file by ffmpeg's command line, which is another release than the one in PyAV: int16[n].

    A file of Opus is Ogg, of the others just payload bytes. Of Opus, the first OPUS_LOOKAHEAD_SAMPLES are missing:
    a player drops them, a recorder of RTP cannot know of them.
    """
    forms = {
        "PCMU": ["-f", "mulaw", "-ar", "8000", "-ac", "1"],
        "PCMA": ["-f", "alaw", "-ar", "8000", "-ac", "1"],
        "L16": ["-f", "s16be", "-ar", "16000", "-ac", "1"],
        "G722": ["-f", "g722"],
        "GSM": ["-f", "gsm"],
        "OPUS": ["-c:a", "libopus", "-f", "ogg"],
    }
    return np.frombuffer(ffmpeg(data, *forms[encoding]), "<i2").astype(np.int16)


def ogg_opus(packets: list[bytes]) -> bytes:
    """Put Opus packets of 20 ms into an Ogg file (RFC 7845); it says to skip OPUS_LOOKAHEAD_SAMPLES."""
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=48000, layout="mono")
        for number, data in enumerate(packets):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 48000)
            packet.pts = packet.dts = number * 960
            packet.duration = 960
            container.mux(packet)
    return file.getvalue()
