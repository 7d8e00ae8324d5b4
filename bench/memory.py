"""Measure what memory streams take: decoded, recorded, and when many calls have ended and others have begun."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.table import Table

from bench import BenchError, Outcome
from bench.capacity import recordings_folder
from bench.holding import Held
from tools.traffic import MAX_CALLS

#: At default settings: 20,000 streams then take 1.3 GB.
MOST_BYTES_PER_STREAM = 65_536
#: A stream that is forgotten leaves 500 bytes at least. Measured with none: 10, and up to 150 without recording, as
#: pages come and go.
MOST_GROWTH_BYTES = 300
#: The first generations fill what is kept by design: rings for the next streams, the sink's last 1,000 recordings.
_SETTLED = 3
_LEAST_GENERATIONS = _SETTLED + 1
#: A ring of the sink holds 2.4 s; by then all of it has been written to.
_LEAST_SECONDS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this bench's options."""
    parser.add_argument("--streams", type=int, default=2000, help="open at a time, two a call (2000)")
    parser.add_argument("--seconds", type=int, default=4, help="of traffic for each, in made-up time (4)")
    parser.add_argument("--generations", type=int, default=8, help="of calls, one after the other (8)")
    parser.add_argument("--seed", type=int, default=0, help="of the traffic (0)")
    parser.add_argument("--out", type=Path, help="record below this folder (the system's for temporary files)")


def run(arguments: argparse.Namespace) -> Outcome:
    """Measure. Not passed: a stream takes more than it may, or memory grows with the calls that have ended."""
    streams, seconds, generations = arguments.streams, arguments.seconds, arguments.generations
    if streams < 2 or streams % 2 or streams > 2 * MAX_CALLS:
        raise BenchError(f"expected an even number of streams from 2 to {2 * MAX_CALLS}, found {streams}")
    if seconds < _LEAST_SECONDS or generations < _LEAST_GENERATIONS:
        raise BenchError(f"expected at least {_LEAST_SECONDS} seconds and {_LEAST_GENERATIONS} generations")
    decoded = Held.of(streams, seconds, generations, None, arguments.seed)
    with recordings_folder(arguments.out, keep=False) as directory:
        recorded = Held.of(streams, seconds, generations, directory, arguments.seed)
    return conclude(decoded, recorded, seconds)


def conclude(decoded: Held, recorded: Held, seconds: int) -> Outcome:
    """Sum up, for a program and for people."""
    without, with_recording = _per_stream(decoded, decoded.open), _per_stream(recorded, recorded.open)
    growth = max(growth_bytes(without), growth_bytes(with_recording))
    report: dict[str, Any] = {
        "bytes_per_stream": without[0],
        "bytes_per_stream_recorded": with_recording[0],
        "bytes_per_recording": 2 * (with_recording[0] - without[0]),
        "bytes_after_churn": with_recording[-1],
        "growth_bytes_per_stream": round(growth, 1),
        "most_bytes_per_stream": MOST_BYTES_PER_STREAM,
        "most_growth_bytes": MOST_GROWTH_BYTES,
        "fixed_bytes": decoded.fixed,
        "fixed_bytes_recorded": recorded.fixed,
        "bytes_by_generation": without,
        "bytes_by_generation_recorded": with_recording,
        "bytes_ended_by_generation": _per_stream(decoded, decoded.ended),
        "bytes_ended_by_generation_recorded": _per_stream(recorded, recorded.ended),
        "streams": decoded.streams,
        "seconds": seconds,
        "recordings": recorded.recordings,
    }
    passed = max(*without, *with_recording) <= MOST_BYTES_PER_STREAM and growth <= MOST_GROWTH_BYTES
    return Outcome(report, [_table(report, passed=passed)], passed)


def growth_bytes(by_generation: list[int]) -> float:
    """Tell by how much each generation takes more than the one before, on the average, once things have settled."""
    settled = by_generation[_SETTLED - 1 :]
    return (settled[-1] - settled[0]) / (len(settled) - 1)


def _per_stream(held: Held, resident: list[int]) -> list[int]:
    return [(some - held.fixed) // held.streams for some in resident]


def _table(report: dict[str, Any], *, passed: bool) -> Table:
    title = f"bytes per stream, {report['streams']:,} at a time: {'passed' if passed else 'NOT PASSED'}"
    table = Table(title=title, title_justify="left")
    for column in ("generation", "decoded", "and ended", "recorded", "and ended"):
        table.add_column(column, justify="right", no_wrap=True)
    names = ("bytes_by_generation", "bytes_ended_by_generation")
    columns = [report[name + kind] for kind in ("", "_recorded") for name in names]
    for number, row in enumerate(zip(*columns, strict=True), 1):
        table.add_row(str(number), *(f"{some:,}" for some in row))
    table.add_section()
    growth = (f"{growth_bytes(report[names[0] + kind]):,.0f}" for kind in ("", "_recorded"))
    table.add_row("growth", next(growth), "", next(growth))
    fixed = (f"{report[name] / 2**20:,.0f} MiB" for name in ("fixed_bytes", "fixed_bytes_recorded"))
    table.add_row("before any", next(fixed), "", next(fixed))
    return table
