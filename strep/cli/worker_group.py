"""Record with several workers that share a port: `strep record --workers`.

We bind all sockets and keep them open, so that each keeps its number in the group (strep.net.steering) and its queue
while its worker is started again. rx and tx are the two directions of one call: worker 0 has both ports to itself.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from strep.alarms import gone_wrong
from strep.analysis import JsonLines
from strep.audio.formats import parse_format
from strep.cli.alarms import AlarmWatch
from strep.cli.announcements import Announcements
from strep.cli.errors import say
from strep.cli.options import KEPT_RECORDINGS
from strep.cli.output import Document
from strep.cli.recorder import Recorder, append_lines, until
from strep.cli.recorder_options import RecorderOptions
from strep.cli.signals import stop_event
from strep.cli.status import status_line
from strep.errors import ConfigError
from strep.live.receiver import warn_of_receive_buffer
from strep.live.workers import Counts, EntryKind, Supervisor, WorkerError, WorkerLedger, WorkerProcess
from strep.live.workers.messages import Message
from strep.net.address import UdpAddress
from strep.net.source import BoundSocket, QueueMeter
from strep.net.steering import bind_group
from strep.sinks.retention import Removed
from strep.wire.fate import Fate

WORKER_MODULE = "strep.cli.worker"


class AnnouncingLedger(WorkerLedger):
    """A ledger that passes on what is news of what workers report. look: is called after each report of counts."""

    def __init__(
        self, workers: int, keep: int, announcements: Announcements, look: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(workers, keep)
        self._announcements, self._look = announcements, look

    def take(self, index: int, message: Message) -> None:
        """Take one message of worker `index`."""
        super().take(index, message)
        if isinstance(message, Counts):
            self._announcements.tick()
            self._look()
            return
        told = message.document
        match message.kind:
            case EntryKind.RECORDING:
                self._announcements.recording(Path(told["path"]).name, told["duration_s"], lambda: self.total.calls)
            case EntryKind.FAILURE:
                self._announcements.failure(told["call"], told["reason"])
            case EntryKind.FORMAT:
                meaning = parse_format(told["format"]) if told["format"] else None
                self._announcements.format(told["call"], told["payload_type"], meaning)
            case EntryKind.LEFT_OUT:
                self._announcements.left_out(told["call"])


class WorkerGroup:
    """The sockets of all workers, and what all of them together have done.

    inputs: for each worker, its sockets by the name of the input. clock_ns: the wall clock.
    """

    def __init__(
        self,
        inputs: Sequence[Mapping[str, BoundSocket]],
        options: RecorderOptions,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.inputs = inputs
        self.options = options
        self.announcements = Announcements()
        bound = [bound for own in inputs for bound in own.values()]
        self._drops = [one.drops for one in bound]
        self._refused = [one.refused for one in bound if one.refused is not None]
        self.watch = AlarmWatch(self._totals, self.announcements.alarm)
        self.ledger = AnnouncingLedger(
            len(inputs), KEPT_RECORDINGS, self.announcements, look=lambda: self.watch.flush(clock_ns())
        )
        self._lines: JsonLines | None = None

    @property
    def received(self) -> int:
        """Count the datagrams that the workers took from their sockets, as far as they reported."""
        return self.ledger.total.received

    @property
    def kernel_drops(self) -> int:
        """Count what the kernel dropped because a buffer was full, also while a worker was not there."""
        return _total(self._drops)

    @property
    def kernel_refused(self) -> int:
        """Count what the kernel refused because it was no STREP."""
        return _total(self._refused)

    @property
    def calls(self) -> int:
        """Count the calls that go on."""
        return self.ledger.total.calls

    @property
    def streams(self) -> int:
        """Count the streams that are open."""
        return self.ledger.total.streams

    @property
    def lost_packets(self) -> int:
        """Count what the network lost."""
        return self.ledger.total.lost_packets

    @property
    def write_errors(self) -> int:
        """Count what the system refused to write."""
        return self.ledger.total.failures

    def _totals(self) -> dict[str, int]:
        """Count what may go wrong, by the names of the alarms."""
        total = self.ledger.total
        kernel = {"kernel_drops": self.kernel_drops, "rejected_by_kernel": self.kernel_refused}
        return {**gone_wrong(total.fates, total.unproven_packets), **kernel, "write_errors": total.failures}

    async def launch(self, index: int) -> WorkerProcess:
        """Start a worker. Raises OSError."""
        own = self.inputs[index]
        places = {
            name: {
                "descriptor": bound.socket.fileno(),
                "receive_buffer_bytes": bound.receive_buffer_bytes,
                "receive_buffer_wanted_bytes": bound.receive_buffer_wanted_bytes,
            }
            for name, bound in own.items()
        }
        task = {"inputs": places, "options": self.options.of_worker(index).describe()}
        return await WorkerProcess.start(WORKER_MODULE, index, task, [b.socket.fileno() for b in own.values()])

    def tell_removed(self, removed: Removed) -> None:
        """Write that an old recording was removed, in a file beside those of the workers."""
        if self.options.listening.events is None:
            return
        if self._lines is None:
            self._lines = append_lines(self.options.listening.events)
        self._lines.tell("recording_removed", time.time_ns(), removed.describe())

    def close(self) -> None:
        """Write what is left of events."""
        if self._lines:
            self._lines.close()

    def describe(self, kernel_drops: int) -> Document:
        """Make the document of the whole run, as describe_sink does of one process's."""
        ledger, total = self.ledger, self.ledger.total
        return {
            "recordings": sorted(ledger.recordings, key=lambda made: str(made["start"])),
            "recording_count": total.recordings,
            "failures": list(ledger.failures),
            "failure_count": total.failures,
            "datagrams": {fate.label: 0 for fate in Fate} | dict(total.fates),
            "kernel_drops": kernel_drops,
            "kernel_refused": self.kernel_refused,
            "workers": {"count": len(self.inputs), "restarts": ledger.restarts, "cut_short": ledger.cut_short},
        }


def _total(meters: Sequence[QueueMeter]) -> int:
    for meter in meters:
        meter.update()
    return sum(meter.drops or 0 for meter in meters)


@contextlib.contextmanager
def bind_worker_group(
    options: RecorderOptions,
    workers: int,
    target: str | None,
    rx: str | None,
    tx: str | None,
    receive_buffer_bytes: int,
) -> Iterator[WorkerGroup]:
    """Bind the sockets of a group, and close them in the end. Raises ConfigError, ReceiveError and SinkError."""
    if target is None:
        raise ConfigError("--workers needs --target: rx and tx carry one call")
    with ExitStack() as stack:

        def bind(text: str, sockets: int = 1, *, strep_only: bool = False) -> list[BoundSocket]:
            group = bind_group(UdpAddress.parse(text), sockets, receive_buffer_bytes, strep_only=strep_only)
            for bound in group:
                stack.callback(bound.close)
            return group

        inputs = [{"target": bound} for bound in bind(target, workers, strep_only=options.reception.strep_only)]
        if rx is not None and tx is not None:
            inputs[0] |= {"rx": bind(rx)[0], "tx": bind(tx)[0]}
        Recorder(options, target, rx, tx)  # what is wrong with the options is said here, not by each worker
        for events in filter(None, (options.of_worker(index).listening.events for index in range(len(inputs)))):
            append_lines(events).close()
        if len(inputs) < workers:
            say("warning: this system cannot steer call legs to workers (Linux can): one worker receives all")
        warn_of_receive_buffer(inputs[0]["target"])
        with contextlib.closing(WorkerGroup(inputs, options)) as group:
            yield group


async def record_in_workers(
    group: WorkerGroup, duration_s: float | None, report: Callable[[str], None] = say
) -> Document:
    """Record until a signal, the end of the time, or until a worker is given up; returns the document of it all.

    Its "error" says why a worker was given up, and is None otherwise.
    """
    error: WorkerError | None = None
    supervisor = Supervisor(len(group.inputs), group.launch, group.ledger, tell=report)
    async with supervisor:
        with stop_event() as stopped:
            addresses = " and ".join(str(bound.address) for bound in group.inputs[0].values())
            workers = f"{len(group.inputs)} workers" if len(group.inputs) > 1 else "one worker"
            report(f"recording what arrives at {addresses} into {group.options.out} with {workers}; stop with Ctrl-C")
            async with status_line(group, group, group.watch):
                try:
                    await until(stopped, supervisor.wait(), duration_s)
                except WorkerError as given_up:
                    error = given_up
                finally:
                    group.announcements.end()
            kernel_drops = group.kernel_drops  # what overflows while the files are finished came too late
    return group.describe(kernel_drops) | {"error": str(error) if error else None}
