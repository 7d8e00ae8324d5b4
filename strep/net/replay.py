"""Send the datagrams of a schedule over UDP at their pace.

What the system refuses is counted, and sending goes on: a replay that stopped at the first full buffer would be worse.
So is what comes to a port where nobody listens, as far as we are told: the sockets are connected, and so the next use
of one raises the ICMP message about what was sent before (RFC 1122 section 4.1.3.3). This machine tells of every
datagram, another one of some a second (RFC 1812 section 4.3.2.8).
"""

from __future__ import annotations

import contextlib
import errno
import math
import socket
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from strep.errors import ConfigError
from strep.net.address import UdpAddress
from strep.net.schedule import Due

#: Plain RTP is told apart by its sender, so each sender of the capture gets a socket of its own. This many fit into the
#: usual limit of 1,024 descriptors; beyond it senders share.
MOST_SOCKETS = 900
#: A full queue of a network card drains within milliseconds; a datagram that waits longer would come too late anyway.
_MOST_RETRIES = 10
_RETRY_AFTER_S = 0.001
_FULL = frozenset({errno.ENOBUFS, errno.EAGAIN, errno.EWOULDBLOCK})


def parse_speed(text: str) -> float:
    """Read a pace: how many times as fast as it was, or 'max' (infinity). Raises ConfigError when it is neither."""
    if text == "max":
        return math.inf
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not 0 < speed < math.inf:
        raise ConfigError(f"expected a speed like 1, 0.5 or max, found {text!r}")
    return speed


class Replay:
    """A replay that sends datagrams to one address; a context manager that closes its sockets.

    speed: how many times as fast as scheduled; infinity does not wait at all. sent, sent_bytes: what the system took.
    retried: times that a full buffer was tried again. refused: datagrams that the system did not take, and
    first_refusal: why it did not take the first of these. unheard: of those sent, how many are known to have come to a
    port where nobody listens.

    Raises ConfigError when nothing can be sent to the address at all.
    """

    def __init__(
        self,
        destination: UdpAddress,
        *,
        speed: float = 1.0,
        clock_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not speed > 0:
            raise ConfigError(f"expected a speed above 0, found {speed}")
        _check_route(destination)
        self.sent = self.sent_bytes = self.retried = self.refused = self.unheard = 0
        self.first_refusal = ""
        self._where = (destination.host, destination.port)
        self._family = _family(destination)
        self._speed, self._clock_s, self._sleep = speed, clock_s, sleep
        self._sockets: dict[int, socket.socket] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def run(self, schedule: Iterable[Due], progress: Callable[[int], None] | None = None) -> None:
        """Send each datagram when it is due, counted from one instant: lateness does not add up.

        progress: is called with the number of datagrams done, after each.
        """
        began_s = self._clock_s()
        for done, due in enumerate(schedule, start=1):
            wait_s = began_s + due.offset_ns / 1e9 / self._speed - self._clock_s()
            if wait_s > 0:
                self._sleep(wait_s)
            self._send(due)
            if progress is not None:
                progress(done)
        for sock in self._sockets.values():
            self.unheard += sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED

    def close(self) -> None:
        """Close the sockets."""
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()

    def _send(self, due: Due) -> None:
        retries = 0
        while True:
            try:
                self._socket_of(due.flow).send(due.data)
            except OSError as error:
                is_earlier_one = error.errno == errno.ECONNREFUSED
                self.unheard += is_earlier_one
                if (is_earlier_one or error.errno in _FULL) and retries < _MOST_RETRIES:
                    retries += 1
                    if not is_earlier_one:
                        self.retried += 1
                        self._sleep(_RETRY_AFTER_S)
                    continue
                self.refused += 1
                self.first_refusal = self.first_refusal or error.strerror or str(error)
            else:
                self.sent += 1
                self.sent_bytes += len(due.data)
            return

    def _socket_of(self, flow: int) -> socket.socket:
        sock = self._sockets.get(flow % MOST_SOCKETS)
        if sock is None:
            sock = socket.socket(self._family, socket.SOCK_DGRAM)
            try:
                sock.connect(self._where)
            except OSError:
                sock.close()
                raise
            self._sockets[flow % MOST_SOCKETS] = sock
        return sock


def _check_route(destination: UdpAddress) -> None:
    """Ask the system for a way there, on a socket that is thrown away."""
    if not destination.is_destination:
        raise ConfigError(f"expected the address of one host and a port from 1, found '{destination}'")
    try:
        with contextlib.closing(socket.socket(_family(destination), socket.SOCK_DGRAM)) as probe:
            probe.connect((destination.host, destination.port))
    except OSError as error:
        raise ConfigError(f"cannot send to {destination}: {error.strerror or error}") from error


def _family(address: UdpAddress) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address.host else socket.AF_INET
