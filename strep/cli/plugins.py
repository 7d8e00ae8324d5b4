"""Read which plugins are to listen, and tell what became of them."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from strep.analysis import PluginCounts, PluginRun
from strep.cli.errors import say
from strep.errors import ConfigError
from strep.plugins.registry import BUILT_IN, load_plugin

PluginSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PLUGIN.KEY=VALUE",
        help="Configure a plugin, as in voice.hangover_ms=500. Give it as often as needed.",
        show_default=False,
    ),
]
EventsFile = Annotated[
    Path | None,
    typer.Option(
        "--events",
        metavar="FILE",
        help="Append JSON lines to this file: what plugins find, and what happens to streams; - is stdout. "
        "With --plugins, events.jsonl in --out unless told otherwise; each worker has its own, -1, -2, ...",
        show_default=False,
    ),
]
#: What --plugins takes; square brackets would be markup.
NAMES = f"{', '.join(sorted(BUILT_IN))}, an entry point's name, or module:Class"


PluginNames = Annotated[
    str | None,
    typer.Option(
        "--plugins",
        metavar="NAME,...",
        help=f"Which listen meanwhile: {NAMES}; slow ones as NAME=thread or NAME=process.",
        show_default=False,
    ),
]


def plugin_runs(names: str | None, settings: Sequence[str] | None = None) -> list[PluginRun]:
    """Read --plugins ("level,voice=process") and --set. Raises ConfigError for what cannot be run as asked."""
    texts = [text.strip() for text in (names or "").split(",")]
    if names is not None and not all(texts):
        raise ConfigError(f"--plugins: expected names, separated by commas, found {names!r}")
    told = _settings(settings or ())
    import_from_here()
    runs = [PluginRun.parse(text, told) for text in texts if text]
    for run in runs:
        load_plugin(run.plugin, run.config)  # what is wrong with it is said before anything is opened
    unused = sorted(told.keys() - {run.plugin for run in runs})
    if unused:
        raise ConfigError(f"--set: expected the name of a plugin that listens, found {', '.join(unused)}")
    return runs


def import_from_here() -> None:
    """Find modules in the folder one is in, where a plugin of one's own may lie; others come first."""
    if "" not in sys.path:
        sys.path.append("")


def say_counts(counts: Mapping[str, PluginCounts], file: str = "") -> bool:
    """Tell what plugins missed or did wrong; give whether all of them listened to the end."""
    for name, one in counts.items():
        for problem in _problems(one):
            say(f"{file}{': ' if file else ''}plugin {name} {problem}")
    return not any(one.switched_off for one in counts.values())


def _settings(texts: Iterable[str]) -> dict[str, dict[str, str]]:
    told: dict[str, dict[str, str]] = defaultdict(dict)
    for text in texts:
        place, is_set, value = text.partition("=")
        name, dot, key = place.rpartition(".")
        if not (is_set and dot and name and key):
            raise ConfigError(f"--set: expected PLUGIN.KEY=VALUE, found {text!r}")
        told[name][key] = value
    return told


def _problems(one: PluginCounts) -> list[str]:
    problems = []
    if one.switched_off:
        problems.append(f"was switched off: {one.switched_off}")
    elif one.errors:
        problems.append(f"failed {one.errors} times")
    if one.missed_hops:
        problems.append(f"missed {one.missed_hops} of {one.hops + one.missed_hops} hops")
    if one.missed_findings:
        problems.append(f"found too much at once: {one.missed_findings} findings are left out")
    if one.refused_streams:
        problems.append(f"had no room for {one.refused_streams} streams")
    return problems
