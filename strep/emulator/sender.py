"""Send forks over real UDP at the pace of speech, on asyncio.

One timer paces all forks. When it fires, every fork of which something is due has its turn: it sends what belongs to
one time, then others have the loop. asyncio's timers are a millisecond coarse, so a turn serves who came due in that.
Measured on one core, with 500 forks: 11 to 12 µs a datagram (3.5 are the kernel's), where a task for each fork took 16;
with loss and jitter 17. So one core keeps the pace of some 800 forks of two directions; 50 forks take a tenth of it.
"""

from __future__ import annotations

import asyncio
import heapq
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from strep.emulator.fork import Fork
from strep.emulator.media import ForkDatagram
from strep.errors import ConfigError


class ForkSender(Protocol):
    """A fork sender that sends the media of forks."""

    def start(self, fork: Fork) -> None:
        """Begin to send a fork, until it ends."""

    async def aclose(self) -> None:
        """Stop sending. No call may follow."""


class Sockets:
    """What a fork is sent from: a socket for each address family, opened when needed."""

    def __init__(self) -> None:
        self._open: dict[bool, socket.socket] = {}

    def send(self, datagram: ForkDatagram) -> bool:
        """Hand a datagram to the kernel; tell whether it took it (its buffer may be full, there may be no route)."""
        destination = datagram.destination
        is_ipv6 = ":" in destination.host
        try:
            sock = self._open.get(is_ipv6) or self._socket(is_ipv6)
            sock.sendto(datagram.data, (destination.host, destination.port))
        except OSError:
            return False
        return True

    def _socket(self, is_ipv6: bool) -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        self._open[is_ipv6] = sock
        return sock

    def close(self) -> None:
        """Close what is open."""
        for sock in self._open.values():
            sock.close()
        self._open.clear()


@dataclass(slots=True)
class _Running:
    """A fork that is being sent, since a time of the sender's clock."""

    fork: Fork
    began_s: float
    sockets: Sockets


@dataclass(slots=True)
class _Timer:
    """When the sender wakes up next."""

    at_s: float = float("inf")
    handle: asyncio.Handle | None = field(default=None)


class UdpSender:
    """A UDP sender that sends forks: those with STREP headers from one port, each of plain RTP from ports of its own.

    speed: how much faster than speech; for tests of commands. What a receiver measures in time (jitter, alignment) has
    sense at 1 only. clock_s: what time it is. call_later: has something called after so many seconds (the running
    loop's by default).
    """

    def __init__(
        self,
        speed: float = 1.0,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        call_later: Callable[[float, Callable[[], None]], asyncio.Handle] | None = None,
    ) -> None:
        if not speed > 0:
            raise ConfigError(f"speed: expected a factor above 0, found {speed}")
        self._speed, self._clock_s, self._call_later = speed, clock_s, call_later
        # When, what offset of which fork; bounded by the platform's calls, of which each has one fork.
        self._due: list[tuple[float, int, int, _Running]] = []
        self._order = count()
        self._shared = Sockets()
        self._timer = _Timer()

    def start(self, fork: Fork) -> None:
        """Begin to send a fork, until it ends. Needs a running event loop."""
        now_s = self._clock_s()
        self._push(_Running(fork, now_s, Sockets() if fork.is_plain else self._shared))
        self._wake_in_time()

    async def aclose(self) -> None:
        """Stop every fork at once, and close the sockets."""
        if self._timer.handle:
            self._timer.handle.cancel()
        for *_, running in self._due:
            self._finish(running)
        self._due.clear()
        self._shared.close()

    def _turn(self) -> None:
        """Send what is due, of each fork what belongs to one time: late or not, others have the loop in between."""
        self._timer = _Timer()
        now_s = self._clock_s()
        turn = []
        while self._due and self._due[0][0] <= now_s:
            turn.append(heapq.heappop(self._due))
        for _, offset_ns, _, running in turn:
            fork = running.fork
            if fork.is_active:
                for datagram in fork.take(offset_ns):
                    fork.count(datagram, was_sent=running.sockets.send(datagram))
            self._push(running)
        self._wake_in_time()

    def _push(self, running: _Running) -> None:
        """Wait for what is next of a fork: due counted from its beginning, so lateness does not add up."""
        offset_ns = running.fork.next_offset_ns
        if offset_ns is None or not running.fork.is_active:
            self._finish(running)
        else:
            due_s = running.began_s + offset_ns / 1e9 / self._speed
            heapq.heappush(self._due, (due_s, offset_ns, next(self._order), running))

    def _finish(self, running: _Running) -> None:
        running.fork.end()
        if running.fork.is_plain:
            running.sockets.close()

    def _wake_in_time(self) -> None:
        """Set the timer to what is due first."""
        if not self._due or self._due[0][0] >= self._timer.at_s:
            return
        if self._timer.handle:
            self._timer.handle.cancel()
        call_later = self._call_later or asyncio.get_running_loop().call_later
        at_s = self._due[0][0]
        self._timer = _Timer(at_s, call_later(max(0.0, at_s - self._clock_s()), self._turn))
