"""Silero's model tells who speaks when in both directions of a leg, as the plugin `voice` does."""

import pickle

import numpy as np
import pytest
from pydantic import ValidationError

from strep.analysis import PluginRun, Way
from strep.audio.block import SampleState
from strep.emulator.speech import conversation
from strep.plugins import conformance
from strep.plugins.base import Hops
from strep.plugins.conversation import Speech, SpeechStart, Talk
from strep.plugins.segments import SegmentLimits
from strep.plugins.silero import SileroActivity, SileroConfig, SileroPlugin
from strep.plugins.silero_model import CONTEXT_SAMPLES, HOP_SAMPLES
from strep.plugins.voice import VoicePlugin
from strep.stream.events import Direction, Leg, StreamIdentity
from tests.analysis.test_faults import findings, record
from tests.silero import needs_silero

IDENTITY = StreamIdentity(None, Leg.A, Direction.INBOUND, "x")


class Loudness:
    """Stands in for the model: a hop is as likely speech as its loudest sample, and the state counts hops."""

    def run(self, audio, state):
        return np.abs(audio[:, CONTEXT_SAMPLES:]).max(axis=1), state + 1


def pair(seconds, start_s=0.0):
    """Give int16[2, m]: part of a conversation, both sides."""
    hops = int(seconds * 8000) // HOP_SAMPLES
    begin = int(start_s * 8000)
    return np.stack(conversation(8000))[:, begin : begin + hops * HOP_SAMPLES]


def started(plugin=None, rows=1):
    plugin = plugin or SileroPlugin()
    plugin.start(rows)
    for row in range(rows):
        plugin.open(row, IDENTITY)
    return plugin


def hear(plugin, legs, rows=None, state=SampleState.RECEIVED):
    """Give int16[n, 2, m] to the plugin, hop by hop."""
    rows, length = np.arange(len(legs)) if rows is None else rows, plugin.wants.hop_samples
    found = []
    for hop in range(legs.shape[2] // length):
        position = np.full(len(rows), hop * length)
        samples = legs[:, :, hop * length : (hop + 1) * length]
        found += plugin.process(Hops(8000, rows, position, position, samples, np.full((len(rows), 2), state, np.uint8)))
    return found


def of_kind(found, kind):
    return [one for one in found if isinstance(one, kind)]


def spoken(found, length):
    """Give when each side speaks: bool[2, length]."""
    made = np.zeros((2, length), np.bool_)
    for one in of_kind(found, Speech):
        made[one.direction, one.position : one.position + one.length_samples] = True
    return made


@needs_silero
def test_in_a_clean_conversation_it_hears_what_voice_hears():
    audio = pair(20)
    silero, voice = ([*hear(p, audio[None]), *p.finish()] for p in (started(), started(VoicePlugin())))
    both = spoken(silero, audio.shape[1]), spoken(voice, audio.shape[1])
    assert (both[0] == both[1]).mean() > 0.9
    assert 0.2 < both[0].any(axis=0).mean() < 1
    total = of_kind(silero, Talk)[-1]
    assert total.is_total
    assert total.talk_s == pytest.approx((both[0].sum(axis=1) / 8000).tolist(), abs=0.001)


@needs_silero
def test_bursts_of_noise_and_tones_are_no_speech_although_voice_hears_them():
    time_s = np.arange(6 * 8000 // HOP_SAMPLES * HOP_SAMPLES) / 8000
    is_on = time_s % 2 > 1
    noise = np.random.default_rng(1).normal(0, 1, len(time_s))
    sounds = np.stack([3000 * noise, 8000 * np.sin(2 * np.pi * 440 * time_s)]) * is_on + 20 * noise
    legs = sounds.astype(np.int16)[None]
    assert of_kind(hear(started(), legs), SpeechStart) == []
    assert {one.direction for one in of_kind(hear(started(VoicePlugin()), legs), SpeechStart)} == set(Direction)


@needs_silero
@pytest.mark.thorough
def test_segments_among_many_legs_are_those_of_a_leg_alone():
    legs = np.stack([pair(4, start_s) for start_s in (0, 3, 6, 9)])
    rows = np.array([0, 30, 64, 69])
    among = np.stack([pair(4, row / 10) for row in range(70)])
    among[rows] = legs
    together, alone = started(rows=70), started(rows=70)
    found = [*hear(together, among), *together.finish()]
    own = [one for row, leg in zip(rows, legs, strict=True) for one in hear(alone, leg[None], np.array([row]))]
    own += alone.finish()
    chosen = [one for one in found if one.row in rows]
    assert sorted(map(str, chosen)) == sorted(map(str, own))
    assert len(of_kind(own, Speech)) >= 4


@needs_silero
def test_a_row_that_is_opened_again_knows_nothing_of_the_leg_before():
    plugin, audio = started(), pair(3)[None]
    hear(plugin, pair(2, 5)[None])
    plugin.open(0, IDENTITY)
    fresh = started()
    assert hear(plugin, audio) == hear(fresh, audio)
    assert np.array_equal(plugin._detector._state, fresh._detector._state)
    assert plugin.finish() == fresh.finish()


@needs_silero
@pytest.mark.parametrize("way", list(Way))
def test_it_runs_in_every_way(way, tmp_path):
    _, counts, notices = record(tmp_path, [PluginRun("silero", way=way, rows=8)], live=False)
    (total,) = (one for one in findings(notices, "silero") if isinstance(one, Talk) and one.is_total)
    assert (counts["silero"].errors, counts["silero"].switched_off) == (0, None)
    assert counts["silero"].hops == total.length_samples // HOP_SAMPLES == 63  # 2 s, filled up


@needs_silero
@pytest.mark.thorough
def test_it_keeps_what_plugins_promise():
    samples = pair(3).reshape(2, -1, HOP_SAMPLES).swapaxes(0, 1)
    said = conformance.Signal("speech", samples, np.zeros(samples.shape[:2], np.uint8))
    conformance.check(SileroPlugin, [said])


@needs_silero
def test_it_can_be_sent_to_a_process_before_it_has_started():
    assert pickle.loads(pickle.dumps(SileroPlugin())).NAME == "silero"


def activity(threshold=0.5, keeping_threshold=0.25):
    return SileroActivity(Loudness(), 2, SegmentLimits(2, 3, 1, 0), threshold, keeping_threshold)


def take(activity, levels, is_heard=True):
    """Let stream 1 hear hops of these levels, of full scale; gives begin and end of the segments that are over."""
    found = []
    for hop, level in enumerate(levels):
        samples = np.full((1, HOP_SAMPLES), round(level * 32768), np.int16)
        _, over = activity.take(np.array([1]), np.array([hop]), samples, np.array([is_heard]))
        found += zip(over.begin.tolist(), over.end.tolist(), strict=True)
    return found


def test_speech_begins_by_one_threshold_and_goes_on_by_the_other():
    assert take(activity(), [0, 0.3, 0.5, 0.5, 0.25, 0.25, 0.24, 0, 0, 0]) == [(1, 6)]
    assert take(activity(), [0, 0.49, 0.49, 0.49, 0.5, 0.49, 0, 0, 0, 0]) == []


def test_what_was_not_heard_is_no_speech_and_a_quiet_line_to_the_model():
    heard, quiet = activity(), activity()
    assert take(heard, [0.9] * 6, is_heard=False) == []
    take(quiet, [0] * 6)
    assert heard.begin_of_open(1) is None
    assert np.array_equal(heard._context, quiet._context)
    assert (heard._state[:, 1] == 6).all()
    assert (heard._state[:, 0] == 0).all()


def test_what_was_not_heard_is_no_speech_even_if_the_model_still_hears_some():
    convinced = Loudness()
    convinced.run = lambda audio, state: (np.ones(len(audio), np.float32), state)
    activity = SileroActivity(convinced, 2, SegmentLimits(2, 3, 1, 0), 0.5, 0.5)
    assert take(activity, [0] * 6, is_heard=False) == []
    assert activity.begin_of_open(1) is None


def test_a_hop_is_heard_with_the_end_of_the_one_before_it():
    model, given = Loudness(), []
    model.run = lambda audio, state: (given.append(audio.copy()), Loudness().run(audio, state))[1]
    activity = SileroActivity(model, 2, SegmentLimits(), 0.5, 0.5)
    hops = np.arange(2 * 2 * HOP_SAMPLES).reshape(2, 2, HOP_SAMPLES).astype(np.int16)
    for hop in hops:
        activity.likely(np.array([1, 0]), hop)
    assert (given[0][:, :CONTEXT_SAMPLES] == 0).all()
    assert (given[1][:, :CONTEXT_SAMPLES] * 32768 == hops[0, :, -CONTEXT_SAMPLES:]).all()
    assert (given[1][:, CONTEXT_SAMPLES:] * 32768 == hops[1]).all()


def test_what_makes_no_sense_is_refused():
    for wrong in ({"threshold": 1}, {"keeping_threshold": 0.9}, {"threads": 0}, {"hangover_ms": 0}, {"range_share": 1}):
        with pytest.raises(ValidationError):
            SileroConfig(**wrong)
