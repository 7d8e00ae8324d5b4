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
from tests.bench.test_analysis_frames import cells, shown
from tests.silero import needs_silero


@pytest.fixture
def prompts():
    if not has_prompts():
        missing = "needs recorded prompts (package asterisk-core-sounds-en-wav)"
        if os.environ.get("STREP_REQUIRE_PEERS") == "1":
            pytest.fail(missing)
        pytest.skip(missing)


@pytest.mark.thorough
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
@pytest.mark.thorough
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


SPOKEN = Call(np.zeros(8 * 160, np.int16), np.ones(8, np.bool_), np.zeros(8, np.bool_))


@needs_silero
def test_the_report_compares_what_20_ms_cost(monkeypatch):
    monkeypatch.setattr(analysis_voice, "has_prompts", lambda: False)
    monkeypatch.setattr(analysis_voice, "webrtc", lambda: FakeWebrtc)
    monkeypatch.setattr(analysis_voice, "SILERO_STREAMS", (2, 4))
    monkeypatch.setattr(analysis_voice, "ns_per_20_ms", lambda name, streams, seconds: 1000 * len(name) + streams)
    report = analysis_voice.measure(streams=20)
    [costs] = analysis_voice.tables(report)
    text = shown(costs)
    assert cells(text, "voice") == ["voice, 20 streams at once", "5,020"]
    assert cells(text, "silero, 4") == ["silero, 4 streams at once", "6,004"]
    assert cells(text, "webrtcvad")[0] == "webrtcvad mode 2, a packet at a time"
    assert report["ns_per_20_ms"]["webrtcvad mode 2, a packet at a time"] > 0


def test_a_report_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(analysis_voice, "silero", lambda: None)
    monkeypatch.setattr(analysis_voice, "webrtc", lambda: None)
    monkeypatch.setattr(analysis_voice, "ns_per_20_ms", lambda *_: 1.0)
    monkeypatch.setattr(analysis_voice, "has_prompts", lambda: True)
    monkeypatch.setattr(analysis_voice, "make_call", lambda *_: SPOKEN)
    report = analysis_voice.measure(calls=2, seconds=1, streams=20)
    assert report["found"]["clean"]["voice"] is not None
    assert report["found"]["clean"]["silero"] is report["found"]["clean"]["webrtcvad mode 3, bridged"] is None
    as_labelled, without, costs = analysis_voice.tables(report)
    assert cells(shown(as_labelled), "clean")[2:] == cells(shown(without), "clean")[2:] == ["-", "-", "-"]
    text = shown(costs)
    assert "silero: not installed (pip install 'strep[silero]')" in text
    assert "webrtcvad: not installed (pip install webrtcvad-wheels)" in text


def test_scores_fit_a_terminal_of_80_columns():
    scores = dict.fromkeys(analysis_voice.SHOWN, (0.981, 1.0)) | {"webrtcvad mode 3": (0.5, 0.5)}
    found = {"babble 20 dB": scores}
    report = {"found": found, "found_without_sounds": found, "ns_per_20_ms": {"voice": 300.0}}
    with_sounds, without, costs = analysis_voice.tables(report)
    for table in (with_sounds, without):
        assert cells(shown(table), "babble") == ["babble 20 dB", *[".981/1.000"] * 4]
    assert cells(shown(costs), "voice") == ["voice", "300"]


class FakeWebrtc:
    """Is as a module: a detector that finds all to be speech."""

    class Vad:
        def __init__(self, mode):
            pass

        def is_speech(self, packet, sample_rate_hz):
            return True
