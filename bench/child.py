"""Run a part of a bench in a fresh process of its own, and talk to it through a pipe."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from bench import BenchError

#: Closing thousands of recordings takes seconds; nothing here takes minutes.
_PATIENCE_S = 120.0


class Child:
    """A process that runs `serve(connection, *arguments)`, which answers every question by one value.

    Nothing of this process is copied into it (no fork), so that neither measures the other's memory. It must end when
    its connection does.
    """

    def __init__(self, serve: Callable[..., None], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(serve, theirs, *arguments), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, question: object) -> Any:
        """Send a question and wait for its answer. Raises BenchError when the process has failed."""
        self.tell(question)
        return self.answer()

    def tell(self, question: object) -> None:
        """Send a question, whose `answer` is asked for later. Raises BenchError when the process has failed."""
        try:
            self._connection.send(question)
        except OSError as error:
            raise BenchError("expected another process of the bench to run, found it ended") from error

    def answer(self) -> Any:
        """Wait for what the process says. Raises BenchError when it has failed."""
        try:
            if not self._connection.poll(_PATIENCE_S):
                raise BenchError(f"expected another process of the bench to answer within {_PATIENCE_S} s")
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise BenchError("expected another process of the bench to answer, found it ended") from error
        if isinstance(answer, BenchError):
            raise answer
        return answer

    def terminate(self) -> None:
        """End the process at once."""
        self._process.terminate()
        self._process.join()

    def close(self) -> None:
        """Let the process end, and wait for that."""
        self._connection.close()
        self._process.join()


def _run(serve: Callable[..., None], connection: Connection, *arguments: object) -> None:
    """Run in the new process: say what went wrong rather than to the terminal."""
    try:
        serve(connection, *arguments)
    except BenchError as error:
        with contextlib.suppress(OSError):
            connection.send(error)
