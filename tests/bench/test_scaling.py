"""Sizes and workers take turns at real queues, legs come to one socket each, and the report has every number."""

import argparse
import json
import sys
from contextlib import closing

import numpy as np
import pytest

from bench import BenchError, legs, scaling, worker_group
from bench.legs import Steered, steer_legs
from bench.scaling import MOST_COST_RATIO, conclude, measure_sizes, measure_workers
from bench.scheduled import ScheduledDrain, Switchboard
from bench.sending import SendingProcess
from bench.turns import Rounds, Turn
from bench.worker_group import WorkerGroup
from strep.net import steering
from strep.net.address import UdpAddress
from strep.net.source import BoundSocket
from strep.net.steering import Instruction, Op
from tools.traffic import Traffic

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="recvmmsg and steering are Linux's")


@pytest.mark.bench
def test_sizes_take_turns_at_the_same_number_of_packets() -> None:
    rounds = measure_sizes((2, 20), 1)
    assert {name: turns[0].packets for name, turns in rounds.turns.items()} == {
        "2": 60,
        "2_ticks": 20,
        "20": 60,
        "20_ticks": 20,
    }
    assert not rounds.invalid


@pytest.mark.bench
def test_packets_that_were_sent_at_once_come_on_time_to_the_engine() -> None:
    traffic = Traffic(3, seed=5)
    with closing(ScheduledDrain(traffic, 60)) as drain, SendingProcess(6, seed=5) as sending:
        sending.begin(drain.address, paced=False)
        for _ in range(2):
            drain.drain(sending.send(10))
        sources = [source for report in drain.engine.reports() for source in report.sources]
    assert [source.max_jitter_ms for source in sources] == [0.0] * 6
    assert drain.progress().accepted == 120


@pytest.mark.thorough
def test_a_queue_that_is_not_what_was_announced_is_refused() -> None:
    with closing(ScheduledDrain(Traffic(3), 60)) as drain, SendingProcess(6) as sending:
        for queued in (61, 66):
            with pytest.raises(BenchError, match=f"at most 60 packets in whole periods, found {queued}"):
                drain.drain(queued)
        sending.begin(drain.address, paced=False)
        sending.send(2)
        with pytest.raises(BenchError, match="expected 6 packets, found more"):
            drain.drain(6)


class Told:
    """A sender that says what it was told."""

    def __init__(self, *, is_late: bool) -> None:
        self.is_late = is_late
        self.told: list[object] = []

    def begin(self, target: UdpAddress, *, paced: bool, gso: bool = False) -> None:
        self.told.append((target.port, paced, gso))

    def send(self, periods: int) -> int:
        self.told.append(periods)
        return periods


def test_each_address_is_sent_to_by_its_own_sender() -> None:
    first, second = Told(is_late=False), Told(is_late=True)
    board = Switchboard({UdpAddress("127.0.0.1", 1): first, UdpAddress("127.0.0.1", 2): second})
    for port, late in ((1, False), (2, True)):
        board.begin(UdpAddress("127.0.0.1", port), paced=True)
        assert (board.send(3 * port), board.is_late) == (3 * port, late)
    assert (first.told, second.told) == ([(1, True, False), 3], [(2, True, False), 6])


@pytest.mark.bench
def test_workers_take_all_that_is_queued_between_them() -> None:
    rounds = measure_workers((None, None), 40, 4, 1)
    assert {name: turns[0].packets for name, turns in rounds.turns.items()} == {"1": 160, "2": 160}
    assert all(turns[0].stage_ns[0] > 0 for turns in rounds.turns.values())


@pytest.mark.thorough
def test_a_worker_that_cannot_run_where_it_is_to_is_noticed() -> None:
    with pytest.raises(BenchError, match="expected a core number 4096"):
        WorkerGroup((4096,), 100)


def test_every_leg_comes_to_one_socket() -> None:
    steered = steer_legs(200, 4)
    assert steered.split == 0
    assert sum(steered.legs_by_socket) == 200
    assert len(steered.legs_by_socket) == 4
    assert min(steered.legs_by_socket) > 0


def test_legs_whose_directions_are_separated_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    by_direction = (Instruction(Op.LOAD_BYTE, 0), Instruction(Op.AND, 1), Instruction(Op.RETURN_A))
    monkeypatch.setattr(steering, "steering_program", lambda sockets: by_direction)
    assert steer_legs(20, 2) == Steered([20, 20], 20)


def test_a_system_that_cannot_steer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def alone(address: UdpAddress, sockets: int, receive_buffer_bytes: int) -> list[BoundSocket]:
        return bind_group(address, 1, receive_buffer_bytes)

    bind_group = legs.bind_group
    monkeypatch.setattr(legs, "bind_group", alone)
    monkeypatch.setattr(worker_group, "bind_group", alone)
    with pytest.raises(BenchError, match="expected a system that steers to 2"):
        steer_legs(20, 2)
    with pytest.raises(BenchError, match="expected a system that steers to 2"):
        WorkerGroup((None, None), 100)


def test_the_largest_and_the_smallest_share_both_count_as_imbalance() -> None:
    assert Steered([50, 50], 0).imbalance == 0
    assert Steered([60, 40], 0).imbalance == pytest.approx(0.2)
    assert Steered([10, 10, 40], 0).imbalance == pytest.approx(1.0)
    assert Steered([45, 45, 0], 0).imbalance == pytest.approx(1.0)


def turns(*cpu_ns: int) -> list[Turn]:
    return [Turn(100, ns, 2 * ns, (ns // 2, ns // 4, ns // 4)) for ns in cpu_ns]


def concluded(last: tuple[int, ...], split: int = 0) -> scaling.Outcome:
    grown = {"2": turns(100, 200, 400), "2_ticks": turns(200, 200, 200), "20": turns(*last), "20_ticks": turns(100)}
    shared = {"1": turns(200, 400), "2": turns(100, 250)}
    steered = {2: Steered([6, 4], split), 4: Steered([3, 2, 3, 2], 0)}
    grown["20_ticks"] = turns(100, 100, 100)
    return conclude((2, 20), Rounds(grown, ["why"]), 10, steered, 40, Rounds(shared, []))


def test_ratios_are_of_the_same_round() -> None:
    outcome = concluded((150, 280, 480))
    report = outcome.report
    assert outcome.passed
    assert report["cost_ratio_20_to_2"] == 1.4
    assert report["cost_ratio"] == {"median": 1.4, "min": 1.2, "max": 1.5}
    assert report["engine_cost_ratio"]["median"] == pytest.approx(1.4, abs=0.02)
    assert report["cost_ratio_ticks"]["median"] == 0.5
    assert report["throughput_ratio_2_to_1"] == 1.8
    assert report["packets_per_second"]["1"]["max"] == 250_000_000
    assert (report["legs"], report["legs_split"], report["imbalance"]) == (10, 0, 0.2)
    assert (report["rounds"], report["invalid_rounds"]) == (3, ["why"])
    assert json.loads(json.dumps(report)) == report
    assert [table.row_count for table in outcome.tables] == [2, 3]


def test_a_cost_that_grows_or_a_leg_that_is_split_is_not_passed() -> None:
    too_much = tuple(int(100 * share * (MOST_COST_RATIO + 0.1)) for share in (1, 2, 4))
    assert not concluded(too_much).passed
    assert not concluded((100, 200, 400), split=1).passed
    assert concluded((100, 200, 400), split=1).report["legs_split"] == 1


@pytest.mark.parametrize("words", [["--rounds", "0"], ["--legs", "0"], ["--periods", "0"], ["--streams", "3"]])
def test_arguments_that_cannot_work_are_refused(words: list[str]) -> None:
    parser = argparse.ArgumentParser()
    scaling.add_arguments(parser)
    with pytest.raises(BenchError, match="expected an even number"):
        scaling.run(parser.parse_args(words))


def test_the_sizes_divide_into_each_other() -> None:
    assert not np.any(max(scaling.SIZES) % np.array(scaling.SIZES))
