"""Playout buffers throw away what comes later than they wait."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strep.plugins.playout import KEEP, AdaptiveBuffer, FixedBuffer


def naive(delays):
    """Follow one stream as the paper has it."""
    estimate, spread, late, waits = None, 0.0, [], []
    for delay in delays:
        estimate = delay if estimate is None else estimate
        wait = min(max(estimate + 4 * spread, 20.0), 500.0)
        late.append(delay > wait)
        waits.append(wait)
        estimate = KEEP * estimate + (1 - KEEP) * delay
        spread = KEEP * spread + (1 - KEEP) * abs(estimate - delay)
    return late, float(np.mean(waits))


@given(st.lists(st.lists(st.floats(0, 1000), min_size=5, max_size=5), min_size=1, max_size=4))
def test_columns_equal_one_stream_by_itself(delays):
    buffer, rows = AdaptiveBuffer(len(delays)), np.arange(len(delays))
    late = np.array([buffer.is_late(rows, column) for column in np.array(delays).T])
    for row, own in enumerate(delays):
        expected, mean_ms = naive(own)
        assert late[:, row].tolist() == expected
        assert np.isclose(buffer.mean_delay_ms(row), mean_ms)


def test_a_fixed_buffer_waits_as_long_for_every_packet():
    assert FixedBuffer(50).is_late(np.arange(3), np.array([0.0, 50.0, 50.1])).tolist() == [False, False, True]


def test_an_adaptive_buffer_learns_to_wait():
    buffer, row = AdaptiveBuffer(1), np.array([0])
    draws = np.random.default_rng(1).exponential(30, 5000)
    late = np.array([buffer.is_late(row, np.array([delay]))[0] for delay in draws])
    assert late[:500].mean() > late[3000:].mean()
    assert late[3000:].mean() < 0.05


def late_percent(buffer, draws, length):
    """Give how many per cent are late in each interval of so many packets."""
    found = []
    for start in range(0, len(draws), length):
        buffer.begin_interval(0)
        late = [buffer.is_late(np.array([0]), np.array([delay]))[0] for delay in draws[start : start + length]]
        found.append(100 * np.mean(late))
    return found


def test_what_an_adaptive_buffer_learnt_outlasts_an_interval():
    draws = np.abs(np.random.default_rng(1).normal(0, 60, 3000))
    by_interval, at_once = (late_percent(AdaptiveBuffer(1), draws, length) for length in (500, 3000))
    assert np.isclose(np.mean(by_interval), at_once[0])
    assert by_interval[0] > 10
    assert max(by_interval[3:]) < 2


def test_the_mean_delay_is_that_of_the_interval():
    buffer, row = AdaptiveBuffer(1), np.array([0])
    for delay in [100.0] * 10:
        buffer.is_late(row, np.array([delay]))
    buffer.begin_interval(0)
    for delay in [300.0] * 2:
        buffer.is_late(row, np.array([delay]))
    first, second = 100.0, KEEP * 100 + (1 - KEEP) * 300
    spread = (1 - KEEP) * (300 - second)
    assert np.isclose(buffer.mean_delay_ms(0), np.mean([first, second + 4 * spread]))


def test_a_row_begins_anew():
    buffer, row = AdaptiveBuffer(1), np.array([0])
    buffer.is_late(row, np.array([400.0]))
    buffer.reset(0)
    assert buffer.is_late(row, np.array([30.0])).tolist() == [False]
    assert buffer.mean_delay_ms(0) == 30
