"""Two tones are told from anything else, and what they are is measured."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.emulator.speech import conversation
from strep.plugins.tone_pairs import (
    COLUMNS_HZ,
    CORE_AT_END,
    CORE_AT_START,
    CORE_SAMPLES,
    FULL_SCALE_DBM0,
    KEYS,
    ROWS_HZ,
    SEGMENT_SAMPLES,
    WINDOW_SAMPLES,
    Screen,
    find_end,
    find_start,
    fit,
    glance,
)
from tests.audio.signals import tone

SCREEN = Screen(0.8, -40)
TIME = np.arange(SEGMENT_SAMPLES) / 8000


def peak(level_dbm0):
    return 32768 * 10 ** ((level_dbm0 - FULL_SCALE_DBM0) / 20)


def pair(key, row_dbm0, column_dbm0, phase=0.3, row_off=0.0, column_off=0.0):
    number = KEYS.index(key)
    row, column = ROWS_HZ[number // 4] * (1 + row_off), COLUMNS_HZ[number % 4] * (1 + column_off)
    sound = peak(row_dbm0) * np.sin(2 * np.pi * row * TIME + phase)
    return sound + peak(column_dbm0) * np.sin(2 * np.pi * column * TIME + 2 * phase)


def scalar_passes(window, factors, least_share, least_energy):
    """The twin of Screen.passes, in whole numbers."""
    energy = sum(int(x) ** 2 for x in window)
    within = 0
    for column in factors.T.astype(int).tolist():
        within += sum(int(x) * factor for x, factor in zip(window, column, strict=True)) ** 2
    return within / 2**28 >= least_share * energy and energy >= least_energy


def test_the_keys_are_laid_out_as_in_q23():
    assert [KEYS[4 * row : 4 * row + 4] for row in range(4)] == ["123A", "456B", "789C", "*0#D"]


@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 3, 30, 3000]), st.sampled_from(KEYS))
def test_a_window_passes_or_not_as_plain_sums_say(seed, noise, key):
    generator = np.random.default_rng(seed)
    sound = pair(key, -20, -20)[:CORE_SAMPLES] + generator.normal(0, noise * generator.uniform(), CORE_SAMPLES)
    sound *= generator.choice([1, 1, 0.05], CORE_SAMPLES // WINDOW_SAMPLES).repeat(WINDOW_SAMPLES)
    samples = np.round(sound).astype(np.int16)
    plain = [
        scalar_passes(window, SCREEN._factors, SCREEN._least_share, SCREEN._least_energy)
        for window in samples.reshape(-1, WINDOW_SAMPLES)
    ]
    assert SCREEN.passes(samples[None])[0].tolist() == plain


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("off", [-0.015, 0, 0.015])
def test_every_key_passes_the_screen(key, off):
    samples = np.round(pair(key, -25, -25, row_off=off, column_off=-off)).astype(np.int16)
    assert SCREEN.passes(samples[None]).all()


def test_speech_noise_silence_and_other_tones_do_not_pass():
    noise = np.random.default_rng(1).normal(0, 3000, 8000).astype(np.int16)
    for sound in (noise, np.zeros(8000, np.int16), tone(440, 1, 8000), tone(1100, 1, 8000), tone(2100, 1, 8000)):
        assert not SCREEN.passes(sound[None]).any()
    for said in conversation(8000):
        assert SCREEN.passes(said[None]).mean() < 0.05


def test_a_read_only_broadcast_of_silence_is_taken():
    assert not SCREEN.passes(np.broadcast_to(np.int16(0), (3, CORE_SAMPLES))).any()


@given(
    st.sampled_from(KEYS),
    st.floats(-0.04, 0.04),
    st.floats(-0.04, 0.04),
    st.floats(-30, -5),
    st.floats(-12, 8),
    st.floats(0, 6.28),
)
def test_a_fit_tells_frequency_level_and_key(key, row_off, column_off, row_dbm0, twist_db, phase):
    core = np.round(pair(key, row_dbm0, row_dbm0 + twist_db, phase, row_off, column_off))[None, :CORE_SAMPLES]
    fitted = fit(core, glance(core).radians)
    assert KEYS[fitted.key[0]] == key
    assert fitted.deviation[0] == pytest.approx(max(abs(row_off), abs(column_off)), abs=1e-3)
    assert fitted.row_dbm0[0] == pytest.approx(row_dbm0, abs=0.1)
    assert fitted.column_dbm0[0] == pytest.approx(row_dbm0 + twist_db, abs=0.1)
    assert fitted.share[0] > 0.995


@given(st.integers(0, 2**32 - 1), st.sampled_from(KEYS))
def test_noise_15_db_below_lowers_the_share_to_97_percent_and_moves_frequencies_by_little(seed, key):
    sound = pair(key, -12, -20)[:CORE_SAMPLES]
    noise = np.random.default_rng(seed).normal(0, np.sqrt(np.mean(sound**2) / 10**1.5), CORE_SAMPLES)
    core = (sound + noise)[None]
    seen = glance(core)
    fitted = fit(core, seen.radians)
    assert KEYS[fitted.key[0]] == key
    assert 0.94 < fitted.share[0] < 0.995
    assert fitted.deviation[0] < 0.006
    assert seen.share[0] > 0.85
    assert 10 * np.log10(seen.ratio[0]) == pytest.approx(-8, abs=2)


def test_fits_do_not_depend_on_each_other():
    generator = np.random.default_rng(2)
    core = np.stack([pair(key, -20, -18)[:CORE_SAMPLES] for key in KEYS]) + generator.normal(0, 300, (16, CORE_SAMPLES))
    together = fit(core, glance(core).radians)
    for n in range(len(core)):
        alone = fit(core[n : n + 1], glance(core[n : n + 1]).radians)
        for column, one in zip(together, alone, strict=True):
            np.testing.assert_allclose(one[0], column[n], rtol=1e-9, atol=1e-9)


def test_silence_and_a_lone_tone_are_fitted_without_a_warning():
    for core in (np.zeros((1, CORE_SAMPLES)), tone(697, 0.02, 8000)[None].astype(float)):
        seen = glance(core)
        fitted = fit(core, seen.radians)
        assert np.isfinite(np.concatenate([column.ravel() for column in (*seen, *fitted)])).all()


@given(st.integers(20, CORE_AT_START), st.integers(0, 2**32 - 1))
def test_the_beginning_is_found_to_a_millisecond_in_noise(begin, seed):
    sound = pair("5", -20, -18)
    sound[:begin] = 0
    segment = (sound + np.random.default_rng(seed).normal(0, 150, SEGMENT_SAMPLES))[None]
    core = segment[:, CORE_AT_START : CORE_AT_START + CORE_SAMPLES]
    assert abs(find_start(segment, fit(core, glance(core).radians))[0] - begin) <= 8


@given(st.integers(CORE_AT_END + CORE_SAMPLES, SEGMENT_SAMPLES - 20), st.integers(0, 2**32 - 1))
def test_the_end_is_found_to_a_millisecond_in_noise(end, seed):
    sound = pair("0", -20, -18)
    sound[end:] = 0
    segment = (sound + np.random.default_rng(seed).normal(0, 150, SEGMENT_SAMPLES))[None]
    core = segment[:, CORE_AT_END : CORE_AT_END + CORE_SAMPLES]
    assert abs(find_end(segment, fit(core, glance(core).radians))[0] - end) <= 8


@pytest.mark.parametrize("rows", [0, 1, 73, 74, 75, 148, 500])
def test_any_number_of_rows_is_judged_as_one_by_one(rows):
    generator = np.random.default_rng(rows)
    sound = generator.choice([0.01, 1], (rows, 1)) * np.resize(pair("9", -20, -20), (rows, CORE_SAMPLES))
    samples = np.round(sound + generator.normal(0, 100, sound.shape)).astype(np.int16)
    together = SCREEN.passes(samples)
    assert together.shape == (rows, 2)
    assert together.tolist() == [SCREEN.passes(samples[n : n + 1])[0].tolist() for n in range(rows)]
    seen = glance(samples.astype(float))
    assert [len(column) for column in seen] == [rows] * 3
    if rows:
        np.testing.assert_allclose(seen.share[-1:], glance(samples[-1:].astype(float)).share, rtol=1e-9)
