"""Send groups of calls that come and go, all from one process on a core of its own.

A process for each group would spend more on its imports than on its calls: with a group every two seconds, such a
generator is always late, and the receiver is blamed for it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray

from bench.child import Child
from bench.load import Load
from bench.machine import pin
from strep.net.address import UdpAddress
from tools.generate import BATCH_PACKETS, Report, Sender
from tools.traffic import Traffic

#: What is due is sent so often: a quarter of a packet.
_TURN_S = 0.005


class GroupSender:
    """A process that sends groups of calls to one address."""

    def __init__(self, target: UdpAddress, *, cpu: int | None = None) -> None:
        self._child = Child(_serve, target.host, target.port, cpu)
        self._child.answer()

    def __enter__(self) -> GroupSender:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.close()

    def begin(self, load: Load) -> None:
        """Let a group begin now."""
        self._child.tell(load)

    def finish(self) -> float:
        """Wait until all that has begun is sent; gives the longest time that a packet was late, milliseconds."""
        longest_ms: float = self._child.ask(None)
        return longest_ms


@dataclass(slots=True)
class _Group:
    """One group on its way: so many of its packets are sent."""

    traffic: Traffic
    sender: Sender
    total: int
    begin_ns: int = field(default_factory=time.monotonic_ns)
    done: int = 0

    def send_due(self) -> float:
        """Send what is due; gives how late the first of it was, milliseconds."""
        elapsed_ms = (time.monotonic_ns() - self.begin_ns) / 1e6
        due = min(self.traffic.due(int(elapsed_ms)), self.total)
        first, late_ms = self.done, 0.0
        while self.done < due:
            stop = min(due, self.done + BATCH_PACKETS)
            self.sender.send(self.traffic.fill(self.sender.rows, self.done, stop))
            self.done = stop
        if self.done > first:
            late_ms = elapsed_ms - float(self.traffic.due_ms(_number(first))[0])
        return late_ms


def _number(packet: int) -> NDArray[np.int64]:
    return np.array([packet])


def _serve(connection: Connection, host: str, port: int, cpu: int | None) -> None:
    """Send the groups that are asked for until the other end is closed."""
    pin(cpu)
    connection.send(None)
    groups, ends, longest_ms = list[_Group](), False, 0.0
    while groups or not ends:
        if not ends and connection.poll(_TURN_S):
            try:
                load = connection.recv()
            except EOFError:
                return
            ends = load is None
            if load is not None:
                groups.append(_begun(load, UdpAddress(host, port)))
        elif ends:
            time.sleep(_TURN_S)
        for group in tuple(groups):
            longest_ms = max(longest_ms, group.send_due())
            if group.done == group.total:
                group.sender.close()
                groups.remove(group)
    connection.send(longest_ms)


def _begun(load: Load, target: UdpAddress) -> _Group:
    traffic = load.traffic()
    return _Group(traffic, Sender(target, Report(load.calls)), traffic.due(load.seconds * 1000 - 1))
