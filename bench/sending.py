"""Fill the queues of sockets from a process of its own, on a core of its own, when told to.

The traffic is that of tools/traffic.py, in one timeline that goes on for as long as the process: packet number n is due
at its millisecond since the process began. So whoever is sent to again, after others were, misses what was due in
between, and goes on in real time; whoever is sent to twice in a row misses nothing.
"""

from __future__ import annotations

import time
from multiprocessing.connection import Connection
from types import TracebackType

import numpy as np

from bench import BenchError
from bench.child import Child
from bench.machine import pin
from strep.net.address import UdpAddress
from tools.generate import BATCH_PACKETS, Report, Sender
from tools.traffic import PERIOD_MS, Traffic

#: Paced sending is late when the last packet of a period was sent so much after it was due.
_LATE_MS = 20.0


class SendingProcess:
    """A sending process that sends to one socket after another. Raises BenchError when the process has failed."""

    def __init__(self, streams: int, *, seed: int = 0, cpu: int | None = None) -> None:
        self.child = Child(_serve, streams, seed, cpu)
        self.is_late = False
        try:
            self.child.answer()
        except BenchError:
            self.child.close()
            raise

    def __enter__(self) -> SendingProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.child.close()

    def begin(self, target: UdpAddress, *, paced: bool, gso: bool = False) -> None:
        """Turn to a socket. paced: send each packet when it is due, rather than as fast as the system takes it.

        gso: send up to 64 packets as one, which stay one on the way to a socket that takes them so (UDP_GRO).
        """
        self.child.ask((target.host, target.port, paced, gso))
        self.is_late = False

    def send(self, periods: int) -> int:
        """Send the next periods (20 ms) of every stream; returns how many packets that were, when all are sent.

        From then on, `is_late` tells whether the last of them, if paced, was sent late.
        """
        packets: int
        packets, self.is_late = self.child.ask(periods)
        return packets


def _serve(connection: Connection, streams: int, seed: int, cpu: int | None) -> None:
    """Do as told until the other end is closed."""
    pin(cpu)
    flow = _Flow(Traffic(streams // 2, seed=seed))
    connection.send(None)
    while True:
        try:
            told = connection.recv()
        except EOFError:
            return
        if isinstance(told, int):
            connection.send((flow.send(told), flow.is_late()))
        else:
            host, port, paced, gso = told
            flow.begin(UdpAddress(host, port), paced, gso)
            connection.send(None)


class _Flow:
    """The sending itself: the timeline, and a socket for each target."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._senders: dict[tuple[UdpAddress, bool], Sender] = {}
        self._target: tuple[UdpAddress, bool] | None = None
        self._begin_ns = time.monotonic_ns()
        self._next = 0
        self._paced = False

    def begin(self, address: UdpAddress, paced: bool, gso: bool) -> None:
        """Turn to a target, with the period that begins next; or go on, if it is the same one."""
        target = address, gso
        if target != self._target:
            self._next = (int(self._elapsed_ms()) // PERIOD_MS + 1) * self._traffic.streams
        if target not in self._senders:
            other = self._senders.get((address, not gso))  # a call comes from one port, however it is sent
            sock = other.socket if other else None
            self._senders[target] = Sender(address, Report(self._traffic.calls), gso=gso, sock=sock)
        self._senders[target].resume()
        self._target, self._paced = target, paced

    def send(self, periods: int) -> int:
        """Send the next periods."""
        assert self._target is not None
        sender = self._senders[self._target]
        begin, stop = self._next, self._next + periods * self._traffic.streams
        while self._next < stop:
            due = self._wait_until_due() if self._paced else stop
            end = min(due, stop, self._next + BATCH_PACKETS)
            sender.send(self._traffic.fill(sender.rows, self._next, end))
            self._next = end
        return stop - begin

    def is_late(self) -> bool:
        """Tell whether the packet sent last was, by now, due for long."""
        return self._paced and self._elapsed_ms() - self._due_ms(self._next - 1) > _LATE_MS

    def _wait_until_due(self) -> int:
        """Sleep until the next packet is due, if it is not; returns how many packets then are."""
        due_ms = self._due_ms(self._next)
        while (elapsed_ms := self._elapsed_ms()) < due_ms:
            time.sleep((due_ms - elapsed_ms) / 1000)
        return self._traffic.due(int(elapsed_ms))

    def _due_ms(self, number: int) -> int:
        return int(self._traffic.due_ms(np.array([number]))[0])

    def _elapsed_ms(self) -> float:
        return (time.monotonic_ns() - self._begin_ns) / 1e6
