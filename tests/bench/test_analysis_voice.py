"""The documented default hears speech as surely as it is said to."""

import os

import numpy as np
import pytest

from bench import analysis_voice
from bench.speech_material import bridge, has_prompts, make_call, make_noise


@pytest.fixture
def prompts():
    if not has_prompts():
        missing = "needs recorded prompts (package asterisk-core-sounds-en-wav)"
        if os.environ.get("STREP_REQUIRE_PEERS") == "1":
            pytest.fail(missing)
        pytest.skip(missing)


@pytest.mark.peer
@pytest.mark.parametrize("noise", ["white", "pink", "babble"])
def test_the_default_reaches_95_per_cent_of_both_at_20_db(prompts, noise):
    calls = [make_call(seed, 60, noise, 20.0, half=1) for seed in range(8)]
    precision, recall = analysis_voice.score(calls, analysis_voice.detect(calls))
    assert precision >= 0.95
    assert recall >= 0.95


@pytest.mark.peer
def test_a_call_has_speech_and_pauses_and_the_noise_that_was_asked_for(prompts):
    clean, noisy = make_call(3, 20, "pink", None), make_call(3, 20, "pink", 10.0)
    assert clean.speech.tolist() == noisy.speech.tolist()
    assert 0.2 < clean.speech.mean() < 0.8
    speech = np.repeat(clean.speech, 160)
    level_db = 20 * np.log10(clean.samples[speech].std() / noisy.samples[~speech].std())
    assert level_db == pytest.approx(10, abs=1)


def test_noises_have_a_level_of_one_and_pink_is_lower_by_3_db_an_octave():
    pink, white = (make_noise(kind, 160_000, np.random.default_rng(1)) for kind in ("pink", "white"))
    assert pink.std() == pytest.approx(1, abs=0.01)
    power = np.abs(np.fft.rfft(pink)) ** 2 / np.abs(np.fft.rfft(white)) ** 2
    octaves = [power[start : 2 * start].mean() for start in (8000, 16_000, 32_000)]
    assert 10 * np.log10(octaves[0] / octaves[2]) == pytest.approx(6, abs=0.5)


def test_bridging_fills_short_pauses_between_speech_only():
    frames = np.array([0, 1, 0, 0, 1, 0, 0, 0, 1, 0], np.bool_)
    assert bridge(frames, 2).astype(int).tolist() == [0, 1, 1, 1, 1, 0, 0, 0, 1, 0]


def test_the_report_has_a_row_for_all_that_was_measured(monkeypatch):
    monkeypatch.setattr(analysis_voice, "has_prompts", lambda: False)
    report = analysis_voice.measure(calls=2, seconds=4, streams=20, rounds=20)
    assert report["ns_per_hop"]["strep"] > 0
    report["found"] = {"clean": {"strep": (0.9, 0.8)}}
    assert analysis_voice.table(report).row_count == 1 + len(report["ns_per_hop"])
