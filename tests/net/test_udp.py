"""What recvmmsg does besides what every source does (see test_source)."""

import errno
import socket
import sys
import time
from collections.abc import Iterator

import pytest

from strep.net import udp
from strep.net.address import UdpAddress
from strep.net.portable import PortableSource
from strep.net.udp import IOVEC, LANE_BYTES, MMSGHDR, RecvmmsgSource, open_udp
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


def read_all(source: RecvmmsgSource) -> list[bytes]:
    """Read until nothing is queued."""
    received = []
    while True:
        batch = source.read()
        received += [batch.datagram(row) for row in range(len(batch))]
        if source.drained:
            return received


@pytest.fixture
def small_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let sources opened from now on make calls of four messages; lists how many each call asked for."""
    asked: list[int] = []
    real = udp._recvmmsg

    def recording(descriptor: int, at: int, count: int, flags: int, timeout: None) -> int:
        asked.append(count)
        return real(descriptor, at, count, flags, timeout)

    monkeypatch.setattr(udp, "MESSAGES_A_CALL", 4)
    monkeypatch.setattr(udp, "_recvmmsg", recording)
    return asked


def test_a_read_of_several_calls_fills_lane_after_lane(small_calls: list[int]) -> None:
    source = open_udp(UdpAddress("127.0.0.1", 0), batch_datagrams=14)
    sent = [bytes([number]) * LANE_BYTES for number in range(16)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for data in sent:
            sender.sendto(data, ("127.0.0.1", source.local_address.port))
    batch = source.read()
    received = [batch.datagram(row) for row in range(len(batch))]
    assert (len(batch), source.drained, small_calls) == (14, False, [4, 4, 4, 2])
    batch = source.read()
    received += [batch.datagram(row) for row in range(len(batch))]
    assert (len(batch), source.drained, small_calls[4:]) == (2, True, [4])
    source.close()
    assert received == sent


@pytest.mark.parametrize("place", range(9))
def test_a_datagram_longer_than_a_lane_harms_none_before_or_behind_it(place: int, small_calls: list[int]) -> None:
    source = open_udp(UdpAddress("127.0.0.1", 0), batch_datagrams=16)
    sent = [bytes([number]) * 100 for number in range(9)]
    sent[place] = bytes(range(200)) * 300
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for data in sent:
            sender.sendto(data, ("127.0.0.1", source.local_address.port))
    assert read_all(source) == sent
    source.close()


def test_a_queue_that_ends_with_a_call_is_known_to_be_empty_by_the_next(small_calls: list[int]) -> None:
    source = open_udp(UdpAddress("127.0.0.1", 0), batch_datagrams=8)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(4):
            sender.sendto(b"x", ("127.0.0.1", source.local_address.port))
    assert (len(source.read()), source.drained, small_calls) == (4, True, [4, 4])
    source.close()


def test_an_error_in_the_midst_of_a_call_is_no_end_of_the_queue(
    source: RecvmmsgSource, sender: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        sender.send(bytes([number]))
    real = udp._recvmmsg

    def interrupted(descriptor: int, at: int, count: int, flags: int, timeout: None) -> int:
        """Take two datagrams, and then meet what recvmmsg leaves on the socket to be told later."""
        received = real(descriptor, at, 2, flags, timeout)
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed,
            socket.socket(fileno=socket.dup(descriptor)) as same,
        ):
            closed.bind(("127.0.0.1", 0))
            same.connect(closed.getsockname())
            closed.close()
            same.send(b"x")
        return received

    monkeypatch.setattr(udp, "_recvmmsg", interrupted)
    assert source.read().length.tolist() == [1, 1]
    assert (source.socket_errors, source.drained) == (1, False)
    monkeypatch.setattr(udp, "_recvmmsg", real)
    assert (len(source.read()), source.socket_errors, source.drained) == (3, 1, True)


def test_a_call_that_a_signal_interrupted_is_made_again(
    source: RecvmmsgSource, sender: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.send(b"x")
    real, interruptions = udp._recvmmsg, [errno.EINTR, errno.EINTR]

    def interrupted(*arguments: object) -> int:
        if not interruptions:
            return real(*arguments)
        udp.ctypes.set_errno(interruptions.pop())
        return -1

    monkeypatch.setattr(udp, "_recvmmsg", interrupted)
    assert (len(source.read()), source.drained, source.socket_errors) == (1, True, 0)


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
