"""What is too much to be seen is reduced to what matters of it."""

import numpy as np
import pytest

from strep.pictures.reduction import envelope, spectrogram
from strep.pictures.sheet import Side

RATE = 8000


def side(seconds=2.0, hz=1000.0, **given):
    samples = (8000 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)).astype(np.int16)
    return Side(**{"name": "inbound", "start_s": 0.0, "sample_rate_hz": RATE, "samples": samples, **given})


def test_the_envelope_has_every_peak():
    samples = np.zeros(100_000, np.int16)
    samples[77_777] = 32_767
    samples[5] = -32_768
    at_s, low, high = envelope(side(samples=samples))
    assert (low.min(), round(high.max(), 3)) == (-1.0, 1.0)
    assert at_s[high.argmax()] == pytest.approx(77_777 / RATE, abs=0.02)


@pytest.mark.parametrize("hz", [500.0, 1000.0, 3000.0])
def test_a_tone_is_where_its_frequency_is(hz):
    power_db, _, edges_khz = spectrogram(side(hz=hz))
    strongest = power_db.mean(axis=1).argmax()
    assert edges_khz[strongest] * 1000 == pytest.approx(hz, abs=40)


@pytest.mark.parametrize("seconds", [2.0, 60.0, 300.0])
def test_a_short_tone_is_seen_where_it_is_however_long_the_call(seconds):
    samples = np.zeros(int(seconds * RATE), np.int16)
    at = int(0.61 * seconds * RATE)
    samples[at : at + 400] = side(0.05, 1000.0).samples
    power_db, edges_s, edges_khz = spectrogram(side(samples=samples, start_s=3.0))
    (times,) = np.nonzero(power_db.max(axis=0) > -10)
    assert edges_s[times[0]] <= 3 + (at + 200) / RATE <= edges_s[times[-1] + 1]
    assert edges_s[times[-1] + 1] - edges_s[times[0]] < 0.05 + 0.04 + 3 * seconds / 1400
    assert edges_khz[power_db[:, times].mean(axis=1).argmax()] == pytest.approx(1.0, abs=0.04)
    assert (edges_s[0], edges_s[-1]) == pytest.approx((3.0, 3.0 + seconds))


@pytest.mark.parametrize("length", [1, 2, 127, 255, 256, 257, 5000])
def test_time_goes_on_in_a_spectrogram_of_any_length(length):
    power_db, edges_s, edges_khz = spectrogram(side(samples=np.ones(length, np.int16)))
    assert power_db.shape == (len(edges_khz) - 1, len(edges_s) - 1)
    assert (np.diff(edges_s) > 0).all()
    assert edges_s[-1] == pytest.approx(length / RATE)


@pytest.mark.parametrize("rate_hz", [10, 100, 1000, 384_000])
def test_any_rate_has_a_spectrogram(rate_hz):
    power_db, edges_s, _ = spectrogram(side(sample_rate_hz=rate_hz))
    assert np.isfinite(power_db).all()
    assert edges_s[-1] == pytest.approx(16_000 / rate_hz)


@pytest.mark.parametrize("seconds", [0.5, 30.0])
def test_the_end_looks_as_the_rest(seconds):
    power_db, _, _ = spectrogram(side(seconds))
    assert power_db[:, -3].argmax() == power_db[:, power_db.shape[1] // 2].argmax()
