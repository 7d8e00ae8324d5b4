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
