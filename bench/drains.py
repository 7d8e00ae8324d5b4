"""Drain a socket by the batch: the bare system call, which is the floor, and what strep adds to it, stage by stage."""

from __future__ import annotations

import ctypes
import socket
import time
from collections.abc import Callable

import numpy as np

from bench import BenchError
from bench.turns import Progress
from strep.audio.block import AudioBlock
from strep.net.address import UdpAddress
from strep.net.endpoints import EndpointTable
from strep.net.opening import Opening, Receive
from strep.net.source import BATCH_DATAGRAMS, BoundSocket, DatagramSource, QueueMeter, bind_udp
from strep.net.udp import IOVEC, MMSGHDR, open_udp
from strep.net.wallclock import WallClock
from strep.stream.engine import Engine, EngineConfig
from strep.stream.outbox import Output
from strep.wire.batch import DatagramBatch
from strep.wire.fate import Fate

ANY_PORT = UdpAddress("127.0.0.1", 0)
#: The bare drain has the smallest slots that hold the datagrams: all of its buffer stays in the cache.
_BARE_SLOT_BYTES = 256
#: recvmmsg takes no more at once (UIO_MAXIOV).
_BARE_BATCH = 1024
#: How long to sleep until the kernel closes the block of a ring that it fills: no processor time, only wall time.
_BLOCK_TO_COME_S = 0.0005
#: Kernel memory that one queued datagram of 196 bytes is charged with, before the doubling: 832, and some to spare.
QUEUED_BYTES = 1024


def bind_deep(queued: int) -> BoundSocket:
    """Bind a socket whose queue holds so many datagrams. Raises BenchError where the system does not let us."""
    bound = bind_udp(ANY_PORT, QUEUED_BYTES * queued)
    try:
        require_room(bound)
    except BenchError:
        bound.socket.close()
        raise
    return bound


def open_deep(queued: int, clock: WallClock | None = None, batch_datagrams: int = BATCH_DATAGRAMS) -> DatagramSource:
    """Open a source whose queue holds so many datagrams. Raises BenchError where the system does not let us."""
    buffer_bytes = QUEUED_BYTES * queued
    source = open_udp(ANY_PORT, receive_buffer_bytes=buffer_bytes, clock=clock, batch_datagrams=batch_datagrams)
    try:
        require_room(source)
    except BenchError:
        source.close()
        raise
    return source


def open_ring(clock: WallClock) -> DatagramSource:
    """Open a packet ring. Raises ConfigError or ReceiveError where there can be none."""
    return Opening(Receive.RING).open(ANY_PORT, EndpointTable(), clock)


def require_room(granted: BoundSocket | DatagramSource) -> None:
    """Raise BenchError where the system granted less of a queue than was asked for."""
    if granted.receive_buffer_bytes < granted.receive_buffer_wanted_bytes:
        wanted = f"{granted.receive_buffer_wanted_bytes} bytes of receive buffer (CAP_NET_ADMIN or net.core.rmem_max)"
        raise BenchError(f"expected {wanted}, found {granted.receive_buffer_bytes}")


class BareDrain:
    """Calls recvmmsg, 1,024 datagrams a call, without times and senders, and does nothing with what comes."""

    def __init__(self, queued: int) -> None:
        bound = bind_deep(queued)
        self.address = bound.address
        self._socket = bound.socket
        self._queue = QueueMeter(bound.socket)
        self._received = 0
        self._recvmmsg = ctypes.CDLL(None, use_errno=True).recvmmsg
        self._recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
        self._flat = np.zeros(_BARE_BATCH * _BARE_SLOT_BYTES, np.uint8)
        rows = np.arange(_BARE_BATCH, dtype=np.uint64)
        self._vectors = np.zeros(_BARE_BATCH, IOVEC)
        self._vectors["base"] = self._flat.ctypes.data + rows * _BARE_SLOT_BYTES
        self._vectors["length"] = _BARE_SLOT_BYTES
        self._headers = np.zeros(_BARE_BATCH, MMSGHDR)
        self._headers["iov"] = self._vectors.ctypes.data + rows * IOVEC.itemsize
        self._headers["iovlen"] = 1

    def drain(self, queued: int) -> None:
        """Take all that is queued."""
        recvmmsg, descriptor, at = self._recvmmsg, self._socket.fileno(), self._headers.ctypes.data
        count = _BARE_BATCH
        while count == _BARE_BATCH:
            count = recvmmsg(descriptor, at, _BARE_BATCH, socket.MSG_DONTWAIT, None)
            self._received += max(count, 0)

    def progress(self) -> Progress:
        """Tell what was done so far."""
        self._queue.update()
        return Progress(self._received, self._received, self._received, self._queue.drops or 0)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class ReadDrain:
    """A read drain that reads batches as strep does, times, senders and all."""

    def __init__(self, queued: int) -> None:
        self._source = open_deep(queued)
        self.address = self._source.local_address
        self._received = 0

    def drain(self, queued: int) -> None:
        """Take all that is queued."""
        source = self._source
        while True:
            batch = source.read()
            self._received += len(batch)
            if source.drained or not len(batch):
                return

    def progress(self) -> Progress:
        """Tell what was done so far."""
        return Progress(self._received, self._received, self._received, self._source.kernel_drops or 0)

    def close(self) -> None:
        """Close the socket."""
        self._source.close()


class EngineDrain:
    """An engine drain that does all that a receiver does up to decoded samples, in a receiver's order
    (strep.live.receiver.Receiver).

    bound: a socket to drain instead of one of its own. ring: drain a packet ring, whose last block may be on its way.
    """

    STAGES = ("read", "feed", "advance")
    _stage_clock_ns: Callable[[], int] = staticmethod(time.perf_counter_ns)

    def __init__(
        self,
        queued: int,
        *,
        bound: BoundSocket | None = None,
        batch_datagrams: int = BATCH_DATAGRAMS,
        ring: bool = False,
    ) -> None:
        self._clock = WallClock()
        self._is_ring = ring
        if ring:
            self._source = open_ring(self._clock)
        elif bound is None:
            self._source = open_deep(queued, self._clock, batch_datagrams)
        else:
            self._source = open_udp(bound, clock=self._clock, batch_datagrams=batch_datagrams)
        self.address = self._source.local_address
        self.engine = Engine(EngineConfig(compiled=True))
        self._received = self._decoded = 0
        self._stage_ns = [0, 0, 0]

    def drain(self, queued: int) -> None:
        """Take all that is queued, and what is due of it to its samples."""
        source, engine, now = self._source, self.engine, self._stage_clock_ns
        before_ns, expected = self._watermark_ns(queued), self._received + queued
        while True:
            begun = now()
            batch = self._stamped(source.read())
            read = now()
            if len(batch):
                self._received += len(batch)
                self._consume(engine.feed(batch))
            fed = now()
            done = source.drained or not len(batch)
            self._consume(engine.advance(self._read_until_ns(before_ns, batch, drained=done)))
            for stage, spent in enumerate((read - begun, fed - read, now() - fed)):
                self._stage_ns[stage] += spent
            if done and (not self._is_ring or self._received >= expected):
                return
            if not len(batch):
                time.sleep(_BLOCK_TO_COME_S)

    def _watermark_ns(self, queued: int) -> int:
        """Tell the time before which all that is queued arrived."""
        return self._clock.read()

    def _read_until_ns(self, before_ns: int, batch: DatagramBatch, *, drained: bool) -> int:
        """Tell the time before which all has been read."""
        if not drained:
            return min(before_ns, int(batch.arrival_ns[-1]))
        unread_ns = self._source.unread_since_ns
        return before_ns if unread_ns is None else min(before_ns, unread_ns)

    def _stamped(self, batch: DatagramBatch) -> DatagramBatch:
        """Give a batch its times of arrival: those of the kernel."""
        return batch

    def _consume(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, AudioBlock):
                self._decoded += len(output)

    def progress(self) -> Progress:
        """Tell what was done so far; decoded is counted in packet intervals."""
        accepted = int(self.engine.fates[Fate.ACCEPTED])
        return Progress(self._received, accepted, self._decoded, self._source.kernel_drops or 0, tuple(self._stage_ns))

    def close(self) -> None:
        """Close the socket."""
        self._source.close()
