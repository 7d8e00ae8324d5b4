"""How well do the analysers hear, and what does it cost? Each part is a module, `analysis_NAME`, that measures one."""

from __future__ import annotations

import argparse
import importlib
from types import ModuleType

from rich.table import Table

from bench import BenchError, Outcome

PARTS = ("framing", "frames", "dtmf", "level", "voice", "progress")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--parts", default=",".join(PARTS), metavar="NAMES", help=f"of {','.join(PARTS)} (all)")


def run(arguments: argparse.Namespace) -> Outcome:
    """Measure the parts that were asked for. Raises BenchError for one that there is not."""
    names = arguments.parts.split(",")
    for name in names:
        if name not in PARTS:
            raise BenchError(f"--parts: expected some of {', '.join(PARTS)}, found {name}")
    report, tables = {}, []
    for name in names:
        part = importlib.import_module(f"bench.analysis_{name}")
        report[name] = part.measure()
        tables.append(_table(name, part, report[name]))
    return Outcome(report, tables)


def _table(name: str, part: ModuleType, report: dict[str, float]) -> Table:
    if hasattr(part, "table"):
        table: Table = part.table(report)
        return table
    table = Table(title=name)
    table.add_column("ns a packet and stream")
    table.add_column("", justify="right")
    for what, ns in report.items():
        table.add_row(what, f"{ns:,.0f}")
    return table
