"""Show on one live line what a receiver does; what is news goes out as lines of its own (strep.cli.announcements)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from rich.live import Live
from rich.text import Text

from strep.alarms import Alarm
from strep.audio.block import AudioBlock
from strep.cli.alarms import in_short
from strep.cli.announcements import Announcements
from strep.cli.output import counted, errors_console
from strep.cli.recordings import Recorded, newest
from strep.stream.events import CloseReason, Event, FormatChanged, Gap, StreamClosed, StreamOpened

_REFRESH_S = 0.5


class Reception(Protocol):
    """What the line says of datagrams; a Receiver has it."""

    @property
    def received(self) -> int:
        """Count the datagrams received."""

    @property
    def kernel_drops(self) -> int:
        """Count what the kernel dropped."""


class Activity(Protocol):
    """What the line says of calls; a Tally has it."""

    @property
    def calls(self) -> int:
        """Count the calls that go on."""

    @property
    def streams(self) -> int:
        """Count the streams that are open."""

    @property
    def lost_packets(self) -> int:
        """Count what the network lost."""

    @property
    def write_errors(self) -> int:
        """Count what the system refused to write."""


class Watch(Protocol):
    """What the line says of what goes wrong; an AlarmWatch has it."""

    @property
    def standing(self) -> list[Alarm]:
        """Give the alarms that stand, the most important one first."""


class Tally:
    """A count of calls and losses as they happen: a sink, so that it costs nothing to look at.

    sink: records the same streams, and comes before this one. announcements: is told what happens.
    """

    def __init__(self, sink: Recorded, announcements: Announcements) -> None:
        self.lost_packets = 0
        self._sink, self._announcements = sink, announcements
        self._told_recordings = self._told_failures = 0
        self._streams_of: Counter[str] = Counter()
        self._call_of: dict[int, str] = {}

    @property
    def calls(self) -> int:
        """Count the calls that go on."""
        return len(self._streams_of)

    @property
    def streams(self) -> int:
        """Count the streams that are open."""
        return len(self._call_of)

    @property
    def write_errors(self) -> int:
        """Count what the system refused to write."""
        return self._sink.failure_count

    def event(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, Gap):
            self.lost_packets += event.lost_packets
        elif isinstance(event, StreamOpened):
            self._call_of[event.slot] = event.identity.call
            self._streams_of[event.identity.call] += 1
        elif isinstance(event, FormatChanged):
            self._announcements.format(self._call_of[event.slot], event.payload_type, event.format)
        elif isinstance(event, StreamClosed):
            call = self._call_of.pop(event.slot)
            self._streams_of[call] -= 1
            if not self._streams_of[call]:
                del self._streams_of[call]
                if event.reason is CloseReason.OVERLOADED:
                    self._announcements.left_out(call)

    def block(self, block: AudioBlock) -> None:
        """Take decoded audio: nothing to count."""

    def flush(self, now_ns: int) -> None:
        """Tell what the recordings came to since the last time."""
        sink = self._sink
        for failure in newest(sink.failures, sink.failure_count - self._told_failures):
            self._announcements.failure(failure.call, failure.reason)
        for made in newest(sink.recordings, sink.recording_count - self._told_recordings):
            self._announcements.recording(made.path.name, made.duration_s, lambda: self.calls)
        self._told_failures, self._told_recordings = sink.failure_count, sink.recording_count
        self._announcements.tick()

    def close(self) -> None:
        """Do nothing: there is no file."""


class StatusLine:
    """A status line that writes the line; the pace is that of the time from one line to the next.

    A terminal shows what fits: what goes wrong comes before what is well.
    """

    def __init__(
        self, receiver: Reception, tally: Activity, watch: Watch, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._receiver, self._tally, self._watch, self._clock_s = receiver, tally, watch, clock_s
        self._at_s, self._received = clock_s(), receiver.received

    def text(self) -> str:
        """Say what goes on now."""
        now_s, received = self._clock_s(), self._receiver.received
        pace = (received - self._received) / (now_s - self._at_s) if now_s > self._at_s else 0
        self._at_s, self._received = now_s, received
        standing = self._watch.standing
        reasons = {alarm.reason for alarm in standing}
        parts = [
            counted(self._tally.calls, "call"),
            counted(self._tally.streams, "stream"),
            f"{pace:.0f} packets/s",
            *in_short(standing),
            f"{self._tally.lost_packets} lost",
        ]
        if "kernel_drops" not in reasons:
            parts.append(f"{self._receiver.kernel_drops} kernel drops")
        if "write_errors" not in reasons and (errors := self._tally.write_errors):
            parts.append(counted(errors, "write error"))
        return ", ".join(parts)


@contextlib.asynccontextmanager
async def status_line(receiver: Reception, tally: Activity, watch: Watch) -> AsyncIterator[None]:
    """Keep the line up to date where stderr is a terminal; show nothing elsewhere."""
    screen = errors_console()
    if not screen.is_terminal:
        yield
        return
    status = StatusLine(receiver, tally, watch)
    live = Live(console=screen, transient=True, auto_refresh=False)  # no thread beside the receiver

    async def keep_up_to_date() -> None:
        live.start()
        while True:
            live.update(Text(status.text(), no_wrap=True, overflow="ellipsis"), refresh=True)
            await asyncio.sleep(_REFRESH_S)

    task = asyncio.create_task(keep_up_to_date())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with contextlib.suppress(OSError):  # the terminal was closed
            live.stop()
