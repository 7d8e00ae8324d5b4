"""Run one bench: `python -m bench NAME [--json]`."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from rich.console import Console

from bench import BENCHES, BenchError, Outcome
from bench.machine import describe_machine
from strep.errors import StrepError


class Bench(Protocol):
    """A module that measures one thing."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the bench's own options."""

    def run(self, arguments: argparse.Namespace) -> Outcome:
        """Measure."""


def load(name: str) -> Bench:
    """Import one bench; the others may need what is not installed."""
    return cast(Bench, importlib.import_module(f"bench.{name}"))


def main(words: Sequence[str] | None = None) -> int:
    """Run the program; returns the exit code: 0, 1 for a bench that was not passed, 2 for one that could not run."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what the project claims.")
    benches = parser.add_subparsers(dest="bench", required=True, metavar="NAME")
    for name, question in BENCHES.items():
        bench = benches.add_parser(name, help=question, description=question)
        bench.add_argument("--json", action="store_true", help="report as one line of JSON")
        load(name).add_arguments(bench)
    arguments = parser.parse_args(words)
    machine = describe_machine()
    try:
        outcome = load(arguments.bench).run(arguments)
    except (BenchError, StrepError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps({"bench": arguments.bench, **outcome.report, "machine": machine}))
    else:
        console = Console()
        for table in outcome.tables:
            console.print(table)
        console.print(", ".join(f"{key} {value}" for key, value in machine.items()), style="dim", highlight=False)
    return 0 if outcome.passed else 1


if __name__ == "__main__":
    sys.exit(main())
