"""Make what `strep record` records with, in its own process or in a worker's."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path

from strep.alarms import Alarm, gone_wrong
from strep.analysis import JsonLines
from strep.cli.alarms import AlarmWatch
from strep.cli.announcements import Announcements
from strep.cli.collecting import spare_collector
from strep.cli.compiling import compile_ahead
from strep.cli.options import KEPT_RECORDINGS, new_sink, payload_types
from strep.cli.output import Document
from strep.cli.plugins import plugin_runs
from strep.cli.recorder_options import RecorderOptions
from strep.cli.status import Tally
from strep.errors import ConfigError, SinkError
from strep.live.receiver import Input, Receiver
from strep.net.address import UdpAddress
from strep.net.source import BoundSocket
from strep.net.spool import Spool
from strep.net.steering import bind_group
from strep.sinks.recordings import WriterThread, share_interpreter
from strep.sinks.retention import Removed
from strep.stream.engine import EngineConfig

#: What --events takes for standard output.
STDOUT = "-"


class Recorder:
    """A receiver, the sink that records (in a thread of its own), a tally, a watch for alarms, and the news of all.

    Raises ConfigError and SinkError.
    """

    def __init__(
        self,
        options: RecorderOptions,
        target: Input | None,
        rx: Input | None,
        tx: Input | None,
        *,
        announcements: Announcements | None = None,
    ) -> None:
        told = payload_types(options.pt)
        compile_ahead()
        spare_collector()
        share_interpreter()
        config = EngineConfig(
            playout_delay_ms=options.playout_delay_ms,
            idle_timeout_s=options.idle_timeout_s,
            max_calls=options.max_calls,
        )
        sink = new_sink(options.out, options.layout, options.encoding, options.file_format, options.files)
        self.sink = WriterThread(sink, limits=options.queue, keep=KEPT_RECORDINGS)
        self.announcements = announcements or Announcements()
        self.tally = Tally(self.sink, self.announcements)
        self.watch = AlarmWatch(self._totals, self._tell)
        reception, listening = options.reception, options.listening
        self.spool = (
            Spool(reception.spool, reception.spool_bytes, name=reception.spool_name) if reception.spool else None
        )
        self.receiver = Receiver(
            target,
            rx=rx,
            tx=tx,
            sinks=[self.sink, self.tally, self.watch],
            config=config,
            payload_types=told,
            allow=reception.allow,
            strep_only=reception.strep_only,
            receive=reception.receive,
            spool=self.spool,
            plugins=plugin_runs(listening.plugins, listening.settings),
        )
        self._events = listening.events
        self._lines: JsonLines | None = None

    def write_events(self) -> None:
        """Write what happens and what plugins find, from now on, if that was asked for. Raises SinkError."""
        if self._events is None:
            return
        self._lines = JsonLines(sys.stdout) if str(self._events) == STDOUT else append_lines(self._events)
        self.receiver.analysis.add(self._lines)

    def _totals(self) -> dict[str, int]:
        """Count what may go wrong, by the names of the alarms."""
        return gone_wrong(self.receiver.counts(), self.receiver.unproven_packets) | {
            "kernel_drops": self.receiver.kernel_drops,
            "rejected_by_kernel": self.receiver.kernel_refused,
            "write_errors": self.sink.failure_count,
            "unspooled": self.spool.dropped if self.spool else 0,
        }

    def _tell(self, alarm: Alarm) -> None:
        self.announcements.alarm(alarm)
        if self._lines is not None:
            self._lines.alarm(alarm)

    def describe_spool(self) -> Document | None:
        """Make a document of what was spooled; None where nothing was to be."""
        if self.spool is None:
            return None
        names = ("spooled", "dropped", "removed_parts", "failure")
        return {name: getattr(self.spool, name) for name in names}

    def tell_removed(self, removed: Removed) -> None:
        """Write that an old recording was removed; any thread may call this."""
        if self._lines:
            self._lines.tell("recording_removed", time.time_ns(), removed.describe())

    @property
    def events_problem(self) -> str | None:
        """Say what went wrong with writing events, when all is over."""
        lines = self._lines
        if lines is None or not (lines.failure or lines.missed):
            return None
        reason = "nobody read them fast enough"
        if lines.failure:
            reason = lines.failure.strerror or str(lines.failure)
        elif lines.undescribed == lines.missed:
            reason = "what plugins found cannot be written down"
        return f"{self._events}: {lines.missed} lines of events are missing: {reason}"


def append_lines(path: Path) -> JsonLines:
    """Open a file for events. Raises SinkError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"{path}: {error.strerror}") from error
    return JsonLines(path, appends=True)


@contextlib.contextmanager
def bind_inputs(
    receive_buffer_bytes: int, *, strep_only: bool = False, **inputs: str | None
) -> Iterator[dict[str, BoundSocket]]:
    """Bind a socket for each input that has an address, and close them in the end.

    strep_only: let the system refuse what is no STREP at the input called target. What arrives before anybody reads
    waits in them, and keeps its time of arrival.
    Raises ConfigError and ReceiveError.
    """
    with contextlib.ExitStack() as stack:
        bound: dict[str, BoundSocket] = {}
        for name, text in inputs.items():
            if text is not None:
                address, only = UdpAddress.parse(text), strep_only and name == "target"
                (bound[name],) = bind_group(address, 1, receive_buffer_bytes, strep_only=only)
                stack.callback(bound[name].close)
        yield bound


def check_addresses(target: str | None, rx: str | None, tx: str | None) -> None:
    """Raise ConfigError when it is not said where to receive, or two inputs cannot be told apart by their addresses."""
    if target is None and rx is None and tx is None:
        raise ConfigError("expected --target, or --rx and --tx, found none of them")
    if (rx is None) != (tx is None):
        found, missing = ("--tx", "--rx") if rx is None else ("--rx", "--tx")
        raise ConfigError(f"expected {missing} beside {found}: each carries one direction of a call")
    given = [UdpAddress.parse(text) for text in (target, rx, tx) if text is not None]
    for number, address in enumerate(given):
        if address.port and address in given[:number]:
            raise ConfigError(f"target, rx and tx each need an address of their own, got {address} twice")


async def until(stopped: asyncio.Event, ended: Awaitable[None], duration_s: float | None) -> None:
    """Wait for a signal, the end of the time, or the end of what is waited for, whose error is raised."""
    waiting = [asyncio.ensure_future(stopped.wait()), asyncio.ensure_future(ended)]
    try:
        done, _ = await asyncio.wait(waiting, timeout=duration_s, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
