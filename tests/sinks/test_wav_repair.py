import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from strep.sinks.wav_file import Encoding, WavFormat
from strep.sinks.wav_repair import examine_wav, repair_wav

FORMATS = [
    WavFormat(encoding, 8000, channels)
    for encoding in (Encoding.PCM16, Encoding.ULAW, Encoding.ALAW)
    for channels in (1, 2)
]
PAD = 1 << 32


def rf64(data_bytes: int, *, claims_bytes: int, name: bytes = b"RF64", chunk: bytes = b"ds64") -> bytes:
    """A header of 80 bytes, for 16-bit stereo at 8 kHz; as RIFF it has kept room for larger sizes."""
    sizes = struct.pack("<QQQI", claims_bytes + 72, claims_bytes, claims_bytes // 4, 0)
    plain = struct.pack("<I", min(claims_bytes, PAD - 1))
    wav_format = WavFormat(Encoding.PCM16, 8000, 2).header(0)[12:36]
    assert data_bytes % 4 == 0
    return name + plain + b"WAVE" + chunk + struct.pack("<I", 28) + sizes + wav_format + b"data" + plain


@given(
    wav_format=st.sampled_from(FORMATS),
    frames=st.integers(0, 300),
    claimed=st.integers(0, 300),
    torn_bytes=st.integers(0, 3),
)
def test_a_header_counts_all_whole_frames_whatever_it_claimed(
    tmp_path_factory: pytest.TempPathFactory, wav_format: WavFormat, frames: int, claimed: int, torn_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("wav") / "x.wav"
    torn = b"\1" * min(torn_bytes, wav_format.frame_bytes - 1)
    path.write_bytes(wav_format.header(claimed) + b"\1" * (frames * wav_format.frame_bytes) + torn)
    content = repair_wav(path)
    assert (content.encoding, content.channels, content.sample_rate_hz) == (
        wav_format.encoding,
        wav_format.channels,
        8000,
    )
    assert content.frames == frames
    assert content.is_right == (claimed == frames)
    assert path.read_bytes()[: wav_format.header_bytes] == wav_format.header(frames)
    assert examine_wav(path).is_right
    assert soundfile.info(path).frames == frames


def test_the_byte_that_makes_a_chunk_even_is_no_sample(tmp_path: Path) -> None:
    wav_format, path = WavFormat(Encoding.ULAW, 8000, 1), tmp_path / "x.wav"
    path.write_bytes(wav_format.header(3) + b"\1\2\3\0")
    assert repair_wav(path).is_right
    path.write_bytes(wav_format.header(2) + b"\1\2\3\0")  # killed before its header was written
    assert repair_wav(path).frames == 3
    path.write_bytes(wav_format.header(4) + b"\1\2\3\0")
    assert repair_wav(path).frames == 4


@pytest.mark.parametrize("claims_bytes", [0, 400, 4_000_000_000_000])
def test_rf64_sizes_are_those_of_ds64(tmp_path: Path, claims_bytes: int) -> None:
    path, samples = tmp_path / "x.wav", np.arange(200, dtype="<i2")
    path.write_bytes(rf64(400, claims_bytes=claims_bytes) + samples.tobytes())
    content = repair_wav(path)
    assert (content.frames, content.is_right) == (100, False), "libsndfile is content with less, we are not"
    assert np.array_equal(soundfile.read(path, dtype="int16")[0].ravel(), samples)
    assert struct.unpack_from("<QQQ", path.read_bytes(), 20) == (472, 400, 100)
    assert repair_wav(path).is_right


def test_what_has_grown_beyond_4_gib_becomes_rf64_where_there_is_room_for_it(tmp_path: Path) -> None:
    path, data_bytes = tmp_path / "x.wav", PAD + 400
    with path.open("wb") as file:
        file.write(rf64(400, claims_bytes=400, name=b"RIFF", chunk=b"JUNK"))
        file.truncate(80 + data_bytes)  # a hole
    assert repair_wav(path).frames == data_bytes // 4
    assert soundfile.info(path).frames == data_bytes // 4
    with path.open("wb") as file:
        file.write(WavFormat(Encoding.PCM16, 8000, 2).header(1))
        file.truncate(44 + data_bytes)
    with pytest.raises(ValueError, match="expected at most 4 GiB, or room for larger sizes, found 4294967740 bytes"):
        repair_wav(path)


@given(st.binary(max_size=200))
def test_what_is_no_wav_file_of_ours_is_a_value_error_and_not_touched(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("wav") / "x.wav"
    for beginning in (b"", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0", b"RF64\0\0\0\0WAVEds64"):
        path.write_bytes(beginning + content)
        try:
            repair_wav(path)
        except ValueError:
            assert path.read_bytes() == beginning + content
        else:
            assert examine_wav(path).is_right


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "found one that begins with b''"),
        (b"RIFF\0\0\0\0WAVEfmt ", "header cut short"),
        (WavFormat(Encoding.PCM16, 8000, 2).header(0).replace(b"fmt ", b"LIST"), r"found the chunks \[b'LIST'"),
        (WavFormat(Encoding.PCM16, 8000, 3).header(0), "in 3 channels"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=found):
        examine_wav(path)
