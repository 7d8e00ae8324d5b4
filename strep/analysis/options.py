"""Say how a plugin is run, and count what became of that."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, fields

from strep.errors import ConfigError
from strep.plugins.registry import PluginSource, Settings

#: Loading what a plugin needs (a model, a large library) may take so long; patience_s is for what comes after. A
#: process with a neural network starts in 2 s on a machine that has little else to do.
STARTING_NS = 120_000_000_000


class Way(enum.StrEnum):
    """Where a plugin runs."""

    INLINE = "inline"  #: between two batches of datagrams: for the cheap ones, and what it takes is lost to capture
    THREAD = "thread"  #: in a thread: for what releases the GIL, as numpy and onnxruntime do
    PROCESS = "process"  #: in a process of its own, with its own memory: for the dear ones, and those nobody knows


@dataclass(frozen=True, slots=True)
class PluginRun:
    """A plugin, and how to run it.

    plugin, config: see strep.plugins.registry. deadline_ms: what a call may take; later ones are counted, and inline,
    when live, `most_late` of them in a row switch the plugin off. patience_s: after so long, a call is taken to hang: a
    thread is left to itself, a process is killed, and one inline, when live, is not called again. queue_hops: hops of
    single streams that may wait; when live, the older half is dropped when there are more. most_errors: exceptions in a
    row, whichever streams they are of, after which it is switched off. most_restarts: of a process that died, hung, or
    took more memory than most_memory_bytes. rows: streams at a time.
    """

    plugin: PluginSource
    config: Settings = None
    way: Way = Way.INLINE
    deadline_ms: float = 20.0
    patience_s: float = 5.0
    queue_hops: int = 100_000  # 1 s of 2,000 streams, 32 MB at 8 kHz
    most_errors: int = 10
    most_late: int = 50
    most_restarts: int = 3
    most_memory_bytes: int = 2 * 1024**3
    rows: int = 20_000

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            least = 0 if one.name == "most_restarts" else 1e-9
            if one.name not in ("plugin", "config", "way") and value < least:
                raise ConfigError(f"{one.name} must be {'0 or more' if least == 0 else 'above 0'}, got {value}")
        try:
            object.__setattr__(self, "way", Way(self.way))
        except ValueError:
            raise ConfigError(f"way must be {', '.join(Way)}, got {self.way!r}") from None

    @classmethod
    def parse(cls, text: str, settings: Mapping[str, Settings] | None = None) -> PluginRun:
        """Read "NAME" or "NAME=WAY", such as "voice=process". settings: by name. Raises ConfigError."""
        name, _, way = text.strip().partition("=")
        if not name or (way and way not in list(Way)):
            raise ConfigError(f"expected a plugin as NAME or NAME={'|'.join(Way)}, found {text!r}")
        return cls(name, (settings or {}).get(name), Way(way or Way.INLINE))


@dataclass(slots=True)
class PluginCounts:
    """Counts of what became of a plugin. Hops are those of single streams.

    hops: given to it. missed_hops, missed_events: not given, as it was behind, had died, or is switched off. calls,
    busy_ns, late: of `process`. errors: exceptions it raised. hung: calls that were given up. restarts: of its process.
    findings, missed_findings: handed on, and those that were too many. late_samples, refused_streams: see
    strep.plugins.framing. memory_bytes: of its process, or else of this one. switched_off: why, if it is.
    """

    hops: int = 0
    missed_hops: int = 0
    calls: int = 0
    busy_ns: int = 0
    late: int = 0
    errors: int = 0
    hung: int = 0
    restarts: int = 0
    findings: int = 0
    missed_findings: int = 0
    missed_events: int = 0
    late_samples: int = 0
    refused_streams: int = 0
    memory_bytes: int = 0
    switched_off: str | None = None

    def __add__(self, other: PluginCounts) -> PluginCounts:
        """Add what became of a plugin elsewhere, or before. Memory is that of the larger one."""
        total = {one.name: getattr(self, one.name) for one in fields(self)}
        for name in total.keys() - {"memory_bytes", "switched_off"}:
            total[name] += getattr(other, name)
        total["memory_bytes"] = max(self.memory_bytes, other.memory_bytes)
        total["switched_off"] = self.switched_off or other.switched_off
        return PluginCounts(**total)

    @property
    def busy_ns_per_hop(self) -> float:
        """Give the time that a hop took on average."""
        return self.busy_ns / self.hops if self.hops else 0.0
