"""Receive what is forked: one receiver for `target`, and one for each call that has two ports of its own.

All of them record into the same folder. A pair of ports is open while its call is: a port that is not allotted
receives nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from strep.alarms import gone_wrong
from strep.analysis import Found, Notice, PluginCounts
from strep.audio.block import AudioBlock
from strep.audio.formats import PayloadTypeMap
from strep.errors import StrepError
from strep.live.listening import Stream
from strep.live.receiver import Receiver
from strep.net.address import UdpAddress
from strep.net.spool import Spool
from strep.service.config import ServiceConfig
from strep.service.plugins import sum_counts
from strep.sinks.recordings import CallAbout, Recording, RecordingSink, WriterThread, share_interpreter
from strep.stream.engine import EngineConfig
from strep.stream.events import Event, StreamIdentity
from strep.wire.batch import Endpoint

_log = logging.getLogger(__name__)
#: A pair is one call: two directions, and what a false sender might add.
_STREAMS_OF_PAIR = 8
_BUFFER_OF_PAIR_BYTES = 1 << 20
#: 30 s of one call are 3 MB at 48 kHz; there are up to 50 pairs.
_QUEUE_SHARE_OF_PAIR, _LEAST_QUEUE_BYTES = 16, 1 << 20
#: Finished recordings that wait to be told of.
_KEPT_RECORDINGS = 10_000


@dataclass(frozen=True, slots=True)
class Answers:
    """What receivers ask and tell: see EngineConfig and RecordingSink.

    watch: gets every event of the streams, with the number of the receiver, for each receiver numbers its slots itself.
    found: gets what plugins find. stream: gets every stream to listen to, if somebody will.
    """

    admits: Callable[[StreamIdentity, Endpoint], bool]
    payload_types_of: Callable[[StreamIdentity, Endpoint], PayloadTypeMap | None]
    about: Callable[[StreamIdentity], CallAbout | None]
    watch: Callable[[int, Event], None]
    found: Callable[[Found], None]
    stream: Callable[[Stream], None] | None = None


class _Watch:
    """A sink that hands events on. What goes wrong behind it must not have it left out as a sink that failed."""

    def __init__(self, number: int, watch: Callable[[int, Event], None]) -> None:
        self._number, self._watch = number, watch

    def event(self, event: Event) -> None:
        """Hand an event on."""
        try:
            self._watch(self._number, event)
        except Exception:
            _log.exception("an event of a stream could not be taken note of")

    def block(self, block: AudioBlock) -> None:
        """Do nothing."""

    def flush(self, now_ns: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


@dataclass(slots=True)
class _Line:
    """One receiver with its sink.

    told: how many of its recordings were told of. told_failures: how many there were when one was told.
    """

    receiver: Receiver
    sink: WriterThread
    told: int = 0
    told_failures: int = 0
    listening: asyncio.Task[None] | None = None

    async def start(self, stream: Callable[[Stream], None] | None) -> None:
        """Receive, and hand the streams to whoever will listen to them."""
        await self.receiver.__aenter__()
        if stream is not None:
            self.listening = asyncio.create_task(_hand_on(aiter(self.receiver), stream), name="strep streams")

    async def stop(self) -> None:
        """Close everything. Raises the error of a sink that failed."""
        try:
            await self.receiver.stop()
        finally:
            if self.listening is not None:  # the end of the receiver was its end
                await asyncio.gather(self.listening, return_exceptions=True)

    def finished(self) -> list[Recording]:
        """Give the recordings that were finished since the last time."""
        self._log_failures()
        new = self.sink.recording_count - self.told
        self.told = self.sink.recording_count
        return list(self.sink.recordings)[-new:] if new else []

    def _log_failures(self) -> None:
        """Tell with which recording something went wrong, and what: at first, and whenever it is twice as often.

        That it goes on is an alarm (strep.alarms).
        """
        count = self.sink.failure_count
        if count >= max(2 * self.told_failures, 1):
            self.told_failures = count
            failure = self.sink.failures[-1]
            _log.warning("%d failures to record, the last: %s: %s", count, failure.call, failure.reason)


class Reception:
    """The receivers, from `start` to `stop`.

    finished: recordings that were finished; whoever takes them empties it.
    """

    def __init__(self, config: ServiceConfig, answers: Answers) -> None:
        self._config, self._answers = config, answers
        self._target: _Line | None = None
        self._pairs: dict[tuple[int, int], _Line] = {}
        self._closing: list[_Line] = []
        self._numbers = 0
        self._gone: list[Recording] = []
        self._counts_of_closed = Counter[str]()
        self._drops_of_closed = self._failures_of_closed = 0
        self._plugins_of_closed: Mapping[str, PluginCounts] = {}

    async def start(self) -> None:
        """Open the target. Raises ReceiveError and SinkError."""
        share_interpreter()
        media = self._config.media
        if media.target is not None:
            line = self._line(target=media.target)
            await line.start(self._answers.stream)
            self._target = line

    @property
    def announced(self) -> UdpAddress:
        """Give the address that the platform is told to send to."""
        announce = self._config.media.announce
        assert self._target is not None, "only calls with two ports of their own are forked without a target"
        return announce if announce.port else UdpAddress(announce.host, self._target.receiver.addresses[0].port)

    @property
    def address(self) -> UdpAddress | None:
        """Give the address that is listened on for all calls, if there is one."""
        return self._target.receiver.addresses[0] if self._target else None

    @property
    def receivers(self) -> list[Receiver]:
        """Give all receivers, that of the target first."""
        return [line.receiver for line in self._lines()]

    async def open_pair(self, pair: tuple[int, int]) -> tuple[UdpAddress, UdpAddress]:
        """Open two ports; give the addresses that the platform is told. Raises ReceiveError and SinkError."""
        media = self._config.media
        host = media.target.host if media.target else "::" if ":" in media.announce.host else "0.0.0.0"
        rx, tx = (UdpAddress(host, port) for port in pair)
        line = self._line(rx=rx, tx=tx)
        await line.start(self._answers.stream)
        self._pairs[pair] = line
        return UdpAddress(media.announce.host, pair[0]), UdpAddress(media.announce.host, pair[1])

    async def close_pair(self, pair: tuple[int, int]) -> None:
        """Close two ports, and finish what was recorded from them."""
        line = self._pairs.pop(pair, None)
        if line is not None:
            self._closing.append(line)  # what it counted is counted while it ends
            await _stop(line)
            self._closing.remove(line)
            self._gone += line.finished()
            self._counts_of_closed.update(line.receiver.counts())
            self._drops_of_closed += line.receiver.kernel_drops
            self._failures_of_closed += line.sink.failure_count
            self._plugins_of_closed = sum_counts((self._plugins_of_closed, line.receiver.analysis.counts()))

    def counts(self) -> dict[str, int]:
        """Give the fates of all datagrams by name, those of closed ports included: they never fall."""
        total = Counter(self._counts_of_closed)
        for line in self._counted():
            total.update(line.receiver.counts())
        return dict(total)

    def plugin_counts(self) -> dict[str, PluginCounts]:
        """Count what became of the plugins, by name, those of closed ports included."""
        return sum_counts((self._plugins_of_closed, *(line.receiver.analysis.counts() for line in self._counted())))

    @property
    def kernel_drops(self) -> int:
        """Count what the kernel dropped, of closed ports too."""
        return self._drops_of_closed + sum(line.receiver.kernel_drops for line in self._counted())

    def alarm_totals(self) -> dict[str, int]:
        """Count what may go wrong, by the names of the alarms (strep.alarms), closed ports included."""
        lines = list(self._lines())
        unproven = sum(line.receiver.unproven_packets for line in self._counted())
        return gone_wrong(self.counts(), unproven) | {
            "kernel_drops": self.kernel_drops,
            "rejected_by_kernel": self.kernel_refused,
            "write_errors": self._failures_of_closed + sum(line.sink.failure_count for line in lines),
        }

    @property
    def kernel_refused(self) -> int:
        """Count what the kernel refused at the target because it was no STREP."""
        return self._target.receiver.kernel_refused if self._target else 0

    def end_leg(self, leg: str) -> None:
        """Close both directions of a leg of the target, by StreamIdentity.call."""
        if self._target is not None:
            self._target.receiver.end_call(leg)

    def recorded_bytes(self, leg: str) -> int:
        """Say how much a leg of the target, by StreamIdentity.call, comes to as it is recorded."""
        return self._target.receiver.engine.recorded_bytes(leg) if self._target else 0

    def readmit(self) -> None:
        """Ask again about legs that were refused."""
        if self._target is not None:
            self._target.receiver.readmit()

    def finished(self) -> list[Recording]:
        """Give the recordings that were finished since the last time."""
        gone, self._gone = self._gone, []
        return gone + [recording for line in self._lines() for recording in line.finished()]

    async def wait(self) -> None:
        """Wait until receiving has ended by itself; raise why."""
        if self._target is None:
            await asyncio.get_running_loop().create_future()
        else:
            await self._target.receiver.wait()

    async def stop(self) -> None:
        """Close everything and finish every recording. Raises the error of a sink that failed."""
        await asyncio.gather(*map(self.close_pair, tuple(self._pairs)))
        if self._target is not None:
            try:
                await self._target.stop()
            finally:
                self._gone += self._target.finished()

    def _notice(self, notice: Notice) -> None:
        if isinstance(notice.what, Found):
            self._answers.found(notice.what)

    def _counted(self) -> Iterator[_Line]:
        yield from self._lines()
        yield from self._closing

    def _lines(self) -> Iterator[_Line]:
        if self._target is not None:
            yield self._target
        yield from self._pairs.values()

    def _line(
        self, target: UdpAddress | None = None, rx: UdpAddress | None = None, tx: UdpAddress | None = None
    ) -> _Line:
        media, recordings, is_pair = self._config.media, self._config.recordings, target is None
        self._numbers += 1
        sink = RecordingSink(
            recordings.out,
            layout=recordings.layout,
            encoding=recordings.encoding,
            container=recordings.format,
            files=recordings.files,
            keep=_KEPT_RECORDINGS,
        )
        queue = recordings.queue
        if is_pair:
            queue = replace(queue, bytes=max(queue.bytes // _QUEUE_SHARE_OF_PAIR, _LEAST_QUEUE_BYTES))
        writer = WriterThread(sink, limits=queue, about=self._answers.about, keep=_KEPT_RECORDINGS)
        config = EngineConfig(
            playout_delay_ms=media.playout_delay_ms,
            idle_timeout_s=media.idle_timeout_s,
            payload_types_of=self._answers.payload_types_of,
            admits=self._answers.admits,
        )
        if is_pair:  # the compiled path pays with many streams only
            config = replace(config, max_streams=_STREAMS_OF_PAIR, compiled=False)
        receiver = Receiver(
            target,
            rx=rx,
            tx=tx,
            sinks=[writer, _Watch(self._numbers, self._answers.watch)],
            config=config,
            payload_types=media.payload_types,
            allow=media.allow,
            strep_only=media.strep_only and not is_pair,
            spool=Spool(media.spool, media.spool_bytes) if media.spool and not is_pair else None,
            receive_buffer_bytes=_BUFFER_OF_PAIR_BYTES if is_pair else media.receive_buffer_bytes,
            plugins=self._config.analysis.runs(_STREAMS_OF_PAIR if is_pair else None),
        )
        receiver.analysis.add(self._notice)
        return _Line(receiver, writer)


async def _stop(line: _Line) -> None:
    try:
        await line.stop()
    except StrepError:
        _log.exception("what came to two ports could not be recorded")


async def _hand_on(streams: AsyncIterator[Stream], take: Callable[[Stream], None]) -> None:
    async for stream in streams:
        take(stream)
