"""One tone and two are told from anything else, and measured."""

from math import cos, pi, sqrt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from strep.plugins.tone_spectrum import LEAST_SECOND, LEAST_SHARE, Frames, look

N, BIN_HZ = 960, 8000 / 960
TIME = np.arange(N) / 8000


def window(parts, noise=0.0, seed=1, fill=N):
    """Sum sines, (Hz, peak) each, in the last `fill` samples, and noise in all."""
    sound = sum((peak * np.sin(2 * np.pi * hz * TIME + hz) for hz, peak in parts), np.zeros(N))
    sound[: N - fill] = 0
    return np.round(sound + np.random.default_rng(seed).normal(0, noise, N)).astype(np.int16)


def one(samples):
    return Frames(*(column[0] for column in look(samples[None])))


def peak_of(power, used):
    """Tell of the strongest bin that is not used: its number, frequency and energy."""
    best = max((k for k in range(36, 271)), key=lambda k: -1 if k in used else power[k])
    lobe = {k: 0 if k in used else power[k] for k in range(best - 2, best + 3)}
    below, peak, above = (sqrt(lobe[k] + 1e-6) for k in (best - 1, best, best + 1))
    ratio = max(below, above) / peak
    shift = max((2 * ratio - 1) / (ratio + 1), 0) * (1 if above > below else -1)
    return best, (best + shift) * BIN_HZ, sum(lobe.values())


def scalar_look(samples):
    """The twin of look, in plain numbers."""
    hann = [0.5 - 0.5 * cos(2 * pi * n / N) for n in range(N)]
    weighed = [int(x) * w for x, w in zip(samples, hann, strict=True)]
    scale = 2 / N / sum(w * w for w in hann)
    power = [abs(x) ** 2 * scale for x in np.fft.rfft(weighed)]
    total = sum(x * x for x in weighed) * scale * N / 2 + 1e-3
    best, first_hz, first = peak_of(power, ())
    around = range(best - 5, best + 6)
    cluster = sum(power[k] for k in around) + 1e-6
    middle = sum(power[k] * k for k in around) / cluster
    width = sum(power[k] * (k - middle) ** 2 for k in around) / cluster
    _, second_hz, second = peak_of(power, range(best - 2, best + 3))
    shares = first + second >= LEAST_SHARE * total and second >= LEAST_SECOND * first
    is_pair = shares and abs(first_hz - second_hz) >= 37
    tones = 2 if is_pair else int(cluster >= LEAST_SHARE * total)
    return Frames(tones, total, first_hz, first, second_hz, second, middle * BIN_HZ, cluster, width)


@given(
    st.lists(st.tuples(st.floats(320, 2200), st.floats(300, 8000)), max_size=3),
    st.floats(5, 3000),
    st.integers(0, 2**32 - 1),
    st.integers(100, N),
)
def test_columns_agree_with_plain_numbers(parts, noise, seed, fill):
    samples = window(parts, noise, seed, fill)
    found, expected = one(samples), scalar_look(samples)
    close = [expected.first / max(expected.second, 1e-9), (expected.first + expected.second) / expected.total]
    close += [expected.cluster / expected.total, abs(expected.first_hz - expected.second_hz)]
    limits = (1 / LEAST_SECOND, LEAST_SHARE, LEAST_SHARE, 37)
    assume(all(abs(a / b - 1) > 1e-3 for a, b in zip(close, limits, strict=True)))
    assert found.tones == expected.tones
    np.testing.assert_allclose(found[1:-1], expected[1:-1], rtol=2e-3)
    assert found.width == pytest.approx(expected.width, abs=2e-3)


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_a_window_alone_gives_the_same_to_the_last_bit(count, seed):
    chance = np.random.default_rng(seed)
    windows = np.stack([window([(chance.uniform(350, 2100), 3000)], 500, n) for n in range(count)])
    together = look(windows)
    for row in range(count):
        alone = look(windows[row : row + 1])
        assert all(np.array_equal(a[row : row + 1], b) for a, b in zip(together, alone, strict=True))


@pytest.mark.parametrize("hz", [350, 425, 441.3, 1100, 2100])
def test_a_tone_under_noise_of_20_db_is_measured_to_half_a_hertz(hz):
    found = one(window([(hz, 5000)], 5000 / sqrt(2) / 10))
    assert found.tones == 1
    assert found.middle_hz == pytest.approx(hz, abs=0.5)
    assert found.cluster == pytest.approx(5000**2 / 2, rel=0.1)
    assert found.width < 0.4


@pytest.mark.parametrize("pair", [(350, 440), (440, 480), (433.4, 472.8), (480, 620), (400, 450)])
def test_two_tones_are_told_apart(pair):
    found = one(window([(hz, 3000) for hz in pair], 300))
    assert found.tones == 2
    assert sorted([found.first_hz, found.second_hz]) == pytest.approx(pair, abs=0.7)


@pytest.mark.parametrize("modulation_hz", [16, 17, 25])
@pytest.mark.parametrize("phase", [0.0, 1.6, 3.1, 4.7])
def test_a_modulated_tone_is_one_wide_tone(modulation_hz, phase):
    swing = 1 + 0.9 * np.sin(2 * np.pi * modulation_hz * TIME + phase)
    found = one(np.round(window([(400, 5000)]) * swing).astype(np.int16))
    assert found.tones == 1
    assert found.middle_hz == pytest.approx(400, abs=1)
    assert found.width > 1.2


def test_noise_three_tones_and_silence_are_no_tone():
    assert one(window([], 1000)).tones == 0
    assert one(window([(500, 3000), (900, 3000), (1500, 3000)])).tones == 0
    assert one(np.zeros(N, np.int16)).tones == 0
