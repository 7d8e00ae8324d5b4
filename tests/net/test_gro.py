"""Super-packets of the kernel (UDP_GRO) come out as the datagrams that were sent."""

import socket
import sys
from collections.abc import Callable, Iterator

import pytest

from strep.errors import ReceiveError
from strep.net import udp
from strep.net.address import UdpAddress
from strep.net.control_messages import UDP_GRO
from strep.net.endpoints import EndpointTable
from strep.net.source import DatagramSource
from strep.net.udp import LANE_BYTES, open_udp
from strep.wire.batch import SENDER_OVER_LIMIT, SLACK_BYTES, DatagramBatch

UDP_SEGMENT = 103  # linux/udp.h


def has_gro() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
        except OSError:
            return False
    return sys.platform == "linux"


pytestmark = pytest.mark.skipif(not has_gro(), reason="needs UDP_GRO (Linux 5.0)")
Opener = Callable[..., DatagramSource]


@pytest.fixture
def open_source() -> Iterator[Opener]:
    opened: list[DatagramSource] = []

    def opener(host: str = "127.0.0.1", **settings: object) -> DatagramSource:
        opened.append(open_udp(UdpAddress(host, 0), **settings))
        return opened[-1]

    yield opener
    for source in opened:
        source.close()


class Sender:
    """Sends datagrams to a source, one by one or as the kernel's super-packets."""

    def __init__(self, source: DatagramSource) -> None:
        host = source.local_address.host
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((host, source.local_address.port))
        self._count = 0

    def datagrams(self, lengths: list[int]) -> list[bytes]:
        """Make datagrams that differ from all others of this sender."""
        made = []
        for length in lengths:
            self._count += 1
            made.append((self._count.to_bytes(2, "big") * (length // 2 + 1))[:length])
        return made

    def send(self, *lengths: int) -> list[bytes]:
        """Send datagrams as one; all must have the same length, but for the last."""
        sent = self.datagrams([*lengths])
        self.socket.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, lengths[0])
        self.socket.send(b"".join(sent))
        self.socket.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)
        return sent

    def send_each(self, *lengths: int) -> list[bytes]:
        """Send datagrams one by one."""
        sent = self.datagrams([*lengths])
        for data in sent:
            self.socket.send(data)
        return sent


@pytest.fixture
def sender() -> Iterator[Callable[[DatagramSource], Sender]]:
    made: list[Sender] = []

    def make(source: DatagramSource) -> Sender:
        made.append(Sender(source))
        return made[-1]

    yield make
    for one in made:
        one.socket.close()


MakeSender = Callable[[DatagramSource], Sender]


def datagrams(batch: DatagramBatch) -> list[bytes]:
    assert (batch.offset + SLACK_BYTES <= len(batch.flat)).all()
    return [batch.datagram(row) for row in range(len(batch))]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("last", [196, 195, 1])
def test_a_super_packet_is_cut_into_what_was_sent(
    open_source: Opener, sender: MakeSender, host: str, last: int
) -> None:
    source = open_source(host)
    sent = sender(source).send(*[196] * 20, last)
    batch = source.read()
    assert datagrams(batch) == sent
    assert source.drained
    assert len(set(batch.arrival_ns.tolist())) == 1, "it came as one message"


def test_the_largest_super_packet_is_whole_to_its_last_byte(open_source: Opener, sender: MakeSender) -> None:
    source = open_source()
    one = sender(source)
    sent = one.send(*[1023] * 63, 1000) + one.send(*[1023] * 64)
    assert datagrams(source.read()) == sent


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_interleaved_senders_keep_their_datagrams_and_their_order(
    open_source: Opener, sender: MakeSender, host: str
) -> None:
    source = open_source(host)
    senders = [sender(source) for _ in range(3)]
    expected = []
    for turn in range(4):
        for number, one in enumerate(senders):
            expected += [(number, data) for data in one.send(*[160 + number] * (turn + 2), 50)]
    batch = source.read()
    assert list(zip(batch.source.tolist(), datagrams(batch), strict=True)) == expected
    ports = [endpoint.source.rpartition(":")[2] for endpoint in batch.endpoints]
    assert ports == [str(one.socket.getsockname()[1]) for one in senders]


def test_plain_datagrams_and_super_packets_take_turns(open_source: Opener, sender: MakeSender) -> None:
    source = open_source()
    one = sender(source)
    sent = one.send_each(196, 0, 12) + one.send(*[50] * 9, 7) + one.send_each(1500) + one.send(196, 196)
    sent += one.send_each(3000) + one.send(*[1400] * 40) + one.send_each(0)
    batch = source.read()
    assert datagrams(batch) == sent
    assert (batch.arrival_ns[1:] >= batch.arrival_ns[:-1]).all()
    assert source.drained


def test_times_and_senders_are_those_of_each_message(open_source: Opener, sender: MakeSender) -> None:
    source = open_source()
    first, second = sender(source), sender(source)
    first.send(10, 10, 10)
    second.send_each(10)
    second.send(10, 3)
    batch = source.read()
    assert batch.source.tolist() == [0, 0, 0, 1, 1, 1]
    times = batch.arrival_ns.tolist()
    assert times == sorted(times)
    assert [times.index(ns) for ns in times] == [0, 0, 0, 3, 4, 4]


def test_a_read_gives_no_more_than_it_may_and_the_next_one_goes_on(open_source: Opener, sender: MakeSender) -> None:
    source = open_source(batch_datagrams=8)
    one = sender(source)
    sent = one.send_each(9, 9, 9) + one.send(*[20] * 17, 3)
    received, sizes, drained = [], [], []
    while not drained or not drained[-1]:
        received += datagrams(source.read())
        sizes.append(len(received) - sum(sizes))
        drained.append(source.drained)
    assert received == sent
    assert sizes == [8, 8, 5, 0], "what waited says nothing of what has arrived since"
    assert drained == [False, False, False, True]


def test_a_super_packet_that_just_fits_drains(open_source: Opener, sender: MakeSender) -> None:
    source = open_source(batch_datagrams=8)
    one = sender(source)
    one.send_each(9, 9, 9)
    one.send(*[20] * 5)
    assert (len(source.read()), source.drained) == (8, True)


def test_what_arrives_while_datagrams_wait_comes_behind_them(open_source: Opener, sender: MakeSender) -> None:
    source = open_source(batch_datagrams=4)
    one = sender(source)
    sent = one.send(*[30] * 6)
    received = datagrams(source.read())
    sent += one.send_each(40)
    for _ in range(2):
        assert not source.drained
        received += datagrams(source.read())
    assert received == sent
    assert len(source.read()) == 0
    assert source.drained


def test_more_queued_than_several_reads_take_comes_out_whole(open_source: Opener, sender: MakeSender) -> None:
    source = open_source(batch_datagrams=64)
    senders = [sender(source), sender(source)]
    sent = []
    for turn in range(12):
        one = senders[turn % 2]
        sent += one.send(*[100 + turn] * 30, 60) + one.send_each(*[80] * (turn % 3))
    received, sizes = [], []
    while not source.drained:
        received += datagrams(source.read())
        sizes.append(len(received) - sum(sizes))
    assert received == sent
    assert max(sizes) == 64


def test_a_super_packet_longer_than_a_lane_ends_the_read(
    open_source: Opener, sender: MakeSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "MESSAGES_A_CALL", 2)
    source = open_source(batch_datagrams=64)
    one = sender(source)
    short = one.send(*[196] * (LANE_BYTES // 196)) + one.send(50, 50) + one.send_each(70)
    long = one.send(*[196] * (LANE_BYTES // 196 + 1))
    rest = one.send_each(90)
    assert datagrams(source.read()) == short + long
    assert not source.drained
    assert datagrams(source.read()) == rest
    assert source.drained


def test_calls_ask_for_as_many_messages_as_their_datagrams_are_needed(
    open_source: Opener, sender: MakeSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, real = [], udp._recvmmsg

    def recording(descriptor: int, at: int, count: int, flags: int, timeout: None) -> int:
        asked.append(count)
        return real(descriptor, at, count, flags, timeout)

    monkeypatch.setattr(udp, "_recvmmsg", recording)
    source = open_source(batch_datagrams=40)
    one = sender(source)
    for send in (lambda: one.send(*[9] * 10), lambda: one.send(*[9] * 100), lambda: one.send_each(9), lambda: None):
        send()
        while len(source.read()):
            pass
    # An empty read changes nothing: each number below comes twice, by the message before it and by finding no other.
    assert asked == [40, 4, 4, 1, 1, 40, 40]


def test_declined_the_kernel_cuts_by_itself(open_source: Opener, sender: MakeSender) -> None:
    source = open_source(gro=False)
    sent = sender(source).send(*[196] * 20, 5)
    batch = source.read()
    assert datagrams(batch) == sent
    with socket.socket(fileno=socket.dup(source.fileno())) as same:
        assert same.getsockopt(socket.IPPROTO_UDP, UDP_GRO) == 0


def test_where_the_system_refuses_it_every_message_is_a_datagram(
    open_source: Opener, sender: MakeSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "UDP_GRO", 9999)
    source = open_source()
    sent = sender(source).send(*[196] * 20, 5)
    assert datagrams(source.read()) == sent


def test_closing_gives_up_what_waits(open_source: Opener, sender: MakeSender) -> None:
    source = open_source(batch_datagrams=4)
    sender(source).send(*[30] * 6)
    source.read()
    source.close()
    with pytest.raises(ReceiveError, match="found it closed"):
        source.read()


def test_every_datagram_of_a_sender_too_many_is_marked(open_source: Opener, sender: MakeSender) -> None:
    source = open_source(endpoints=EndpointTable(limit=0))
    sender(source).send(*[30] * 6)
    assert source.read().source.tolist() == [SENDER_OVER_LIMIT] * 6


def test_senders_of_what_waits_for_the_next_read_are_not_forgotten(open_source: Opener, sender: MakeSender) -> None:
    endpoints = EndpointTable()
    source = open_source(batch_datagrams=4, endpoints=endpoints)
    sender(source).send(*[30] * 6)
    assert source.read().source.tolist() == [0] * 4
    assert endpoints.forget_all_but((), now_ns=0).tolist() == []
    assert source.read().source.tolist() == [0] * 2
    assert endpoints.forget_all_but((), now_ns=0).tolist() == [0]


def test_what_the_kernel_drops_is_counted_by_the_message(open_source: Opener, sender: MakeSender) -> None:
    source = open_source(receive_buffer_bytes=4096)
    one = sender(source)
    for _ in range(50):
        one.send(*[100] * 10)
    received = 0
    while not source.drained:
        received += len(source.read())
    assert 0 < received < 500
    assert received // 10 + source.kernel_drops == 50
