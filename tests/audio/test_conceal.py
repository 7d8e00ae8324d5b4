"""Short losses: what is made up is like the truth, joins over packets, fades, and never surprises."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from strep.audio.conceal import CONCEAL_LIMIT_MS, conceal, conceal_columns, history_samples
from strep.errors import ConfigError
from tests.audio.signals import speech_like, tone


def made_up_history(length: int, loudness: int, seed: int) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-loudness, loudness, length).astype(np.int16)


# By seed, because lists that hypothesis draws itself are mostly shorter than the 5 ms that concealment starts at.
histories = st.builds(made_up_history, st.integers(0, 300), st.sampled_from([1, 3, 1000, 32768]), st.integers(0, 999))


def reference(history: list[int], length: int, sample_rate_hz: int, fade_position: int) -> list[int]:
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
    positions = range(fade_position, fade_position + length)
    return [round(history[end - period + k % period] * max(0.0, 1 - k / fade)) for k in positions]


@given(histories, st.integers(0, 40), st.integers(0, 600))
@settings(max_examples=40)
def test_it_agrees_with_the_search_done_lag_by_lag(history: NDArray[np.int16], length: int, position: int) -> None:
    made = conceal(history, length, sample_rate_hz=8000, fade_position=position)
    assert made.dtype == np.int16
    assert made.tolist() == reference(history.tolist(), length, 8000, position)


@given(
    st.lists(st.tuples(st.sampled_from([1, 3, 1000, 32768]), st.integers(0, 99)), max_size=4),
    st.sampled_from([0, 1, 39, 40, 41, 80, 160, 239, 240, 320]),
    st.integers(0, 500),
)
def test_many_at_a_time_are_concealed_as_each_by_itself(kinds: list[tuple[int, int]], size: int, length: int) -> None:
    histories = [made_up_history(size, loudness, seed) for loudness, seed in kinds]
    histories += [np.zeros(size, np.int16), np.full(size, -32768, np.int16), tone(200, 0.05, 8000)[:size]]
    histories *= 30  # more than are searched together
    made = conceal_columns(np.array(histories), length, sample_rate_hz=8000)
    assert made.dtype == np.int16
    assert made.tolist() == [conceal(history, length, sample_rate_hz=8000).tolist() for history in histories]


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
@pytest.mark.parametrize("hz", [90, 200, 333])
def test_a_lost_packet_of_a_voice_is_like_the_truth(rate_hz: int, hz: int) -> None:
    voice = tone(hz, 0.3, rate_hz, 8000) + tone(2 * hz, 0.3, rate_hz, 3000)
    start, length = rate_hz // 5 + 17, rate_hz // 50
    made = conceal(voice[:start], length, sample_rate_hz=rate_hz)
    assert np.corrcoef(made, voice[start : start + length])[0, 1] > 0.9


def test_a_200_hz_tone_is_repeated_by_its_period() -> None:
    sound = tone(200, 0.2, 8000)
    made = conceal(sound[:800], 160, sample_rate_hz=8000)
    fading = sound[800:960] * (1 - np.arange(160) / 480)
    assert np.abs(made - fading).max() <= 1


@given(histories, st.lists(st.integers(0, 200), min_size=1, max_size=5))
def test_losses_of_several_packets_join_without_a_seam(history: NDArray[np.int16], lengths: list[int]) -> None:
    starts = np.cumsum([0, *lengths]).tolist()
    parts = [
        conceal(history, length, sample_rate_hz=8000, fade_position=start)
        for start, length in zip(starts, lengths, strict=False)
    ]
    assert np.concatenate(parts).tolist() == conceal(history, starts[-1], sample_rate_hz=8000).tolist()


@given(histories, st.integers(0, 700), st.integers(0, 700))
def test_it_is_never_louder_than_the_history_and_always_the_same(
    history: NDArray[np.int16], length: int, position: int
) -> None:
    made = conceal(history, length, sample_rate_hz=8000, fade_position=position)
    assert len(made) == length
    assert np.abs(made.astype(int)).max(initial=0) <= np.abs(history.astype(int)).max(initial=0)
    assert (conceal(history, length, sample_rate_hz=8000, fade_position=position) == made).all()


def test_beyond_60_ms_there_is_silence() -> None:
    made = conceal(tone(200, 0.1, 8000), 800, sample_rate_hz=8000)
    limit = CONCEAL_LIMIT_MS * 8
    assert not made[limit:].any()
    assert made[limit - 40 : limit].any()
    assert not conceal(tone(200, 0.1, 8000), 160, sample_rate_hz=8000, fade_position=limit).any()


def test_it_gets_quieter_all_the_way() -> None:
    made = conceal(tone(200, 0.1, 8000), 480, sample_rate_hz=8000)
    level = np.abs(made.astype(int)).reshape(-1, 40).max(axis=1)  # one period each
    assert (np.diff(level) < 0).all()


@pytest.mark.parametrize("length", [0, 1, 39])
def test_too_short_a_history_gives_silence(length: int) -> None:
    made = conceal(np.full(length, 1000, np.int16), 160, sample_rate_hz=8000)
    assert made.tolist() == [0] * 160


def test_no_more_history_is_looked_at_than_it_says() -> None:
    speech = speech_like(0.5, 16000)
    needed = history_samples(16000)
    assert needed == 480
    made = conceal(speech[-needed:], 320, sample_rate_hz=16000)
    assert made.any()
    assert (conceal(speech, 320, sample_rate_hz=16000) == made).all()


@pytest.mark.parametrize(("length", "position", "rate_hz"), [(-1, 0, 8000), (1, -1, 8000), (1, 0, 0)])
def test_numbers_that_cannot_be_are_refused(length: int, position: int, rate_hz: int) -> None:
    with pytest.raises(ConfigError, match=f"got length {length}, fade_position {position}, sample_rate_hz {rate_hz}"):
        conceal(np.zeros(100, np.int16), length, sample_rate_hz=rate_hz, fade_position=position)
