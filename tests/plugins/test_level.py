"""Levels are exact, interval by interval, and in total."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from strep.plugins.base import Hops
from strep.plugins.level import SILENCE_DBFS, DeadAir, Level, LevelConfig, LevelPlugin, count_runs
from strep.stream.events import Direction, Leg, StreamIdentity

HOP = 160
IDENTITY = StreamIdentity(None, Leg.A, Direction.INBOUND, "x")


def started(rows=1, **config):
    plugin = LevelPlugin(LevelConfig(**config))
    plugin.start(rows)
    for row in range(rows):
        plugin.open(row, IDENTITY)
    return plugin


def hear(plugin, samples, rows=None, start=0):
    """Give int16[n, m] to the plugin, hop by hop."""
    samples = np.atleast_2d(samples)
    rows = np.arange(len(samples)) if rows is None else rows
    found = []
    for at in range(0, samples.shape[1], HOP):
        position = np.full(len(rows), start + at)
        hop = np.ascontiguousarray(samples[:, at : at + HOP])
        found += plugin.process(Hops(8000, rows, position, position, hop, np.zeros(len(rows), np.uint8)))
    return found


def noise(seed, hops, level=500, rows=1):
    return np.random.default_rng(seed).normal(20, level, (rows, hops * HOP)).astype(np.int16)


def levels(found):
    return [one for one in found if isinstance(one, Level)]


def test_rms_peak_and_offset_are_those_of_the_samples():
    plugin, samples = started(3, interval_s=0.2), noise(1, 20, rows=3)
    found = levels(hear(plugin, samples))
    assert [(one.row, one.position, one.length_samples) for one in found] == [
        (row, start, 1600) for start in (0, 1600) for row in range(3)
    ]
    for one in found:
        part = samples[one.row, one.position : one.position + 1600].astype(float)
        assert one.rms_dbfs == pytest.approx(20 * math.log10(math.sqrt((part**2).mean()) / 32768), abs=0.006)
        assert one.peak_dbfs == pytest.approx(20 * math.log10(np.abs(part).max() / 32768), abs=0.006)
        assert one.offset == pytest.approx(part.mean() / 32768, abs=1e-6)
        assert not one.is_total


def test_the_lowest_sample_that_there_is_has_a_peak_of_zero_dbfs():
    (found,) = levels(hear(started(interval_s=0.1), np.full(5 * HOP, -32768, np.int16)))
    assert (found.peak_dbfs, found.rms_dbfs, found.offset) == (0, 0, -1)


def test_silence_is_very_quiet_and_has_no_speech():
    (found,) = levels(hear(started(interval_s=0.1), np.zeros(5 * HOP, np.int16)))
    assert (found.peak_dbfs, found.rms_dbfs, found.active_dbfs, found.activity) == (SILENCE_DBFS, SILENCE_DBFS, None, 0)


def test_the_total_is_of_all_intervals_and_of_what_is_left():
    plugin, samples = started(interval_s=0.2), noise(2, 27)
    hear(plugin, samples)
    rest, total = levels(plugin.close(0))
    (whole, _) = levels(list(itertools.chain(hear(other := started(), samples), other.close(0))))
    assert (rest.position, rest.length_samples, rest.is_total) == (3200, 7 * HOP, False)
    assert (total.position, total.length_samples, total.is_total) == (0, 27 * HOP, True)
    for name in ("rms_dbfs", "peak_dbfs", "offset", "active_dbfs", "activity"):
        assert getattr(total, name) == getattr(whole, name)
    assert plugin.close(0) == []


def test_streams_beside_each_other_make_no_difference():
    samples = noise(3, 40, rows=9)
    samples[4] = np.clip(samples[4].astype(int) * 80, -32768, 32767)
    together, alone = started(9, interval_s=0.3), started(9, interval_s=0.3)
    found = [*hear(together, samples), *together.finish()]
    own = [one for row in range(9) for one in hear(alone, samples[row], np.array([row]))]
    assert sorted(map(str, found)) == sorted(map(str, [*own, *alone.finish()]))


def test_a_row_that_is_opened_again_knows_nothing_of_the_stream_before():
    plugin, samples = started(), noise(4, 30)
    hear(plugin, noise(5, 33, 9000))
    plugin.open(0, IDENTITY)
    hear(plugin, samples)
    fresh = started()
    hear(fresh, samples)
    assert plugin.close(0) == fresh.close(0)


def runs_one_by_one(samples, clip_level):
    """Count as one would by hand."""
    sides = [1 if x >= clip_level else -1 if x <= -clip_level else 0 for x in samples]
    long = [length for side, run in itertools.groupby(sides) if (length := len(list(run))) >= 3 and side]
    return sum(long), len(long)


@given(st.lists(st.sampled_from([0, 5, -5]), min_size=1, max_size=60), st.integers(1, 20))
def test_runs_are_counted_whole_wherever_hops_part_them(samples, hop):
    carried = clipped = runs = 0
    for start in range(0, len(samples), hop):
        more, more_runs, carried = count_runs(np.array(samples[start : start + hop], np.int16), 5, carried)
        clipped, runs = clipped + more, runs + more_runs
    assert (clipped, runs) == runs_one_by_one(samples, 5)


def test_clipping_is_counted_across_hops_and_a_single_peak_is_none():
    samples = noise(6, 10)[0]
    samples[50] = 32767
    samples[158:163] = 32124
    samples[700:704] = -32768
    (found,) = levels(hear(started(interval_s=0.2), samples))
    assert (found.clipped_samples, found.clipped_runs) == (9, 2)


def test_a_run_that_ends_with_a_hop_does_not_go_on_after_a_quiet_one():
    samples = np.zeros(3 * HOP, np.int16)
    samples[HOP - 2 : HOP] = samples[2 * HOP] = 32767
    (found, _) = levels((plugin := started()).finish() or [*hear(plugin, samples), *plugin.finish()])
    assert (found.clipped_samples, found.clipped_runs) == (0, 0)


def test_dead_air_is_told_when_it_has_lasted_and_when_it_is_over():
    plugin = started(dead_air_s=0.5)
    samples = np.concatenate([noise(1, 10)[0], np.zeros(40 * HOP, np.int16), noise(2, 5)[0]])
    found = [one for one in hear(plugin, samples) if isinstance(one, DeadAir)]
    assert [(one.position, one.length_samples, one.is_over) for one in found] == [
        (10 * HOP, 25 * HOP, False),
        (10 * HOP, 40 * HOP, True),
    ]


def test_dead_air_at_the_end_of_a_stream_is_over_with_it():
    plugin = started(dead_air_s=0.5)
    assert len(hear(plugin, np.zeros(30 * HOP, np.int16))) == 1
    dead_air = plugin.close(0)[0]
    assert isinstance(dead_air, DeadAir)
    assert (dead_air.position, dead_air.length_samples, dead_air.is_over) == (0, 30 * HOP, True)


def test_dead_air_is_told_while_nothing_comes_and_once():
    plugin = started(2, dead_air_s=0.5)
    hear(plugin, noise(1, 10, rows=2))
    hear(plugin, np.zeros((2, 5 * HOP), np.int16), start=10 * HOP)
    end_ns = int(plugin._end_ns[0])
    assert plugin.tick(end_ns + 399_000_000) == []
    assert [(one.row, one.position, one.length_samples) for one in plugin.tick(end_ns + 401_000_000)] == [
        (0, 10 * HOP, 25 * HOP),
        (1, 10 * HOP, 25 * HOP),
    ]
    assert plugin.tick(end_ns + 2_000_000_000) == []
    assert hear(plugin, np.zeros((1, 40 * HOP), np.int16), start=15 * HOP) == []
    (over,) = (one for one in hear(plugin, noise(2, 1)[0], start=55 * HOP) if isinstance(one, DeadAir))
    assert (over.row, over.position, over.length_samples, over.is_over) == (0, 10 * HOP, 45 * HOP, True)


def test_noise_of_the_line_is_dead_air_too_and_speech_is_not():
    plugin = started(2, dead_air_s=0.5)
    samples = np.concatenate([noise(1, 30, 20), noise(1, 30, 200)]) - np.int16(20)
    assert [one.row for one in hear(plugin, samples)] == [0]


def test_what_makes_no_sense_is_refused():
    for wrong in ({"interval_s": 0}, {"clip_level": 40_000}, {"dead_air_dbfs": 3}, {"interval": 3}):
        with pytest.raises(ValidationError):
            LevelConfig(**wrong)
