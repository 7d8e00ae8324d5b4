"""Peers record the same calls, and what it costs them is held against what it costs strep in the same round."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench import BenchError, peers
from bench.load import Load, free_ports
from bench.peers import OURS, OURS_SAME_LOAD, Rounds, Turn, conclude, run_rounds, take_peer_turn, take_strep_turn
from bench.recorders import PEERS, Files, Peer, PeerProcesses, measure_files

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the generator is Linux's")
FILES = Files(4, 9.9, 10.0, 99.0)
LOAD = Load(2, 30)


@pytest.mark.bench
@pytest.mark.peer
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_records_every_sample(peer: Peer, need: Callable[..., None]) -> None:
    need(peer.program)
    turn = take_peer_turn(peer, Load(2, 1), pinned=False)
    assert turn.fault == ""
    assert turn.cpu_s > 0
    assert turn.files == Files(4 // peer.channels, 1.0, 1.0, 100.0)


@pytest.mark.bench
def test_strep_records_every_sample() -> None:
    turn = take_strep_turn(Load(2, 1), pinned=False)
    assert turn.fault == ""
    assert turn.cpu_s > 0


def test_costs_are_by_the_minute_of_a_call() -> None:
    assert Turn(LOAD, cpu_s=3.0).cpu_s_per_call_minute == 3.0


def rounds_of(cost: dict[str, list[float]]) -> Rounds:
    turns = {name: [Turn(LOAD, cpu_s, FILES) for cpu_s in costs] for name, costs in cost.items()}
    return Rounds(turns, ["why"])


def test_ratios_are_a_peers_costs_in_those_of_strep() -> None:
    outcome = conclude(rounds_of({OURS: [1, 2], OURS_SAME_LOAD: [4, 4], "gstreamer": [10, 24]}))
    report = outcome.report
    assert report["cpu_seconds_per_call_minute"]["gstreamer"] == {"median": 17, "min": 10, "max": 24}
    assert (report["ratio_gstreamer"], report["ratio_gstreamer_same_load"]) == (11.0, 4.25)
    assert report["ratio_ffmpeg"] is None, "it was not there"
    assert report["files"]["gstreamer"] == {"count": 4, "shortest_s": 9.9, "longest_s": 10.0, "exact_percent": 99.0}
    assert (report["rounds"], report["invalid_rounds"]) == (2, ["why"])
    assert json.loads(json.dumps(report)) == report
    assert outcome.tables[0].row_count == 3


def test_a_round_with_a_fault_is_repeated() -> None:
    good = Turn(LOAD, 1.0)
    turns = iter([good, replace(good, fault="the sender was late"), good])
    rounds = run_rounds({OURS: lambda: next(turns)}, 2)
    assert rounds.turns[OURS] == [good, good]
    assert rounds.invalid == ["strep: the sender was late"]


def test_too_many_faults_end_it() -> None:
    with pytest.raises(BenchError, match="expected 1 valid rounds, found 4 others"):
        run_rounds({OURS: lambda: Turn(LOAD, 1.0, fault="why")}, 1)


def test_a_file_that_is_missing_is_0_seconds_long(tmp_path: Path) -> None:
    assert measure_files(PEERS[0], tmp_path, 1, 50) == Files(2, 0.0, 0.0, 0.0)


def commands(*command: str) -> Peer:
    return Peer("peer", command[0], 1, lambda directory, calls, port: [list(command)])


def test_a_peer_that_ends_before_it_listens_is_noticed(tmp_path: Path) -> None:
    peer = commands(sys.executable, "-c", "raise SystemExit('no such element')")
    with pytest.raises(BenchError, match="expected a peer that listens, found it ended: no such element"):
        PeerProcesses(peer, tmp_path, 1, free_ports(2))


def test_without_any_peer_there_is_nothing_to_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PEERS", (commands("no-such-program"),))
    with pytest.raises(BenchError, match="expected one of no-such-program, found none"):
        peers.measure(LOAD, 2, 1)
