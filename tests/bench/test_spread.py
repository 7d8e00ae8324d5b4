"""Repeated measurements are summed up by their median, and ratios are taken within a round."""

from bench.spread import Spread


def test_a_spread_has_the_median_and_both_ends() -> None:
    assert Spread.of([5.0, 1.0, 2.0]) == Spread(2.0, 1.0, 5.0)
    assert Spread.of(iter([4.0])) == Spread(4.0, 4.0, 4.0)


def test_ratios_are_taken_pair_by_pair_so_that_a_slow_round_does_not_count() -> None:
    assert Spread.of_ratios([10.0, 200.0, 30.0], [5.0, 100.0, 10.0]) == Spread(2.0, 2.0, 3.0)


def test_a_spread_is_written_for_programs_and_for_people() -> None:
    spread = Spread(1234.56, 1000.04, 2000.0)
    assert spread.rounded(1) == {"median": 1234.6, "min": 1000.0, "max": 2000.0}
    assert spread.ends() == "1,000–2,000"
    assert Spread(1.25, 1.0, 2.0).ends(2) == "1.00–2.00"
