"""Receive calls in a process of its own, on a core of its own, and record them, by the real receiver and sink."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import BenchError
from bench.child import Child
from bench.expected import DYNAMIC_PAYLOAD_TYPES
from bench.machine import pin
from bench.stalling import StallingDisk
from strep.analysis import PluginCounts
from strep.audio.block import AudioBlock
from strep.cli.collecting import spare_collector
from strep.live.receiver import Receiver
from strep.net.address import UdpAddress
from strep.net.source import RECEIVE_BUFFER_BYTES
from strep.sinks.base import Sink
from strep.sinks.recordings import RecordingSink, WriterThread, share_interpreter
from strep.stream.events import CloseReason, Event, StreamClosed, StreamReport

#: A receiver's loop turns every 10 ms; one that is so long behind has more to do than time.
BEHIND_NS = 100_000_000
#: All calls have begun by then.
_STALLS_AFTER_S = 3.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used: processor time of its own and of the system for it, wall time, and memory."""

    user_s: float
    system_s: float
    wall_s: float
    resident_most_mib: float

    @classmethod
    def now(cls) -> Usage:
        """Measure this process."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return cls(used.ru_utime, used.ru_stime, time.monotonic(), used.ru_maxrss / 1024)

    @property
    def processor_s(self) -> float:
        """Give processor time, its own and the system's."""
        return self.user_s + self.system_s


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the process counted, and what it had used at its end.

    longest_turn_ms: from where a turn of the receiver's loop began until everything that had arrived by then was
    through all sinks (when more had arrived than a turn takes: from the arrival of the last that it took).
    last_drop_ns: wall time after which nothing was dropped: the count is the kernel's own as of the latest read; 0:
    nothing ever was. last_behind_ns: when that turn was last longer than BEHIND_NS; 0: it never was.
    calls_left_out: of those that had been received (strep.live.overload). most_queued_s: that waited to be written.
    """

    received: int
    kernel_drops: int
    fates: dict[str, int]
    lost: int
    calls_left_out: int
    recordings: int
    failures: list[str]
    usage: Usage
    longest_turn_ms: float = 0.0
    last_drop_ns: int = 0
    last_behind_ns: int = 0
    plugins: dict[str, PluginCounts] = field(default_factory=dict)
    most_queued_s: float = 0.0


class QueueWatch:
    """A sink that sees how long audio waits to be written."""

    def __init__(self, writer: WriterThread) -> None:
        self._writer, self.most_queued_s = writer, 0.0

    def event(self, event: Event) -> None:
        """Take no notice."""

    def block(self, block: AudioBlock) -> None:
        """Take no notice."""

    def flush(self, now_ns: int) -> None:
        """Look."""
        self.most_queued_s = max(self.most_queued_s, self._writer.queued_s)

    def close(self) -> None:
        """Do nothing."""


class Totals:
    """A sink that adds up what streams say when they close, and watches the turns. It is to be the last sink."""

    def __init__(self) -> None:
        self.receiver: Receiver | None = None
        self.lost = 0
        self.left_out: set[str] = set()
        self.longest_turn_ns = 0
        self.last_drop_ns = 0
        self.last_behind_ns = 0
        self._drops = 0

    def event(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, StreamClosed):
            self.lost += lost_packets(event.report)
            if event.reason is CloseReason.OVERLOADED:
                self.left_out.add(event.report.identity.call)

    def block(self, block: AudioBlock) -> None:
        """Take no notice."""

    def flush(self, now_ns: int) -> None:
        """See how long the turn took: the watermark is the time that it began, or what it has got to."""
        ends_ns = time.time_ns()
        self.longest_turn_ns = max(self.longest_turn_ns, ends_ns - now_ns)
        if ends_ns - now_ns > BEHIND_NS:
            self.last_behind_ns = ends_ns
        drops = self.receiver.kernel_drops if self.receiver else 0
        if drops > self._drops:
            self._drops, self.last_drop_ns = drops, ends_ns

    def close(self) -> None:
        """See whether anything was dropped since."""
        if self.receiver and self.receiver.kernel_drops > self._drops:
            self.last_drop_ns = time.time_ns()


def lost_packets(report: StreamReport) -> int:
    """Count what never came of a stream."""
    return sum(source.lost for source in report.sources)


class ReceivingProcess:
    """A receiving process that receives until it is stopped. Raises BenchError when the process has failed."""

    def __init__(self, serve: Callable[..., None], *arguments: object) -> None:
        self.child = Child(serve, *arguments)
        try:
            self.address: UdpAddress = self.child.answer()
        except BenchError:
            self.child.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.child.close()

    def usage(self) -> Usage:
        """Ask what it has used so far."""
        usage: Usage = self.child.ask("usage")
        return usage


class RecordingProcess(ReceivingProcess):
    """A recording process that records into a folder until it is stopped. Raises BenchError when the process has
    failed.

    stall_s: for how long its disk stalls, some seconds after it was first written to. buffer_bytes: what the kernel may
    hold for it.
    """

    def __init__(
        self,
        directory: Path,
        *,
        cpu: int | None = None,
        stall_s: float = 0.0,
        buffer_bytes: int = RECEIVE_BUFFER_BYTES,
    ) -> None:
        super().__init__(_serve, directory, cpu, stall_s, buffer_bytes)

    def stop(self) -> Recorded:
        """Let it read what is queued, and close every stream and file."""
        recorded: Recorded = self.child.ask("stop")
        return recorded


def _serve(connection: Connection, directory: Path, cpu: int | None, stall_s: float, buffer_bytes: int) -> None:
    pin(cpu)
    if stall_s:
        StallingDisk(stall_s, _STALLS_AFTER_S).install()
    asyncio.run(_record(connection, directory, buffer_bytes))


async def _record(connection: Connection, directory: Path, buffer_bytes: int) -> None:
    """Record until told to stop or left alone."""
    spare_collector()
    share_interpreter()
    sink = WriterThread(RecordingSink(directory))
    watch = QueueWatch(sink)
    recorded = await receive(connection, [sink, watch], buffer_bytes=buffer_bytes)
    failures = [f"{failure.call}: {failure.reason}" for failure in sink.failures]
    connection.send(
        replace(recorded, recordings=sink.recording_count, failures=failures, most_queued_s=watch.most_queued_s)
    )


async def receive(
    connection: Connection,
    sinks: Sequence[Sink],
    plugins: Sequence[str] = (),
    *,
    buffer_bytes: int = RECEIVE_BUFFER_BYTES,
) -> Recorded:
    """Receive, and answer questions, until told to stop or left alone; returns what was counted."""
    totals = Totals()
    all_sinks, types = [*sinks, totals], DYNAMIC_PAYLOAD_TYPES
    async with Receiver(
        "udp:127.0.0.1:0",
        sinks=all_sinks,
        plugins=plugins,
        payload_types=types,
        receive_buffer_bytes=buffer_bytes,
    ) as receiver:
        totals.receiver = receiver
        connection.send(receiver.addresses[0])
        while await _question(connection) == "usage":
            connection.send(Usage.now())
        await receiver.stop()
    return Recorded(
        received=receiver.received,
        kernel_drops=receiver.kernel_drops,
        fates=receiver.counts(),
        lost=totals.lost,
        calls_left_out=len(totals.left_out),
        recordings=0,
        failures=[],
        usage=Usage.now(),
        longest_turn_ms=totals.longest_turn_ns / 1e6,
        last_drop_ns=totals.last_drop_ns,
        last_behind_ns=totals.last_behind_ns,
        plugins=receiver.analysis.counts(),
    )


async def _question(connection: Connection) -> str:
    """Wait for the other end without costing anything; stop when it has gone."""
    loop, asked = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(connection.fileno(), asked.set)
    await asked.wait()
    loop.remove_reader(connection.fileno())
    try:
        return str(connection.recv())
    except EOFError:
        return "stop"
