"""Audio files are read as those of calls, whatever they keep their samples in."""

import os

import numpy as np
import pytest
import soundfile

from strep.audio.sound_file import open_call_audio
from strep.errors import AudioFileError


def read(path):
    with open_call_audio(path) as audio:
        return audio.read()


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "DOUBLE"])
def test_samples_are_as_loud_whatever_the_file_keeps_them_in(tmp_path, subtype):
    soundfile.write(tmp_path / "tone.wav", np.full(800, 0.5), 8000, subtype=subtype)
    np.testing.assert_allclose(read(tmp_path / "tone.wav")[:, 0], 16384, atol=1)


def test_a_float_beyond_full_scale_is_clipped(tmp_path):
    soundfile.write(tmp_path / "loud.wav", np.array([2.0, -2.0, np.nan]), 8000, subtype="FLOAT")
    assert read(tmp_path / "loud.wav")[:, 0].tolist() == [32767, -32768, 0]


def test_a_name_need_not_be_text(tmp_path):
    soundfile.write(tmp_path / "call.wav", np.ones(10, np.int16), 8000)
    odd = tmp_path / os.fsdecode(b"caf\xe9.wav")
    (tmp_path / "call.wav").rename(odd)
    assert len(read(odd)) == 10


def test_a_file_is_read_in_parts(tmp_path):
    soundfile.write(tmp_path / "call.wav", np.arange(20, dtype=np.int16).reshape(10, 2), 16_000)
    with open_call_audio(tmp_path / "call.wav") as audio:
        assert (audio.channels, audio.sample_rate_hz, audio.frames) == (2, 16_000, 10)
        assert [len(audio.read(6)), len(audio.read(6)), len(audio.read(6))] == [6, 4, 0]


def test_a_stream_that_does_not_say_how_long_it_is_is_refused(tmp_path):
    path = tmp_path / "stream.flac"
    soundfile.write(path, np.arange(5000, dtype=np.int16), 8000)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # STREAMINFO: 36 bits of length, 0 where nobody knew, and a sum over all samples, 0 as well
    data[22:42] = bytes(20)
    path.write_bytes(data)
    with pytest.raises(AudioFileError, match="expected a file that says how long it is, found a stream"):
        read(path)


def test_a_file_that_is_damaged_is_told(tmp_path):
    path = tmp_path / "broken.flac"
    soundfile.write(path, np.random.default_rng(1).integers(-99, 99, 50_000).astype(np.int16), 8000)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    path.write_bytes(data)
    with pytest.raises(AudioFileError, match=r"broken.flac: expected audio to the end, found otherwise"):
        read(path)


@pytest.mark.parametrize(
    ("channels", "rate_hz", "says"),
    [(3, 8000, "one or two channels, found 3"), (1, 10, "a sample rate of 1000 to 384000 Hz, found 10")],
)
def test_what_is_no_call_is_refused(tmp_path, channels, rate_hz, says):
    soundfile.write(tmp_path / "odd.wav", np.zeros((100, channels), np.int16), rate_hz)
    with pytest.raises(AudioFileError, match=says):
        read(tmp_path / "odd.wav")
