"""Show results: tables for people, one JSON document for programs. Colours and live lines are for terminals only."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TextIO, TypeVar

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: A document for JSON, of which tables show a part.
Document = dict[str, Any]
RowT = TypeVar("RowT")
#: What is piped into another program is not cut to the width of a terminal that is not there.
_UNBOUNDED_WIDTH = 1000


@dataclass(frozen=True, slots=True)
class Column(Generic[RowT]):
    """A column of a table: its heading, and what it shows of a row. Lines of a cell stand one below the other."""

    heading: str
    cell: Callable[[RowT], str]
    is_number: bool = False


class _Console(Console):
    """A console that leaves a closed pipe to the caller; rich's own would end the program, and stdout with it."""

    def on_broken_pipe(self) -> None:
        """Raise the BrokenPipeError that is being handled."""
        raise


def console() -> Console:
    """Make a console on stdout, for results."""
    return _console(sys.stdout)


def errors_console() -> Console:
    """Make a console on stderr, for errors and for what goes on."""
    return _console(sys.stderr)


def print_json(document: Document) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(document, indent=2, allow_nan=False))


def print_table(rows: Sequence[RowT], *layouts: Sequence[Column[RowT]], title: str = "") -> None:
    """Print rows in the first layout that fits the terminal; in the last one if none does."""
    screen = console()
    tables = [_table(rows, columns) for columns in layouts]
    unbounded = screen.options.update(max_width=_UNBOUNDED_WIDTH)
    fitting = (table for table in tables if screen.measure(table, options=unbounded).maximum <= screen.width)
    if title:
        screen.print(Text(printable(title), style="bold"), soft_wrap=True)
    screen.print(next(fitting, tables[-1]))
    screen.print()


def print_line(text: str, style: str = "") -> None:
    """Print a line, broken where the terminal ends."""
    console().print(Text(printable(text), style=style), soft_wrap=True)


def fates_line(datagrams: Mapping[str, int], kernel_drops: int | None = None, kernel_refused: int = 0) -> str:
    """Say in one line what became of all datagrams: the fates that occurred."""
    total = sum(datagrams.values())
    fates = ", ".join(f"{count} {label.replace('_', ' ')}" for label, count in datagrams.items() if count)
    line = counted(total, "datagram") + (f": {fates}" if fates else "")
    if kernel_refused:
        line += f"; the kernel refused {kernel_refused} that were no STREP"
    return line if kernel_drops is None else f"{line}; the kernel dropped {kernel_drops}"


def counted(number: int, noun: str) -> str:
    """Write a number of things: 1 recording, 2 recordings."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(seconds: float) -> str:
    """Write a duration: 25.48 s, 12:05.3, 1:12:05."""
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{int(minutes)}:{int(rest * 10) / 10:04.1f}"
    return f"{int(minutes) // 60}:{int(minutes) % 60:02}:{int(rest):02}"


def printable(text: str) -> str:
    """Make text that every terminal and every encoding of it can show: names of files and codecs can hold anything."""
    shown = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
    encoding = sys.stdout.encoding or "ascii"
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def _console(file: TextIO) -> Console:
    is_bounded = file.isatty() or "COLUMNS" in os.environ
    return _Console(
        file=file, highlight=False, markup=False, emoji=False, width=None if is_bounded else _UNBOUNDED_WIDTH
    )


def _table(rows: Sequence[RowT], columns: Sequence[Column[RowT]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for column in columns:
        justify = "right" if column.is_number else "left"
        table.add_column(column.heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(Text(printable(column.cell(row))) for column in columns))
    return table
