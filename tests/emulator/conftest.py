import asyncio
import socket
import time

import pytest

from strep.emulator import Platform
from strep.net.address import UdpAddress
from tests.receiving import BOUND_S


class Clock:
    """Is a clock that goes when it is told to."""

    def __init__(self):
        self.now_ns = 1_000_000_000

    def __call__(self):
        return self.now_ns

    def advance(self, seconds):
        self.now_ns += round(seconds * 1e9)


class KeptForks:
    """Is a sender that sends nothing: it keeps the forks that it was to send."""

    def __init__(self):
        self.forks = []

    def start(self, fork):
        self.forks.append(fork)

    async def aclose(self):
        pass


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sender():
    return KeptForks()


@pytest.fixture
def platform(clock, sender):
    return Platform(seed=7, clock_ns=clock, sender=sender)


class Receiver(asyncio.DatagramProtocol):
    """Keeps what arrives, and when."""

    def __init__(self):
        self.datagrams = []
        self.arrived_s = []
        self._enough = None

    def datagram_received(self, data, addr):
        self.datagrams.append(data)
        self.arrived_s.append(time.monotonic())
        if self._enough and len(self.datagrams) >= self._enough[0]:
            self._enough[1].set()

    async def wait_for(self, count):
        self._enough = (count, asyncio.Event())
        if len(self.datagrams) < count:
            await asyncio.wait_for(self._enough[1].wait(), BOUND_S)


@pytest.fixture
async def receive():
    transports = []

    async def receive(host="127.0.0.1"):
        loop = asyncio.get_running_loop()
        transport, receiver = await loop.create_datagram_endpoint(Receiver, local_addr=(host, 0))
        # A whole conversation may come before the loop turns to us.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        transports.append(transport)
        return receiver, str(UdpAddress(*transport.get_extra_info("sockname")[:2]))

    yield receive
    for transport in transports:
        transport.close()


@pytest.fixture
def told(platform):
    """Give what the platform has told since it was last asked: [(event type, payload)]."""

    def told():
        events = [(event["data"]["event_type"], event["data"]["payload"]) for event in platform.events]
        platform.events.clear()
        return events

    return told


@pytest.fixture
def types(told):
    """Give the types of the events since it, or `told`, was last asked."""
    return lambda: [event_type for event_type, _ in told()]
