import errno
import math
import socket
import sys

import pytest

from strep.errors import ConfigError
from strep.net import replay
from strep.net.address import UdpAddress
from strep.net.replay import Replay, parse_speed
from strep.net.schedule import Due
from tests.receiving import BOUND_S

MS = 1_000_000
NOWHERE = UdpAddress("127.0.0.1", 9)


class Clock:
    """Goes on when somebody sleeps, and by `work_s` at each look."""

    def __init__(self, work_s=0.0):
        self.now_s = 100.0
        self.work_s = work_s
        self.slept_s = []

    def __call__(self):
        self.now_s += self.work_s
        return self.now_s

    def sleep(self, seconds):
        self.slept_s.append(seconds)
        self.now_s += seconds


class FakeSocket:
    """Takes or refuses datagrams as `answers` say, one for each attempt; None takes it."""

    answers = ()
    connecting = None
    error = 0
    made = 0

    def __init__(self, family, kind):
        FakeSocket.made += 1

    def connect(self, where):
        if self.connecting:
            raise self.connecting

    def getsockopt(self, level, option):
        return self.error

    def send(self, data):
        answer = self.answers.pop(0) if self.answers else None
        if answer:
            raise OSError(answer, "reason")

    def close(self):
        pass


@pytest.fixture
def fake_socket(monkeypatch):
    monkeypatch.setattr(FakeSocket, "answers", [])
    monkeypatch.setattr(FakeSocket, "connecting", None)
    monkeypatch.setattr(FakeSocket, "error", 0)
    monkeypatch.setattr(FakeSocket, "made", 0)
    monkeypatch.setattr(replay.socket, "socket", FakeSocket)
    return FakeSocket


@pytest.fixture
def listener():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(BOUND_S)
        yield sock


def address(sock):
    return UdpAddress(*sock.getsockname())


@pytest.mark.parametrize(("speed", "slept_s"), [(1.0, [0.02, 0.04]), (2.0, [0.01, 0.02]), (math.inf, [])])
def test_datagrams_leave_when_they_are_due(speed, slept_s, fake_socket):
    clock = Clock()
    with Replay(NOWHERE, speed=speed, clock_s=clock, sleep=clock.sleep) as sender:
        sender.run([Due(0, b"a", 0), Due(20 * MS, b"b", 0), Due(60 * MS, b"c", 0)])
    assert clock.slept_s == pytest.approx(slept_s)
    assert (sender.sent, sender.sent_bytes, sender.refused) == (3, 3, 0)


def test_lateness_does_not_add_up(fake_socket):
    clock = Clock(work_s=0.003)
    with Replay(NOWHERE, clock_s=clock, sleep=clock.sleep) as sender:
        sender.run([Due(n * 20 * MS, b"a", 0) for n in range(50)])
    assert clock.now_s == pytest.approx(100.003 + 49 * 0.02)


def test_bytes_arrive_as_they_are_in_order(listener):
    done = []
    with Replay(address(listener), speed=math.inf) as sender:
        sender.run([Due(0, b"one", 0), Due(0, b"two", 0)], done.append)
    assert [listener.recv(100) for _ in range(2)] == [b"one", b"two"]
    assert done == [1, 2]


def test_each_sender_of_the_capture_has_a_port_of_its_own(listener):
    with Replay(address(listener), speed=math.inf) as sender:
        sender.run([Due(0, b"a", 0), Due(0, b"b", 1), Due(0, b"c", 0)])
        ports = [listener.recvfrom(100)[1][1] for _ in range(3)]
    assert ports[0] == ports[2] != ports[1]


def test_sockets_are_bounded(fake_socket):
    with Replay(NOWHERE, speed=math.inf) as sender:
        sender.run([Due(0, b"a", flow) for flow in range(3 * replay.MOST_SOCKETS)])
    assert fake_socket.made == replay.MOST_SOCKETS + 1  # one asked for the route
    assert sender.sent == 3 * replay.MOST_SOCKETS


def test_ipv6_is_sent_to():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(("::1", 0))
        except OSError:
            pytest.skip("needs IPv6")
        sock.settimeout(BOUND_S)
        with Replay(UdpAddress("::1", sock.getsockname()[1]), speed=math.inf) as sender:
            sender.run([Due(0, b"six", 0)])
        assert sock.recv(10) == b"six"


def test_a_full_buffer_is_tried_again(fake_socket):
    clock = Clock()
    fake_socket.answers = [errno.ENOBUFS, errno.EAGAIN, None]
    with Replay(NOWHERE, clock_s=clock, sleep=clock.sleep) as sender:
        sender.run([Due(0, b"a", 0)])
    assert (sender.sent, sender.retried, sender.refused) == (1, 2, 0)
    assert len(clock.slept_s) == 2


def test_a_buffer_that_stays_full_costs_a_bounded_time_and_is_counted(fake_socket):
    clock = Clock()
    fake_socket.answers = [errno.ENOBUFS] * 11
    with Replay(NOWHERE, clock_s=clock, sleep=clock.sleep) as sender:
        sender.run([Due(0, b"a", 0), Due(0, b"b", 0)])
    assert (sender.sent, sender.retried, sender.refused, sender.first_refusal) == (1, 10, 1, "reason")
    assert sum(clock.slept_s) < 0.1


def test_what_the_system_refuses_is_counted_and_the_rest_goes_out(fake_socket):
    fake_socket.answers = [errno.EMSGSIZE, None]
    with Replay(NOWHERE) as sender:
        sender.run([Due(0, b"a", 0), Due(0, b"b", 0)])
    assert (sender.sent, sender.retried, sender.refused) == (1, 0, 1)


def test_a_way_that_is_lost_for_a_while_costs_what_was_due_meanwhile(fake_socket):
    sender = Replay(NOWHERE, speed=math.inf)
    schedule = iter([Due(0, b"a", 0), Due(0, b"b", 0), Due(0, b"c", 1)])
    fake_socket.connecting = OSError(errno.ENETUNREACH, "Network is unreachable")
    sender.run([next(schedule)])
    fake_socket.connecting = None
    sender.run(schedule)
    assert (sender.sent, sender.refused, sender.first_refusal) == (2, 1, "Network is unreachable")


def test_a_closed_port_does_not_stop_a_replay(listener):
    where = address(listener)
    listener.close()
    with Replay(where, speed=math.inf) as sender:
        sender.run([Due(0, b"a", flow) for flow in (0, 1)] * 10)
    assert (sender.sent, sender.refused, sender.retried) == (20, 0, 0)
    if sys.platform == "linux":
        assert sender.unheard == 20


def test_what_one_is_told_of_an_earlier_datagram_is_counted_and_this_one_goes_out(fake_socket):
    fake_socket.answers = [None, errno.ECONNREFUSED, None, None]
    fake_socket.error = errno.ECONNREFUSED
    with Replay(NOWHERE, speed=math.inf) as sender:
        sender.run([Due(0, b"a", 0)] * 3)
    assert (sender.sent, sender.unheard, sender.refused) == (3, 2, 0)


def test_whoever_refuses_without_end_costs_a_bounded_time(fake_socket):
    fake_socket.answers = [errno.ECONNREFUSED] * 11
    with Replay(NOWHERE, speed=math.inf) as sender:
        sender.run([Due(0, b"a", 0), Due(0, b"b", 0)])
    assert (sender.sent, sender.refused, sender.retried) == (1, 1, 0)


def test_an_address_without_a_route_is_refused_before_anything_is_sent(fake_socket):
    fake_socket.connecting = OSError(errno.ENETUNREACH, "Network is unreachable")
    with pytest.raises(ConfigError, match=r"cannot send to udp:127\.0\.0\.1:9: Network is unreachable"):
        Replay(NOWHERE)


@pytest.mark.parametrize("where", [UdpAddress("0.0.0.0", 9), UdpAddress("127.0.0.1", 0), UdpAddress("224.0.0.1", 9)])
def test_an_address_that_is_no_destination_is_refused(where):
    with pytest.raises(ConfigError, match="expected the address of one host"):
        Replay(where)


@pytest.mark.parametrize(("text", "speed"), [("1", 1.0), ("0.5", 0.5), ("max", math.inf), ("2e1", 20.0)])
def test_a_speed_is_a_factor_or_max(text, speed):
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["", "0", "-1", "inf", "nan", "fast", "1x"])
def test_another_speed_is_refused(text):
    with pytest.raises(ConfigError, match=r"expected a speed like 1, 0\.5 or max"):
        parse_speed(text)


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan])
def test_a_speed_that_goes_nowhere_is_refused(speed):
    with pytest.raises(ConfigError, match="expected a speed above 0"):
        Replay(NOWHERE, speed=speed)
