import itertools

import numpy as np
import pytest

from strep.emulator.impairments import Copies, Impairments, NetworkPath
from strep.errors import ConfigError

PERIOD_NS = 20_000_000


def carried(impairments, count, path=None, first=0):
    """Send packets of one byte through a path, one in each 20 ms."""
    path = path or NetworkPath(impairments, "A in")
    return [
        copies
        for number in range(first, first + count)
        for copies in path.carry(number * PERIOD_NS, [(number, bytes((number % 256,)))])
    ]


def lost(copies):
    return np.array([each.copies == 0 for each in copies])


def runs(flags):
    return [len(list(group)) for value, group in itertools.groupby(flags.tolist()) if value]


@pytest.mark.parametrize(("loss", "burst"), [(0.02, 5), (0.1, 10), (0.3, 3), (0.2, 1)])
def test_losses_come_in_the_share_asked_for_and_in_bursts_of_the_length_asked_for(loss, burst):
    flags = lost(carried(Impairments(loss=loss, burst_packets=burst, seed=3), 60_000))
    assert flags.mean() == pytest.approx(loss, rel=0.15)
    assert np.mean(runs(flags)) == pytest.approx(max(burst, 1 / (1 - loss)), rel=0.15)


def test_without_bursts_the_fate_of_a_packet_does_not_depend_on_the_one_before():
    impairments = Impairments(loss=0.3)
    for chance in (0.0, 0.29, 0.31, 0.99):
        assert (
            impairments.loses(chance, lost_before=False)
            == impairments.loses(chance, lost_before=True)
            == (chance < 0.3)
        )


@pytest.mark.parametrize("burst", [1, 20])
def test_no_loss_loses_none_and_all_loss_loses_all(burst):
    assert not lost(carried(Impairments(loss=0, burst_packets=burst, jitter_ms=1), 100)).any()
    assert lost(carried(Impairments(loss=1, burst_packets=burst), 100)).all()


def test_impairments_replaced_while_packets_come_act_from_the_next_one_on():
    path = NetworkPath(Impairments(), "A in")
    before = carried(None, 50, path)
    path.impairments = Impairments(loss=1)
    during = carried(None, 50, path, 50)
    path.impairments = Impairments()
    after = carried(None, 50, path, 100)
    assert [lost(part).tolist() for part in (before, during, after)] == [[False] * 50, [True] * 50, [False] * 50]


def test_a_run_with_changes_is_repeated_by_its_seeds():
    def run():
        path = NetworkPath(Impairments(seed=1), "A in")
        everything = []
        for part, harm in enumerate(
            [Impairments(loss=0.2, seed=1), Impairments(jitter_ms=9, seed=2), Impairments(seed=9)]
        ):
            path.impairments = harm
            everything += carried(None, 40, path, 40 * part)
        return everything

    assert run() == run()


def test_equal_seeds_go_on_and_another_seed_begins_anew():
    path, other = (NetworkPath(Impairments(loss=0.5, seed=1), "A in") for _ in range(2))
    carried(None, 30, path)
    carried(None, 30, other)
    path.impairments = Impairments(loss=0.5, duplicate=0.1, seed=1)
    assert (lost(carried(None, 60, path, 30)) == lost(carried(None, 60, other, 30))).all()
    fresh = NetworkPath(Impairments(loss=0.5, seed=2), "A in")
    path.impairments = Impairments(loss=0.5, seed=2)
    assert (lost(carried(None, 60, path, 90)) == lost(carried(None, 60, fresh, 90))).all()


def test_what_is_held_back_goes_when_nothing_follows():
    path = NetworkPath(Impairments(reorder=1), "A in")
    assert list(path.carry(0, [(0, b"a")])) == []
    assert list(path.carry(PERIOD_NS, [])) == [Copies(PERIOD_NS, 0, b"a", 1)]
    assert list(path.flush(0)) == []


def test_a_packet_held_back_goes_right_after_its_successor_also_when_the_network_is_switched_off():
    path = NetworkPath(Impairments(reorder=1), "A in")
    assert list(path.carry(0, [(0, b"a")])) == []
    path.impairments = Impairments()
    assert not path.is_clear
    assert [copies.number for copies in path.carry(PERIOD_NS, [(1, b"b")])] == [1, 0]
    assert path.is_clear


def test_packets_of_one_time_meet_their_fates_one_by_one():
    path = NetworkPath(Impairments(loss=0.5, seed=1), "A in")
    copies = [list(path.carry(n * PERIOD_NS, [(3 * n + k, b"") for k in range(3)])) for n in range(100)]
    assert {sum(each.copies for each in three) for three in copies} == {0, 1, 2, 3}


def test_a_network_switched_off_lets_no_packet_overtake_those_on_their_way():
    path = NetworkPath(Impairments(jitter_ms=1000, seed=1), "A in")
    late = max(copies.offset_ns for copies in carried(None, 20, path))
    path.impairments = Impairments()
    (next_one,) = path.carry(20 * PERIOD_NS, [(20, b"")])
    assert next_one.offset_ns == late > 20 * PERIOD_NS


@pytest.mark.parametrize(
    "wrong",
    [{"burst_packets": 0.5}, {"burst_packets": 1e6}, {"clock_drift_ppm": 2e5}, {"clock_drift_ppm": float("nan")}],
)
def test_harm_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))}: expected"):
        Impairments(**wrong)
