"""Measure how much later than its playout delay audio reaches a sink, at several loads, with recording and without."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from bench import BenchError, Outcome
from bench.capacity import recordings_folder
from bench.delivering import Delivered, DeliveringProcess
from bench.load import Load, kept_pace, send
from bench.machine import RECEIVER_CPU, SENDER_CPU
from bench.recording import Usage
from strep.stream.engine import EngineConfig

#: At half the knee, 99 of 100 packets are to be delivered within this time after their playout delay.
MOST_P99_MS = 30.0
_JUDGED_PERCENT = 50
_SHARES = (0.1, 0.5, 0.9)
#: All calls begin within 20 ms. Measured: with 2,000 of them recorded, what waited meanwhile is done with after 4 s.
_OPENING_S = 5
_MEMORY = Path("/dev/shm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this bench's options."""
    parser.add_argument("--calls", type=int, help="one load; otherwise 10, 50 and 90 %% of the knee")
    parser.add_argument("--knee", type=int, default=4000, help="the most calls carried, as capacity finds it (4000)")
    parser.add_argument(
        "--seconds", type=int, default=10, help=f"length of the calls, {_OPENING_S} s of opening in (10)"
    )
    parser.add_argument("--gso", action="store_true", help="packets due together arrive as one, up to 64")
    parser.add_argument("--seed", type=int, default=0, help="of the traffic (0)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--out", type=Path, help="record below this folder (the system's for temporary files)")
    where.add_argument("--memory", action="store_true", help=f"record to {_MEMORY}, which no disk slows down")


def run(arguments: argparse.Namespace) -> Outcome:
    """Measure. Not passed: a load up to half the knee was late, lost something, or was not offered."""
    if arguments.knee < 1 or arguments.seconds <= _OPENING_S:
        raise BenchError(f"expected a knee of at least 1 call, and calls of more than {_OPENING_S} s")
    each = [arguments.calls] if arguments.calls else [max(1, round(share * arguments.knee)) for share in _SHARES]
    parent = _MEMORY if arguments.memory else arguments.out
    measured = []
    for load in [Load(calls, arguments.seconds, seed=arguments.seed, gso=arguments.gso) for calls in each]:
        with recordings_folder(parent, keep=False) as directory:
            measured.append(deliver(load, directory, arguments.knee, opening_s=_OPENING_S, pinned=True))
        measured.append(deliver(load, None, arguments.knee, opening_s=_OPENING_S, pinned=True))
        for one in measured[-2:]:
            print(f"{one['calls']} calls: p99 {one['p99_ms']} ms, {one['dropped']} dropped", file=sys.stderr)
    return conclude(arguments.knee, measured)


def deliver(
    load: Load, directory: Path | None, knee: int, *, opening_s: float = 0.0, pinned: bool = False
) -> dict[str, Any]:
    """Deliver a load, recorded into a folder if there is one, and sum up."""
    with DeliveringProcess(directory, opening_s, cpu=RECEIVER_CPU if pinned else None) as delivering:
        before = delivering.usage()
        sent = send(load, delivering.address, cpu=SENDER_CPU if pinned else None)
        after = delivering.usage()
        delivered = delivering.stop()
    return summed_up(load, knee, sent, before, after, delivered, recorded=directory is not None)


def summed_up(
    load: Load,
    knee: int,
    sent: dict[str, Any],
    before: Usage,
    after: Usage,
    delivered: Delivered,
    *,
    recorded: bool,
) -> dict[str, Any]:
    """Sum up one load."""
    latency, counted = delivered.latency, delivered.recorded
    return {
        "calls": load.calls,
        "percent_of_knee": round(100 * load.calls / knee, 1),
        "recorded": recorded,
        "gso": load.gso,
        "p50_ms": latency.added.quantile_ms(0.5),
        "p99_ms": latency.added.quantile_ms(0.99),
        "p99_9_ms": latency.added.quantile_ms(0.999),
        "max_ms": latency.added.quantile_ms(1.0),
        "waiting_p50_ms": latency.waiting.quantile_ms(0.5),
        "waiting_p99_ms": latency.waiting.quantile_ms(0.99),
        "working_p50_ms": latency.working.quantile_ms(0.5),
        "working_p99_ms": latency.working.quantile_ms(0.99),
        "opening_p99_ms": latency.opening.quantile_ms(0.99),
        "opening_max_ms": latency.opening.quantile_ms(1.0),
        "packets": latency.added.count,
        "dropped": sent["packets_sent"] - counted.fates["accepted"],
        "kernel_drops": counted.kernel_drops,
        "sink_failures": delivered.failures,
        "receiver_cpu_percent": round(100 * (after.processor_s - before.processor_s) / sent["seconds"], 1),
        "longest_turn_ms": round(counted.longest_turn_ms, 1),
        "preempted_ms": None if latency.preempted_ns is None else round(latency.preempted_ns / 1e6, 1),
        "sender_kept_pace": kept_pace(sent),
    }


def conclude(knee: int, measured: Sequence[dict[str, Any]]) -> Outcome:
    """Judge all loads, for a program and for people."""
    delay_ms = EngineConfig().playout_delay_ms
    report = {
        "knee_calls": knee,
        "playout_delay_ms": delay_ms,
        "most_p99_ms": MOST_P99_MS,
        "loads": list(measured),
        "dropped": sum(one["dropped"] for one in measured),
    }
    passed = all(_is_passed(one) for one in measured)
    title = f"milliseconds beyond the playout delay ({delay_ms}): {'passed' if passed else 'NOT PASSED'}"
    return Outcome(
        report,
        [
            _table(title, _LATE, measured),
            _table("p99 of its parts and of the opening; what else took time", _WHY, measured),
        ],
        passed,
    )


#: Columns of the tables, by name in the report.
_LATE = {"p50_ms": "p50", "p99_ms": "p99", "p99_9_ms": "p99.9", "max_ms": "max", "dropped": "dropped"}
_WHY = {
    "waiting_p99_ms": "waiting",
    "working_p99_ms": "working",
    "opening_p99_ms": "opening",
    "preempted_ms": "preempted",
    "receiver_cpu_percent": "core %",
}


def _table(title: str, columns: Mapping[str, str], measured: Sequence[dict[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in ("calls", "recorded", *columns.values()):
        table.add_column(column, justify="right", no_wrap=True)
    for one in measured:
        cells = ["" if one[name] is None else f"{one[name]:,}" for name in columns]
        table.add_row(f"{one['calls']:,}", "yes" if one["recorded"] else "no", *cells)
    return table


def _is_passed(one: dict[str, Any]) -> bool:
    if one["percent_of_knee"] > _JUDGED_PERCENT:  # the knee is somebody's word; with half of it there is no excuse
        return True
    lossless = not (one["dropped"] or one["sink_failures"])
    return lossless and one["sender_kept_pace"] and bool(one["p99_ms"] <= MOST_P99_MS)
