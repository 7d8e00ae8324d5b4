"""The decoders against ffmpeg's command line, on the same payload bytes.

Two releases of libavcodec are compared, never one with itself: ours is the one in PyAV's wheel (62.28, with libopus
1.6.1, when this was written), ffmpeg's the system's (59.37, with libopus 1.3.1). The integer decoders must agree on
every sample. Opus decodes in floating point where releases may differ, so there the law is a ratio.
"""

import io
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from strep.audio.decoders import new_decoder
from strep.audio.formats import parse_format
from tests.audio.signals import audio_frames, encoded, random_payloads, snr_db, speech_like

pytestmark = pytest.mark.peer
Need = Callable[..., None]


def ffmpeg(data: bytes, *options: str, to: str = "s16le") -> bytes:
    command = ["ffmpeg", "-v", "error", *options, "-i", "pipe:0", "-f", to, "pipe:1"]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def ffmpeg_samples(data: bytes, *options: str) -> NDArray[np.int16]:
    return np.frombuffer(ffmpeg(data, *options), "<i2").astype(np.int16)


def ours(name: str, payloads: list[bytes]) -> NDArray[np.int16]:
    decoder = new_decoder(parse_format(name))
    samples = np.concatenate([decoder.decode(payload) for payload in payloads])
    assert decoder.errors == 0
    return samples


def captured_payloads(path: Path, payload_type: int | None) -> list[bytes]:
    """Read the RTP payloads of an Ethernet capture: one payload type, or all the dynamic ones."""
    data, payloads, start = path.read_bytes(), [], 24
    while start < len(data):
        (length,) = struct.unpack_from("<I", data, start + 8)
        frame = data[start + 16 : start + 16 + length]
        start += 16 + length
        if frame[12:14] != b"\x08\x00" or frame[23] != 17:  # not UDP over IPv4
            continue
        udp = frame[14 + 4 * (frame[14] & 15) :]
        rtp = udp[8 : struct.unpack_from(">H", udp, 4)[0]]
        if len(rtp) > 12 and rtp[0] == 0x80:
            found = rtp[1] & 0x7F
            if found == payload_type or (payload_type is None and found >= 96):
                payloads.append(rtp[12:])
    return payloads


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("PCMU", ["-f", "mulaw", "-ar", "8000"], 160),
        ("PCMA", ["-f", "alaw", "-ar", "8000"], 160),
        ("L16/16000", ["-f", "s16be", "-ar", "16000"], 640),
        ("G722", ["-f", "g722"], 160),
        ("GSM", ["-f", "gsm"], 33),
        ("GSM", ["-f", "gsm"], 99),
        ("G729", ["-f", "g729"], 10),
        ("G729", ["-f", "g729"], 20),
    ],
)
def test_random_payloads_decode_as_ffmpeg_decodes_them(name: str, options: list[str], size: int, need: Need) -> None:
    need("ffmpeg")
    payloads = random_payloads(400, size, seed=size)
    expected = ffmpeg_samples(b"".join(payloads), *options)
    assert expected.any()
    assert (ours(name, payloads) == expected).all()


def test_encoded_speech_in_g722_decodes_as_ffmpeg_decodes_it(need: Need) -> None:
    need("ffmpeg")
    speech = speech_like(4.0, 16000)
    payloads = encoded("g722", speech, 16000, 320)
    decoded = ours("G722", payloads)
    assert (decoded == ffmpeg_samples(b"".join(payloads), "-f", "g722")).all()
    # Both decoders could agree on nonsense; G.722's filters delay by 22 samples.
    assert snr_db(speech[100 : len(decoded) - 22], decoded[122:]) > 15


def test_encoded_speech_in_gsm_decodes_as_ffmpeg_decodes_it(need: Need) -> None:
    need("ffmpeg")
    speech = speech_like(4.0, 8000)
    data = ffmpeg(speech.astype("<i2").tobytes(), "-f", "s16le", "-ar", "8000", "-ac", "1", to="gsm")
    payloads = [data[start : start + 33] for start in range(0, len(data), 33)]
    decoded = ours("GSM", payloads)
    assert (decoded == ffmpeg_samples(data, "-f", "gsm")).all()
    assert np.corrcoef(decoded[: len(speech)], speech[: len(decoded)])[0, 1] > 0.8


@pytest.mark.parametrize(
    ("file", "name", "payload_type"),
    [("sip-rtp-g729a", "G729", 18), ("sip-rtp-gsm", "GSM", 3), ("sip-rtp-g722", "G722", 9)],
)
def test_captured_calls_decode_as_ffmpeg_decodes_them(
    file: str, name: str, payload_type: int, need: Need, captures: Path
) -> None:
    need("ffmpeg")
    payloads = captured_payloads(captures / "wireshark-samples" / f"{file}.pcap", payload_type)
    assert len(payloads) == 425
    expected = ffmpeg_samples(b"".join(payloads), "-f", name.lower())
    assert (ours(name, payloads) == expected).all()
    # It is speech: at a speaking level, and not white, as it would be if frames were cut up wrongly.
    voice = expected.astype(float)
    assert 300 < voice.std() < 3000
    assert np.corrcoef(voice[:-1], voice[1:])[0, 1] > 0.8


def ogg_opus(sound: NDArray[np.int16], frame_ms: int, **more: str) -> tuple[bytes, list[bytes]]:
    """Encode, and return an Ogg file and the packets that are in it."""
    file, packets = io.BytesIO(), []
    with av.open(file, "w", format="ogg") as container:
        options = {"frame_duration": str(frame_ms), "application": "voip", **more}
        stream = container.add_stream("libopus", rate=48000, options=options, layout="mono")
        for frame in [*audio_frames(sound, 48000, frame_ms * 48), None]:
            for packet in stream.encode(frame):
                packets.append(bytes(packet))
                container.mux(packet)
    return file.getvalue(), packets


REDUNDANT = {"fec": "1", "packet_loss": "30", "b": "24000"}


@pytest.mark.parametrize("more", [{}, REDUNDANT], ids=["plain", "redundant"])
@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
def test_opus_decodes_as_ffmpeg_decodes_it(frame_ms: int, more: dict[str, str], need: Need) -> None:
    need("ffmpeg")
    file, packets = ogg_opus(speech_like(3.0, 48000), frame_ms, **more)
    expected = ffmpeg_samples(file, "-f", "ogg", "-c:a", "libopus")
    # A player drops the encoder's look-ahead (312 samples, the pre-skip of RFC 7845); a recorder of RTP cannot know it.
    decoded = ours("opus/48000/2", packets)[312 : 312 + len(expected)]
    assert len(expected) > 2.9 * 48000
    assert snr_db(expected, decoded) > 40


def test_a_captured_opus_call_decodes_without_error(captures: Path) -> None:
    payloads = captured_payloads(captures / "wireshark-samples" / "sip-rtp-opus.pcap", None)
    decoded = ours("opus/48000/2", payloads)
    assert len(decoded) == 425 * 960
    assert 300 < decoded.std() < 3000
