import numpy as np
import pytest

from strep.emulator.speech import conversation
from strep.errors import ConfigError


@pytest.mark.parametrize("sample_rate_hz", [8000, 16000, 48000])
def test_both_parties_last_equally_long_and_whole_packets(sample_rate_hz):
    caller, agent = conversation(sample_rate_hz)
    assert caller.dtype == agent.dtype == np.int16
    assert len(caller) == len(agent) and len(caller) % (sample_rate_hz // 50) == 0
    assert 20 < len(caller) / sample_rate_hz < 30


def test_the_same_is_said_at_every_sample_rate():
    narrow, wide = conversation(8000)[0].astype(float), conversation(16000)[0].astype(float)
    decimated = wide[::2]  # aliased, but the speech lies mostly below 4 kHz
    assert np.corrcoef(narrow, decimated)[0, 1] > 0.95


def activity(samples, sample_rate_hz=8000):
    """Tell of each 20 ms whether somebody speaks."""
    return np.abs(samples.reshape(-1, sample_rate_hz // 50).astype(int)).max(axis=1) > 200


def test_the_parties_take_turns_are_silent_and_overlap():
    caller, agent = (activity(samples) for samples in conversation(8000))
    share = [np.mean(state) for state in (caller & ~agent, agent & ~caller, caller & agent, ~caller & ~agent)]
    assert share[0] > 0.2 and share[1] > 0.3  # each speaks alone
    assert 0.01 < share[2] < 0.1 and 0.05 < share[3] < 0.3  # both, neither


def pitch_hz(samples, sample_rate_hz=8000):
    """Find the median pitch of a voice by autocorrelation of its loud 40 ms frames."""
    frames = samples.astype(float).reshape(-1, 320)
    frames = frames[np.sqrt(np.mean(frames**2, axis=1)) > 1500]
    spectra = np.abs(np.fft.rfft(frames, 640)) ** 2
    lags = np.fft.irfft(spectra)[:, 25:115]
    return float(np.median(sample_rate_hz / (25 + np.argmax(lags, axis=1))))


def test_the_voices_differ_by_an_octave():
    caller, agent = conversation(8000)
    assert pitch_hz(agent) > 2 * pitch_hz(caller)


def test_speech_is_loud_enough_and_never_clips():
    for samples in conversation(8000):
        spoken = samples.reshape(-1, 160)[activity(samples)].astype(float)
        level_dbfs = 20 * np.log10(np.sqrt(np.mean(spoken**2)) / 32768)
        assert -26 < level_dbfs < -20 and np.abs(samples.astype(int)).max() < 30_000


def test_what_is_shared_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        conversation(8000)[0][0] = 1


@pytest.mark.parametrize("sample_rate_hz", [0, -8000, 11025, 8010, 200_000])
def test_a_rate_that_has_no_whole_packets_is_refused(sample_rate_hz):
    with pytest.raises(ConfigError, match=f"multiple of 50.*{sample_rate_hz}"):
        conversation(sample_rate_hz)
