"""A histogram gives the quantiles of what it counted, to the end of a step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.histogram import STEP_NS, Histogram

values = st.lists(st.integers(-(10**7), 4 * 10**9), min_size=1, max_size=50)


@given(st.lists(values, min_size=1, max_size=4), st.sampled_from([0.0, 0.5, 0.99, 0.999, 1.0]))
def test_a_quantile_is_that_of_all_values_to_the_end_of_its_step(portions: list[list[int]], share: float) -> None:
    histogram = Histogram()
    for portion in portions:
        histogram.add(np.array(portion, np.int64))
    counted = [value for portion in portions for value in portion]
    exact_ns = max(0, int(np.quantile(counted, share, method="inverted_cdf")))
    assert histogram.count == len(counted)
    assert histogram.quantile_ms(share) == pytest.approx((exact_ns // STEP_NS + 1) * STEP_NS / 1e6)


def test_nothing_counted_has_no_quantiles() -> None:
    histogram = Histogram()
    histogram.add(np.zeros(0, np.int64))
    assert (histogram.count, histogram.quantile_ms(0.5)) == (0, 0.0)


def test_what_is_longer_than_the_bound_counts_as_the_bound() -> None:
    histogram = Histogram()
    histogram.add(np.array([10**12, 10**15]))
    assert histogram.quantile_ms(0.01) == histogram.quantile_ms(1.0) == 5000.0
