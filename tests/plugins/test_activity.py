"""Speech is what stands out from the noise before it, in every stream by itself."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from strep.plugins.activity import HOP_SAMPLES, ActivityLimits, VoiceActivity, hop_energy

FULL = 4 * 32768.0**2


class OneStream:
    """Does the same for one stream, hop by hop, as one would write it down."""

    def __init__(self, limits):
        self.limits, self.hop = limits, -1
        self.smoothed = self.before = None
        self.minima, self.minimum = [FULL * 1e-3] * 6, math.inf
        self.peak_db, self.run, self.begin, self.last = -math.inf, 0, None, 0

    def take(self, samples, is_heard):
        self.hop += 1
        pairs = [int(samples[n]) + int(samples[n + 1]) for n in range(0, HOP_SAMPLES, 2)]
        energy = sum(x * x for x in pairs) / 80 - (sum(pairs) / 80) ** 2
        level = energy if self.before is None else (energy + self.before) / 2
        level_db = 10 * math.log10(max(level, FULL * 1e-6))
        self.peak_db -= 0.02
        if is_heard:
            self.peak_db = max(self.peak_db, level_db)
            self.smoothed = energy if self.smoothed is None else 0.7 * self.smoothed + (1 - 0.7) * energy
        self.before = energy if is_heard else None
        if self.smoothed is not None:
            self.minimum = min(self.minimum, self.smoothed)
        floor_db = 10 * math.log10(max(min(self.minimum, *self.minima), FULL * 1e-6))
        if self.hop % 25 == 24:
            self.minima[self.hop // 25 % 6], self.minimum = self.minimum, math.inf
        return self.decide(level_db - floor_db, self.peak_db - floor_db, is_heard)

    def decide(self, above_db, range_db, is_heard):
        limits = self.limits
        threshold_db = min(max(range_db * limits.range_share, limits.least_db), limits.most_db)
        if self.begin is None:
            self.run = self.run + 1 if is_heard and above_db > threshold_db else 0
            if self.run >= limits.onset_hops:
                self.begin, self.last = max(self.hop - self.run + 1 - limits.before_hops, 0), self.hop
            return None
        self.run = 0
        if is_heard and above_db > threshold_db * limits.keeping_share:
            self.last = self.hop
        elif self.hop - self.last >= limits.hangover_hops:
            over, self.begin = (self.begin, self.last + 1 + limits.after_hops), None
            return over
        return None


def some_calls(seed, streams=4, hops=240):
    """Make noise with bursts in it, some hops of which never came: int16[hops, streams, m], bool[hops, streams]."""
    chance = np.random.default_rng(seed)
    level = 10 ** chance.uniform(0, 3, streams) * np.ones((hops, 1))
    for _ in range(5 * streams):
        start = chance.integers(hops)
        level[start : start + chance.integers(1, 40), chance.integers(streams)] *= 10 ** chance.uniform(0.2, 1.5)
    samples = chance.normal(size=(hops, streams, HOP_SAMPLES)) * level[:, :, None]
    is_heard = chance.random((hops, streams)) > 0.03
    return np.clip(samples, -32768, 32767).astype(np.int16), is_heard


def listen(activity, samples, is_heard, rows=None):
    rows, over = np.arange(samples.shape[1]) if rows is None else rows, []
    for hop in range(len(samples)):
        _, ended = activity.take(rows, np.full(len(rows), hop), samples[hop], is_heard[hop])
        over += zip(*(column.tolist() for column in ended), strict=True)
    return over


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.booleans())
def test_all_streams_at_once_are_heard_as_each_by_itself(seed, is_patient):
    limits = ActivityLimits(hangover_hops=14 if is_patient else 5)
    samples, is_heard = some_calls(seed)
    found = listen(VoiceActivity(4, limits), samples, is_heard)
    for stream in range(4):
        one = OneStream(limits)
        expected = [one.take(samples[hop, stream], is_heard[hop, stream]) for hop in range(len(samples))]
        assert [spurt[1:] for spurt in found if spurt[0] == stream] == [spurt for spurt in expected if spurt]


def test_the_made_up_calls_of_this_test_have_speech_in_them():
    assert len(listen(VoiceActivity(4), *some_calls(1))) > 3


def test_an_energy_leaves_out_what_is_constant_and_what_is_at_4_khz():
    constant = np.full(HOP_SAMPLES, 20_000)
    alternating = np.tile([-32768, 32767], HOP_SAMPLES // 2)
    noise = np.random.default_rng(1).normal(0, 1000, HOP_SAMPLES)
    energy = hop_energy(np.array([constant, alternating, noise]).astype(np.int16))
    assert energy[:2].tolist() == [0, 0]
    assert 1e6 < energy[2] < 4e6


def test_noise_alone_is_no_speech_however_loud():
    samples = np.random.default_rng(2).normal(0, 1, (400, 3, HOP_SAMPLES)) * np.array([3, 100, 800])[:, None]
    activity = VoiceActivity(3)
    assert listen(activity, samples.astype(np.int16), np.ones((400, 3), np.bool_)) == []
    assert [activity.begin_of_open(stream) for stream in range(3)] == [None] * 3


def test_noise_that_becomes_louder_is_believed_after_three_seconds():
    samples = np.random.default_rng(3).normal(0, 20, (600, 1, HOP_SAMPLES))
    samples[200:] *= 30
    (spurt,) = listen(VoiceActivity(1), samples.astype(np.int16), np.ones((600, 1), np.bool_))
    assert spurt[1] in range(197, 202)
    assert 200 + 150 <= spurt[2] <= 200 + 175 + 5


def test_what_was_not_heard_is_neither_speech_nor_the_floor():
    samples = np.random.default_rng(4).normal(0, 300, (400, 1, HOP_SAMPLES)).astype(np.int16)
    is_heard = np.ones((400, 1), np.bool_)
    samples[100:300], is_heard[100:300] = 0, False
    activity = VoiceActivity(1)
    assert listen(activity, samples, is_heard) == []
    assert activity.begin_of_open(0) is None
    is_heard[:] = True  # but if it had been heard, what comes after would stand out
    listen(heard := VoiceActivity(1), samples, is_heard)
    assert heard.begin_of_open(0) == 298
    assert [column.tolist() for column in heard.close(0, 400)] == [[0], [298], [400]]


def test_a_reset_stream_knows_nothing_of_the_one_before():
    samples, is_heard = some_calls(9)
    used, fresh = VoiceActivity(4), VoiceActivity(4)
    listen(used, samples[::-1], is_heard)
    for stream in range(4):
        used.reset(stream)
    assert listen(used, samples, is_heard) == listen(fresh, samples, is_heard)
