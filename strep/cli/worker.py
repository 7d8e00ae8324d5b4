"""A worker of `strep record --workers`: `python -m strep.cli.worker INDEX CHANNEL`; see strep.cli.worker_group."""

from __future__ import annotations

import asyncio
import socket
import sys
import warnings
from collections import deque
from collections.abc import Iterator
from types import TracebackType

from strep.alarms import Alarm
from strep.audio.formats import AudioFormat
from strep.cli.announcements import Announcements
from strep.cli.compiling import compile_ahead
from strep.cli.errors import say
from strep.cli.output import Document
from strep.cli.plugins import say_counts
from strep.cli.recorder import Recorder
from strep.cli.recorder_options import RecorderOptions
from strep.cli.recordings import describe_failure, describe_recording, newest
from strep.compiler import CompilerWarning
from strep.live.workers import Counts, Entry, EntryKind, serve
from strep.net.source import BoundSocket
from strep.net.steering import adopt_socket

#: News that waits to be told. Calls that are left out together are thousands; more than these would not be read.
_MOST_NEWS = 1000


class Dispatch(Announcements):
    """What keeps for the supervisor, who tells it, what is news beside recordings and failures."""

    def __init__(self) -> None:
        super().__init__(shows_recordings=False, tell=lambda line: None)
        self.entries: deque[Entry] = deque(maxlen=_MOST_NEWS)
        self._sent: set[tuple[int, AudioFormat | None]] = set()  # 128 payload types, each unknown or told

    def format(self, call: str, payload_type: int, format: AudioFormat | None) -> None:
        """Keep what a payload type means, the first time."""
        if (payload_type, format) not in self._sent:
            self._sent.add((payload_type, format))
            document = {"call": call, "payload_type": payload_type, "format": str(format) if format else None}
            self.entries.append(Entry(EntryKind.FORMAT, document))

    def alarm(self, alarm: Alarm) -> None:
        """Do nothing: the supervisor has the counts of all workers, and tells their alarms together."""

    def left_out(self, call: str) -> None:
        """Keep a call that was left out."""
        self.entries.append(Entry(EntryKind.LEFT_OUT, {"call": call}))


class RecordingJob:
    """A strep.live.workers.Job: receives on the sockets of its task, and records."""

    def __init__(self, recorder: Recorder, dispatch: Dispatch) -> None:
        self._dispatch, self._recorder = dispatch, recorder
        self._receiver, self._sink, self._tally = recorder.receiver, recorder.sink, recorder.tally
        self._told_recordings = self._told_failures = 0

    async def __aenter__(self) -> RecordingJob:
        await self._receiver.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._receiver.__aexit__(kind, error, trace)
        say_counts(self._receiver.analysis.counts())
        if problem := self._recorder.events_problem:
            say(problem)

    async def wait(self) -> None:
        """Wait until the receiver has stopped. Raises its error."""
        await self._receiver.wait()

    def counts(self) -> Counts:
        """Count what was received and recorded."""
        return Counts(
            received=self._receiver.received,
            fates=self._receiver.counts(),
            lost_packets=self._tally.lost_packets,
            recordings=self._sink.recording_count,
            failures=self._sink.failure_count,
            calls=self._tally.calls,
            streams=self._tally.streams,
            open_recordings=self._sink.open_count,
            unproven_packets=self._receiver.unproven_packets,
        )

    def entries(self) -> Iterator[Entry]:
        """Give what is news, and the recordings and failures that were not given before, as far as remembered."""
        while self._dispatch.entries:
            yield self._dispatch.entries.popleft()
        sink = self._sink
        self._told_recordings = max(self._told_recordings, sink.recording_count - len(sink.recordings))
        for recording in newest(sink.recordings, sink.recording_count - self._told_recordings):
            self._told_recordings += 1
            yield Entry(EntryKind.RECORDING, describe_recording(recording))
        self._told_failures = max(self._told_failures, sink.failure_count - len(sink.failures))
        for failure in newest(sink.failures, sink.failure_count - self._told_failures):
            self._told_failures += 1
            yield Entry(EntryKind.FAILURE, describe_failure(failure))


def begin(task: Document) -> RecordingJob:
    """Make the job of a task: see strep.cli.worker_group."""
    inputs = {name: _adopt(place) for name, place in task["inputs"].items()}
    options = RecorderOptions.read(task["options"])
    dispatch = Dispatch()
    recorder = Recorder(options, inputs.get("target"), inputs.get("rx"), inputs.get("tx"), announcements=dispatch)
    recorder.write_events()
    return RecordingJob(recorder, dispatch)


def _adopt(place: Document) -> BoundSocket:
    return adopt_socket(place["descriptor"], place["receive_buffer_bytes"], place["receive_buffer_wanted_bytes"])


def main() -> None:
    """Run the worker. What is to be said of compiling, the supervisor has said."""
    warnings.simplefilter("ignore", CompilerWarning)
    compile_ahead(tell=lambda notice: None)
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[2])), begin))


if __name__ == "__main__":
    main()
