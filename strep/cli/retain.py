"""`strep retain`: remove the oldest recordings of a folder, within limits."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from strep.cli.options import JsonOption
from strep.cli.output import Column, counted, print_json, print_line, print_table
from strep.cli.progress import Bar
from strep.cli.recover import RecordingsFolder
from strep.cli.retention import KeepBytes, KeepDays, MinFreeBytes, retention_limits
from strep.errors import ConfigError
from strep.sinks.retention import Removed, Retention
from strep.utc import utc_text

#: Rows of the table; the document of --json has all.
_MOST_SHOWN = 1000
_COLUMNS: tuple[Column[Removed], ...] = (
    Column("recording", lambda gone: str(gone.sidecar.with_suffix(""))),
    Column("ended", lambda gone: utc_text(gone.ended_ns)[:19] + "Z"),
    Column("bytes", lambda gone: str(gone.size_bytes), is_number=True),
)


def retain(
    directory: RecordingsFolder,
    keep_days: KeepDays = None,
    keep_bytes: KeepBytes = None,
    min_free_bytes: MinFreeBytes = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be removed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove the oldest recordings until limits are kept.

    Only finished recordings go, each with its sidecar; what is under way, and
    what is not ours, stays. `strep record` and `strep serve` do the same while
    they record.
    """
    limits = retention_limits(keep_days, keep_bytes, min_free_bytes)
    if not limits:
        raise ConfigError("expected --keep-days, --keep-bytes or --min-free-bytes, found none")
    gone: list[Removed] = []
    started_ns = time.time_ns()
    with Bar() as bar:
        keeper = Retention(directory, limits)
        for removed in keeper.go_over(started_ns, dry_run=dry_run):
            gone.append(removed)
            bar.show("removing", len(gone), len(gone) + 1)
    size_bytes = sum(removed.size_bytes for removed in gone)
    if as_json:
        documents = [removed.describe() | {"ended": utc_text(removed.ended_ns)} for removed in gone]
        print_json({"removed": documents, "size_bytes": size_bytes, "dry_run": dry_run})
        return
    if gone:
        print_table(gone[:_MOST_SHOWN], _COLUMNS)
    what = "would be removed" if dry_run else "removed"
    print_line(f"{counted(len(gone), 'recording')} {what}, {size_bytes} bytes")
