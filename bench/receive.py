"""Measure nanoseconds per packet: the bare system call, strep stage by stage, and the customary ways, side by side."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress

from rich.table import Table

from bench import BenchError, Outcome
from bench.customary import ProtocolDrain, StructProtocol, aiortc_protocol, uvloop_loop
from bench.drains import BareDrain, EngineDrain, ReadDrain
from bench.machine import RECEIVER_CPU, SENDER_CPU, pin
from bench.sending import SendingProcess
from bench.spread import Spread
from bench.turns import Entry, Rounds, run_rounds
from strep.errors import ConfigError, ReceiveError

#: What ratios are held against, and what is held against it.
FLOOR, OURS = "bare_drain", "engine"
#: Ours where packets arrive together (UDP_GRO); held against the same floor, whose packets come one by one.
OURS_GRO = "engine_gro"
#: Ours by a packet ring, where the system allows that.
OURS_RING = "engine_ring"
#: The first two, filled and drained 20 ms at a time, as in real time; the queue then stays in the caches.
FLOOR_TICKS, OURS_TICKS = "bare_drain_ticks", "engine_ticks"
_FLOORS = {FLOOR_TICKS: FLOOR_TICKS, OURS_TICKS: FLOOR_TICKS}
#: The customary ways take ten times as long, and lose nothing in precision by taking a third as many.
_CUSTOMARY_SHARE = 3
#: Before its turn the engine needs more than its playout delay (100 ms) of traffic that comes on time: what was missing
#: while others had theirs is then placed and done with, and as much waits at the beginning of the turn as at its end.
_ENGINE_PRELUDE_PERIODS = 9
_LABELS = {
    FLOOR: "bare recvmmsg",
    "read": "strep read",
    OURS: "strep to int16",
    "read_gro": "strep read, GRO",
    OURS_GRO: "strep to int16, GRO",
    OURS_RING: "strep to int16, ring",
    "asyncio_struct": "asyncio, struct",
    "uvloop_struct": "uvloop, struct",
    "asyncio_aiortc": "asyncio, aiortc",
    "uvloop_aiortc": "uvloop, aiortc",
    FLOOR_TICKS: "bare recvmmsg",
    OURS_TICKS: "strep to int16",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this bench's options."""
    parser.add_argument("--streams", type=int, default=2000, help="open streams, two a call (2000)")
    parser.add_argument("--rounds", type=int, default=6, help="rounds that count (6)")
    parser.add_argument("--periods", type=int, default=30, help="packets of each stream in a turn, 20 ms each (30)")
    parser.add_argument("--seed", type=int, default=0, help="of the traffic (0)")


def run(arguments: argparse.Namespace) -> Outcome:
    """Measure. Raises BenchError when no valid rounds come about."""
    if arguments.streams < 2 or arguments.streams % 2 or arguments.rounds < 1 or arguments.periods < 1:
        raise BenchError("expected an even number of streams, and at least one round and one period")
    pin(RECEIVER_CPU)
    with ExitStack() as stack:
        sending = stack.enter_context(SendingProcess(arguments.streams, seed=arguments.seed, cpu=SENDER_CPU))
        entries = list(make_entries(arguments.streams, arguments.periods, stack))
        rounds = run_rounds(entries, sending, arguments.rounds, lambda text: print(text, file=sys.stderr))
    return conclude(rounds, arguments.streams, arguments.periods)


def make_entries(streams: int, periods: int, stack: ExitStack) -> Iterator[Entry]:
    """Open every contender; `stack` closes them."""
    queued = streams * periods
    bare = stack.enter_context(closing(BareDrain(queued)))
    read = stack.enter_context(closing(ReadDrain(queued)))
    engine = stack.enter_context(closing(EngineDrain(queued)))
    yield Entry(FLOOR, bare, periods)
    yield Entry("read", read, periods)
    yield Entry(OURS, engine, periods, prelude_periods=_ENGINE_PRELUDE_PERIODS)
    yield Entry("read_gro", read, periods, gso=True)
    yield Entry(OURS_GRO, engine, periods, prelude_periods=_ENGINE_PRELUDE_PERIODS, gso=True)
    if (ring := open_ring_drain(queued)) is not None:
        stack.callback(ring.close)
        yield Entry(OURS_RING, ring, periods, prelude_periods=_ENGINE_PRELUDE_PERIODS)
    yield Entry(OURS_TICKS, engine, periods, periods, _ENGINE_PRELUDE_PERIODS)
    yield Entry(FLOOR_TICKS, bare, periods, fills=periods)
    for name, protocol, new_loop in customary_ways():
        drain = stack.enter_context(closing(ProtocolDrain(queued, protocol, new_loop)))
        yield Entry(name, drain, max(1, periods // _CUSTOMARY_SHARE), paced=False)


def open_ring_drain(queued: int) -> EngineDrain | None:
    """Open an engine that drains a ring; None where there can be none."""
    try:
        return EngineDrain(queued, ring=True)
    except (ConfigError, ReceiveError):
        return None


def customary_ways() -> Iterator[tuple[str, Callable[[], StructProtocol], Callable[[], asyncio.AbstractEventLoop]]]:
    """Give name, protocol and loop of each way whose packages are installed."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    protocols: dict[str, Callable[[], StructProtocol]] = {"struct": StructProtocol}
    with suppress(ImportError):
        uvloop_loop().close()
        loops["uvloop"] = uvloop_loop
    with suppress(ImportError):
        protocols["aiortc"] = aiortc_protocol()
    for protocol_name, protocol in protocols.items():
        for loop_name, new_loop in loops.items():
            yield f"{loop_name}_{protocol_name}", protocol, new_loop


def conclude(rounds: Rounds, streams: int, periods: int) -> Outcome:
    """Sum up the rounds, for a program and for people."""
    cpu = {name: [turn.cpu_ns_per_packet for turn in turns] for name, turns in rounds.turns.items()}
    wall = {name: Spread.of(turn.wall_ns_per_packet for turn in turns) for name, turns in rounds.turns.items()}
    spreads = {name: Spread.of(values) for name, values in cpu.items()}
    ratios = {name: Spread.of_ratios(values, cpu[_FLOORS.get(name, FLOOR)]) for name, values in cpu.items()}
    ours = [name for name in (OURS, OURS_GRO, OURS_RING, OURS_TICKS) if name in rounds.turns]
    stages = {name: _stages(rounds, name) for name in ours}
    report = {
        "ns_per_packet": {name: spread.rounded(1) for name, spread in spreads.items()},
        "wall_ns_per_packet": {name: spread.rounded(1) for name, spread in wall.items()},
        "ratio_to_bare_drain": round(ratios[OURS].median, 3),
        "ratio_to_bare_drain_gro": round(ratios[OURS_GRO].median, 3),
        "ratio_to_bare_drain_ring": round(ratios[OURS_RING].median, 3) if OURS_RING in ratios else None,
        "ratio_to_bare_drain_ticks": round(ratios[OURS_TICKS].median, 3),
        "ratios_to_bare_drain": {name: spread.rounded(3) for name, spread in ratios.items()},
        "engine_stages_ns": {
            name: {stage: spread.rounded(1) for stage, spread in some.items()} for name, some in stages.items()
        },
        "streams": streams,
        "packets": {name: turns[0].packets for name, turns in rounds.turns.items()},
        "rounds": len(rounds.turns[FLOOR]),
        "invalid_rounds": rounds.invalid,
    }
    deep = [name for name in spreads if name not in _FLOORS]
    packets = rounds.turns[FLOOR][0].packets
    tables = [
        _table(f"{streams} streams, {packets:,} datagrams queued at a time", deep, spreads, wall, ratios, stages),
        _table(f"the same, {streams:,} (20 ms) at a time", [*_FLOORS], spreads, wall, ratios, stages),
    ]
    return Outcome(report, tables)


def _stages(rounds: Rounds, name: str) -> dict[str, Spread]:
    """Give wall time per packet of the engine's stages."""
    turns = rounds.turns[name]
    return {
        stage: Spread.of(turn.stage_ns[number] / turn.packets for turn in turns)
        for number, stage in enumerate(EngineDrain.STAGES)
    }


def _table(
    title: str,
    names: Sequence[str],
    spreads: dict[str, Spread],
    wall: dict[str, Spread],
    ratios: dict[str, Spread],
    stages: dict[str, dict[str, Spread]],
) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("ns a packet", no_wrap=True)
    for column in ("processor", "range", "wall", "× bare", "range"):
        table.add_column(column, justify="right", no_wrap=True)
    for name in names:
        cpu, ratio = spreads[name], ratios[name]
        wall_text, ratio_text = f"{wall[name].median:,.0f}", f"{ratio.median:.2f}"
        table.add_row(_LABELS[name], f"{cpu.median:,.0f}", cpu.ends(), wall_text, ratio_text, ratio.ends(2))
        for stage, spread in stages.get(name, {}).items():
            table.add_row(f"  of which {stage}", "", spread.ends(), f"{spread.median:,.0f}", style="dim")
    return table
