"""`strep recover`: finish what a killed recorder left."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from strep.cli.errors import fail, say
from strep.cli.options import JsonOption
from strep.cli.output import Column, Document, counted, print_json, print_line, print_table
from strep.cli.progress import Bar
from strep.sinks.recovery import Outcome, Recovery, RecoveryFinding
from strep.sinks.recovery import recover as recover_folder
from strep.sinks.recovery_thread import ConversionThread

RecordingsFolder = Annotated[
    Path, typer.Argument(metavar="DIR", help="A folder of recordings; those below it too.", show_default=False)
]
_COLUMNS: tuple[Column[RecoveryFinding], ...] = (
    Column("file", lambda finding: str(finding.path)),
    Column("outcome", lambda finding: finding.outcome.value.replace("_", " ")),
    Column("reason", lambda finding: finding.reason),
)


def recover(
    directory: RecordingsFolder,
    check: Annotated[bool, typer.Option("--check", help="Only list what would be done.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Finish what a killed recorder left.

    Headers count what files hold, sidecars say how long calls became, what was
    to be FLAC or Ogg is converted, temporary files go. A recording that a
    program still works at is not touched, nor is what is not ours. A second run
    finds nothing to do.
    """
    with Bar() as bar:
        report = recover_folder(
            directory, check=check, progress=lambda done, total: bar.show("looking at sidecars", done, total)
        )
    if as_json:
        print_json(describe_recovery(report))
    else:
        if report.findings:
            print_table(report.findings, _COLUMNS)
        print_line(summary(report, check=check))
    if failed := report.counts[Outcome.FAILED]:
        fail(f"{counted(failed, 'file')} could not be finished; run it again when the system allows it")


@contextlib.contextmanager
def recovery(directory: Path) -> Iterator[None]:
    """Finish what was left in a folder before it is recorded into, and convert what is to be converted meanwhile.

    Raises SinkError when the folder cannot be listed.
    """
    if not directory.is_dir():
        yield
        return
    with Bar() as bar:
        report = recover_folder(
            directory, converts=False, progress=lambda done, total: bar.show("looking at sidecars", done, total)
        )
    _say_news(directory, report)
    conversions = ConversionThread(directory, partial(_say_news, directory))
    conversions.start()
    try:
        yield
    finally:
        conversions.stop()


def _say_news(directory: Path, report: Recovery) -> None:
    for line in news_of(report):
        say(f"{directory}: {line}")


def news_of(report: Recovery) -> list[str]:
    """Say what somebody should know of a recovery that nobody looks at; nothing when there was nothing to do."""
    lines = [summary(report)] if report.did_anything else []
    failed = [finding for finding in report.findings if finding.outcome is Outcome.FAILED]
    if failed:
        lines.append(
            f"warning: {counted(report.counts[Outcome.FAILED], 'file')} could not be finished, "
            f"first {failed[0].path}: {failed[0].reason}"
        )
    return lines


def summary(report: Recovery, *, check: bool = False) -> str:
    """Say in one line what became of all."""
    counts = report.counts
    told = [
        f"{counted(counts[Outcome.RECOVERED], 'recording')} recovered",
        f"{counts[Outcome.CONVERTED]} converted",
        f"{counted(counts[Outcome.REMOVED], 'leftover file')} removed",
    ]
    line = ("would be: " if check else "") + ", ".join(told)
    for outcome, words in (
        (Outcome.UNDER_WAY, "under way"),
        (Outcome.LEFT_ALONE, "left alone"),
        (Outcome.FAILED, "failed"),
    ):
        if counts[outcome]:
            line += f"; {counts[outcome]} {words}"
    return line if report.findings else "nothing to do"


def describe_recovery(report: Recovery) -> Document:
    """Make a document of a report."""
    return {
        "counts": {outcome.value: report.counts[outcome] for outcome in Outcome},
        "findings": [
            {"path": str(finding.path), "outcome": finding.outcome.value, "reason": finding.reason or None}
            for finding in report.findings
        ],
    }
