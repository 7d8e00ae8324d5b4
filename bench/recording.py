"""Record calls in a process of its own, on a core of its own: the real receiver with the real recording sink."""

from __future__ import annotations

import asyncio
import resource
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType

from bench import BenchError
from bench.child import Child
from bench.machine import pin
from strep.audio.block import AudioBlock
from strep.net.address import UdpAddress
from strep.receiver import Receiver
from strep.sinks.recordings import RecordingSink
from strep.stream.events import Event, StreamClosed, StreamReport


@dataclass(frozen=True, slots=True)
class Usage:
    """Is what a process has used: processor time of its own and of the system for it, wall time, and memory."""

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
    """Is what the process counted, and what it had used at its end."""

    received: int
    kernel_drops: int
    fates: dict[str, int]
    lost: int
    recordings: int
    failures: list[str]
    usage: Usage


class Totals:
    """Is a sink that adds up what streams say when they close."""

    def __init__(self) -> None:
        self.lost = 0

    def event(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, StreamClosed):
            self.lost += lost_packets(event.report)

    def block(self, block: AudioBlock) -> None:
        """Take no notice."""

    def flush(self, now_ns: int) -> None:
        """Take no notice."""

    def close(self) -> None:
        """Do nothing."""


def lost_packets(report: StreamReport) -> int:
    """Count what never came of a stream."""
    return sum(source.lost for source in report.sources)


class RecordingProcess:
    """Records into a folder until it is stopped. Raises BenchError when the process has failed."""

    def __init__(self, directory: Path, *, cpu: int | None = None) -> None:
        self.child = Child(_serve, directory, cpu)
        try:
            self.address: UdpAddress = self.child.answer()
        except BenchError:
            self.child.close()
            raise

    def __enter__(self) -> RecordingProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.child.close()

    def usage(self) -> Usage:
        """Ask what it has used so far."""
        usage: Usage = self.child.ask("usage")
        return usage

    def stop(self) -> Recorded:
        """Let it read what is queued, and close every stream and file."""
        recorded: Recorded = self.child.ask("stop")
        return recorded


def _serve(connection: Connection, directory: Path, cpu: int | None) -> None:
    pin(cpu)
    asyncio.run(_record(connection, directory))


async def _record(connection: Connection, directory: Path) -> None:
    """Record, and answer questions, until told to stop or left alone."""
    sink, totals = RecordingSink(directory), Totals()
    async with Receiver("udp:127.0.0.1:0", sinks=[sink, totals]) as receiver:
        connection.send(receiver.addresses[0])
        while await _question(connection) == "usage":
            connection.send(Usage.now())
        await receiver.stop()
    recorded = Recorded(
        received=receiver.received,
        kernel_drops=receiver.kernel_drops,
        fates=receiver.counts(),
        lost=totals.lost,
        recordings=sink.recording_count,
        failures=[f"{failure.call}: {failure.reason}" for failure in sink.failures],
        usage=Usage.now(),
    )
    connection.send(recorded)


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
