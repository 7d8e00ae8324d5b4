"""The level of speech is what ITU-T P.56 gets, sample by sample."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis_level import active_level_as_written
from strep.plugins.speech_level import HOP_SAMPLES, STEP_SAMPLES, THRESHOLDS, SpeechLevel, active_level, step_means

HANGOVER_STEPS = 1600 // STEP_SAMPLES


def some_speech(seed, hops=60):
    """Make bursts of noise, loud and less so, with pauses: int16[hops * HOP_SAMPLES]."""
    chance = np.random.default_rng(seed)
    level = np.repeat(10 ** chance.uniform(0.5, 3.7, 12) * (chance.random(12) > 0.3), hops * HOP_SAMPLES // 12)
    return np.clip(chance.normal(size=len(level)) * level, -32768, 32767).astype(np.int16)


def count(speech, samples, rows):
    """Give int16[n, m] to rows of a meter; gives its counts."""
    for hop, start in enumerate(range(0, samples.shape[1], HOP_SAMPLES)):
        magnitude = np.abs(samples[:, start : start + HOP_SAMPLES].astype(np.float32))
        speech.take(rows, np.full(len(rows), hop), step_means(magnitude))
    return speech.take_counts(rows)


def measure(samples, speech=None, rows=None):
    """Give levels and activities of int16[n, m]."""
    rows = np.arange(len(samples)) if rows is None else rows
    speech = SpeechLevel(int(rows.max()) + 1) if speech is None else speech
    counts = count(speech, samples, rows)
    return active_level((samples.astype(np.float64) ** 2).sum(axis=1), np.full(len(rows), samples.shape[1]), counts)


def counts_one_by_one(samples):
    """Count for one stream, step by step and threshold by threshold, as P.56 says."""
    keeps = np.float32(math.exp(-STEP_SAMPLES / 8000 / 0.03))
    takes = np.float32(1) - keeps
    once = twice = np.float32(0)
    counts, since = [0] * THRESHOLDS, [HANGOVER_STEPS] * THRESHOLDS
    for start in range(0, len(samples), STEP_SAMPLES):
        step = np.float32(np.abs(samples[start : start + STEP_SAMPLES].astype(int)).sum())
        once = once * keeps + step * (takes / np.float32(STEP_SAMPLES))
        twice = twice * keeps + once * takes
        for n in range(THRESHOLDS):
            since[n] = 0 if twice >= 2**n else since[n] + 1
            counts[n] += STEP_SAMPLES * (since[n] <= HANGOVER_STEPS)
    return counts


@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_all_rows_are_counted_as_each_by_itself_threshold_by_threshold(seed):
    samples = np.stack([some_speech(seed), some_speech(seed + 1), some_speech(seed + 2)])
    counts = count(SpeechLevel(3), samples, np.arange(3))
    assert counts.tolist() == [counts_one_by_one(row) for row in samples]


def test_level_and_activity_are_near_those_of_the_method_taken_sample_by_sample():
    samples = np.stack([some_speech(seed, 600) for seed in range(3)])
    found = measure(samples)
    for row in range(3):
        level_dbfs, activity = active_level_as_written(samples[row])
        assert found.level_dbfs[row] == pytest.approx(level_dbfs, abs=0.1)
        assert found.activity[row] == pytest.approx(activity, abs=0.01)


def test_a_tone_is_active_all_the_time_at_its_own_level():
    tone = np.round(8000 * np.sin(2 * np.pi * 440 * np.arange(50 * HOP_SAMPLES) / 8000)).astype(np.int16)
    found = measure(tone[None])
    assert found.level_dbfs[0] == pytest.approx(20 * np.log10(8000 / np.sqrt(2) / 32768), abs=0.1)
    assert found.activity[0] > 0.95


def test_a_pause_does_not_lower_the_level_of_speech_but_the_activity():
    samples = some_speech(5, 300)
    alone, paused = measure(samples[None]), measure(np.concatenate([samples, np.zeros_like(samples)])[None])
    assert paused.level_dbfs[0] == pytest.approx(alone.level_dbfs[0], abs=0.4)
    assert paused.activity[0] == pytest.approx(alone.activity[0] / 2, rel=0.1)


def test_silence_has_no_level():
    found = measure(np.zeros((1, 10 * HOP_SAMPLES), np.int16))
    assert np.isnan(found.level_dbfs[0])
    assert found.activity[0] == 0


def test_no_stream_makes_a_difference_to_another():
    samples = np.stack([some_speech(seed) for seed in range(7)])
    together = measure(samples, rows=np.array([6, 0, 3, 1, 5, 2, 4]))
    for row in range(7):
        alone = measure(samples[row : row + 1])
        assert (alone.level_dbfs[0], alone.activity[0]) == (together.level_dbfs[row], together.activity[row])


def test_streams_that_began_at_different_times_keep_apart():
    speech, samples = SpeechLevel(2), some_speech(3).reshape(-1, HOP_SAMPLES)
    magnitude = np.abs(samples.astype(np.float32))
    for hop in range(-7, len(samples)):
        rows = np.array([0, 1] if hop >= 0 else [1])
        number = np.array([hop, hop + 7] if hop >= 0 else [hop + 7])
        taken = magnitude[[hop, hop]] if hop >= 0 else np.zeros((1, HOP_SAMPLES), np.float32)
        speech.take(rows, number, step_means(taken))
    first, second = speech.take_counts(np.array([0, 1]))
    assert first.tolist() == second.tolist()


def test_a_reset_row_begins_anew_and_counts_are_given_once():
    speech, samples = SpeechLevel(2), np.stack([some_speech(1), some_speech(2)])
    before = measure(samples, speech)
    speech.reset(0)
    assert speech.take_counts(np.array([0, 1])).tolist() == [[0] * THRESHOLDS] * 2
    again = measure(samples, speech)
    assert again.level_dbfs[0] == before.level_dbfs[0]
