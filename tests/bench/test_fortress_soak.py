import sys

import pytest

from bench.fortress_soak import growth, measure, rows


def report(*, exact=300, grown=(0.0, 0.0, 0.0)):
    names = ("resident_kib", "descriptors", "threads")
    last = dict(zip(names, (100_000, 300, 4), strict=True))
    return {
        "minutes": 2,
        "calls": 300,
        "at_a_time": 30,
        "exact": exact,
        "growth": dict(zip(names, grown, strict=True)),
        "last": last,
    }


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        ({}, [True, True, True, True]),
        ({"exact": 299}, [False, True, True, True]),
        ({"grown": (5001.0, 0.0, 0.0)}, [True, False, True, True]),
        ({"grown": (0.0, 16.0, 0.0)}, [True, True, False, True]),
        ({"grown": (0.0, 0.0, 1.0)}, [True, True, True, False]),
        ({"grown": (-9000.0, -20.0, -1.0)}, [True, True, True, True]),
    ],
)
def test_each_claim_is_held_against_its_bound(found, kept):
    assert [claim.is_kept for claim in rows(report(**found))] == kept


def test_growth_is_that_of_a_line_through_the_second_half():
    assert growth([900, 0, 0, 0, 10, 12, 14, 16]) == pytest.approx(6)
    assert growth([5]) == 0


@pytest.mark.soak
@pytest.mark.skipif(sys.platform != "linux", reason="the generator is Linux's")
def test_what_is_measured_is_what_the_claims_are_of():
    found = measure(minutes=0.5, calls=10, pinned=False)
    assert found["exact"] == found["calls"] > 0
    assert len(rows(found)) == 4
