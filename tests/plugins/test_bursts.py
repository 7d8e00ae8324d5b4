"""Bursts of loss equal what the definition of RFC 3611 gives, taken literally."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.plugins.bursts import GMIN, LossBursts

PATTERNS = st.lists(st.booleans(), max_size=200) | st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 4)), max_size=8
).map(lambda runs: [lost for came, gone in runs for lost in [False] * came + [True] * gone])


def naive(pattern, gmin):
    """Find the bursts by looking at all losses: those closer than gmin packets that came belong together."""
    losses = [n for n, lost in enumerate(pattern) if lost]
    groups = []
    for n in losses:
        if groups and n - groups[-1][-1] - 1 < gmin:
            groups[-1].append(n)
        else:
            groups.append([n])
    bursts = [group for group in groups if len(group) >= 2]
    inside = sum(group[-1] - group[0] + 1 for group in bursts)
    lost_inside = sum(map(len, bursts))
    outside = len(pattern) - inside
    runs = sum(lost and not before for lost, before in zip(pattern, [False, *pattern], strict=False))
    share = len(losses) / len(pattern) if pattern else 0
    return (
        len(pattern),
        len(losses),
        len(bursts),
        inside,
        lost_inside / inside if inside else 0.0,
        (len(losses) - lost_inside) / outside if outside else 0.0,
        len(losses) / runs * (1 - share) if 0 < share < 1 else 1.0,
    )


@given(st.lists(PATTERNS, min_size=1, max_size=4), st.sampled_from([1, 2, GMIN]))
def test_columns_equal_the_definition(patterns, gmin):
    bursts = LossBursts(len(patterns), gmin)
    for n in range(max(map(len, patterns))):
        rows = np.array([row for row, pattern in enumerate(patterns) if n < len(pattern)])
        bursts.take(rows, np.array([patterns[row][n] for row in rows]))
        if n == 20:  # asking does not disturb
            bursts.metrics(0)
    for row, pattern in enumerate(patterns):
        assert tuple(bursts.metrics(row)) == pytest.approx(naive(pattern, gmin))


def test_single_losses_are_no_bursts():
    bursts = LossBursts(1)
    for n in range(100):
        bursts.take(np.array([0]), np.array([n % 20 == 0]))
    metrics = bursts.metrics(0)
    assert (metrics.bursts, metrics.burst_density, metrics.gap_density, metrics.loss_percent) == (0, 0, 0.05, 5)


def test_a_row_begins_anew():
    bursts = LossBursts(2)
    bursts.take(np.array([0, 1]), np.array([True, True]))
    bursts.reset(0)
    assert (bursts.metrics(0).packets, bursts.metrics(1).packets) == (0, 1)
