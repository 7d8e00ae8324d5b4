"""What does it save to hear all streams at once? The same plugins in block form, and one stream at a time."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from bench.hop_cost import conversations, ns_per_hop
from strep.plugins.registry import load_plugin

NAMES = ("level", "voice", "dtmf")


def measure(streams: int = 2000, rounds: int = 150) -> dict[str, Any]:
    """Give nanoseconds per hop of 20 ms and stream: of so many streams at once, and of one (of voice, a pair)."""
    together, alone = conversations(streams, 50), conversations(2, 50)
    return {
        name: {
            "all_at_once_ns": ns_per_hop(load_plugin(name), together, rounds),
            "one_at_a_time_ns": ns_per_hop(load_plugin(name), alone, 20 * rounds),
        }
        for name in NAMES
    }


def table(report: dict[str, Any]) -> Table:
    """Show the report."""
    shown = Table(title="ns a hop of 20 ms and stream")
    for heading in ("", "2,000 streams at once", "one call at a time", "saved"):
        shown.add_column(heading, justify="left" if not heading else "right")
    for name, found in report.items():
        together, alone = found["all_at_once_ns"], found["one_at_a_time_ns"]
        shown.add_row(name, f"{together:,.0f}", f"{alone:,.0f}", f"{alone / together:.0f} x")
    return shown
