"""The worker's side of the channel, in this process: its job is counted, its supervisor is the test."""

import asyncio
import os
import select
import signal
import socket

import pytest

from strep.live.workers import Counts, Entry, EntryKind, serve
from strep.live.workers.messages import MAX_LINE_BYTES, decode
from tests.receiving import until


class CountingJob:
    """Is a job that has done what the test says."""

    def __init__(self, task):
        self.task = task
        self.received = 0
        self.waiting = []
        self.entered = self.left = False
        self.ended = asyncio.get_running_loop().create_future()

    async def __aenter__(self):
        self.entered = True

    async def __aexit__(self, *_):
        self.left = True
        self.received += 1000  # what is read at the very end

    async def wait(self):
        await asyncio.shield(self.ended)

    def counts(self):
        return Counts(received=self.received)

    def entries(self):
        while self.waiting:
            yield self.waiting.pop(0)


class Channel:
    """Runs `serve` at one end of a channel and is at the other."""

    def __init__(self):
        self.jobs = []
        self.make = CountingJob
        self.writer = None
        self.ours, self.theirs = socket.socketpair()
        self.serving = asyncio.create_task(serve(self.theirs, self.begin))

    def begin(self, task):
        self.jobs.append(self.make(task))
        return self.jobs[-1]

    async def open(self):
        """Say what to do, and wait until it is being done."""
        self.reader, self.writer = await asyncio.open_connection(sock=self.ours, limit=MAX_LINE_BYTES)
        self.writer.write(b'{"what":"to do"}\n')
        await until(lambda: bool(self.jobs))
        return self.jobs[0]

    async def message(self):
        return decode(await self.reader.readline())

    async def rest(self):
        return [decode(line) for line in (await self.reader.read()).splitlines()]

    async def close(self):
        if self.writer is None:
            self.ours.close()
        else:
            self.writer.close()
            await self.writer.wait_closed()
        await asyncio.wait([self.serving])


@pytest.fixture
async def channel():
    before = signal.getsignal(signal.SIGTERM)
    channel = Channel()
    yield channel
    await channel.close()
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)


async def test_a_worker_does_its_task_and_reports_at_once(channel):
    job = await channel.open()
    assert job.task == {"what": "to do"}
    assert await channel.message() == Counts()
    assert job.entered
    channel.writer.write_eof()
    await channel.serving
    assert job.left


async def test_the_end_of_the_channel_means_finish_and_the_last_report_comes_after(channel):
    job = await channel.open()
    await channel.message()
    job.received = 5
    job.waiting = [Entry(EntryKind.RECORDING, {"n": n}) for n in range(500)]
    channel.writer.write_eof()
    *entries, counts = [m for m in await channel.rest() if m != Counts(received=5)]
    assert [entry.document["n"] for entry in entries] == list(range(500))
    assert counts == Counts(received=1005)
    await channel.serving


async def test_sigterm_means_finish(channel):
    await channel.open()
    await channel.message()
    os.kill(os.getpid(), signal.SIGTERM)
    assert (await channel.rest())[-1] == Counts(received=1000)
    await channel.serving


async def test_a_supervisor_that_is_gone_means_finish(channel):
    job = await channel.open()
    channel.writer.transport.abort()
    await channel.serving
    assert job.left


async def test_a_supervisor_that_went_before_it_said_what_to_do_leaves_nothing_to_do(channel):
    channel.ours.send(b'{"what":')
    channel.ours.close()
    await channel.serving
    assert channel.jobs == []


async def test_a_job_that_fails_is_left_and_its_error_raised(channel):
    job = await channel.open()
    job.ended.set_exception(OSError("no disk"))
    with pytest.raises(OSError, match="no disk"):
        await channel.serving
    assert job.left


async def test_entries_are_spread_over_reports_while_the_job_goes_on(channel, monkeypatch):
    monkeypatch.setattr("strep.live.workers.worker.REPORT_INTERVAL_S", 0.001)
    job = await channel.open()
    await channel.message()
    job.waiting = [Entry(EntryKind.FAILURE, {"n": n}) for n in range(120)]
    lengths = []
    while sum(lengths) < 120:
        length = 0
        while isinstance(message := await channel.message(), Entry):
            assert message.document["n"] == sum(lengths) + length
            length += 1
        lengths.append(length)
    assert [length for length in lengths if length] == [50, 50, 20]


async def test_an_entry_too_long_for_a_line_is_left_out(channel):
    job = await channel.open()
    job.waiting = [Entry(EntryKind.RECORDING, {"n": n, "long": "x" * (n * MAX_LINE_BYTES)}) for n in (0, 1, 0)]
    channel.writer.write_eof()
    entries = [message for message in await channel.rest() if isinstance(message, Entry)]
    assert [entry.document["n"] for entry in entries] == [0, 0]


async def test_while_the_supervisor_does_not_read_no_report_is_added(channel, monkeypatch):
    monkeypatch.setattr("strep.live.workers.worker.REPORT_INTERVAL_S", 0.0005)
    channel.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
    reports = 0

    class LongJob(CountingJob):
        def counts(self):
            nonlocal reports
            reports += 1
            return Counts(received=reports, fates={"x" * 3000: 0})

    channel.make = LongJob
    channel.ours.send(b"{}\n")
    await until(lambda: not select.select([], [channel.theirs], [], 0)[1])  # until the channel is full
    await asyncio.sleep(0.05)
    assert 1 <= reports < 10
    channel.ours.shutdown(socket.SHUT_WR)
    channel.reader, channel.writer = await asyncio.open_connection(sock=channel.ours)
    assert [counts.received for counts in await channel.rest()] == list(range(1, reports + 1))
