"""The documented default hears speech as surely as it is said to."""

import itertools
import os

import numpy as np
import pytest

from bench import analysis_voice
from bench.speech_material import Call, bridge, has_prompts, make_call, make_noise
from strep.plugins.base import BlockPlugin, Wants
from strep.plugins.conversation import Speech
from strep.plugins.silero import SileroPlugin
from strep.plugins.voice import VoicePlugin
from strep.stream.events import Direction
from tests.silero import needs_silero


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
    precision, recall = analysis_voice.score(calls, analysis_voice.detect(calls, VoicePlugin()))
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


@pytest.mark.peer
@needs_silero
@pytest.mark.parametrize("noise", ["white", "pink", "babble"])
def test_silero_reaches_95_per_cent_of_both_at_20_db_where_recordings_of_sounds_are_left_out(prompts, noise):
    calls = [make_call(seed, 60, noise, 20.0, half=1) for seed in range(8)]
    found = analysis_voice.detect(calls, SileroPlugin())
    precision, recall = analysis_voice.score(calls, found, with_sounds=False)
    assert precision >= 0.95
    assert recall >= 0.95


@pytest.mark.peer
def test_recordings_of_sounds_are_marked_where_they_are(prompts):
    calls = [make_call(seed, 60, "white", None, half=1) for seed in range(8)]
    sounds = np.concatenate([call.is_sound for call in calls])
    assert 0 < sounds.mean() < 0.1
    longest = max(len(list(run)) for is_sound, run in itertools.groupby(sounds.tolist()) if is_sound)
    assert longest * 0.02 == pytest.approx(16, abs=0.1)  # the monkeys


def test_frames_of_sounds_are_counted_as_labelled_or_not_at_all():
    speech, is_sound = np.array([1, 1, 1, 1, 0, 0], np.bool_), np.array([0, 0, 1, 1, 0, 1], np.bool_)
    calls, found = [Call(np.zeros(0, np.int16), speech, is_sound)], [np.array([1, 0, 0, 1, 1, 1], np.bool_)]
    assert analysis_voice.score(calls, found) == (2 / 4, 2 / 4)
    assert analysis_voice.score(calls, found, with_sounds=False) == (1 / 2, 1 / 2)


class Hears(BlockPlugin):
    """Finds the same of any audio: 240 samples, which are a frame and a half, of the second side."""

    wants = Wants(8000, 256, is_pair=True)

    def finish(self):
        return [Speech(row=0, position=320, length_samples=240, direction=Direction.OUTBOUND)]


def test_a_frame_is_found_when_half_of_it_is_whatever_the_plugins_hop():
    call = Call(np.zeros(5 * 160, np.int16), np.zeros(5, np.bool_), np.zeros(5, np.bool_))
    found = analysis_voice.detect([call, call], Hears())
    assert [frames.astype(int).tolist() for frames in found] == [[0, 0, 0, 0, 0], [0, 0, 1, 1, 0]]


@needs_silero
def test_the_report_has_a_row_for_all_that_was_measured(monkeypatch):
    monkeypatch.setattr(analysis_voice, "has_prompts", lambda: False)
    monkeypatch.setattr(analysis_voice, "SILERO_STREAMS", (2, 4))
    report = analysis_voice.measure(calls=2, seconds=4, streams=20, rounds=5)
    assert report["ns_per_hop"]["strep"] > 0
    assert list(report["silero_ns_per_hop"]) == ["2", "4"]
    report["found"] = report["found_without_sounds"] = {"clean": {"strep": (0.9, 0.8)}}
    assert analysis_voice.table(report).row_count == 2 + len(report["ns_per_hop"]) + 2


def test_a_report_says_that_silero_is_missing(monkeypatch):
    monkeypatch.setattr(analysis_voice, "silero", lambda: None)
    monkeypatch.setattr(analysis_voice, "has_prompts", lambda: True)
    call = Call(np.zeros(8 * 160, np.int16), np.ones(8, np.bool_), np.zeros(8, np.bool_))
    monkeypatch.setattr(analysis_voice, "make_call", lambda *_: call)
    report = analysis_voice.measure(calls=2, seconds=1, streams=20, rounds=5)
    shown = analysis_voice.table(report)
    assert "silero: not installed (pip install 'strep[silero]')" in [str(column.header) for column in shown.columns]
    assert report["silero_ns_per_hop"] is None
    assert report["found"]["clean"][analysis_voice.SILERO_IS_MISSING] is None
