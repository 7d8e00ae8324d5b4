"""The level of speech is held against ITU-T P.56 taken as it is written."""

import os

import numpy as np
import pytest

from bench import analysis_level
from bench.speech_material import NO_PROMPTS, has_prompts, make_call
from tests.bench.test_analysis_frames import cells, shown


@pytest.fixture
def prompts():
    if not has_prompts():
        missing = "needs recorded prompts (package asterisk-core-sounds-en-wav)"
        if os.environ.get("STREP_REQUIRE_PEERS") == "1":
            pytest.fail(missing)
        pytest.skip(missing)


@pytest.mark.peer
def test_the_level_of_speech_is_within_a_hundredth_of_a_decibel(prompts):
    calls = [make_call(seed, 12, "white", snr_db) for seed, snr_db in ((1, None), (2, 20.0))]
    for call, level in zip(calls, analysis_level.measure_level(calls), strict=True):
        level_dbfs, activity = analysis_level.active_level_as_written(call.samples)
        assert level.active_dbfs == pytest.approx(level_dbfs, abs=0.01)
        assert level.activity == pytest.approx(activity, abs=0.001)


@pytest.mark.peer
def test_an_echo_is_hinted_at_and_other_speech_is_not(prompts):
    found = analysis_level.measure_echo(2)
    assert found["20 dB down"] > 0.95
    assert found["none, other speech"] == found["none, noise"] == 0


def test_the_method_as_written_gives_a_tone_its_level():
    tone = np.round(3000 * np.sin(np.arange(24_000) * 0.7)).astype(np.int16)
    level_dbfs, activity = analysis_level.active_level_as_written(tone)
    assert level_dbfs == pytest.approx(20 * np.log10(3000 / np.sqrt(2) / 32768), abs=0.1)
    assert activity > 0.95
    assert analysis_level.active_level_as_written(np.zeros(8000, np.int16)) == (None, 0.0)


def test_the_report_has_a_row_for_all_that_was_measured(monkeypatch):
    monkeypatch.setattr(analysis_level, "has_prompts", lambda: True)
    monkeypatch.setattr(analysis_level, "make_call", lambda *_: None)
    monkeypatch.setattr(analysis_level, "_differences", lambda _: {"level_db": 0.0125, "activity": 0.0003})
    monkeypatch.setattr(analysis_level, "measure_echo", lambda _: {"20 dB down": 0.5, "none, noise": 0.0})
    text = shown(*analysis_level.tables(analysis_level.measure(2)))
    assert cells(text, "active speech level") == ["active speech level", "0.013 dB"]
    assert cells(text, "activity") == ["activity", "0.0003"]
    assert cells(text, "20 dB down") == ["20 dB down", "50.0%"]


def test_a_report_says_that_there_are_no_prompts(monkeypatch):
    monkeypatch.setattr(analysis_level, "has_prompts", lambda: False)
    assert NO_PROMPTS in shown(*analysis_level.tables(analysis_level.measure()))
