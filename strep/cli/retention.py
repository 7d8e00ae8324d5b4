"""Declare the limits of a folder of recordings, and keep them while a command records."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from strep.cli.announcements import Paced
from strep.cli.errors import say
from strep.errors import ConfigError
from strep.sinks.retention import Removed, Retention, RetentionLimits
from strep.sinks.retention_thread import RetentionThread

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(k|M|G|T|Ki|Mi|Gi|Ti)?B?", re.ASCII)
_UNITS = (
    {"": 1}
    | {
        prefix + binary: (1024 if binary else 1000) ** power
        for power, prefix in enumerate("kMGT", 1)
        for binary in ("", "i")
    }
    | {"Ki": 1024}
)

KeepDays = Annotated[
    float | None,
    typer.Option("--keep-days", metavar="DAYS", help="Remove recordings that ended longer ago.", show_default=False),
]
KeepBytes = Annotated[
    str | None,
    typer.Option(
        "--keep-bytes",
        metavar="SIZE",
        help="Remove the oldest recordings while all together take more, such as 500GB.",
        show_default=False,
    ),
]
MinFreeBytes = Annotated[
    str | None,
    typer.Option(
        "--min-free-bytes",
        metavar="SIZE",
        help="Remove the oldest recordings while the file system has less left.",
        show_default=False,
    ),
]


def retention_limits(keep_days: float | None, keep_bytes: str | None, min_free_bytes: str | None) -> RetentionLimits:
    """Read the options. Raises ConfigError."""
    return RetentionLimits(keep_days, _size("--keep-bytes", keep_bytes), _size("--min-free-bytes", min_free_bytes))


@contextlib.contextmanager
def retention(folder: Path, limits: RetentionLimits, tell: Callable[[Removed], object]) -> Iterator[None]:
    """Keep a folder within its limits meanwhile, and say so; `tell` is called in another thread."""
    if not limits:
        yield
        return
    lines = Paced("recording removed", say, "recordings removed")

    def removed(gone: Removed) -> None:
        lines.say(time.monotonic(), lambda: f"removed {gone.sidecar.with_suffix('').name}, {gone.size_bytes} bytes")
        tell(gone)

    thread = RetentionThread(Retention(folder, limits), removed, lambda line: say(f"warning: {line}"), time.time_ns)
    thread.start()
    try:
        yield
    finally:
        thread.stop()
        lines.tick(float("inf"))


def _size(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ConfigError(f"{option}: expected a size such as 500GB or 20GiB, found {text!r}")
    return int(float(match[1]) * _UNITS[match[2] or ""])
