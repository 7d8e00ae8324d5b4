import numpy as np
import pytest

from bench.datagram_cost import OPENINGS, Cost, Play, Sequence, Step
from bench.fortress_amplification import _Search, measure, rows


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


@pytest.mark.parametrize("opening", OPENINGS)
def test_speech_takes_the_room_of_its_samples_and_makes_a_recording_no_longer_than_it_lasts(tmp_path, opening):
    costs = {}
    for packets in (50, 100):
        (tmp_path / str(packets)).mkdir()
        costs[packets] = Play(tmp_path / str(packets)).run(Sequence((Step(),) * packets, opening))
    rate_hz = {0: 8000, 104: 16_000, 11: 44_100, 105: 48_000}[opening]
    assert costs[100].disk - costs[50].disk == pytest.approx(50 * rate_hz // 50 * 4, abs=3 * 4096)
    assert -1.2 < costs[100].ahead_s <= 0  # the last second, of nobody's speech
    assert costs[100].ms > 0


def test_a_jump_of_hours_is_believed_for_seconds_at_most(tmp_path):
    jumps = tuple(Step(pause_ms=200, sequence_step=2000, ticks=1 << 27) for _ in range(8))
    assert Play(tmp_path).run(Sequence(jumps)).ahead_s <= 5


def test_what_was_held_back_shares_the_time_of_what_proves_who_sends(tmp_path):
    """A leg has ended, and three packets begin another: the first two wait for the third."""
    late = Step(pause_ms=3_000_000, sequence_step=5), Step(pause_ms=200, sequence_step=5), Step(pause_ms=200)
    cost = Play(tmp_path).run(Sequence(late))
    assert len(cost.all_ms) >= 3
    assert len(list(tmp_path.glob("*.wav"))) == 2


def test_of_repeats_each_datagram_has_the_least_time():
    cost = Cost(4096, (1.0, 3.0), 0.5).least(Cost(4096, (2.0, 2.5), 0.5))
    assert (cost.all_ms, cost.ms) == ((1.0, 2.5), 2.5)


def test_formats_that_change_and_pauses_are_tried(tmp_path):
    sequences = [_Search(np.random.default_rng(seed), tmp_path)._fresh() for seed in range(200)]
    orderly = [one for one in sequences if all(step.ssrc == 1 and 1 <= step.sequence_step <= 4 for step in one.steps)]
    mixed = [one for one in orderly if len({step.payload_type for step in one.steps}) > 3]
    assert any(sum(step.pause_ms >= 20_000 for step in one.steps) > 1 for one in mixed)
    assert {one.opening for one in mixed} == set(OPENINGS)


def test_the_same_seed_changes_sequences_alike(tmp_path):
    changed = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        search = _Search(np.random.default_rng(7), tmp_path / name)
        sequence = Sequence((Step(), Step(direction=1)))
        for _ in range(50):
            sequence = search._changed(sequence)
        changed.append(sequence)
    assert changed[0] == changed[1]
    assert 0 < len(changed[0].steps) <= 40


@pytest.mark.thorough
def test_what_is_measured_is_what_the_claims_are_of():
    found = measure(seconds=0.1, seed=3)
    assert found["datagrams"] >= found["sequences"] > 0
    assert found["worst"]["ms"]["cost"] > 0
    assert found["worst"]["bytes"]["sequence"]
    assert len(rows(found)) == 3
