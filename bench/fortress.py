"""Does anything that arrives, fills up or dies cost a call? Each part is a module, `fortress_NAME`, with its bounds.

measure(...) -> report        what was found, for --json
rows(report) -> claims        each figure with its bound, and whether that was kept
"""

from __future__ import annotations

import argparse
import importlib
import sys

from bench import BenchError, Outcome
from bench.claims import table_of

PARTS = ("floods", "spoofing", "amplification", "silence", "webhooks", "kills", "disk", "soak")
#: The options that a part is measured with.
_OPTIONS = {"amplification": ("seconds", "seed"), "soak": ("minutes",), "kills": ("kills", "seed")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--parts", default=",".join(PARTS), metavar="NAMES", help=f"of {','.join(PARTS)} (all)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the search for amplification (20)")
    parser.add_argument("--minutes", type=float, default=2.0, help="of the soak (2)")
    parser.add_argument("--kills", type=int, default=100, help="of a recorder (100)")
    parser.add_argument("--seed", type=int, default=0, help="of the search and of the instants of the kills (0)")


def run(arguments: argparse.Namespace) -> Outcome:
    """Measure the parts that were asked for. Raises BenchError for one that there is not."""
    names = arguments.parts.split(",")
    for name in names:
        if name not in PARTS:
            raise BenchError(f"--parts: expected some of {', '.join(PARTS)}, found {name}")
    report, tables, passed = {}, [], True
    for number, name in enumerate(names, 1):
        if sys.stderr.isatty():
            print(f"{name} ({number} of {len(names)})", file=sys.stderr)
        part = importlib.import_module(f"bench.fortress_{name}")
        found = part.measure(**{option: getattr(arguments, option) for option in _OPTIONS.get(name, ())})
        claims = part.rows(found)
        report[name] = found | {"claims": [claim._asdict() for claim in claims]}
        tables.append(table_of(name, claims))
        passed &= all(claim.is_kept for claim in claims)
    return Outcome(report, tables, passed)
