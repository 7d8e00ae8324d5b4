"""Short losses: what is made up is like the truth, joins over packets, fades, and never surprises."""

import functools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from strep.audio.conceal import CONCEAL_LIMIT_MS, conceal, history_samples
from strep.compiler import compiled_twin
from tests.audio.signals import speech_like, tone


@functools.cache
def compiled() -> Callable[..., None]:
    samples = np.zeros(1, np.int16)
    return compiled_twin(conceal, samples, 8000, samples)


def make_up(history: NDArray[np.int16], length: int, sample_rate_hz: int = 8000) -> NDArray[np.int16]:
    """Make up samples by the rule as it stands, and compiled."""
    plain, twin = np.full((2, length), 99, np.int16)
    conceal(history, sample_rate_hz, plain)
    compiled()(history, sample_rate_hz, twin)
    assert twin.tolist() == plain.tolist()
    return plain


def made_up_history(length: int, loudness: int, seed: int) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-loudness, loudness, length).astype(np.int16)


# By seed, because lists that hypothesis draws itself are mostly shorter than the 5 ms that concealment starts at.
histories = st.builds(made_up_history, st.integers(0, 300), st.sampled_from([1, 3, 1000, 32768]), st.integers(0, 999))


def reference(history: list[int], length: int, sample_rate_hz: int) -> list[int]:
    """Conceal one lag and one sample at a time."""
    shortest, longest = round(0.0025 * sample_rate_hz), min(round(0.015 * sample_rate_hz), len(history) // 2)
    if longest < shortest:
        return [0] * length
    end, best, period = len(history), -math.inf, 0
    for lag in range(shortest, longest + 1):
        pairs = [(history[end - k], history[end - k - lag]) for k in range(1, longest + 1)]
        score = sum(new * old for new, old in pairs) / math.sqrt(sum(old * old for _, old in pairs) + 1)
        if score > best:
            best, period = score, lag
    fade = 0.06 * sample_rate_hz
    return [round(history[end - period + k % period] * max(0.0, 1 - k / fade)) for k in range(length)]


@given(histories, st.integers(0, 640))
@settings(max_examples=40)
def test_it_agrees_with_the_search_done_lag_by_lag(history: NDArray[np.int16], length: int) -> None:
    assert make_up(history, length).tolist() == reference(history.tolist(), length, 8000)


@pytest.mark.parametrize("size", [0, 1, 39, 40, 41, 80, 160, 239, 240, 320])
def test_silence_and_the_loudest_there_can_be_agree_too(size: int) -> None:
    for history in (np.zeros(size, np.int16), np.full(size, -32768, np.int16), tone(200, 0.05, 8000)[:size]):
        assert make_up(history, 500).tolist() == reference(history.tolist(), 500, 8000)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
@pytest.mark.parametrize("hz", [90, 200, 333])
def test_a_lost_packet_of_a_voice_is_like_the_truth(rate_hz: int, hz: int) -> None:
    voice = tone(hz, 0.3, rate_hz, 8000) + tone(2 * hz, 0.3, rate_hz, 3000)
    start, length = rate_hz // 5 + 17, rate_hz // 50
    made = make_up(voice[:start], length, rate_hz)
    assert np.corrcoef(made, voice[start : start + length])[0, 1] > 0.9


def test_a_200_hz_tone_is_repeated_by_its_period() -> None:
    sound = tone(200, 0.2, 8000)
    made = make_up(sound[:800], 160)
    fading = sound[800:960] * (1 - np.arange(160) / 480)
    assert np.abs(made - fading).max() <= 1


@given(histories, st.integers(0, 700), st.integers(0, 700))
def test_a_shorter_loss_is_made_up_as_the_beginning_of_a_longer_one(
    history: NDArray[np.int16], length: int, more: int
) -> None:
    assert make_up(history, length).tolist() == make_up(history, length + more)[:length].tolist()


@given(histories, st.integers(0, 700))
def test_it_is_never_louder_than_the_history_and_always_the_same(history: NDArray[np.int16], length: int) -> None:
    made = make_up(history, length)
    assert np.abs(made.astype(int)).max(initial=0) <= np.abs(history.astype(int)).max(initial=0)
    assert (make_up(history, length) == made).all()


def test_beyond_60_ms_there_is_silence() -> None:
    made = make_up(tone(200, 0.1, 8000), 800)
    limit = CONCEAL_LIMIT_MS * 8
    assert not made[limit:].any()
    assert made[limit - 40 : limit].any()


def test_it_gets_quieter_all_the_way() -> None:
    made = make_up(tone(200, 0.1, 8000), 480)
    level = np.abs(made.astype(int)).reshape(-1, 40).max(axis=1)  # one period each
    assert (np.diff(level) < 0).all()


@pytest.mark.parametrize("length", [0, 1, 39])
def test_too_short_a_history_gives_silence(length: int) -> None:
    made = make_up(np.full(length, 1000, np.int16), 160)
    assert made.tolist() == [0] * 160


def test_no_more_history_is_looked_at_than_it_says() -> None:
    speech = speech_like(0.5, 16000)
    needed = history_samples(16000)
    assert needed == 480
    made = make_up(speech[-needed:], 320, 16000)
    assert made.any()
    assert (make_up(speech, 320, 16000) == made).all()
