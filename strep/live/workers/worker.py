"""Be a worker: do a job until told to stop, and report.

What reaches a worker from its terminal it does not hear; SIGTERM and the end of the channel mean the same: finish.
So it never outlives its supervisor, not even one that was killed: that closes the channel too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import Callable, Iterator
from itertools import islice
from types import TracebackType
from typing import Any, Protocol

from strep.live.workers.messages import MAX_LINE_BYTES, Counts, Document, Entry, encode

#: What a worker did since its last report is lost with it when it is killed; a report costs some 50 µs.
REPORT_INTERVAL_S = 0.25
#: Each takes 0.2 ms, in which nothing is received: when many calls end together, their entries are spread.
_ENTRIES_A_REPORT = 50


class Job(Protocol):
    """What a worker does while it is entered; leaving finishes it."""

    async def __aenter__(self) -> Any: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def wait(self) -> None:
        """Wait for the end of the job. Raises what made it end."""

    def counts(self) -> Counts:
        """Count what was done."""

    def entries(self) -> Iterator[Entry]:
        """Give what was not given before. What is not taken from the iterator is given the next time."""


async def serve(channel: socket.socket, begin: Callable[[Document], Job]) -> None:
    """Read the task, do the job that `begin` makes of it, and report until the channel ends or SIGTERM comes.

    The job has been finished and reported when this returns. Raises what the job raises.
    """
    reader, writer = await asyncio.open_connection(sock=channel, limit=MAX_LINE_BYTES)
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    try:
        line = await reader.readline()
        if not line.endswith(b"\n"):
            return  # the supervisor was gone before it had said what to do
        job = begin(json.loads(line))
        hearing = asyncio.create_task(_hear_the_end(reader, told))
        try:
            async with job:
                await _report_until(told, job, writer)
        finally:
            hearing.cancel()
        _report(job, writer)
        with contextlib.suppress(ConnectionError):  # nobody wants to know any more
            await writer.drain()
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def _hear_the_end(reader: asyncio.StreamReader, told: asyncio.Event) -> None:
    with contextlib.suppress(ConnectionError):
        await reader.read()
    told.set()


async def _report_until(told: asyncio.Event, job: Job, writer: asyncio.StreamWriter) -> None:
    """Report in intervals until told to stop, or until the job ends by itself."""
    ends = [asyncio.create_task(told.wait()), asyncio.create_task(job.wait())]
    try:
        done: set[asyncio.Task[Any]] = set()
        while not done:
            # The channel holds what the supervisor has not read yet; while it holds anything, nothing is added.
            if not writer.transport.get_write_buffer_size():
                _report(job, writer, _ENTRIES_A_REPORT)
            done, _ = await asyncio.wait(ends, timeout=REPORT_INTERVAL_S, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in ends:
            task.cancel()


def _report(job: Job, writer: asyncio.StreamWriter, most_entries: int | None = None) -> None:
    if writer.is_closing():
        return
    for entry in islice(job.entries(), most_entries):
        line = encode(entry)
        if len(line) < MAX_LINE_BYTES:
            writer.write(line)
    writer.write(encode(job.counts()))
