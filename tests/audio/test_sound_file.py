"""Audio files are read as those of calls, whatever they keep their samples in."""

import numpy as np
import pytest
import soundfile

from strep.audio.sound_file import open_call_audio
from strep.errors import ConfigError


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


def test_a_file_is_read_in_parts(tmp_path):
    soundfile.write(tmp_path / "call.wav", np.arange(20, dtype=np.int16).reshape(10, 2), 16_000)
    with open_call_audio(tmp_path / "call.wav") as audio:
        assert (audio.channels, audio.sample_rate_hz, audio.frames) == (2, 16_000, 10)
        assert [len(audio.read(6)), len(audio.read(6)), len(audio.read(6))] == [6, 4, 0]


@pytest.mark.parametrize(
    ("channels", "rate_hz", "says"),
    [(3, 8000, "one or two channels, found 3"), (1, 10, "a sample rate of 1000 to 384000 Hz, found 10")],
)
def test_what_is_no_call_is_refused(tmp_path, channels, rate_hz, says):
    soundfile.write(tmp_path / "odd.wav", np.zeros((100, channels), np.int16), rate_hz)
    with pytest.raises(ConfigError, match=says):
        read(tmp_path / "odd.wav")
