"""Drain a socket as if datagrams had arrived when they were due, for loads that no sender keeps up with."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bench import BenchError
from bench.drains import EngineDrain
from bench.turns import Sending
from strep.net.address import UdpAddress
from strep.net.source import BATCH_DATAGRAMS
from strep.wire.batch import DatagramBatch
from tools.traffic import PERIOD_MS, Traffic

_START_NS = 1_700_000_000_000_000_000
_NS_PER_MS = 1_000_000


class ScheduledDrain(EngineDrain):
    """Drains whole periods of traffic, packets in the order of their numbers, from one queue of at most `queued`.

    The engine never looks at a clock: time is what datagrams and the watermark say. Here it is made up, so that packets
    which were sent as fast as the system takes them come on time, and no time passes between two drains.
    Of its stages, it is the processor time that is taken.
    """

    _stage_clock_ns = staticmethod(time.process_time_ns)

    def __init__(self, traffic: Traffic, queued: int, *, batch_datagrams: int = BATCH_DATAGRAMS) -> None:
        super().__init__(queued, batch_datagrams=batch_datagrams)
        self._streams = traffic.streams
        self._due_ns = _START_NS + traffic.due_ms(np.arange(queued)) * _NS_PER_MS
        self._stamped_count = self._passed_ns = 0
        self._arrival_ns = self._due_ns

    def _watermark_ns(self, queued: int) -> int:
        """Let the periods that are queued pass; nothing was taken of them yet."""
        if queued % self._streams or queued > len(self._due_ns):
            raise BenchError(f"expected at most {len(self._due_ns)} packets in whole periods, found {queued}")
        self._arrival_ns, self._stamped_count = self._due_ns[:queued] + self._passed_ns, 0
        self._passed_ns += queued // self._streams * PERIOD_MS * _NS_PER_MS
        return _START_NS + self._passed_ns

    def _stamped(self, batch: DatagramBatch) -> DatagramBatch:
        start = self._stamped_count
        self._stamped_count += len(batch)
        if self._stamped_count > len(self._arrival_ns):
            raise BenchError(f"expected {len(self._arrival_ns)} packets, found more")
        return replace(batch, arrival_ns=self._arrival_ns[start : self._stamped_count])


class Switchboard:
    """A switchboard that sends to each address from the process that has its traffic; see bench.turns.Sending."""

    def __init__(self, senders: Mapping[UdpAddress, Sending]) -> None:
        self._senders = senders
        self._current: Sending | None = None

    def begin(self, target: UdpAddress, *, paced: bool, gso: bool = False) -> None:
        """Turn to a socket."""
        self._current = self._senders[target]
        self._current.begin(target, paced=paced, gso=gso)

    def send(self, periods: int) -> int:
        """Send the next periods of every stream of that traffic."""
        assert self._current is not None
        return self._current.send(periods)

    @property
    def is_late(self) -> bool:
        """Tell whether the last packet was sent later than it was due."""
        return self._current is not None and self._current.is_late
