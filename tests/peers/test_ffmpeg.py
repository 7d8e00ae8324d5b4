"""ffmpeg speaks: plain RTP to two ports, and wrapped in STREP on the way. The truth is what it encodes into a file."""

import asyncio
import subprocess
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import strep
from strep import AudioFormat, Direction
from strep.errors import ReceiveError
from strep.net.address import UdpAddress
from strep.net.udp import open_udp
from strep.sinks.recordings import Recording
from tests.audio.signals import snr_db
from tests.peers import media
from tests.peers.media import OPUS_LOOKAHEAD_SAMPLES
from tests.receiving import BOUND_S, RECEIVE_BUFFER_BYTES, recorded, until

pytestmark = pytest.mark.peer


@dataclass(frozen=True)
class Line:
    """Is how ffmpeg sends one encoding, and the form of a file that holds the same payload bytes."""

    rate_hz: int
    encoder: str
    file_form: str


#: G.711 and G.722 go in as large packets as ffmpeg likes to make.
LINES = {
    "PCMU": Line(8000, "pcm_mulaw", "mulaw"),
    "PCMA": Line(8000, "pcm_alaw", "alaw"),
    "G722": Line(16000, "g722", "g722"),
    "OPUS": Line(48000, "libopus -application voip -frame_duration 20", "ogg"),
}
#: What ffmpeg gives audio that has no number of its own; 96 is for video.
FORMATS = {97: AudioFormat("OPUS", 48000, 48000, 2)}
WAYS = ["ports", "relay"]


@dataclass(frozen=True)
class Outcome:
    """Is what came of one call."""

    recording: Recording
    received: int
    counts: dict[str, int]


def receiver(folder: Path, **addresses: object) -> tuple[strep.Receiver, strep.RecordingSink]:
    sink = strep.RecordingSink(folder)
    settings = {"sinks": [sink], "payload_types": FORMATS, "receive_buffer_bytes": RECEIVE_BUFFER_BYTES}
    return strep.Receiver(**addresses, **settings), sink


def free_pairs(count: int) -> list[int]:
    """Find ports, even as RFC 3550 section 11 wants them, each of which is free together with the next."""
    pairs: list[int] = []
    with ExitStack() as held:  # until all are found, so that none is found twice
        for _ in range(100 * count):
            if len(pairs) == count:
                return pairs
            with suppress(ReceiveError):
                port = held.enter_context(closing(open_udp(UdpAddress("127.0.0.1", 0)))).local_address.port
                if port % 2 == 0:
                    held.enter_context(closing(open_udp(UdpAddress("127.0.0.1", port + 1))))
                    pairs.append(port)
    raise AssertionError(f"expected {count} pairs of free ports, found {pairs}")


async def speak(encoding: str, folder: Path, urls: dict[Direction, str]) -> None:
    """Let one ffmpeg send both directions at the pace of speech."""
    command = ["ffmpeg", "-nostdin", "-v", "error"]
    for direction in Direction:
        command += ["-re", "-i", str(media.source_path(folder, LINES[encoding].rate_hz, direction))]
    for direction in Direction:
        command += f"-map {int(direction)} -c:a {LINES[encoding].encoder} -f rtp {urls[direction]}".split()
    await media.run_program(*command)


async def call_to_ports(encoding: str, folder: Path, port: int) -> Outcome:
    """Send to rx and tx, the port after rx: ffmpeg's RTCP of rx arrives at tx, and so does that of tx itself."""
    addresses = {"rx": UdpAddress("127.0.0.1", port), "tx": UdpAddress("127.0.0.1", port + 1)}
    rx, tx = f"rtp://127.0.0.1:{port}", f"rtp://127.0.0.1:{port + 1}?rtcpport={port + 1}"
    receiving, sink = receiver(folder / f"ports-{encoding}", **addresses)
    async with receiving:
        await speak(encoding, folder, {Direction.INBOUND: rx, Direction.OUTBOUND: tx})
    (recording,) = sink.recordings
    return Outcome(recording, receiving.received, receiving.counts())


async def call_by_relay(encoding: str, folder: Path, ports: dict[Direction, int]) -> Outcome:
    """Send to relays that put a STREP header in front of RTP and RTCP alike."""
    receiving, sink = receiver(folder / f"relay-{encoding}", target="udp:127.0.0.1:0")
    async with receiving, AsyncExitStack() as stack:
        leg, relays = uuid.uuid4(), []
        for direction in Direction:
            for port in (ports[direction], ports[direction] + 1):
                relay = media.open_relay(leg, direction, port, receiving.addresses[0].port)
                relays.append(await stack.enter_async_context(relay))
        await speak(encoding, folder, {d: f"rtp://127.0.0.1:{port}" for d, port in ports.items()})
        for relay in relays:
            await relay.finish()
        await until(lambda: receiving.received == sum(len(relay.datagrams) for relay in relays))
    (recording,) = sink.recordings
    return Outcome(recording, receiving.received, receiving.counts())


async def hold_calls(folder: Path) -> dict[tuple[str, str], Outcome]:
    """Hold a call in each encoding, each way, all at the same time."""
    names, calls, ports = [], [], iter(free_pairs(3 * len(LINES)))
    for encoding in LINES:
        names += [("ports", encoding), ("relay", encoding)]
        calls.append(call_to_ports(encoding, folder, next(ports)))
        calls.append(call_by_relay(encoding, folder, {direction: next(ports) for direction in Direction}))
    return dict(zip(names, await asyncio.gather(*calls), strict=True))


@pytest.fixture(scope="module")
def held_calls(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Outcome]:
    folder = tmp_path_factory.mktemp("ffmpeg")
    media.write_sources(folder)
    return asyncio.run(hold_calls(folder))


@pytest.fixture
def call(way: str, encoding: str, need: Callable[..., None], request: pytest.FixtureRequest) -> Outcome:
    """Give one call; the first test that asks has all of them held."""
    need("ffmpeg")
    return request.getfixturevalue("held_calls")[way, encoding]


def truth(encoding: str, direction: Direction, folder: Path) -> NDArray[np.int16]:
    """Let ffmpeg encode the source into a file, and decode that."""
    line, path, file = LINES[encoding], media.source_path(folder, LINES[encoding].rate_hz, direction), folder / "file"
    command = f"ffmpeg -nostdin -v error -y -i {path} -c:a {line.encoder} -f {line.file_form} {file}"
    subprocess.run(command.split(), check=True, timeout=BOUND_S)
    return media.decoded_file(encoding, file.read_bytes())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("encoding", ["PCMU", "PCMA", "G722"])
def test_the_recording_holds_every_sample_that_ffmpeg_encoded(
    way: str, encoding: str, call: Outcome, tmp_path: Path
) -> None:
    media.write_sources(tmp_path)
    assert call.recording.sample_rate_hz == LINES[encoding].rate_hz
    for direction in Direction:
        assert (recorded(call.recording, direction) == truth(encoding, direction, tmp_path)).all()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("encoding", ["OPUS"])
def test_the_recording_holds_the_opus_that_ffmpeg_encoded(
    way: str, encoding: str, call: Outcome, tmp_path: Path
) -> None:
    media.write_sources(tmp_path)
    for direction in Direction:
        heard = recorded(call.recording, direction)[OPUS_LOOKAHEAD_SAMPLES:]
        expected = truth(encoding, direction, tmp_path)
        assert len(expected) >= media.SECONDS * 48000
        assert 0 <= len(heard) - len(expected) < 960  # a file ends in mid-packet
        assert snr_db(expected, heard[: len(expected)]) > 40


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("encoding", list(LINES))
def test_rtcp_is_told_from_rtp_and_every_datagram_is_counted_once(way: str, encoding: str, call: Outcome) -> None:
    counts = {name: count for name, count in call.counts.items() if count}
    assert set(counts) == {"accepted", "not_audio_rtcp"}
    assert counts["not_audio_rtcp"] >= 2  # a sender report of each direction
    assert sum(counts.values()) == call.received


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("encoding", list(LINES))
def test_directions_that_began_at_once_lie_side_by_side(way: str, encoding: str, call: Outcome) -> None:
    assert media.alignment_ms(call.recording) < 20
