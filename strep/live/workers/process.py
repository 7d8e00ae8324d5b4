"""Run a worker as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from strep.live.workers.messages import MAX_LINE_BYTES, Document, Message, decode, encode_document


class WorkerProcess:
    """A Worker (see strep.live.workers.supervisor) in a Python process of its own.

    It shares nothing with us but a pair of sockets, the descriptors passed on, and stderr.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process, self._reader, self._writer = process, reader, writer

    @classmethod
    async def start(cls, module: str, index: int, task: Document, descriptors: Sequence[int] = ()) -> WorkerProcess:
        """Run `python -m module INDEX CHANNEL`, which calls `serve`; task: what that reads from the channel first.

        descriptors: those that the task names; they keep their numbers. Raises OSError when no process can be made.
        """
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", module, str(index), str(theirs.fileno())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *descriptors),
                env=_environment(),
                # A group of its own: Ctrl-C in the terminal, or its end, is for the supervisor alone.
                process_group=0,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours, limit=MAX_LINE_BYTES)
        writer.write(encode_document(task))
        return cls(process, reader, writer)

    async def receive(self) -> Message | None:
        """Wait for its next message; None when there will be no more. Raises ValueError for nonsense."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        return decode(line) if line.endswith(b"\n") else None  # one that was killed may have written half a line

    def stop(self) -> None:
        """Ask it to finish."""
        with contextlib.suppress(OSError):  # it has gone
            self._writer.write_eof()

    def kill(self) -> None:
        """End it at once, if it still runs, and close the channel."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._writer.close()

    async def wait(self) -> int:
        """Wait for its end; returns its exit code, negative for the signal that killed it."""
        return await self._process.wait()


def _environment() -> dict[str, str]:
    """Let a worker find the very modules that we run; with -P, it looks for none where it happens to stand."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
