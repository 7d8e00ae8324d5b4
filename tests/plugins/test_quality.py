"""Every stream is rated by what came of its packets."""

from dataclasses import replace

import numpy as np
import pytest

from strep.audio.block import SampleState
from strep.audio.formats import AudioFormat
from strep.plugins.base import Hops
from strep.plugins.emodel import EQUIPMENT, mos, simple_rating
from strep.plugins.quality import QualityConfig, QualityPlugin
from strep.stream.events import Direction, FormatChanged, Leg, SourceChanged, StreamIdentity
from tests.plugins.events import placed

HOP, NS = 80, 10_000_000
START_NS = 1_700_000_000_000_000_000
IDENTITY = StreamIdentity(None, Leg.A, Direction.INBOUND, "x")
R, C, L, S, U = (
    SampleState.RECEIVED,
    SampleState.CONCEALED,
    SampleState.LOST,
    SampleState.SILENCE,
    SampleState.UNDECODED,
)


def plugin(rows=4, encoding="PCMU", interval_s=10.0):
    made = QualityPlugin(QualityConfig(interval_s=interval_s))
    made.start(rows)
    for row in range(rows):
        made.open(row, IDENTITY)
        made.event(row, placed(FormatChanged(0, row, 0, 0, AudioFormat(encoding, 8000, 8000))))
    return made


def hop(n, states, arrival_ns):
    """Make hop n of as many streams as there are states."""
    count = len(states)
    return Hops(
        8000,
        np.arange(count),
        np.full(count, n * HOP),
        np.full(count, START_NS + n * NS),
        np.zeros((count, HOP), np.int16),
        np.array(states, np.uint8),
        arrival_ns,
    )


def packet(n, states, delay_ms=0.0, hops=2):
    """Make the hops of packet n of each stream; it comes so much later than its first sample was due."""
    came = np.isin(states, (R, U))
    delay_ns = (np.broadcast_to(np.asarray(delay_ms), len(states)) * 1e6).astype(np.int64)
    return [hop(hops * n + part, states, (START_NS + hops * n * NS + delay_ns) * came) for part in range(hops)]


def found(made, hops):
    return [one for some in hops for one in made.process(some)]


def line(count, state=lambda n: R, delay_ms=lambda n: 0.0, hops=2):
    """Make so many packets of one stream."""
    return [one for n in range(count) for one in packet(n, [state(n)], delay_ms(n), hops)]


def test_a_perfect_line_has_the_best_mark_of_its_codec():
    (quality,) = found(plugin(), line(500))
    assert (quality.position, quality.length_samples, quality.packets) == (0, 80_000, 500)
    assert (quality.loss_percent, quality.jitter_ms, quality.late_percent) == (0, 0, (0, 0, 0))
    expected = [mos(simple_rating(EQUIPMENT["PCMU"], delay_ms, 0)) for delay_ms in (50, 200, 20)]
    assert quality.mos == pytest.approx(expected, abs=0.005)


def test_losses_and_concealment_are_told_and_cost():
    (quality,) = found(plugin(), line(500, lambda n: C if n % 50 == 10 else L if n % 50 == 11 else R))
    assert (quality.loss_percent, quality.concealed_percent, quality.bursts) == (4.0, 2.0, 10)
    assert quality.mos[0] < 4.2


def test_late_packets_cost_the_short_buffer_only():
    (quality,) = found(plugin(), line(500, delay_ms=lambda n: 100.0 if n % 10 == 0 else 0.0))
    assert quality.late_percent[:2] == (10.0, 0.0)
    assert quality.jitter_ms > 5
    assert quality.mos[0] < quality.mos[1]


def test_silence_that_was_meant_is_neither_lost_nor_late():
    (quality,) = found(plugin(), line(500, lambda n: S if n % 2 else R))
    assert (quality.packets, quality.loss_percent) == (250, 0)


def test_a_codec_without_figures_has_no_mark():
    (quality,) = found(plugin(encoding="OPUS"), line(500))
    assert quality.mos is None


def test_the_rest_is_rated_when_the_stream_closes_and_a_new_one_begins_anew():
    made = plugin()
    assert not found(made, line(10, lambda n: L if n else R))
    (quality,) = made.close(0)
    assert (quality.packets, quality.loss_percent) == (10, 90)
    assert (quality.position, quality.length_samples) == (0, 10 * 160)
    made.open(0, IDENTITY)
    assert made.close(0) == []


@pytest.mark.parametrize("hops", [1, 2, 3, 4, 6])
def test_packets_are_counted_whatever_they_last(hops):
    made = plugin(interval_s=100)
    delays = np.random.default_rng(hops).exponential(5, 600)
    states = np.random.default_rng(hops).choice([R, L], 600, p=[0.95, 0.05])
    states[:3] = R
    assert not found(made, line(600, lambda n: states[n], lambda n: delays[n], hops))
    (quality,) = made.close(0)
    assert quality.packets == 600
    assert quality.loss_percent == round(100 * float(np.mean(states == L)), 3)
    jitter, came = 0.0, delays[states == R]
    for change in np.abs(np.diff(came)):
        jitter += (change - jitter) / 16
    assert quality.jitter_ms == pytest.approx(jitter, abs=0.002)


def test_an_anchor_that_moves_is_no_jitter():
    made = plugin()
    blocks = line(100)
    blocks[100:] = [replace(one, time_ns=one.time_ns - 30_000_000) for one in blocks[100:]]
    assert not found(made, blocks)
    assert made.close(0)[0].jitter_ms == 0


def test_another_source_has_a_clock_of_its_own():
    made = plugin()
    found(made, line(100))
    made.event(0, placed(SourceChanged(0, 0, 200 * HOP, 7)))
    found(made, [one for n in range(100, 200) for one in packet(n, [R], 700.0)])
    assert made.close(0)[0].jitter_ms == 0


@pytest.mark.parametrize("state", [R, U])
def test_a_hop_without_a_time_of_arrival_does_not_count_for_delay(state):
    made = plugin()
    found(made, line(100))
    found(made, [hop(200, [state], np.zeros(1, np.int64)), *packet(101, [R])])
    (quality,) = made.close(0)
    assert (quality.packets, quality.jitter_ms, quality.loss_percent) == (101, 0, 0)


@pytest.mark.parametrize("arrival_ns", [None, np.zeros(1, np.int64)])
@pytest.mark.parametrize("state", list(SampleState))
def test_nothing_is_told_of_what_never_had_packets(state, arrival_ns):
    made = plugin(1)
    assert found(made, [hop(n, [state], arrival_ns) for n in range(1500)]) == []
    assert made.close(0) == []


@pytest.mark.parametrize("state", [C, L])
def test_losses_count_without_a_column_of_arrivals_as_with_zeros(state):
    told = []
    for arrival_ns in (None, np.zeros(1, np.int64)):
        made = plugin(1)
        found(made, line(100))
        found(made, [hop(200 + n, [state], arrival_ns) for n in range(20)])
        told += made.close(0)
    assert told[0] == told[1]
    assert (told[0].packets, told[0].loss_percent) == (110, round(1000 / 110, 3))


def test_of_an_interval_without_packets_nothing_is_told():
    told = found(plugin(), line(1500, lambda n: S if 500 <= n < 1000 else R))
    assert [(one.position, one.packets) for one in told] == [(0, 500), (160_000, 500)]


def test_a_stream_that_begins_later_is_rated_from_there():
    blocks = [replace(one, position=one.position + 400_000) for one in line(500)]
    (quality,) = found(plugin(), blocks)
    assert (quality.position, quality.length_samples, quality.packets) == (400_000, 80_000, 500)


@pytest.mark.thorough
def test_the_adaptive_buffer_remembers_what_it_learnt_in_the_interval_before():
    delays = np.abs(np.random.default_rng(1).normal(0, 60, 3000))
    late = [one.late_percent[2] for one in found(plugin(), line(3000, delay_ms=lambda n: delays[n]))]
    assert len(late) == 6
    assert late[0] > 10
    assert max(late[3:]) < 2


def test_another_stream_on_the_row_learns_anew():
    delays = np.abs(np.random.default_rng(1).normal(0, 60, 500))
    told, made = [], plugin(1)
    for _ in range(2):
        made.open(0, IDENTITY)
        told += found(made, line(500, delay_ms=lambda n: delays[n]))
    assert told[0].late_percent == told[1].late_percent
    assert told[0].jitter_ms == told[1].jitter_ms


def test_another_format_may_have_packets_of_another_length():
    made = plugin(1, interval_s=100)
    found(made, line(100, hops=1))
    made.event(0, placed(FormatChanged(0, 0, 0, 0, AudioFormat("PCMA", 8000, 8000))))
    found(made, [one for n in range(50, 150) for one in packet(n, [R])])
    (quality,) = made.close(0)
    assert quality.packets == 200


@pytest.mark.thorough
def test_streams_beside_each_other_make_no_difference():
    chance = np.random.default_rng(3)
    states, delays = chance.choice([R, C, L, S], (500, 4), p=[0.9, 0.04, 0.04, 0.02]), chance.exponential(20, (500, 4))
    together = found(plugin(), [one for n in range(500) for one in packet(n, states[n], delays[n])])
    assert len(together) == 4
    for row, quality in enumerate(together):
        (own,) = found(plugin(1), line(500, lambda n, row=row: states[n, row], lambda n, row=row: delays[n, row]))
        assert own == replace(quality, row=0)
