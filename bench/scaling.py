"""Measure what a packet costs as streams grow, how evenly legs come to workers, and what a second worker brings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any

from rich.table import Table

from bench import BenchError, Outcome
from bench.legs import Steered, steer_legs
from bench.machine import RECEIVER_CPU, SENDER_CPU, pin
from bench.scheduled import ScheduledDrain, Switchboard
from bench.sending import SendingProcess
from bench.spread import Spread
from bench.turns import Entry, Rounds, Sending, run_rounds
from bench.worker_group import WorkerGroup
from strep.net.address import UdpAddress
from strep.stream.engine import EngineConfig
from tools.traffic import PERIOD_MS, Traffic

#: Open streams; each is a tenth of the next. The last is the most that an engine holds at default settings.
SIZES = (200, 2_000, 20_000)
#: A packet of the largest size may cost so many times as much as one of the smallest.
MOST_COST_RATIO = 1.5
#: As many datagrams are read at a time, whatever the size: what the playout delay holds of the smallest one. 1,000, in
#: other words: 200 streams send so many in 100 ms, 2,000 in 10 ms.
_BATCH_PERIODS = EngineConfig().playout_delay_ms // PERIOD_MS
_FILLS = 3
#: Into so many sockets legs are steered.
_SOCKETS = (2, 4, 8)
_WORKERS = (1, 2)
#: As in bench.receive: more than the playout delay.
_CREW_PRELUDE_PERIODS = 9
_TICKS = "_ticks"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this bench's options."""
    parser.add_argument("--rounds", type=int, default=8, help="rounds that count (8)")
    parser.add_argument("--legs", type=int, default=10_000, help="legs that are steered (10000)")
    parser.add_argument("--streams", type=int, default=2000, help="open streams that workers share (2000)")
    parser.add_argument(
        "--periods", type=int, default=30, help="packets of each that they have queued, 20 ms each (30)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the traffic (0)")


def run(arguments: argparse.Namespace) -> Outcome:
    """Measure. Not passed: the cost of a packet grows by more than it may, or the directions of a leg are separated."""
    streams, periods, rounds, seed = arguments.streams, arguments.periods, arguments.rounds, arguments.seed
    if min(rounds, arguments.legs, periods) < 1 or streams < 2 or streams % 2:
        raise BenchError("expected an even number of streams, and at least one round, leg and period")
    steered = {sockets: steer_legs(arguments.legs, sockets, seed=seed) for sockets in _SOCKETS}
    pin(RECEIVER_CPU)
    grown = measure_sizes(SIZES, rounds, seed=seed, sender_cpu=SENDER_CPU)
    shared = measure_workers((RECEIVER_CPU, SENDER_CPU), streams, periods, rounds, seed=seed, sender_cpu=SENDER_CPU)
    return conclude(SIZES, grown, arguments.legs, steered, streams, shared)


def measure_sizes(sizes: Sequence[int], rounds: int, *, seed: int = 0, sender_cpu: int | None = None) -> Rounds:
    """Let engines with so many open streams take turns at packets of the same number: queued, and 20 ms at a time."""
    batch_datagrams = min(sizes) * _BATCH_PERIODS
    with ExitStack() as stack:
        senders: dict[UdpAddress, Sending] = {}
        entries: list[Entry] = []
        for streams in sizes:
            traffic = Traffic(streams // 2, seed=seed)
            drain = ScheduledDrain(traffic, max(sizes), batch_datagrams=batch_datagrams)
            stack.enter_context(closing(drain))
            senders[drain.address] = stack.enter_context(SendingProcess(streams, seed=seed, cpu=sender_cpu))
            periods = max(sizes) // streams
            entries.append(Entry(f"{streams}", drain, _FILLS * periods, _FILLS, paced=False))
            entries.append(Entry(f"{streams}{_TICKS}", drain, periods, periods, paced=False))
        return run_rounds(entries, Switchboard(senders), rounds, _tell)


def measure_workers(
    cpus: Sequence[int | None], streams: int, periods: int, rounds: int, *, seed: int = 0, sender_cpu: int | None = None
) -> Rounds:
    """Let one worker and several, one for each of `cpus`, take turns at the same queue."""
    with ExitStack() as stack:
        sending = stack.enter_context(SendingProcess(streams, seed=seed, cpu=sender_cpu))
        entries = []
        for workers in _WORKERS:
            group = stack.enter_context(closing(WorkerGroup(cpus[:workers], streams * periods)))
            entries.append(Entry(f"{workers}", group, periods, prelude_periods=_CREW_PRELUDE_PERIODS))
        return run_rounds(entries, sending, rounds, _tell)


def conclude(
    sizes: Sequence[int],
    grown: Rounds,
    legs: int,
    steered: Mapping[int, Steered],
    streams: int,
    shared: Rounds,
) -> Outcome:
    """Sum up, for a program and for people."""
    cpu = {name: [turn.cpu_ns_per_packet for turn in turns] for name, turns in grown.turns.items()}
    engine = {name: [sum(turn.stage_ns[1:]) / turn.packets for turn in turns] for name, turns in grown.turns.items()}
    first, last = f"{sizes[0]}", f"{sizes[-1]}"
    ratio = Spread.of_ratios(cpu[last], cpu[first])
    speeds = {name: [turn.packets * 1e9 / turn.wall_ns for turn in turns] for name, turns in shared.turns.items()}
    gain = Spread.of_ratios(speeds["2"], speeds["1"])
    split = sum(one.split for one in steered.values())
    report = {
        f"cost_ratio_{last}_to_{first}": round(ratio.median, 3),
        "cost_ratio": ratio.rounded(3),
        "engine_cost_ratio": Spread.of_ratios(engine[last], engine[first]).rounded(3),
        "cost_ratio_ticks": Spread.of_ratios(cpu[last + _TICKS], cpu[first + _TICKS]).rounded(3),
        "most_cost_ratio": MOST_COST_RATIO,
        "ns_per_packet": {name: Spread.of(values).rounded(1) for name, values in cpu.items()},
        "engine_ns_per_packet": {name: Spread.of(values).rounded(1) for name, values in engine.items()},
        "rounds": len(cpu[first]),
        "invalid_rounds": [*grown.invalid, *shared.invalid],
        "legs": legs,
        "legs_split": split,
        "imbalance": round(steered[2].imbalance, 4),
        "imbalances": {str(sockets): round(one.imbalance, 4) for sockets, one in steered.items()},
        "legs_by_socket": {str(sockets): one.legs_by_socket for sockets, one in steered.items()},
        "throughput_ratio_2_to_1": round(gain.median, 3),
        "throughput_ratio": gain.rounded(3),
        "packets_per_second": {name: Spread.of(values).rounded(0) for name, values in speeds.items()},
        "worker_ns_per_packet": {
            name: Spread.of(turn.stage_ns[0] / turn.packets for turn in turns).rounded(1)
            for name, turns in shared.turns.items()
        },
        "worker_streams": streams,
    }
    tables = [_cost_table(sizes, report), _worker_table(report, steered)]
    return Outcome(report, tables, passed=ratio.median <= MOST_COST_RATIO and split == 0)


def _cost_table(sizes: Sequence[int], report: Mapping[str, Any]) -> Table:
    ratio = report["cost_ratio"]
    title = f"cost of a packet, {sizes[-1]:,} streams to {sizes[0]:,}: {ratio['median']:.2f} times"
    table = Table(title=f"{title} ({ratio['min']:.2f}–{ratio['max']:.2f})", title_justify="left")
    for column in ("streams", "ns a packet", "range", "engine", "in ticks", "range"):
        table.add_column(column, justify="right", no_wrap=True)
    for streams in sizes:
        cells: list[str] = []
        for name in (f"{streams}", f"{streams}{_TICKS}"):
            cells += _cells(report["ns_per_packet"][name])
        engine = report["engine_ns_per_packet"][f"{streams}"]["median"]
        table.add_row(f"{streams:,}", *cells[:2], f"{engine:,.0f}", *cells[2:])
    return table


def _worker_table(report: Mapping[str, Any], steered: Mapping[int, Steered]) -> Table:
    gain = report["throughput_ratio"]
    title = f"two workers take {gain['median']:.2f} times ({gain['min']:.2f}–{gain['max']:.2f}) what one takes"
    table = Table(title=title, title_justify="left")
    for column in ("workers", "packets/s", "range", "ns each", "split", "imbalance"):
        table.add_column(column, justify="right", no_wrap=True)
    for workers in sorted({*_WORKERS, *steered}):
        name = str(workers)
        speed = report["packets_per_second"].get(name)
        worked = [*_cells(speed), f"{report['worker_ns_per_packet'][name]['median']:,.0f}"] if speed else [""] * 3
        one = steered.get(workers)
        table.add_row(name, *worked, *((str(one.split), f"{100 * one.imbalance:.1f} %") if one else ("", "")))
    return table


def _cells(spread: Mapping[str, float]) -> Iterator[str]:
    yield f"{spread['median']:,.0f}"
    yield f"{spread['min']:,.0f}–{spread['max']:,.0f}"


def _tell(text: str) -> None:
    print(text, file=sys.stderr)
