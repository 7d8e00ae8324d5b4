"""Let plugins listen to the calls that the service records, and say of what they find whose it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field, model_validator

from strep.analysis import PluginCounts, PluginRun
from strep.errors import ConfigError
from strep.plugins.registry import load_plugin
from strep.service.part import Part


class CallAnalysis(Part):
    """[analysis]: which plugins listen, and how they are configured.

    plugins: names, or module:Class, with =thread or =process for those that are to run there. settings: by those names.
    Each call that has two ports of its own has plugins of its own, too.
    """

    plugins: Annotated[tuple[str, ...], Field(strict=False)] = ()
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> CallAnalysis:
        try:
            runs = self.runs()
            names = [load_plugin(run.plugin, run.config).NAME for run in runs]
        except ConfigError as error:
            raise ValueError(str(error)) from None
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"plugins: expected each once, found {', '.join(twice)} more than once")
        unused = sorted(self.settings.keys() - {run.plugin for run in runs})
        if unused:
            raise ValueError(f"settings: expected names of plugins that listen, found {', '.join(unused)}")
        return self

    def runs(self, rows: int | None = None) -> list[PluginRun]:
        """Say how each plugin is run; rows: for so many streams."""
        runs = [PluginRun.parse(text, self.settings) for text in self.plugins]
        return [replace(run, rows=rows) for run in runs] if rows else runs


def sum_counts(parts: Iterable[Mapping[str, PluginCounts]]) -> dict[str, PluginCounts]:
    """Add up what became of plugins in several receivers, by name."""
    total: dict[str, PluginCounts] = {}
    for part in parts:
        for name, counts in part.items():
            total[name] = total[name] + counts if name in total else counts
    return total
