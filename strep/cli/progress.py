"""Show on a terminal how far a command has come, once it takes longer than a moment. All of it goes to stderr."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from strep.cli.output import errors_console

#: What is over within this needs no bar.
_MOMENT_S = 0.5
_REFRESH_S = 0.1


class Bar:
    """A progress bar of one or more passes, one after the other; nothing at all where stderr is no terminal.

    patience_s: how long to wait before it appears.
    """

    def __init__(self, *, patience_s: float = _MOMENT_S, clock_s: Callable[[], float] = time.monotonic) -> None:
        screen = errors_console()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
            console=screen,
            transient=True,
            auto_refresh=False,  # its thread would run beside signal handlers and event loops
            disable=not screen.is_terminal,
        )
        self._clock_s = clock_s
        self._tasks: dict[str, TaskID] = {}
        self._next_s = clock_s() + patience_s
        self._started = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._started:
            self._progress.stop()

    def show(self, description: str, done: float, total: float) -> None:
        """Say how far a pass has come; cheap enough to be called for every batch."""
        now_s = self._clock_s()
        if self._progress.disable or now_s < self._next_s:
            return
        self._next_s = now_s + _REFRESH_S
        if not self._started:
            self._started = True
            self._progress.start()
        if description not in self._tasks:
            for task in self._tasks.values():
                self._progress.update(task, visible=False)
            self._tasks[description] = self._progress.add_task(description)
        self._progress.update(self._tasks[description], completed=done, total=total)
        self._progress.refresh()

    def indexed(self, done: int, total: int) -> None:
        """Show the first pass over a capture: bytes."""
        self.show("indexing", done, total)

    def fed(self, done: int, total: int) -> None:
        """Show the second pass over a capture: datagrams."""
        self.show("reading", done, total)
