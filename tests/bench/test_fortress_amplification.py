import numpy as np
import pytest

from bench.fortress_amplification import _PRELUDE, Step, _Play, _Search, measure, rows


def report(*, written=65_536, spent=2.0, ahead=5.0):
    worst = {"bytes": {"cost": written}, "ms": {"cost": spent}, "ahead_s": {"cost": ahead}}
    return {"worst": worst, "usual_ms": 0.3, "sequences": 10, "datagrams": 100}


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        ({}, [True, True, True]),
        ({"written": 65_537}, [False, True, True]),
        ({"spent": 2.1}, [True, False, True]),
        ({"ahead": 5.1}, [True, True, False]),
    ],
)
def test_each_claim_is_held_against_its_bound(found, kept):
    assert [claim.is_kept for claim in rows(report(**found))] == kept


def test_speech_is_written_in_its_turn_and_makes_a_recording_no_longer_than_it_lasts(tmp_path):
    cost = _Play(tmp_path).run((*_PRELUDE, *(Step() for _ in range(100))))
    assert 0 < cost.bytes <= 4096
    assert -1.2 < cost.ahead_s <= 0  # the last second, of nobody's speech


def test_a_jump_of_hours_is_believed_for_seconds_at_most(tmp_path):
    jumps = tuple(Step(pause_ms=200, sequence_step=2000, ticks=1 << 27) for _ in range(8))
    assert _Play(tmp_path).run((*_PRELUDE, *jumps)).ahead_s <= 5


def test_the_same_seed_changes_sequences_alike(tmp_path):
    changed = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        search = _Search(np.random.default_rng(7), tmp_path / name)
        sequence = (Step(), Step(direction=1))
        for _ in range(50):
            sequence = search._changed(sequence)
        changed.append(sequence)
    assert changed[0] == changed[1]
    assert 0 < len(changed[0]) <= 40


def test_what_is_measured_is_what_the_claims_are_of():
    found = measure(seconds=0.1, seed=3)
    assert found["datagrams"] >= found["sequences"] > 0
    assert found["worst"]["bytes"]["cost"] > 0
    assert found["worst"]["bytes"]["sequence"]
    assert len(rows(found)) == 3
