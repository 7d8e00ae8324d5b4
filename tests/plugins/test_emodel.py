"""The E-model gives the values that ITU-T G.107 works out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.errors import ConfigError
from strep.plugins.emodel import (
    EQUIPMENT,
    Path,
    good_or_better_percent,
    mos,
    poor_or_worse_percent,
    rating,
    simple_rating,
)


def test_all_defaults_give_the_standards_93_2():
    assert rating(Path()) == pytest.approx(93.2, abs=0.05)
    assert mos(rating(Path())) == pytest.approx(4.41, abs=0.005)


@pytest.mark.parametrize(
    ("r", "opinion", "good", "poor"),
    [(90, 4.34, 97, 0), (80, 4.03, 89, 0), (70, 3.60, 73, 6), (60, 3.10, 50, 17), (50, 2.58, 27, 38)],
)
def test_a_rating_means_what_annex_b_says(r, opinion, good, poor):
    assert mos(r) == pytest.approx(opinion, abs=0.01)
    assert good_or_better_percent(r) == pytest.approx(good, abs=1)
    assert poor_or_worse_percent(r) == pytest.approx(poor, abs=1.5)


def test_the_scale_has_ends():
    assert (mos(-5), mos(0), mos(100), mos(120)) == (1.0, 1.0, 4.5, 4.5)


@pytest.mark.parametrize(
    ("ie", "loss", "bpl", "expected"), [(0, 0, 4.3, 0), (11, 0, 19, 11), (11, 2, 19, 19), (0, 4.3, 4.3, 47.5)]
)
def test_equipment_and_loss_take_off_what_equation_7_29_says(ie, loss, bpl, expected):
    assert rating(Path()) - rating(Path(ie=ie, ppl=loss, bpl=bpl)) == pytest.approx(expected)


def test_bursts_are_worse_than_losses_at_random():
    path = {"ie": 0, "bpl": 4.3, "ppl": 5}
    assert rating(Path(**path, burst_r=2)) < rating(Path(**path))


def test_delay_costs_little_up_to_150_ms_and_much_beyond_200():
    r = [simple_rating(EQUIPMENT["PCMU"], delay_ms, 0) for delay_ms in (0, 150, 200, 300, 400)]
    assert r == sorted(r, reverse=True)
    assert r[0] - r[1] < 5 < r[0] - r[2] < 10 < 18 < r[0] - r[3]


def test_an_absolute_delay_of_200_ms_costs_what_idd_says():
    # X = 1: 25 * (2^(1/6) - 3 * (1 + 3^-6)^(1/6) + 2)
    assert rating(Path()) - rating(Path(ta_ms=200)) == pytest.approx(
        25 * (2 ** (1 / 6) - 3 * (1 + 3**-6) ** (1 / 6) + 2)
    )


@given(st.floats(0, 100), st.floats(0, 100), st.floats(1, 20), st.sampled_from(sorted(EQUIPMENT)))
def test_more_loss_is_never_better(one, other, burst_r, codec):
    less, more = sorted((one, other))
    worse, better = (simple_rating(EQUIPMENT[codec], 50, loss, burst_r) for loss in (more, less))
    assert worse <= better + 1e-9


@pytest.mark.parametrize("wrong", [{"ppl": -1}, {"ppl": 101}, {"burst_r": 0}])
def test_what_is_no_loss_is_refused(wrong):
    with pytest.raises(ConfigError, match="expected a loss"):
        rating(Path(**wrong))
