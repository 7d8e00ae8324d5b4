"""`strep analyze`: have plugins listen to captures and recordings."""

from __future__ import annotations

import functools
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from strep.analysis import Consumer, Found, JsonLines, Notice, PluginCounts, PluginRun
from strep.analysis.audio_file import analyse_audio_file
from strep.audio.formats import AudioFormat
from strep.cli.compiling import compile_ahead
from strep.cli.files import is_capture
from strep.cli.options import PayloadTypes, payload_types
from strep.cli.output import Column, print_line, print_table
from strep.cli.plugins import NAMES, PluginSettings, plugin_runs, say_counts
from strep.cli.progress import Bar
from strep.errors import ConfigError
from strep.live.offline import read_capture
from strep.plugins.base import Finding
from strep.stream.events import Direction

_DEFAULT = "level,voice,dtmf"
#: What the table at the end has room for; all of it is in the JSON lines.
_MOST_ROWS = 200


class Findings:
    """A consumer that keeps what the table shows."""

    def __init__(self, keep: int = _MOST_ROWS) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.found: list[tuple[str, Found]] = []
        self._keep = keep
        self._before = 0  # of files before this one

    def __call__(self, notice: Notice) -> None:
        """Take one."""
        if isinstance(notice.what, Found):
            self.counts[notice.what.plugin, notice.what.finding.KIND] += 1
            if len(self.found) < self._keep:
                self.found.append((notice.identity.call, notice.what))

    def end_file(self) -> None:
        """Bring what was found in a file into order: what lasts is told when it is over."""
        self.found[self._before :] = sorted(self.found[self._before :], key=lambda row: row[1].time_ns)
        self._before = len(self.found)


def analyze(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Captures, or audio files.", show_default=False)
    ],
    plugins: Annotated[
        str, typer.Option("--plugins", metavar="NAME,...", help=f"Which listen: {NAMES}; slow ones as NAME=process.")
    ] = _DEFAULT,
    settings: PluginSettings = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write JSON lines to this file.")] = None,
    pt: PayloadTypes = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines instead of a table.")] = False,
) -> None:
    """Say what is heard in captures and recordings.

    Plugins listen as fast as the machine can. With --json every finding and
    event is a line of JSON, as strep.analysis.jsonl describes it.
    """
    told, runs = payload_types(pt), plugin_runs(plugins, settings)
    kinds = [is_capture(file) for file in files]  # so that one that is missing is told before anything is read
    _check_out(out, files)
    findings = Findings()
    lines = [JsonLines(sys.stdout, waits=True)] if as_json else list[JsonLines]()
    lines += [JsonLines(out, waits=True)] if out else []
    is_done, fine = False, True
    try:
        for file, captured in zip(files, kinds, strict=True):
            for line in lines:
                line.about = {"file": str(file)}
            consumers: list[Consumer] = [findings, *(_Kept(line) for line in lines)]
            analyse = functools.partial(_analyse_capture, told) if captured else _analyse_audio
            check = functools.partial(_raise_failure, lines)
            fine &= say_counts(analyse(file, runs, consumers, check), str(file))
            findings.end_file()
        is_done = True
    finally:
        for line in lines:
            line.close()
        if not as_json and (is_done or findings.counts):  # what was found before a file that cannot be read
            _print(findings)
    _raise_failure(lines)
    if not fine:
        raise typer.Exit(1)


def _check_out(out: Path | None, files: Sequence[Path]) -> None:
    """Raise ConfigError for an output that would destroy an input."""
    if out is None or not out.exists():
        return
    needed = [path for file in files for path in (file, file.with_suffix(".json")) if path.exists()]
    if any(out.samefile(path) for path in needed):
        raise ConfigError(f"--out {out}: expected a file of its own, found one that is to be read")


def _raise_failure(lines: Sequence[JsonLines]) -> None:
    """Raise what kept lines from being written: a full disk, or a reader that has gone."""
    for line in lines:
        if line.failure is not None:
            raise line.failure


class _Kept:
    """A consumer that goes on with the next file: the one behind it is not closed between them."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def __call__(self, notice: Notice) -> None:
        self._consumer(notice)


def _analyse_capture(
    told: Mapping[int, AudioFormat],
    file: Path,
    runs: Sequence[PluginRun],
    consumers: Sequence[Consumer],
    check: Callable[[], None],
) -> dict[str, PluginCounts]:
    compile_ahead()
    with Bar() as bar:

        def fed(done: int, total: int) -> None:
            check()
            bar.fed(done, total)

        return read_capture(
            file, plugins=runs, consumers=consumers, payload_types=told, indexed=bar.indexed, fed=fed
        ).plugins


def _analyse_audio(
    file: Path, runs: Sequence[PluginRun], consumers: Sequence[Consumer], check: Callable[[], None]
) -> dict[str, PluginCounts]:
    with Bar() as bar:

        def done(frames: int, total: int) -> None:
            check()
            bar.show(file.name, frames, total)

        return analyse_audio_file(file, runs, consumers, done)


def _print(findings: Findings) -> None:
    if findings.found:
        print_table(findings.found, _COLUMNS, _NARROW)
    told = ", ".join(f"{count} {kind}" for (_, kind), count in findings.counts.most_common()) or "nothing found"
    more = findings.counts.total() - len(findings.found)
    print_line(told + (f"; the table shows the first {len(findings.found)}" if more else ""))


def _direction(row: tuple[str, Found]) -> str:
    of_finding = getattr(row[1].finding, "direction", None)
    if isinstance(of_finding, Direction):
        return of_finding.name.lower()
    return "both" if row[1].is_pair else row[1].identity.direction.name.lower()


def _details(row: tuple[str, Found]) -> str:
    finding = row[1].finding
    shown = (f"{one.name} {_plain(getattr(finding, one.name))}" for one in fields(finding) if one.name not in _COMMON)
    return ", ".join(shown)


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple | list):
        return "/".join(map(_plain, value)) or "-"
    return "-" if value is None else str(value)


_COMMON = {one.name for one in fields(Finding)} | {"direction"}
_AT: Column[tuple[str, Found]] = Column("at", lambda row: f"{row[1].start_s:.2f} s", is_number=True)
_LASTS: Column[tuple[str, Found]] = Column("lasts", lambda row: f"{row[1].duration_ms / 1000:.2f} s", is_number=True)
_WHAT: Column[tuple[str, Found]] = Column("what", lambda row: row[1].finding.KIND)
_WHO: Column[tuple[str, Found]] = Column("direction", _direction)
_CALL: Column[tuple[str, Found]] = Column("call", lambda row: row[0])
_DETAILS: Column[tuple[str, Found]] = Column("details", _details)
_NARROW = (_AT, _LASTS, _WHO, _WHAT, _DETAILS)
_COLUMNS = (_CALL, *_NARROW)
