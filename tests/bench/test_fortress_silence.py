import pytest

from bench.fortress_silence import measure, rows


def one(**changes):
    found = {
        "silent_s": 7200,
        "longest_turn_ms": 50.0,
        "longest_turn_by_clock_ms": 60.0,
        "duration_s": 7210.0,
        "size_bytes": 1,
    }
    return {"one direction": found | {"disk_bytes": 1 << 20} | changes}


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, [True, True]),
        ({"longest_turn_ms": 50.1}, [False, True]),
        ({"disk_bytes": (1 << 20) + 1}, [True, False]),
        ({"duration_s": 7199.0}, [True, False]),
    ],
)
def test_each_claim_is_held_against_its_bound(changes, kept):
    assert [claim.is_kept for claim in rows(one(**changes))] == kept


@pytest.mark.thorough
def test_a_recording_is_as_long_as_the_silence_in_it():
    found = measure(silent_s=600)
    assert found["one direction"]["duration_s"] == pytest.approx(610, abs=0.1)
    assert found["both directions"]["duration_s"] == pytest.approx(550, abs=0.1)
    assert all(some["files"] == 1 and some["longest_turn_ms"] > 0 for some in found.values())
