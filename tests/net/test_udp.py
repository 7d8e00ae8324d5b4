"""What recvmmsg does besides what every source does (see test_source)."""

import socket
import sys
import time
from collections.abc import Iterator

import pytest

from strep.net import udp
from strep.net.address import UdpAddress
from strep.net.portable import PortableSource
from strep.net.udp import IOVEC, MMSGHDR, SLOT_BYTES, RecvmmsgSource, open_udp
from strep.net.wallclock import WallClock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="recvmmsg is Linux's")


@pytest.fixture
def source() -> Iterator[RecvmmsgSource]:
    opened = open_udp(UdpAddress("127.0.0.1", 0), batch_datagrams=8)
    assert isinstance(opened, RecvmmsgSource)
    yield opened
    opened.close()


@pytest.fixture
def sender(source: RecvmmsgSource) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", source.local_address.port))
        yield sock


def test_a_datagram_longer_than_a_slot_has_its_real_length_and_harms_no_neighbour(
    source: RecvmmsgSource, sender: socket.socket
) -> None:
    sent = [b"before", b"x" * (SLOT_BYTES + 1), b"behind", b"y" * SLOT_BYTES, b"z" * 60_000]
    for data in sent:
        sender.send(data)
    batch = source.read()
    assert batch.length.tolist() == [len(data) for data in sent]
    assert [batch.datagram(row) for row in (0, 2, 3)] == [sent[0], sent[2], sent[3]]
    assert batch.datagram(1)[:SLOT_BYTES] == sent[1][:SLOT_BYTES]
    assert source.truncated == 2


def test_the_receive_time_is_the_kernels_not_that_of_the_call(source: RecvmmsgSource, sender: socket.socket) -> None:
    sender.send(b"early")
    waited_until = source._clock.read()
    sender.send(b"late")
    early_ns, late_ns = source.read().arrival_ns.tolist()
    assert early_ns <= waited_until + 1_000_000
    assert early_ns < late_ns
    assert waited_until <= late_ns + 1_000_000


def test_a_socket_without_stamps_gives_the_time_of_the_call(source: RecvmmsgSource, sender: socket.socket) -> None:
    sender.send(b"stamped")
    source.read()
    with socket.socket(fileno=socket.dup(source.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, 35, 0)
        before_ns = source._clock.read()
        sender.send(b"not stamped")
        (arrival_ns,) = source.read().arrival_ns.tolist()
        assert before_ns <= arrival_ns == source._clock.now_ns
        same.setsockopt(socket.SOL_SOCKET, 35, 1)
    sender.send(b"stamped again")
    (arrival_ns,) = source.read().arrival_ns.tolist()
    assert arrival_ns < source._clock.now_ns


def test_the_time_of_the_call_is_free_of_the_wall_clocks_steps_too() -> None:
    clock = WallClock()
    for hours_ahead in (3, 1):  # set once, and then set right
        clock.observe(time.time_ns() + hours_ahead * 3600 * 10**9, time.monotonic_ns())
    source = open_udp(UdpAddress("127.0.0.1", 0), clock=clock)
    with socket.socket(fileno=socket.dup(source.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, 35, 0)
        same.sendto(b"to itself", same.getsockname())
    (arrival_ns,) = source.read().arrival_ns.tolist()
    source.close()
    assert (clock.steps, arrival_ns) == (2, clock.now_ns)


def test_a_batch_is_good_until_the_next_read_whose_arrays_are_the_same(
    source: RecvmmsgSource, sender: socket.socket
) -> None:
    sender.send(b"one")
    first = source.read()
    sender.send(b"two")
    assert first.datagram(0) == b"one"
    second = source.read()
    assert second.flat is first.flat
    assert first.datagram(0) == b"two"


def test_the_structures_are_those_of_a_64_bit_linux() -> None:
    assert (MMSGHDR.itemsize, IOVEC.itemsize) == (64, 16)


def test_without_recvmmsg_the_portable_loop_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "_recvmmsg", None)
    source = open_udp(UdpAddress("127.0.0.1", 0))
    source.close()
    assert isinstance(source, PortableSource)


def test_recvmmsg_is_not_looked_for_on_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    assert udp._load_recvmmsg() is not None
    monkeypatch.setattr(udp.sys, "platform", "darwin")
    assert udp._load_recvmmsg() is None
