"""Send forks over real UDP at the pace of speech, on asyncio."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from strep.emulator.fork import Fork
from strep.errors import ConfigError
from strep.net.address import UdpAddress


class ForkSender(Protocol):
    """Sends the media of forks."""

    def start(self, fork: Fork) -> None:
        """Begin to send a fork, until it ends."""

    async def aclose(self) -> None:
        """Stop sending. No call may follow."""


class UdpSender:
    """Sends each fork from sockets of its own, so that forks of plain RTP come from different ports.

    speed: how much faster than speech; for tests of commands. What a receiver measures in time (jitter, alignment) has
    sense at 1 only. clock_s, sleep: what time it is, and how to let some pass.
    """

    def __init__(
        self,
        speed: float = 1.0,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not speed > 0:
            raise ConfigError(f"speed: expected a factor above 0, found {speed}")
        self._speed, self._clock_s, self._sleep = speed, clock_s, sleep
        self._tasks: set[asyncio.Task[None]] = set()  # bounded by the platform's calls: one fork each

    def start(self, fork: Fork) -> None:
        """Begin to send a fork, until it ends. Needs a running event loop."""
        task = asyncio.get_running_loop().create_task(self._send(fork), name=f"fork of {fork.call_leg_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Stop every fork at once, and close the sockets."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, fork: Fork) -> None:
        """Send each datagram when it is due, counted from one instant: lateness does not add up."""
        began_s = self._clock_s()
        offset_ns = -1
        sockets: dict[bool, socket.socket] = {}
        try:
            for datagram in fork.media():
                if datagram.offset_ns != offset_ns:  # late or not, let others have the loop in between
                    offset_ns = datagram.offset_ns
                    await self._sleep(max(0.0, began_s + offset_ns / 1e9 / self._speed - self._clock_s()))
                if not fork.is_active:
                    return
                fork.count(datagram, was_sent=_send_one(sockets, datagram.destination, datagram.data))
        finally:
            fork.end()
            for sock in sockets.values():
                sock.close()


def _send_one(sockets: dict[bool, socket.socket], destination: UdpAddress, data: bytes) -> bool:
    """Hand a datagram to the kernel; tell whether it took it (its buffer may be full, there may be no route)."""
    is_ipv6 = ":" in destination.host
    try:
        if is_ipv6 not in sockets:
            sockets[is_ipv6] = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
            sockets[is_ipv6].setblocking(False)
        sockets[is_ipv6].sendto(data, (destination.host, destination.port))
    except OSError:
        return False
    return True
