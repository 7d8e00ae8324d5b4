"""Every stream is rated by what came of its packets."""

import numpy as np
import pytest

from strep.audio.block import SampleState
from strep.audio.formats import AudioFormat
from strep.plugins.base import Hops
from strep.plugins.emodel import EQUIPMENT, mos, simple_rating
from strep.plugins.quality import QualityConfig, QualityPlugin
from strep.stream.events import Direction, FormatChanged, Leg, StreamIdentity
from tests.plugins.events import placed

HOP, NS = 160, 20_000_000
IDENTITY = StreamIdentity(None, Leg.A, Direction.INBOUND, "x")


def plugin(rows=4, encoding="PCMU", interval_s=10.0):
    made = QualityPlugin(QualityConfig(interval_s=interval_s))
    made.start(rows)
    for row in range(rows):
        made.open(row, IDENTITY)
        made.event(row, placed(FormatChanged(0, row, 0, 0, AudioFormat(encoding, 8000, 8000))))
    return made


def hops(n, states, delay_ms=0.0):
    rows = np.arange(len(states))
    start_ns = np.full(len(states), n * NS)
    return Hops(
        8000,
        rows,
        np.full(len(states), n * HOP),
        start_ns,
        np.zeros((len(states), HOP), np.int16),
        np.array(states, np.uint8),
        start_ns + (np.broadcast_to(np.asarray(delay_ms), len(states)) * 1e6).astype(np.int64),
    )


R, C, L, S = SampleState.RECEIVED, SampleState.CONCEALED, SampleState.LOST, SampleState.SILENCE


def test_a_perfect_line_has_the_best_mark_of_its_codec():
    made = plugin()
    found = [one for n in range(500) for one in made.process(hops(n, [R]))]
    (quality,) = found
    assert (quality.position, quality.length_samples, quality.packets) == (0, 80_000, 500)
    assert (quality.loss_percent, quality.jitter_ms, quality.late_percent) == (0, 0, (0, 0, 0))
    expected = [mos(simple_rating(EQUIPMENT["PCMU"], delay_ms, 0)) for delay_ms in (50, 200, 20)]
    assert quality.mos == pytest.approx(expected, abs=0.005)


def test_losses_and_concealment_are_told_and_cost():
    made = plugin()
    found = [one for n in range(500) for one in made.process(hops(n, [C if n % 50 == 0 else L if n % 50 == 1 else R]))]
    (quality,) = found
    assert (quality.loss_percent, quality.concealed_percent, quality.bursts) == (4.0, 2.0, 10)
    assert quality.mos[0] < 4.2


def test_late_packets_cost_the_short_buffer_only():
    made = plugin()
    found = [one for n in range(500) for one in made.process(hops(n, [R], 100.0 if n % 10 == 0 else 0.0))]
    (quality,) = found
    assert quality.late_percent[:2] == (10.0, 0.0)
    assert quality.jitter_ms > 5
    assert quality.mos[0] < quality.mos[1]


def test_silence_that_was_meant_is_neither_lost_nor_late():
    made = plugin()
    found = [one for n in range(500) for one in made.process(hops(n, [S if n % 2 else R]))]
    assert (found[0].packets, found[0].loss_percent) == (250, 0)


def test_a_codec_without_figures_has_no_mark():
    made = plugin(encoding="OPUS")
    found = [one for n in range(500) for one in made.process(hops(n, [R]))]
    assert found[0].mos is None


def test_the_rest_is_rated_when_the_stream_closes_and_a_new_one_begins_anew():
    made = plugin()
    for n in range(10):
        assert not made.process(hops(n, [L]))
    (quality,) = made.close(0)
    assert (quality.packets, quality.loss_percent) == (10, 100)
    made.open(0, IDENTITY)
    assert made.close(0) == []


def test_streams_beside_each_other_make_no_difference():
    chance = np.random.default_rng(3)
    states, delays = chance.choice([R, C, L, S], (500, 4), p=[0.9, 0.04, 0.04, 0.02]), chance.exponential(20, (500, 4))
    together = plugin()
    found = [one for n in range(500) for one in together.process(hops(n, states[n], delays[n]))]
    assert len(found) == 4
    for row, quality in enumerate(found):
        alone = plugin(1)
        (own,) = [one for n in range(500) for one in alone.process(hops(n, states[n, row : row + 1], delays[n, row]))]
        assert (own.mos, own.late_percent, own.burst_density) == (
            quality.mos,
            quality.late_percent,
            quality.burst_density,
        )
