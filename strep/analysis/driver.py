"""Call a plugin so that nothing it does reaches whoever calls: what it raises, how long it takes, how much it tells."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Protocol

import numpy as np

from strep.analysis.found import Found
from strep.analysis.options import PluginCounts, PluginRun
from strep.analysis.waiting import OpenStreams, apply
from strep.plugins.base import Finding, Hops, PlacedEvent, Plugin
from strep.plugins.framing import duration_ns
from strep.stream.events import StreamIdentity

_log = logging.getLogger(__name__)
_NS = 1_000_000_000
#: Findings of one call: what tells more of one hop of each stream has gone wild.
MOST_FINDINGS = 50_000
_UNKNOWN = -1
#: 500 years at 8 kHz.
_FARTHEST = 2**47


class Runner(Protocol):
    """A Taker (strep.plugins.framing) that runs a plugin somewhere. Nothing that it is asked raises or waits.

    Only when it is not live, it waits for a plugin that is behind, up to its patience.
    """

    @property
    def counts(self) -> PluginCounts:
        """Count what became of the plugin."""

    def open(self, row: int, identity: StreamIdentity, time_ns: int) -> None:
        """Begin a stream."""

    def process(self, hops: Hops) -> None:
        """Take audio."""

    def event(self, row: int, placed: PlacedEvent) -> None:
        """Take what the engine says of a stream."""

    def tick(self, time_ns: int) -> None:
        """Say how late it is."""

    def close(self, row: int) -> None:
        """End a stream."""

    def take(self) -> list[Found]:
        """Give what was found since; to be called often, as it also looks after what runs elsewhere."""

    def settle(self) -> None:
        """Wait until the plugin has worked off what it was given, as far as patience goes; it is given no more then.

        This, and no other of these, may be called in a thread of its own.
        """

    def finish(self) -> list[Found]:
        """Settle, end everything, and give the rest."""


class Driver:
    """What runs a plugin right here, and is what every runner runs in the end.

    Where hops were dropped before they came here, position jumps: the stream is closed and opened anew for the plugin,
    which so never sees a hole.
    """

    def __init__(self, plugin: Plugin, run: PluginRun, clock: Callable[[], int], *, live: bool = True) -> None:
        self.counts = PluginCounts()
        self._plugin, self._run, self._clock, self._live = plugin, run, clock, live
        self._rate_hz, self._hop = plugin.wants.sample_rate_hz, plugin.wants.hop_samples
        self._identity: dict[int, StreamIdentity] = {}
        self._streams = OpenStreams()
        self._zero_ns = np.zeros(run.rows, np.int64)
        self._expected = np.full(run.rows, _UNKNOWN, np.int64)
        self._found: list[Found] = []
        self._errors = self._late = 0  # in a row
        self._call(lambda: plugin.start(run.rows))

    def open(self, row: int, identity: StreamIdentity, time_ns: int) -> None:
        """Begin a stream."""
        self._identity[row], self._zero_ns[row], self._expected[row] = identity, time_ns, _UNKNOWN
        self._streams.note((row, identity, time_ns))
        self._call(lambda: self._plugin.open(row, identity))

    def process(self, hops: Hops) -> None:
        """Let the plugin take audio, and see how long that takes."""
        if self.counts.switched_off is not None:
            self.counts.missed_hops += len(hops)
            return
        expected, rows = self._expected[hops.rows], hops.rows
        jumped = (expected != hops.position) & (expected != _UNKNOWN)
        if jumped.any():
            for row in rows[jumped].tolist():
                self._begin_anew(row)
        self._expected[rows] = hops.position + self._hop
        self._zero_ns[rows] = hops.time_ns - duration_ns(hops.position, self._rate_hz)
        began_ns = self._clock()
        fine = self._call(lambda: self._plugin.process(hops))
        took_ns = self._clock() - began_ns
        self.counts.hops += len(hops)
        self.counts.calls += 1
        self.counts.busy_ns += took_ns
        self._errors = 0 if fine else self._errors
        self._watch(took_ns)

    def event(self, row: int, placed: PlacedEvent) -> None:
        """Let the plugin take an event."""
        self._streams.note((row, placed))
        self.counts.missed_events += self.counts.switched_off is not None
        self._call(lambda: self._plugin.event(row, placed))

    def tick(self, time_ns: int) -> None:
        """Let the plugin see how late it is."""
        self._call(lambda: self._plugin.tick(time_ns))

    def close(self, row: int) -> None:
        """End a stream."""
        self._call(lambda: self._plugin.close(row))
        self._streams.note(row)
        self._identity.pop(row, None)

    def take(self) -> list[Found]:
        """Give what was found."""
        found, self._found = self._found, []
        return found

    def settle(self) -> None:
        """Do nothing: what was given was taken."""

    def finish(self) -> list[Found]:
        """End everything, and give the rest."""
        self.finish_keeping()
        return self.take()

    def finish_keeping(self) -> None:
        """End everything; `take` gives the rest."""
        self._call(self._plugin.finish)

    def switch_off(self, why: str) -> None:
        """Give the plugin nothing more."""
        if self.counts.switched_off is None:
            self.counts.switched_off = why
            _log.error("plugin %s is switched off: %s", self._plugin.NAME, why)

    def _begin_anew(self, row: int) -> None:
        self._call(lambda: self._plugin.close(row))
        for item in self._streams.of(row):
            apply(self, item)

    def _watch(self, took_ns: int) -> None:
        if took_ns <= self._run.deadline_ms * 1e6:
            self._late = 0
            return
        self.counts.late += 1
        self._late += 1
        if not self._live or self._run.way != "inline":
            return
        if took_ns > self._run.patience_s * 1e9:
            self.counts.hung += 1
            self.switch_off(f"a call lasted {took_ns / 1e9:.1f} s, longer than {self._run.patience_s:g} s")
        elif self._late >= self._run.most_late:
            self.switch_off(f"{self._late} calls in a row took longer than {self._run.deadline_ms:g} ms")

    def _call(self, act: Callable[[], Iterable[Finding] | None]) -> bool:
        """Call the plugin unless it is switched off; tell whether that went well."""
        if self.counts.switched_off is not None:
            return False
        try:
            findings = act()
            if findings is not None:
                self._keep(islice(findings, MOST_FINDINGS + 1))
        except KeyboardInterrupt:
            raise  # it is meant for all of the program
        except BaseException as error:  # a plugin's SystemExit or CancelledError is its own affair
            self.counts.errors += 1
            self._errors += 1
            if self.counts.errors == 1:
                _log.error("plugin %s raised; further ones are only counted", self._plugin.NAME, exc_info=error)
            if self._errors >= self._run.most_errors:
                self.switch_off(f"{self._errors} errors in a row, the last one {error!r}")
            return False
        return True

    def _keep(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            if len(self._found) >= MOST_FINDINGS:
                self.counts.missed_findings += 1
                return
            self._found.append(self._placed(finding))
            self.counts.findings += 1

    def _placed(self, finding: Finding) -> Found:
        """Say whose a finding is, and when it was. Raises what is wrong with it: that is the plugin's fault."""
        if not isinstance(finding, Finding):
            raise TypeError(f"expected a Finding, found {finding!r}")
        row, position, length = int(finding.row), int(finding.position), int(finding.length_samples)
        if not isinstance(finding.KIND, str) or abs(position) > _FARTHEST or not 0 <= length <= _FARTHEST:
            raise ValueError(f"expected a KIND, and a position and length that can be, found {finding!r}")
        return Found(
            self._plugin.NAME,
            self._identity[row],
            self._plugin.wants.is_pair,
            int(self._zero_ns[row]) + position * _NS // self._rate_hz,
            position / self._rate_hz,
            length * 1000 / self._rate_hz,
            finding,
        )
