"""Measure the processor time that a recorded minute of a call takes: strep, and what one would take instead of it."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from bench import BenchError, Outcome
from bench.completeness import check_recordings
from bench.load import Load, free_ports, kept_pace, send
from bench.machine import RECEIVER_CPU, SENDER_CPU, file_system_of
from bench.recorders import PEERS, Files, Peer, PeerProcesses, measure_files
from bench.recording import RecordingProcess
from bench.spread import Spread
from strep.net.address import UdpAddress

#: At a load that it is made for, and at that of the peers: what a turn of its loop costs is then shared by few calls.
OURS, OURS_SAME_LOAD = "strep", "strep_same_load"
#: A peer's files may be so much shorter or longer than the calls.
_LENGTH_TOLERANCE = 0.03
#: What a peer has received it has written by then: GStreamer holds packets for 200 ms.
_SETTLE_S = 0.5
_MOST_INVALID_ROUNDS = 3
_LABELS = {
    OURS: "strep",
    OURS_SAME_LOAD: "strep, same load",
    "gstreamer": "GStreamer",
    "gstreamer_stereo": "GStreamer, stereo",
    "ffmpeg": "ffmpeg",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this bench's options."""
    parser.add_argument("--calls", type=int, default=40, help="calls that each peer records at a time (40)")
    parser.add_argument("--strep-calls", type=int, default=500, help="calls that strep records besides (500)")
    parser.add_argument("--seconds", type=int, default=10, help="length of the calls (10)")
    parser.add_argument("--rounds", type=int, default=2, help="rounds that count (2)")
    parser.add_argument("--seed", type=int, default=0, help="of the traffic (0)")


def run(arguments: argparse.Namespace) -> Outcome:
    """Measure. Raises BenchError when no peer is installed, or too many rounds are not valid."""
    if arguments.rounds < 1:
        raise BenchError("expected at least one round")
    load = Load(arguments.calls, arguments.seconds, seed=arguments.seed)
    return measure(load, arguments.strep_calls, arguments.rounds, pinned=True)


@dataclass(frozen=True, slots=True)
class Turn:
    """One contender's part of a round: processor time of recording `load`. fault: why it does not count."""

    load: Load
    cpu_s: float
    files: Files | None = None
    fault: str = ""

    @property
    def cpu_s_per_call_minute(self) -> float:
        """Give processor seconds per minute of one recorded call."""
        return self.cpu_s / (self.load.calls * self.load.seconds / 60)


@dataclass(slots=True)
class Rounds:
    """All valid turns by contender, and why other rounds were repeated."""

    turns: dict[str, list[Turn]] = field(default_factory=dict)
    invalid: list[str] = field(default_factory=list)


def measure(load: Load, strep_calls: int, rounds: int, *, pinned: bool = False) -> Outcome:
    """Let every contender record in turn, `rounds` times, and sum up."""
    peers = [peer for peer in PEERS if peer.is_installed]
    if not peers:
        raise BenchError(f"expected one of {', '.join(sorted({peer.program for peer in PEERS}))}, found none")
    contenders: dict[str, Callable[[], Turn]] = {
        OURS: partial(take_strep_turn, replace(load, calls=strep_calls), pinned=pinned),
        OURS_SAME_LOAD: partial(take_strep_turn, load, pinned=pinned),
    }
    contenders |= {peer.name: partial(take_peer_turn, peer, load, pinned=pinned) for peer in peers}
    return conclude(run_rounds(contenders, rounds))


def run_rounds(contenders: Mapping[str, Callable[[], Turn]], rounds: int) -> Rounds:
    """Run rounds until enough are valid. Raises BenchError when too many are not."""
    result = Rounds({name: [] for name in contenders})
    for _ in range(rounds + _MOST_INVALID_ROUNDS):
        turns = {name: take_turn() for name, take_turn in contenders.items()}
        faults = [f"{name}: {turn.fault}" for name, turn in turns.items() if turn.fault]
        if faults:
            result.invalid.append("; ".join(faults))
            print(f"a round is repeated: {result.invalid[-1]}", file=sys.stderr)
            continue
        for name, turn in turns.items():
            result.turns[name].append(turn)
        if len(result.turns[OURS]) == rounds:
            return result
    raise BenchError(f"expected {rounds} valid rounds, found {len(result.invalid)} others: {result.invalid}")


def take_strep_turn(load: Load, *, pinned: bool) -> Turn:
    """Let strep record calls with their STREP headers, and hold every sample against what was sent."""
    with tempfile.TemporaryDirectory(prefix="strep-peers-") as folder:
        with RecordingProcess(Path(folder), cpu=RECEIVER_CPU if pinned else None) as recording:
            before = recording.usage()
            sent = send(load, recording.address, cpu=SENDER_CPU if pinned else None)
            recorded = recording.stop()
        findings = check_recordings(Path(folder), load.traffic(), load.packets)
    fault = next(iter(findings.faults.values()), "") or _sender_fault(sent)
    return Turn(load, recorded.usage.processor_s - before.processor_s, fault=fault)


def take_peer_turn(peer: Peer, load: Load, *, pinned: bool) -> Turn:
    """Let a peer record the same calls without STREP headers, and measure its files."""
    plain = replace(load, plain=True)
    port = free_ports(2 * load.calls)
    with tempfile.TemporaryDirectory(prefix="strep-peers-") as folder:
        with PeerProcesses(peer, Path(folder), load.calls, port, cpu=RECEIVER_CPU if pinned else None) as processes:
            sent = send(plain, UdpAddress("127.0.0.1", port), cpu=SENDER_CPU if pinned else None)
            time.sleep(_SETTLE_S)
            cpu_s = processes.stop()
        files = measure_files(peer, Path(folder), load.calls, load.packets)
    within = _LENGTH_TOLERANCE * load.seconds
    fault = _sender_fault(sent)
    if not load.seconds - within <= files.shortest_s <= files.longest_s <= load.seconds + within:
        fault = f"expected files of about {load.seconds} s, found {files.shortest_s:.3f} to {files.longest_s:.3f} s"
    return Turn(load, cpu_s, files, fault)


def _sender_fault(sent: dict[str, Any]) -> str:
    return "" if kept_pace(sent) else "the sender was late"


def conclude(rounds: Rounds) -> Outcome:
    """Sum up the rounds, for a program and for people. Ratios: a peer's costs in those of strep, of the same round."""
    costs = {name: [turn.cpu_s_per_call_minute for turn in turns] for name, turns in rounds.turns.items()}
    peers = [name for name in costs if name not in (OURS, OURS_SAME_LOAD)]
    ratios = {name: Spread.of_ratios(costs[name], costs[OURS]) for name in peers}
    same_load = {name: Spread.of_ratios(costs[name], costs[OURS_SAME_LOAD]) for name in peers}
    first = {name: turns[0] for name, turns in rounds.turns.items()}
    report: dict[str, Any] = {
        "cpu_seconds_per_call_minute": {name: Spread.of(values).rounded(4) for name, values in costs.items()},
        **{f"ratio_{peer.name}": _median(ratios, peer.name) for peer in PEERS},
        **{f"ratio_{peer.name}_same_load": _median(same_load, peer.name) for peer in PEERS},
        "ratios": {name: spread.rounded(2) for name, spread in ratios.items()},
        "ratios_same_load": {name: spread.rounded(2) for name, spread in same_load.items()},
        "calls": {name: turn.load.calls for name, turn in first.items()},
        "seconds": first[OURS].load.seconds,
        "files": {name: _describe_files(rounds.turns[name]) for name in peers},
        "file_system": file_system_of(Path(tempfile.gettempdir())),
        "rounds": len(costs[OURS]),
        "invalid_rounds": rounds.invalid,
    }
    return Outcome(report, [_table(first, costs, ratios, same_load)])


def _table(
    first: dict[str, Turn], costs: dict[str, list[float]], ratios: dict[str, Spread], same_load: dict[str, Spread]
) -> Table:
    title = f"ms of processor time a minute of one recorded call; calls of {first[OURS].load.seconds} s"
    table = Table(title=title, title_justify="left")
    for column in ("", "calls", "ms", "range", "× strep", "range", "same load"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name, values in costs.items():
        spread, cells = Spread.of(1000 * value for value in values), ["", "", ""]
        if name in ratios:
            cells = [f"{ratios[name].median:.1f}", ratios[name].ends(1), f"{same_load[name].median:.1f}"]
        table.add_row(_LABELS[name], f"{first[name].load.calls}", f"{spread.median:.0f}", spread.ends(), *cells)
    return table


def _median(ratios: dict[str, Spread], name: str) -> float | None:
    """Give the ratio of a peer, None where it is not installed."""
    return round(ratios[name].median, 2) if name in ratios else None


def _describe_files(turns: list[Turn]) -> dict[str, float]:
    """Sum up the files of all rounds: the worst of each."""
    files = [turn.files for turn in turns if turn.files is not None]
    return {
        "count": files[0].count,
        "shortest_s": round(min(one.shortest_s for one in files), 3),
        "longest_s": round(max(one.longest_s for one in files), 3),
        "exact_percent": round(min(one.exact_percent for one in files), 3),
    }
