import pytest

from bench.fortress_webhooks import measure, rows


def report(*, late=50, limited=290, taken=100, slowest_s=0.1):
    one = {"sent": 100, "taken": taken, "slowest_s": slowest_s}
    return {
        "late": {"calls": 50, "forked": late, "last_s": 59.0, "late_s": 60.0},
        "limited": {"calls": 300, "forked": limited, "last_s": 50.0, "refused": 0.9},
        "flood": {"half_open": 1000, "from": {"another address": one, "the same address": one}},
    }


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        ({}, [True, True, True, True]),
        ({"late": 49}, [False, True, True, True]),
        ({"limited": 289}, [True, False, True, True]),
        ({"taken": 99}, [True, True, False, False]),
        ({"slowest_s": 2.1}, [True, True, False, False]),
    ],
)
def test_each_claim_is_held_against_its_bound(found, kept):
    told = rows(report(**found))
    assert [is_kept for *_, is_kept in told] == kept
    assert told[1][:3] == (
        "calls forked within 60 s, 90% of commands refused (429)",
        f"{found.get('limited', 290)} of 300, the last after 50.0 s",
        "290 of 300",
    )


def test_what_is_measured_is_what_the_claims_are_of():
    found = measure(calls=3, late_s=0.1, limited_calls=3, refused=0.1, half_open=300)
    assert found["late"]["forked"] == found["limited"]["forked"] == 3
    assert {one["taken"] for one in found["flood"]["from"].values()} == {100}
    assert len(rows(found)) == 4
