"""Both directions of a leg are listened to, and what they make of it together is summed up."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from strep.audio.block import SampleState
from strep.plugins.base import Hops
from strep.plugins.voice import Speech, SpeechStart, Talk, VoiceConfig, VoicePlugin
from strep.stream.events import Direction, Leg, StreamIdentity

HOP = 160
IDENTITY = StreamIdentity(None, Leg.A, Direction.INBOUND, "x")
IN, OUT = Direction.INBOUND, Direction.OUTBOUND
#: The ends of a segment are found to so many hops, with what is added to them.
NEAR = 5


def started(rows=1, **config):
    plugin = VoicePlugin(VoiceConfig(**config))
    plugin.start(rows)
    for row in range(rows):
        plugin.open(row, IDENTITY)
    return plugin


def leg(hops, inbound, outbound, seed=1):
    """Make noise at -62 dBFS, and 30 dB more where someone speaks, by hops: int16[2, hops * HOP]."""
    level = np.full((2, hops), 26.0)
    for direction, spurts in enumerate((inbound, outbound)):
        for begin, end in spurts:
            level[direction, begin:end] = 800.0
    made = np.random.default_rng(seed).normal(size=(2, hops * HOP)) * np.repeat(level, HOP, axis=1)
    return made.astype(np.int16)


def hear(plugin, legs, rows=None, start=0, state=SampleState.RECEIVED):
    """Give int16[n, 2, m] to the plugin, hop by hop."""
    rows = np.arange(len(legs)) if rows is None else rows
    found = []
    for hop in range(legs.shape[2] // HOP):
        position = np.full(len(rows), (start + hop) * HOP)
        samples = legs[:, :, hop * HOP : (hop + 1) * HOP]
        found += plugin.process(Hops(8000, rows, position, position, samples, np.full((len(rows), 2), state, np.uint8)))
    return found


def of_kind(found, kind):
    return [one for one in found if isinstance(one, kind)]


def test_segments_have_the_direction_and_the_place_of_the_speech():
    found = hear(started(), leg(400, [(50, 150)], [(200, 280), (330, 360)])[None])
    speech = of_kind(found, Speech)
    assert [one.direction for one in speech] == [IN, OUT, OUT]
    for one, (begin, end) in zip(speech, [(50, 150), (200, 280), (330, 360)], strict=True):
        assert begin - NEAR <= one.position // HOP <= begin
        assert end <= (one.position + one.length_samples) // HOP <= end + NEAR


def test_a_beginning_is_told_within_two_hops_and_agrees_with_the_segment():
    plugin, audio = started(), leg(200, [(50, 150)], [])
    assert of_kind(hear(plugin, audio[None, :, : 50 * HOP]), SpeechStart) == []
    (begun,) = of_kind(hear(plugin, audio[None, :, 50 * HOP : 52 * HOP], start=50), SpeechStart)
    (speech,) = of_kind(hear(plugin, audio[None, :, 52 * HOP :], start=52), Speech)
    assert (begun.direction, begun.position) == (IN, speech.position)


def test_a_short_pause_parts_nothing_and_a_longer_one_does():
    audio = leg(400, [(50, 100), (110, 150)], [(50, 100), (125, 150)])
    assert [one.direction for one in of_kind(hear(started(), audio[None]), Speech)] == [OUT, IN, OUT]


def test_what_still_goes_on_is_told_at_the_close_and_only_once():
    plugin = started()
    assert of_kind(hear(plugin, leg(120, [(50, 120)], [])[None]), Speech) == []
    speech, rest, total = plugin.close(0)
    assert isinstance(speech, Speech)
    assert speech.position + speech.length_samples == 120 * HOP
    assert (rest.is_total, total.is_total) == (False, True)
    assert rest.talk_s == total.talk_s == (speech.length_samples / 8000, 0)
    assert plugin.close(0) == plugin.finish() == []


def test_turns_are_summed_up_by_interval_and_in_total():
    inbound, outbound = [(20, 120), (260, 330), (400, 520)], [(150, 240), (420, 470)]
    plugin = started(interval_s=5)
    found = hear(plugin, leg(620, inbound, outbound)[None])
    first, second = of_kind(found, Talk)
    (third, total) = of_kind(plugin.close(0), Talk)
    assert [(one.position, one.length_samples) for one in (first, second, third, total)] == [
        (0, 40_000),
        (40_000, 40_000),
        (80_000, 19_200),
        (0, 99_200),
    ]
    assert total.talk_s == pytest.approx((5.8, 2.8), abs=3 * NEAR * 0.02)
    assert total.overlap_s == pytest.approx(1.0, abs=2 * NEAR * 0.02)
    assert total.interruptions == (0, 1)
    assert total.responses == (1, 1)
    assert total.mean_response_s == pytest.approx((0.4, 0.6), abs=0.02 + NEAR * 0.02)
    assert total.longest_silence_s == pytest.approx((2.8, 3.6), abs=2 * NEAR * 0.02)
    assert total.longest_mutual_silence_s == pytest.approx(2.0, abs=NEAR * 0.02)
    parts = (first, second, third)
    assert total.talk_s == pytest.approx(tuple(np.sum([one.talk_s for one in parts], axis=0)), abs=0.002)
    assert [one.interruptions[1] for one in parts] == [0, 1, 0]
    assert [one.responses for one in parts] == [(0, 1), (1, 0), (0, 0)]
    assert third.mean_response_s == (None, None)


def test_what_is_still_being_said_counts_in_the_interval_that_ends():
    plugin = started(interval_s=1)
    found = of_kind(hear(plugin, leg(190, [(75, 190)], [])[None]), Talk)
    assert [one.talk_s[0] for one in found] == pytest.approx([0, 0.5, 1.0], abs=NEAR * 0.02)


def test_many_legs_that_began_together_are_summed_up_one_hop_after_the_other():
    plugin, legs = started(70, interval_s=1), np.zeros((70, 2, 50 * HOP), np.int16)
    found = of_kind(hear(plugin, legs), Talk)
    told = [len(of_kind(hear(plugin, legs[:, :, :HOP], start=hop), Talk)) for hop in range(50, 80)]
    assert not found
    assert [count for count in told if count] == [32, 32, 6]


def test_a_leg_that_closes_before_its_turn_is_summed_up_all_the_same():
    plugin, legs = started(70, interval_s=1), np.zeros((70, 2, 71 * HOP), np.int16)  # settled after 21 more
    assert [one.row for one in of_kind(hear(plugin, legs), Talk)] == list(range(32))
    assert [one.length_samples // HOP for one in plugin.close(3)] == [21, 71]
    assert [one.length_samples // HOP for one in plugin.close(60)] == [50, 21, 71]


def test_intervals_without_end_keep_little_of_what_was_said():
    plugin = started(interval_s=1)
    hear(plugin, leg(2000, [(n, n + 20) for n in range(30, 2000, 40)], [])[None])
    assert max(len(spurts) for spurts in plugin._talks[0].spurts) < 5


def test_legs_beside_each_other_make_no_difference():
    chance = np.random.default_rng(8)
    legs = np.stack(
        [leg(200, [(a, a + 40)], [(b, b + 60)], int(a)) for a, b in chance.integers(20, 140, (5, 2)).tolist()]
    )
    together, alone = started(5, interval_s=1), started(5, interval_s=1)
    found = [*hear(together, legs), *together.finish()]
    own = [one for row in range(5) for one in hear(alone, legs[row : row + 1], np.array([row]))]
    assert sorted(map(str, found)) == sorted(map(str, [*own, *alone.finish()]))
    assert len(of_kind(found, Speech)) >= 10


@pytest.mark.parametrize("state", [SampleState.LOST, SampleState.SILENCE, SampleState.UNDECODED])
def test_what_did_not_come_is_not_speech(state):
    assert of_kind(hear(started(), leg(200, [(50, 150)], [])[None], state=state), SpeechStart) == []


def test_a_row_that_is_opened_again_knows_nothing_of_the_leg_before():
    plugin = started(interval_s=1)
    hear(plugin, leg(133, [(10, 133)], [(20, 60)])[None])
    plugin.open(0, IDENTITY)
    again, fresh = leg(150, [(40, 90)], []), started(interval_s=1)
    assert hear(plugin, again[None]) == hear(fresh, again[None])
    assert plugin.finish() == fresh.finish()


def test_a_leg_that_is_heard_from_later_on_is_summed_up_from_there():
    audio, late = leg(133, [(10, 133)], [(20, 60)])[None], 5000
    plugin, fresh = started(interval_s=1), started(interval_s=1)
    found, expected = [*hear(plugin, audio, start=late), *plugin.finish()], [*hear(fresh, audio), *fresh.finish()]
    assert found == [replace(one, position=one.position + late * HOP) for one in expected]
    assert len(of_kind(found, Talk)) == 4


def test_what_makes_no_sense_is_refused():
    for wrong in ({"range_share": 1.5}, {"hangover_ms": 0}, {"interval_s": 0}, {"mode": 3}):
        with pytest.raises(ValidationError):
            VoiceConfig(**wrong)
