"""Loopback traffic for tests of the whole receiver: send real datagrams, wait for them, read the recordings."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterable
from contextlib import closing, nullcontext

import numpy as np
import soundfile
from numpy.typing import NDArray

from strep import Direction, Receiver
from strep.net.address import UdpAddress
from strep.sinks.recordings import Recording

#: No test waits longer for what is to come, whatever happens; a busy machine may take a good part of it, for a program
#: that starts takes three seconds of a core that it has for itself, and more where it compiles. It measures nothing.
BOUND_S = 120
#: What an unprivileged user is granted on a system left as it came (net.core.rmem_max is 212,992).
RECEIVE_BUFFER_BYTES = 200_000
#: The kernel charges 832 bytes for a datagram of this size: a burst fills half of that buffer.
_BURST = 200


async def until(condition: Callable[[], bool], seconds: float = BOUND_S) -> None:
    """Wait for a condition, and fail when it does not come true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  (what is waited for, the kernel does)
            await asyncio.sleep(0.002)


def open_socket(address: UdpAddress) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((address.host, address.port))
    return sock


async def deliver(
    receiver: Receiver, datagrams: Iterable[bytes], to: int = 0, sock: socket.socket | None = None
) -> int:
    """Send datagrams to one of a receiver's addresses, and wait until it has them all; returns how many they were.

    sock: what they are sent from, which is the caller's to close; a new one each time where there is none.
    """
    waiting = list(datagrams)
    with nullcontext(sock) if sock else closing(open_socket(receiver.addresses[to])) as sender:
        for start in range(0, len(waiting), _BURST):
            burst = waiting[start : start + _BURST]
            expected = receiver.received + len(burst)
            for datagram in burst:
                sender.send(datagram)
            await until(lambda expected=expected: receiver.received >= expected)
    return len(waiting)


def interleave(*streams: list[bytes]) -> list[bytes]:
    """Send streams of one length side by side, as calls come."""
    return [datagram for together in zip(*streams, strict=True) for datagram in together]


def recorded(recording: Recording, direction: Direction) -> NDArray[np.int16]:
    """Read what a recording holds of one direction, from that stream's first sample to its last."""
    frames, rate_hz = soundfile.read(recording.path, dtype="int16", always_2d=True)
    (stream,) = (s for s in streams_of(recording) if s["direction"] == direction.name.lower())
    (report,) = (r for r in recording.reports if r.identity.direction is direction)
    start = round(stream["start_s"] * rate_hz)
    channel = frames[:, int(direction)]
    assert not channel[:start].any(), "nothing is heard before a stream begins"
    assert not channel[start + report.length_samples :].any(), "nothing is heard after its end"
    return channel[start : start + report.length_samples]


def streams_of(recording: Recording) -> list[dict]:
    """Read the streams' entries in a sidecar."""
    return json.loads(recording.sidecar_path.read_text())["streams"]
