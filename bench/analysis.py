"""How well do the analysers hear, and what does it cost? Each part is a module, `analysis_NAME`, that measures one.

measure() -> report           what was found, for --json
tables(report) -> tables      the same for people
"""

from __future__ import annotations

import argparse
import importlib
import sys

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
    outcome = Outcome({})
    for number, name in enumerate(names, 1):
        if sys.stderr.isatty():
            print(f"{name} ({number} of {len(names)})", file=sys.stderr)
        part = importlib.import_module(f"bench.analysis_{name}")
        outcome.report[name] = part.measure()
        outcome.tables.extend(part.tables(outcome.report[name]))
    return outcome
