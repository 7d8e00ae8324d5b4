"""GStreamer speaks, wrapped in STREP on the way: what is recorded is what it sent, sample for sample."""

import asyncio
import os
import subprocess
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import strep
from strep import AudioFormat, Direction
from tests.audio.signals import snr_db
from tests.peers import media
from tests.peers.media import OPUS_LOOKAHEAD_SAMPLES, Call
from tests.receiving import BOUND_S, RECEIVE_BUFFER_BYTES, recorded, until

pytestmark = pytest.mark.peer


@dataclass(frozen=True)
class Line:
    """Is how GStreamer sends one encoding; `elements` are what it needs for that."""

    rate_hz: int
    encoder: str
    payloader: str

    @property
    def elements(self) -> list[str]:
        return [part.split()[0] for part in f"{self.encoder} ! {self.payloader}".split(" ! ") if "/" not in part]


_PTIME = "min-ptime=20000000 max-ptime=20000000"
#: PCMU goes as it comes, in packets of 1,388 and 660 bytes in turn; the others as telephones do, 20 ms at a time.
LINES = {
    "PCMU": Line(8000, "mulawenc", "rtppcmupay"),
    "PCMA": Line(8000, "alawenc", f"rtppcmapay {_PTIME}"),
    "L16": Line(16000, "audioconvert ! audio/x-raw,format=S16BE", f"rtpL16pay pt=100 {_PTIME}"),
    "G722": Line(16000, "avenc_g722", "rtpg722pay"),
    "GSM": Line(8000, "gsmenc", "rtpgsmpay"),
    "OPUS": Line(48000, "opusenc", "rtpopuspay pt=116"),
}
FORMATS = {100: AudioFormat("L16", 16000, 16000), 116: AudioFormat("OPUS", 48000, 48000, 2)}
#: These give the same bytes whenever they encode the same samples.
REPEATABLE = ["PCMU", "PCMA", "L16", "G722", "GSM"]


def call_leg_id(encoding: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, encoding)


@cache
def has_element(name: str) -> bool:
    return subprocess.run(["gst-inspect-1.0", "--exists", name], check=False).returncode == 0


async def speak(encoding: str, folder: Path, receiver: strep.Receiver) -> dict[Direction, media.Relay]:
    """Let one gst-launch send both directions at once, each to a relay."""
    line, relays = LINES[encoding], {}
    async with AsyncExitStack() as stack:
        command = ["gst-launch-1.0", "-q"]
        for direction in Direction:
            relay = media.open_relay(call_leg_id(encoding), direction, 0, receiver.addresses[0].port)
            relays[direction] = await stack.enter_async_context(relay)
            path = media.source_path(folder, line.rate_hz, direction)
            sink = f"udpsink host=127.0.0.1 port={relays[direction].port}"
            command += f"filesrc location={path} ! wavparse ! {line.encoder} ! {line.payloader} ! {sink}".split()
        await media.run_program(*command)
        for relay in relays.values():
            await relay.finish()
    return relays


async def hold_calls(folder: Path, encodings: list[str]) -> dict[str, Call]:
    """Hold a call in each encoding, all at the same time, with one receiver."""
    sink = strep.RecordingSink(folder / "calls")
    async with strep.Receiver(
        "udp:127.0.0.1:0", sinks=[sink], payload_types=FORMATS, receive_buffer_bytes=RECEIVE_BUFFER_BYTES
    ) as receiver:
        spoken = await asyncio.gather(*(speak(encoding, folder, receiver) for encoding in encodings))
        sent = sum(len(relay.datagrams) for relays in spoken for relay in relays.values())
        await until(lambda: receiver.received == sent)
    assert receiver.counts()["accepted"] == sum(receiver.counts().values()) == sent
    recordings = {recording.identities[0].call_leg_id: recording for recording in sink.recordings}
    assert len(recordings) == len(encodings)
    return {
        encoding: Call({d: relay.packets for d, relay in relays.items()}, 0, recordings[call_leg_id(encoding)])
        for encoding, relays in zip(encodings, spoken, strict=True)
    }


@pytest.fixture(scope="module")
def held_calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Call]:
    folder = tmp_path_factory.mktemp("gstreamer")
    media.write_sources(folder)
    ready = [encoding for encoding, line in LINES.items() if all(map(has_element, line.elements))]
    return asyncio.run(hold_calls(folder, ready))


@pytest.fixture
def call(encoding: str, need: Callable[..., None], request: pytest.FixtureRequest) -> Call:
    """Give the call in one encoding; the first test that asks has all of them held."""
    need("gst-launch-1.0", "gst-inspect-1.0", "ffmpeg")
    missing = [element for element in LINES[encoding].elements if not has_element(element)]
    if missing and os.environ.get("STREP_REQUIRE_PEERS") == "1":
        pytest.fail(f"peers are required here, but GStreamer has no {', '.join(missing)}")
    if missing:
        pytest.skip(f"needs the GStreamer elements {', '.join(missing)}")
    return request.getfixturevalue("held_calls")[encoding]


@pytest.mark.parametrize("encoding", REPEATABLE)
def test_what_arrived_is_all_that_gstreamer_makes_of_the_source(encoding: str, call: Call, tmp_path: Path) -> None:
    line = LINES[encoding]
    media.write_sources(tmp_path)
    for direction in Direction:
        path, raw = media.source_path(tmp_path, line.rate_hz, direction), tmp_path / "encoded"
        command = f"gst-launch-1.0 -q filesrc location={path} ! wavparse ! {line.encoder} ! filesink location={raw}"
        subprocess.run(command.split(), check=True, timeout=BOUND_S)
        assert call.payload(direction) == raw.read_bytes()


@pytest.mark.parametrize("encoding", REPEATABLE)
def test_the_recording_holds_every_sample_as_ffmpeg_decodes_it(encoding: str, call: Call) -> None:
    for direction in Direction:
        expected = media.decoded(encoding, [packet.payload for packet in call.packets[direction]])
        assert call.recording.sample_rate_hz == LINES[encoding].rate_hz
        assert (recorded(call.recording, direction) == expected).all()


@pytest.mark.parametrize(("encoding", "least_db"), [("PCMU", 34), ("PCMA", 34), ("L16", 200)])
def test_the_recording_is_the_source_but_for_the_companding(encoding: str, least_db: float, call: Call) -> None:
    for direction in Direction:
        said = media.source(LINES[encoding].rate_hz, direction)
        assert snr_db(said, recorded(call.recording, direction)) > least_db


@pytest.mark.parametrize("encoding", ["OPUS"])
def test_opus_is_decoded_as_ffmpeg_decodes_it(encoding: str, call: Call) -> None:
    for direction in Direction:
        packets = call.packets[direction]
        heard = recorded(call.recording, direction)
        expected = np.zeros(960 * len(packets), np.int16)
        expected[OPUS_LOOKAHEAD_SAMPLES:] = media.decoded("OPUS", [packet.payload for packet in packets])
        # By its timestamp the second packet begins before the first one ends: GStreamer takes the encoder's look-ahead
        # off the first one's duration. Time comes from timestamps, so what is there twice is heard once.
        twice = 960 - (packets[1].timestamp - packets[0].timestamp) % 2**32
        assert twice in (0, OPUS_LOOKAHEAD_SAMPLES)
        assert len(heard) == len(expected) - twice
        assert snr_db(expected[OPUS_LOOKAHEAD_SAMPLES:960], heard[OPUS_LOOKAHEAD_SAMPLES:960]) > 40
        assert snr_db(expected[960 + twice :], heard[960:]) > 40
        (report,) = (r for r in call.recording.reports if r.identity.direction is direction)
        assert report.overlapped_samples == twice


@pytest.mark.parametrize("encoding", list(LINES))
def test_directions_that_began_at_once_lie_side_by_side(encoding: str, call: Call) -> None:
    assert media.alignment_ms(call.recording) < 20
    assert all(report.samples_by_state["received"] == report.length_samples for report in call.recording.reports)
    assert all(source.lost == 0 for report in call.recording.reports for source in report.sources)
