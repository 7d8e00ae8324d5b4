"""Measure what the project claims: `python -m bench NAME`. README.md beside this says how, and what each number means.

One file a bench: a module of this package that is named in BENCHES and has

    add_arguments(parser)         its own options
    run(arguments) -> Outcome     measures; raises BenchError when it could not
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from rich.table import Table

#: Every bench: its module, and what it answers.
BENCHES: Mapping[str, str] = MappingProxyType(
    {
        "receive": "What does one packet cost, from the socket to samples?",
        "capacity": "How many calls does one core record or analyse in real time, every sample of them?",
        "peers": "What does a recorded minute cost, beside GStreamer and ffmpeg?",
        "latency": "How much later than its playout delay does audio reach a sink?",
        "memory": "What memory does a stream take, and is it given back?",
        "analysis": "How well do the analysers hear, and what does it cost?",
        "scaling": "What does a packet cost as streams grow, and what does a second worker bring?",
        "fortress": "Does anything that arrives, fills up or dies cost a call?",
    }
)


class BenchError(Exception):
    """An error that says why there is nothing to report: the machine lacks something, or no valid measurement came
    about.
    """


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a bench found. report: for --json. passed: whether what was asked for was fulfilled."""

    report: dict[str, Any]
    tables: list[Table] = field(default_factory=list)
    passed: bool = True
