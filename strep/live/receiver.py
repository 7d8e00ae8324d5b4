"""Receive live forked audio: sockets, engine, sinks and listeners as one async context manager."""

from __future__ import annotations

import asyncio
import contextlib
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType

import numpy as np

from strep.analysis import Analysis, PluginRun
from strep.analysis.bounded_queue import BoundedQueue
from strep.audio.formats import AudioFormat
from strep.errors import ConfigError, StrepWarning
from strep.live.listening import Listeners, Stream
from strep.live.overload import Load, Overload
from strep.live.pipeline import Pipeline
from strep.net.address import UdpAddress
from strep.net.capture.description import SpoolDescription
from strep.net.endpoints import EndpointTable
from strep.net.networks import Networks
from strep.net.opening import Opening, Receive, way_of
from strep.net.source import RECEIVE_BUFFER_BYTES, BoundSocket, DatagramSource
from strep.net.spool import Spool
from strep.net.steering import bind_group
from strep.net.wallclock import WallClock
from strep.plugins.registry import PluginSource
from strep.sinks.base import Sink
from strep.stream.engine import MAX_DATAGRAM_BYTES, Engine, EngineConfig
from strep.stream.events import Event, StreamReport
from strep.stream.rules import kept_rules
from strep.wire.batch import DatagramBatch, gather
from strep.wire.fate import Fate

#: How often the loop reads while traffic flows: a batch costs about 0.1 ms however small, and audio comes every 20 ms.
_TICK_S = 0.01
#: However long a turn took, what else runs in this program gets so much; more datagrams make a batch cheaper.
_LEAST_SLEEP_S = 0.002
#: How long without a datagram before the loop waits for readability instead of ticking.
_QUIET_TICKS = 20
#: How often expiry and flushing go on while nothing arrives.
_IDLE_TICK_S = 0.25
#: Batches read before other tasks get their turn.
_BATCHES_A_TURN = 4
#: How long the end waits for what the kernel still holds (DatagramSource.unread_since_ns): some milliseconds, unless
#: datagrams keep coming faster than they are read.
_MOST_UNREAD_S = 1
#: What becomes of datagrams of calls that are open, or were left out.
_MEDIA = [Fate.ACCEPTED, Fate.DUPLICATE, Fate.LATE, Fate.REJECTED_SEQUENCE, Fate.OVER_LIMIT_LOAD]


#: Where a receiver receives: a bound socket is its own from then on.
Input = str | UdpAddress | BoundSocket


class ReceiveBufferWarning(StrepWarning):
    """An error that says that the system granted a smaller receive buffer than was asked for."""


class Receiver:
    """A receiver that receives forked calls until it is left.

        sink = strep.WriterThread(strep.RecordingSink("calls"))
        async with strep.Receiver("udp:0.0.0.0:9000", sinks=[sink]) as receiver:
            async for stream in receiver:
                ...

    target: where STREP (any number of calls) and plain RTP may arrive. rx and tx: plain RTP of one call, a port for
    each direction. Instead of an address, each may be a socket that is bound already; it is closed in the end.
    payload_types: what dynamic payload types mean, such as {116: AudioFormat("OPUS", 48000, 48000, 2)}.
    allow: networks, as "192.0.2.0/24", that datagrams are taken from; those from elsewhere are counted
    (rejected_sender), and nothing else. None: from everywhere.
    strep_only: take nothing but STREP at target. Linux refuses everything else before it costs us anything
    (`kernel_refused`); elsewhere, and for a socket that was not bound for that, it is counted (rejected_not_strep).
    shed_calls: where more arrives than this machine carries, leave out whole calls (their streams close as overloaded,
    their packets are counted as over_limit_load) until there is time for them again, see strep.live.overload. Otherwise
    the kernel drops packets of all calls alike.
    receive: how, see strep.net.opening; `ways` tells what was found.
    spool: keeps every datagram as it came, see strep.net.spool; it is closed in the end.
    plugins: what listens to the calls, see strep.analysis; `analysis` has their notices and counts.
    Raises ConfigError for arguments that cannot work and ReceiveError for a socket that cannot be opened. A sink that
    raises is left out while the others go on, see strep.live.pipeline: leaving raises its error, when all is closed.
    """

    def __init__(
        self,
        target: Input | None = None,
        *,
        rx: Input | None = None,
        tx: Input | None = None,
        sinks: Sequence[Sink] = (),
        plugins: Sequence[PluginSource | PluginRun] = (),
        config: EngineConfig | None = None,
        payload_types: Mapping[int, AudioFormat] | None = None,
        allow: Sequence[str] | None = None,
        strep_only: bool = False,
        receive_buffer_bytes: int = RECEIVE_BUFFER_BYTES,
        shed_calls: bool = True,
        spool: Spool | None = None,
        receive: Receive | str = Receive.SOCKET,
    ) -> None:
        if target is None and rx is None and tx is None:
            raise ConfigError("a receiver needs a target, or rx and tx, got none of them")
        if (rx is None) != (tx is None):
            raise ConfigError(f"rx and tx go together, found only {'tx' if rx is None else 'rx'}")
        if strep_only and target is None:
            raise ConfigError("strep_only is about what comes to a target, found none")
        self._strep_only = strep_only
        self._target, self._rx, self._tx = (_parsed(given) for given in (target, rx, tx))
        config = config or EngineConfig()
        if allow:  # who is heard at all is trusted with this
            config = replace(config, senders_may_move=True)
        if config.compiled is None:
            kept_rules()  # a second now, or the first calls would meet rules that are not compiled
        engine = Engine(config.with_payload_types(payload_types or {}))
        self._listeners = Listeners()
        self.analysis = Analysis(plugins)
        self.pipeline = Pipeline(engine, sinks, self._listeners.take, [self.analysis])
        self.engine = engine
        self._receive_buffer_bytes = receive_buffer_bytes
        self._spool = spool
        self._sources: list[DatagramSource] = []
        self._clock = WallClock()
        networks = Networks.parse(allow) if allow is not None else None
        self._endpoints = EndpointTable(allow=networks)
        self._opening = Opening(Receive.parse(receive), networks, receive_buffer_bytes)
        self._received = 0
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()  # something arrived, or it is time to stop
        self._entered = self._stopping = False
        self._behind = False  # whether the last turn left something queued
        self._sinks_busy = False
        self._overload = Overload() if shed_calls else None
        self._watermark_ns = 0

    async def __aenter__(self) -> Receiver:
        if self._entered:
            raise ConfigError("a receiver is entered once, found it entered before: make a new one")
        self._entered = True
        try:
            self._open()
        except BaseException:
            self._let_go()
            raise
        self._task = asyncio.create_task(self._run(), name="strep receiver")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Read what is queued, close every stream and sink, and end every iteration. Raises what `wait` raises."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task

    async def wait(self) -> None:
        """Wait until the receiver has stopped. Raises the error of the first sink that failed, if one did."""
        if self._task is not None:
            await asyncio.shield(self._task)

    def __aiter__(self) -> BoundedQueue[Stream]:
        """Iterate the streams that open from now on; each is iterated for its frames."""
        return self._listeners.streams()

    def events(self) -> BoundedQueue[Event]:
        """Iterate all events from now on."""
        return self._listeners.events()

    @property
    def addresses(self) -> list[UdpAddress]:
        """Give the addresses that the sockets are bound to: target, rx, tx, as far as there."""
        return [source.local_address for source in self._sources]

    @property
    def ways(self) -> list[Receive]:
        """Tell how each of these receives, see strep.net.opening."""
        return [way_of(source) for source in self._sources]

    @property
    def received(self) -> int:
        """Count the datagrams that the sockets handed over; the fates add up to this."""
        return self._received

    @property
    def kernel_drops(self) -> int:
        """Count what the kernel dropped because its buffer was full: our loss, not the network's.

        Datagrams that came together (strep.net.udp, gro) and were dropped together count as one.
        """
        return sum(source.kernel_drops or 0 for source in self._sources)

    @property
    def kernel_refused(self) -> int:
        """Count what the kernel refused: no datagram of ours.

        It was no STREP (strep_only), or came from no allowed network, where a ring receives (`ways`).
        """
        return sum(source.kernel_refused or 0 for source in self._sources)

    @property
    def socket_errors(self) -> int:
        """Count the errors that the network put on the sockets (an ICMP message, an interface that went down)."""
        return sum(source.socket_errors for source in self._sources)

    def end_call(self, call: str) -> None:
        """Close both directions of a leg now, by its StreamIdentity.call, because its fork is over.

        What is held back of it is handed on first. A packet that comes later begins the leg anew, unless it is not
        admitted. A leg that is not open is none to close. Raises the error of the sinks when the last one failed.
        """
        self.pipeline.end_call(call)

    def readmit(self) -> None:
        """Forget which legs were not admitted (EngineConfig.admits): with its next packet, each is asked about anew."""
        self.engine.ask_again()

    def counts(self) -> dict[str, int]:
        """Give the fates of all datagrams by name."""
        return self.engine.counts()

    @property
    def unproven_packets(self) -> int:
        """Count the datagrams that wait for their sender's proof: until then, their fate is to be refused."""
        return self.engine.unproven_packets

    def reports(self) -> list[StreamReport]:
        """Report the streams that are open."""
        return self.engine.reports()

    def _open(self) -> None:
        inputs: list[tuple[UdpAddress | BoundSocket, int | None, str | None]] = []
        if self._target is not None:
            target = self._target
            if self._strep_only and isinstance(target, UdpAddress):
                (target,) = bind_group(target, 1, self._receive_buffer_bytes, strep_only=True)
            inputs.append((target, None, None))
        if self._rx is not None and self._tx is not None:
            call = f"rx-{_port(self._rx)}+tx-{_port(self._tx)}"
            inputs += [(self._rx, 0, call), (self._tx, 1, call)]
        for address, direction, conversation in inputs:
            source = self._opening.open(
                address,
                self._endpoints,
                self._clock,
                direction=direction,
                conversation=conversation,
                strep_only=self._strep_only and conversation is None,
            )
            self._sources.append(source)
        if self._spool is not None:
            description = SpoolDescription.of(self._endpoints.inputs, self.engine.config)
            self._spool.begin(description, self._clock.read())
        if not isinstance(self._target or self._rx, BoundSocket):
            warn_of_receive_buffer(self._sources[0])

    async def _run(self) -> None:
        quiet = 0
        try:
            while not self._stopping:
                began_s = time.monotonic()
                quiet = 0 if self._turn() else quiet + 1
                self._watch_load()
                if self._behind:
                    await asyncio.sleep(0)  # others have their turn, and then we go on
                elif quiet < _QUIET_TICKS or self._sinks_busy:
                    await asyncio.sleep(max(began_s + _TICK_S - time.monotonic(), _LEAST_SLEEP_S))
                else:
                    await self._readable(_IDLE_TICK_S)
            end_ns = self._clock.read()  # what arrives from now on does not keep us
            await self._read_until(end_ns)
        finally:
            await self._close()

    async def _read_until(self, end_ns: int) -> None:
        """Read what arrived until then; for what the kernel hands over a moment later, wait, but not for ever."""
        given_up_s = time.monotonic() + _MOST_UNREAD_S
        while self._watermark_ns < end_ns and time.monotonic() < given_up_s:
            if not self._turn():
                if all(source.unread_since_ns is None for source in self._sources):
                    break
                await asyncio.sleep(_LEAST_SLEEP_S)

    def _turn(self) -> bool:
        """Read what is queued and let out what is due; tell whether anything was read."""
        before_ns = self._clock.read()
        any_read = self._behind = False
        for _ in range(_BATCHES_A_TURN):
            self._forget_senders()
            batches = [batch for source in self._sources if len(batch := self._read(source))]
            if batches:
                any_read = True
                batch = _merge(batches)
                self._received += len(batch)
                self.pipeline.feed(batch)
            if all(source.drained for source in self._sources):
                unread = [source.unread_since_ns for source in self._sources]
                self._advance(min([before_ns, *(since_ns for since_ns in unread if since_ns is not None)]))
                return any_read
            if not batches:
                return any_read  # a socket error, counted by the source
            self._advance(min(before_ns, *(int(some.arrival_ns[-1]) for some in batches)))
        self._behind = True
        return any_read

    def _read(self, source: DatagramSource) -> DatagramBatch:
        batch = source.read()
        if self._spool is not None and len(batch):
            self._spool.add(batch, self._endpoints.endpoints.names, source.local_address)
        return batch

    def _forget_senders(self) -> None:
        """Give back the numbers of senders that nothing refers to any more; all that was read must have been fed."""
        now_ns = self._clock.now_ns
        if self._endpoints.must_forget(now_ns):
            self.engine.forget_senders(self._endpoints.forget_all_but(self.engine.senders_in_use(), now_ns))

    def _watch_load(self) -> None:
        if self._overload is None:
            return
        load = Load(
            emptied=not self._behind,
            lag_ns=self._clock.now_ns - self._watermark_ns,
            queued_share=max(source.queued_share for source in self._sources),
            drops=self.kernel_drops,
            received=self._received,
            media=int(self.engine.fates[_MEDIA].sum()),
            calls=self.engine.open_calls,
            left_out=self.engine.left_out_calls,
            writing=self.pipeline.backlog(),
        )
        self.pipeline.leave_out(self._overload.look(time.monotonic_ns(), load))

    def _advance(self, watermark_ns: int) -> None:
        self._watermark_ns = watermark_ns
        if self._spool is not None:
            self._spool.end_turn(watermark_ns)
        self._sinks_busy = self.pipeline.advance(watermark_ns)

    async def _readable(self, timeout_s: float) -> None:
        """Wait until a datagram is there, the receiver is to stop, or time is up."""
        loop = asyncio.get_running_loop()
        try:
            for source in self._sources:
                loop.add_reader(source.fileno(), self._wake.set)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), timeout_s)
        finally:
            for source in self._sources:
                loop.remove_reader(source.fileno())
            self._wake.clear()

    async def _close(self) -> None:
        """Finish what is recorded; then let plugins that run elsewhere do what waits for them, and others go on.

        What is written in a thread may take as long as the disk: whatever else runs in this program does not wait.
        """
        try:
            self.pipeline.end_streams()
            await asyncio.to_thread(self.pipeline.settle)
            self.pipeline.finish()
            await asyncio.to_thread(self.analysis.settle)
            if self._spool is not None:
                await asyncio.to_thread(self._spool.close)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        try:
            self.pipeline.close()
        finally:
            self._listeners.end()
            if self._spool is not None:
                self._spool.close()
            for source in self._sources:
                source.close()


def warn_of_receive_buffer(bound: DatagramSource | BoundSocket) -> None:
    """Warn whoever opened a socket (or enters a receiver that did) when the system granted it less than was wanted."""
    granted, wanted = bound.receive_buffer_bytes, bound.receive_buffer_wanted_bytes
    if granted < wanted:
        warnings.warn(
            f"the system grants a receive buffer of {granted} bytes, not {wanted}: with many calls, datagrams "
            f"will be dropped when the machine stalls (raise net.core.rmem_max)",
            ReceiveBufferWarning,
            stacklevel=4,  # the line that enters the receiver
        )


def _parsed(given: Input | None) -> UdpAddress | BoundSocket | None:
    return UdpAddress.parse(given) if isinstance(given, str) else given


def _port(given: UdpAddress | BoundSocket) -> int:
    return given.port if isinstance(given, UdpAddress) else given.address.port


def _merge(batches: list[DatagramBatch]) -> DatagramBatch:
    """Join batches of several sockets in order of arrival."""
    if len(batches) == 1:
        return batches[0]
    order = np.argsort(np.concatenate([batch.arrival_ns for batch in batches]), kind="stable")
    length = np.concatenate([batch.length for batch in batches])
    # Buffers are megabytes, made for the largest batch: only datagrams are copied, each to a row of the longest's size.
    width = max(1, min(int(length.max()), MAX_DATAGRAM_BYTES))  # nobody reads what is longer
    rows = [gather(batch.flat, batch.offset, width).ravel() for batch in batches]
    return DatagramBatch(
        flat=np.concatenate([*rows, np.zeros(MAX_DATAGRAM_BYTES, np.uint8)]),
        offset=order * width,
        length=length[order],
        arrival_ns=np.concatenate([batch.arrival_ns for batch in batches])[order],
        source=np.concatenate([batch.source for batch in batches])[order],
        endpoints=batches[0].endpoints,
    )
