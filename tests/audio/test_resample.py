"""Resampling: exact lengths, no delay, and the same output however the input falls into pieces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.resample import Resampler, resample
from strep.errors import ConfigError
from tests.audio.signals import speech_like, tone

RATES_HZ = [8000, 11025, 16000, 22050, 32000, 44100, 48000]
rates = st.sampled_from(RATES_HZ)
PAIRS = [(8000, 16000), (16000, 8000), (48000, 8000), (8000, 48000), (44100, 8000), (11025, 16000), (48000, 16000)]


@given(st.integers(0, 3000), rates, rates)
def test_n_samples_become_exactly_their_share(length: int, from_hz: int, to_hz: int) -> None:
    samples = np.random.default_rng(length).integers(-3000, 3000, length).astype(np.int16)
    resampled = resample(samples, from_hz, to_hz)
    assert resampled.dtype == np.int16
    assert resampled.shape == (round(length * to_hz / from_hz),)


@pytest.mark.parametrize("length", [1, 3, 5, 1601, 1603])
def test_half_a_sample_is_rounded_to_even(length: int) -> None:
    assert len(resample(np.ones(length, np.int16), 16000, 8000)) == round(length / 2)


@given(st.lists(st.integers(0, 900), max_size=12), rates, rates)
def test_a_stream_in_pieces_is_the_same_as_in_one(lengths: list[int], from_hz: int, to_hz: int) -> None:
    samples = speech_like(sum(lengths) / from_hz, from_hz)[: sum(lengths)]
    resampler = Resampler(from_hz, to_hz)
    pieces = [resampler.process(piece) for piece in np.split(samples, np.cumsum(lengths)[:-1])]
    streamed = np.concatenate([*pieces, resampler.finish()])
    assert streamed.tolist() == resample(samples, from_hz, to_hz).tolist()


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_a_tone_comes_out_at_the_same_time_and_as_loud(from_hz: int, to_hz: int) -> None:
    resampled = resample(tone(440, 1.0, from_hz), from_hz, to_hz).astype(float)
    time = np.arange(len(resampled)) / to_hz
    middle = slice(to_hz // 10, -to_hz // 10)  # 352 whole periods, away from the ends
    phasor = 2 * np.mean((resampled * np.exp(-2j * np.pi * 440 * time))[middle])
    delay_ms = -(np.angle(phasor) + np.pi / 2) / (2 * np.pi * 440) * 1000
    assert abs(delay_ms) < 0.001
    assert abs(phasor) == pytest.approx(10_000, rel=0.001)


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_silence_stays_silence(from_hz: int, to_hz: int) -> None:
    assert not resample(np.zeros(from_hz // 2, np.int16), from_hz, to_hz).any()


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_a_constant_stays_what_it_is(from_hz: int, to_hz: int) -> None:
    resampled = resample(np.full(from_hz // 2, 1001, np.int16), from_hz, to_hz)
    assert (resampled[to_hz // 10 : -to_hz // 10] == 1001).all()


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_two_runs_are_the_same(from_hz: int, to_hz: int) -> None:
    speech = speech_like(0.3, from_hz)
    assert (resample(speech, from_hz, to_hz) == resample(speech, from_hz, to_hz)).all()


def test_what_overshoots_is_clipped_and_does_not_wrap() -> None:
    square = np.where(np.arange(1600) // 40 % 2, 32767, -32768).astype(np.int16)
    resampled = resample(square, 8000, 16000)
    assert resampled.max() == 32767
    assert resampled.min() == -32768
    plateaus = resampled.reshape(40, 80)[:, 20:60]  # away from the edges
    assert (plateaus[1::2] > 20_000).all()
    assert (plateaus[::2] < -20_000).all()


def test_equal_rates_pass_samples_through() -> None:
    speech = speech_like(0.1, 8000)
    resampler = Resampler(8000, 8000)
    assert resampler.process(speech) is speech
    assert len(resampler.finish()) == 0


def test_after_the_end_a_new_stream_may_begin() -> None:
    resampler, speech = Resampler(16000, 8000), speech_like(0.2, 16000)[:3001]  # rounds down, the first and second time
    first = np.concatenate([resampler.process(speech), resampler.finish()])
    second = np.concatenate([resampler.process(speech), resampler.finish()])
    assert len(first) == 1500
    assert first.tolist() == second.tolist()


def test_an_end_without_a_stream_is_empty() -> None:
    resampler, speech = Resampler(16000, 8000), speech_like(0.2, 16000)
    assert len(resampler.finish()) == 0
    first = np.concatenate([resampler.process(speech), resampler.finish()])
    assert len(resampler.finish()) == 0
    assert first.tolist() == resample(speech, 16000, 8000).tolist()


@pytest.mark.parametrize(("from_hz", "to_hz"), [(0, 8000), (8000, 0), (-8000, 8000)])
def test_rates_that_cannot_be_are_refused(from_hz: int, to_hz: int) -> None:
    with pytest.raises(ConfigError, match=f"got {from_hz} and {to_hz} Hz"):
        Resampler(from_hz, to_hz)


def test_samples_of_another_kind_are_refused() -> None:
    with pytest.raises(ConfigError, match="got float64 with 1 dim"):
        Resampler(8000, 16000).process(np.zeros(4))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="got int16 with 2 dim"):
        Resampler(8000, 16000).process(np.zeros((4, 2), np.int16))
