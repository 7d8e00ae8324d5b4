"""Deliver audio in a process of its own, and take down when: the real receiver, and a sink that looks at the clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.histogram import Histogram
from bench.machine import pin
from bench.recording import ReceivingProcess, Recorded, receive
from strep.audio.block import AudioBlock, SampleState
from strep.cli.collecting import spare_collector
from strep.sinks.base import Sink
from strep.sinks.recordings import RecordingSink, WriterThread, share_interpreter
from strep.stream.engine import EngineConfig
from strep.stream.events import Event

#: How often the meter asks the system about its process.
_LOOK_NS = 500_000_000


@dataclass(slots=True)
class Latency:
    """How much later than its playout delay audio was delivered, a value for each packet.

    opening: of what was due while calls began. added: of the rest. waiting, working: the two parts of `added`, until
    the turn began that delivered it (or, of a turn that took only a part of what was queued, until what it got to),
    and from then on. preempted_ns: for how long, since the first delivery, others had the core that this process
    wanted; None where the system does not tell.
    """

    opening: Histogram = field(default_factory=Histogram)
    added: Histogram = field(default_factory=Histogram)
    waiting: Histogram = field(default_factory=Histogram)
    working: Histogram = field(default_factory=Histogram)
    preempted_ns: int | None = None


class LatencyMeter:
    """A sink that takes down when what was received is delivered to it.

    opening_s: for how long, from what was due first, calls begin.
    """

    def __init__(self, opening_s: float, *, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.latency = Latency()
        self._delay_ns = EngineConfig().playout_delay_ms * 1_000_000
        self._opening_ns, self._clock_ns = int(opening_s * 1e9), clock_ns
        self._settled_ns: int | None = None
        self._preempted_before_ns: int | None = None
        self._looked_ns = 0
        # Of this turn: when it was delivered, and when it was due. A turn delivers what a few batches held, no more.
        self._delivered: list[tuple[int, NDArray[np.int64]]] = []

    def event(self, event: Event) -> None:
        """Take no notice."""

    def block(self, block: AudioBlock) -> None:
        """Take down when these rows came."""
        now_ns = self._clock_ns()
        due_ns = block.arrival_ns[block.state == SampleState.RECEIVED] + self._delay_ns
        if len(due_ns):
            self._delivered.append((now_ns, due_ns))

    def flush(self, now_ns: int) -> None:
        """Count what this turn delivered, now that the watermark tells when it began.

        What a receiver delivers because it closes is never counted: it is not waited for then.
        """
        for delivered_ns, due_ns in self._delivered:
            if self._settled_ns is None:
                self._settled_ns = int(due_ns.min()) + self._opening_ns
            added_ns = delivered_ns - due_ns
            opening = due_ns < self._settled_ns
            self.latency.opening.add(added_ns[opening])
            added_ns, due_ns = added_ns[~opening], due_ns[~opening]
            waiting_ns = np.maximum(now_ns - due_ns, 0)
            self.latency.added.add(added_ns)
            self.latency.waiting.add(waiting_ns)
            self.latency.working.add(added_ns - waiting_ns)
        self._delivered.clear()
        if self._settled_ns is not None and now_ns >= self._looked_ns + _LOOK_NS:
            self._looked_ns = now_ns
            self._look_at_preemption()

    def close(self) -> None:
        """Do nothing."""

    def _look_at_preemption(self) -> None:
        waited_ns = runnable_but_waiting_ns()
        if waited_ns is not None:
            if self._preempted_before_ns is None:
                self._preempted_before_ns = waited_ns
            self.latency.preempted_ns = waited_ns - self._preempted_before_ns


def runnable_but_waiting_ns() -> int | None:
    """Tell how long this process has waited for a core in all; None where the system does not."""
    try:  # Linux, Documentation/scheduler/sched-stats.rst: time on the core, time spent waiting for it, turns
        return int(Path("/proc/self/schedstat").read_text().split()[1])
    except (OSError, IndexError):
        return None


@dataclass(frozen=True, slots=True)
class Delivered:
    """What the process counted, and how late audio was."""

    recorded: Recorded
    latency: Latency
    failures: int


class DeliveringProcess(ReceivingProcess):
    """A delivering process that delivers until it is stopped, and records before that if it is given a folder.

    opening_s: see LatencyMeter. Raises BenchError when the process has failed.
    """

    def __init__(self, directory: Path | None, opening_s: float, *, cpu: int | None = None) -> None:
        super().__init__(_serve, directory, opening_s, cpu)

    def stop(self) -> Delivered:
        """Let it read what is queued, and close every stream and file."""
        delivered: Delivered = self.child.ask("stop")
        return delivered


def _serve(connection: Connection, directory: Path | None, opening_s: float, cpu: int | None) -> None:
    """Deliver until told to stop or left alone. The meter comes last: it waits for the recording, as a plugin would."""
    pin(cpu)
    spare_collector()
    share_interpreter()
    meter = LatencyMeter(opening_s)
    sink = None if directory is None else WriterThread(RecordingSink(directory))
    sinks: list[Sink] = [meter] if sink is None else [sink, meter]
    recorded = asyncio.run(receive(connection, sinks))
    connection.send(Delivered(recorded, meter.latency, sink.failure_count if sink else 0))
