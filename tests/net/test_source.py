"""What every source of live datagrams does, by recvmmsg or by the portable loop, over IPv4 and IPv6."""

import errno
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from strep.errors import ConfigError, ReceiveError
from strep.net import source as source_module
from strep.net.address import UdpAddress
from strep.net.endpoints import EndpointTable
from strep.net.portable import PortableSource
from strep.net.source import DatagramSource, QueueMeter, bind_udp
from strep.net.udp import RecvmmsgSource, open_udp
from strep.net.wallclock import WallClock
from strep.wire.batch import SENDER_OVER_LIMIT, SLACK_BYTES

LOOPBACK = {"v4": UdpAddress("127.0.0.1", 0), "v6": UdpAddress("::1", 0)}
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells, other systems do not")
Opener = Callable[..., DatagramSource]


@pytest.fixture(params=["recvmmsg", "portable"])
def open_source(request: pytest.FixtureRequest) -> Iterator[Opener]:
    """Open sources of one kind, and close them at the end."""
    if request.param == "recvmmsg" and sys.platform != "linux":
        pytest.skip("recvmmsg is Linux's")
    opened: list[DatagramSource] = []

    def opener(address: UdpAddress = LOOPBACK["v4"], **settings: object) -> DatagramSource:
        opened.append(open_udp(address, portable=request.param == "portable", **settings))
        return opened[-1]

    yield opener
    for source in opened:
        source.close()


@pytest.fixture
def sender() -> Iterator[Callable[..., socket.socket]]:
    """Make sockets that are connected to a source."""
    made: list[socket.socket] = []

    def make(source: DatagramSource, host: str | None = None) -> socket.socket:
        host = host or source.local_address.host
        made.append(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM))
        made[-1].connect((host, source.local_address.port))
        return made[-1]

    yield make
    for sock in made:
        sock.close()


Sender = Callable[..., socket.socket]


def shown(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@pytest.mark.parametrize("family", ["v4", "v6"])
def test_datagrams_come_out_whole_in_order_with_their_senders(open_source: Opener, sender: Sender, family: str) -> None:
    source = open_source(LOOPBACK[family])
    first, second = sender(source), sender(source)
    sent = [(first, b"one"), (second, b"x" * 1500), (first, b""), (second, bytes(range(200)))]
    for sock, data in sent:
        sock.send(data)
    batch = source.read()
    assert [batch.datagram(row) for row in range(len(batch))] == [data for _, data in sent]
    assert [batch.endpoints[number].source for number in batch.source] == [shown(sock) for sock, _ in sent]
    assert (batch.offset + SLACK_BYTES <= len(batch.flat)).all()
    assert source.drained


def test_an_empty_socket_gives_an_empty_batch_at_once(open_source: Opener) -> None:
    source = open_source()
    batch = source.read()
    assert [len(column) for column in (batch.offset, batch.length, batch.arrival_ns, batch.source)] == [0] * 4
    assert source.drained


def test_a_batch_takes_no_more_than_its_size_and_the_next_one_goes_on(open_source: Opener, sender: Sender) -> None:
    source = open_source(batch_datagrams=4)
    sock = sender(source)
    for number in range(10):
        sock.send(bytes([number]))
    sizes, drained, data = [], [], []
    for _ in range(4):
        batch = source.read()
        sizes.append(len(batch))
        drained.append(source.drained)
        data += [batch.datagram(row) for row in range(len(batch))]
    assert sizes == [4, 4, 2, 0]
    assert drained == [False, False, True, True]
    assert data == [bytes([number]) for number in range(10)]


def test_reading_on_after_a_full_batch_gives_fresh_times_lengths_and_senders(
    open_source: Opener, sender: Sender
) -> None:
    source = open_source(batch_datagrams=2)
    first, second = sender(source), sender(source)
    seen = []
    for sock, data in [(first, b"a"), (first, b"bb"), (second, b"ccc"), (second, b"dddd")]:
        sock.send(data)
    for _ in range(2):
        batch = source.read()
        seen += list(zip(batch.length.tolist(), batch.source.tolist(), batch.arrival_ns.tolist(), strict=True))
    assert [(length, number) for length, number, _ in seen] == [(1, 0), (2, 0), (3, 1), (4, 1)]
    times = [arrival_ns for _, _, arrival_ns in seen]
    assert times == sorted(times)
    assert len(set(times)) == 4


def test_arrival_lies_between_sending_and_reading(open_source: Opener, sender: Sender) -> None:
    source = open_source()
    sock = sender(source)
    before = time.time_ns()
    sock.send(b"x")
    (arrival_ns,) = source.read().arrival_ns.tolist()
    assert before <= arrival_ns <= time.time_ns()


def test_a_step_of_the_wall_clock_is_taken_out_of_arrival_times(open_source: Opener, sender: Sender) -> None:
    clock = WallClock()
    hour_ns = 3600 * 10**9
    # As if the wall clock had been an hour ahead, and was set right since.
    before = clock.observe(time.time_ns() + hour_ns, time.monotonic_ns())
    source = open_source(clock=clock)
    sender(source).send(b"x")
    (arrival_ns,) = source.read().arrival_ns.tolist()
    assert clock.steps == 1
    assert before - 10**6 <= arrival_ns <= clock.now_ns + 10**6


def test_a_datagram_that_fills_a_frame_with_its_neighbours_is_whole(open_source: Opener, sender: Sender) -> None:
    source = open_source(batch_datagrams=3)
    sock = sender(source)
    sent = [bytes([number]) * 2048 for number in range(3)]
    for data in sent:
        sock.send(data)
    batch = source.read()
    assert [batch.datagram(row) for row in range(3)] == sent


def test_the_longest_datagrams_are_whole_between_others(open_source: Opener, sender: Sender) -> None:
    source = open_source(batch_datagrams=4)
    sock = sender(source)
    sent = [b"short", b"a" * 65_507, b"b" * 3000, b"c" * 65_507]
    for data in sent:
        sock.send(data)
    received = []
    while not source.drained:
        batch = source.read()
        received += [batch.datagram(row) for row in range(len(batch))]
        assert (batch.offset + SLACK_BYTES <= len(batch.flat)).all()
    assert received == sent


def test_datagrams_of_senders_too_many_are_told_apart_from_all_others(open_source: Opener, sender: Sender) -> None:
    source = open_source(endpoints=EndpointTable(limit=1))
    for sock in (sender(source), sender(source), sender(source)):
        sock.send(b"x")
    assert source.read().source.tolist() == [0, SENDER_OVER_LIMIT, SENDER_OVER_LIMIT]


@linux_only
def test_what_the_kernel_drops_is_counted_at_once(open_source: Opener, sender: Sender) -> None:
    source = open_source(receive_buffer_bytes=4096)
    sock = sender(source)
    for _ in range(100):
        sock.send(bytes(196))
    received = len(source.read())
    assert 0 < received < 100
    assert received + source.kernel_drops == 100


def test_an_error_that_the_network_put_on_the_socket_is_counted_not_raised(open_source: Opener, sender: Sender) -> None:
    source = open_source()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = closed.getsockname()
    with socket.socket(fileno=os.dup(source.fileno())) as same:
        same.connect(nobody)
        same.send(b"x")
    assert len(source.read()) == 0
    assert (source.socket_errors, source.drained) == (1, False)
    assert len(source.read()) == 0
    assert (source.socket_errors, source.drained) == (1, True)


def test_inputs_of_one_receiver_share_one_list_of_endpoints(open_source: Opener, sender: Sender) -> None:
    table = EndpointTable()
    rx = open_source(endpoints=table, conversation="call", direction=0)
    tx = open_source(endpoints=table, conversation="call", direction=1)
    sender(rx).send(b"r")
    sender(tx).send(b"t")
    batches = [rx.read(), tx.read()]
    assert [batch.source.tolist() for batch in batches] == [[0], [1]]
    assert [(e.conversation, e.direction) for e in batches[0].endpoints] == [("call", 0), ("call", 1)]
    assert batches[1].endpoints[1].destination == f"127.0.0.1:{tx.local_address.port}"


def test_any_ipv6_address_takes_ipv4_too(open_source: Opener, sender: Sender) -> None:
    source = open_source(UdpAddress("::", 0))
    senders = [sender(source, host="127.0.0.1"), sender(source, host="::1")]
    for sock in senders:
        sock.send(b"x")
    batch = source.read()
    assert [batch.endpoints[number].source for number in batch.source] == [shown(sock) for sock in senders]


def test_a_closed_source_refuses_to_read(open_source: Opener) -> None:
    source = open_source()
    source.close()
    with pytest.raises(ReceiveError, match="expected an open socket, found it closed"):
        source.read()


def test_a_port_in_use_is_refused_in_one_line(open_source: Opener) -> None:
    taken = open_source().local_address
    with pytest.raises(ReceiveError) as refusal:
        open_source(taken)
    assert str(refusal.value) == (f"cannot receive on {taken}: expected a free port, found it in use by another socket")


def test_an_address_of_another_machine_is_refused_in_one_line(open_source: Opener) -> None:
    with pytest.raises(
        ReceiveError, match=r"cannot receive on udp:203\.0\.113\.77:0: expected an address of this mach"
    ):
        open_source(UdpAddress("203.0.113.77", 0))


@pytest.mark.parametrize("size", [0, 4097])
def test_a_batch_size_that_cannot_be_is_refused(open_source: Opener, size: int) -> None:
    with pytest.raises(ConfigError, match=f"expected batches of 1 to 4096 datagrams, found {size}"):
        open_source(batch_datagrams=size)


def test_a_receive_buffer_that_cannot_be_is_refused(open_source: Opener) -> None:
    with pytest.raises(ConfigError, match="expected a receive buffer of 4096 to"):
        open_source(receive_buffer_bytes=1 << 31)


def test_half_of_what_plain_rtp_needs_is_refused_and_the_port_is_free_again(open_source: Opener) -> None:
    address = open_source().local_address
    free = UdpAddress(address.host, bind_and_release())
    with pytest.raises(ConfigError):
        open_source(free, conversation="call")
    assert open_source(free).local_address == free


def bind_and_release() -> int:
    """Find a port that is free."""
    bound = bind_udp(LOOPBACK["v4"])
    bound.socket.close()
    return bound.address.port


def test_the_address_tells_the_port_that_the_system_chose(open_source: Opener) -> None:
    address = open_source().local_address
    assert address.host == "127.0.0.1"
    assert address.port > 0


def test_the_kind_of_source_is_as_asked(open_source: Opener, request: pytest.FixtureRequest) -> None:
    kind = RecvmmsgSource if "recvmmsg" in request.node.name else PortableSource
    assert isinstance(open_source(), kind)


class CountingSocket:
    """Stands in for a socket whose drop counter says what the test wants."""

    def __init__(self, *raw: int | OSError) -> None:
        self.raw = list(raw)

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option) == (socket.SOL_SOCKET, 55)
        raw = self.raw.pop(0)
        if isinstance(raw, OSError):
            raise raw
        return bytes(32) + raw.to_bytes(4, sys.byteorder) + bytes(size - 36)


@linux_only
def test_the_kernels_drop_counter_wraps_and_ours_does_not() -> None:
    counter = QueueMeter(CountingSocket(0, 0xFFFF_FFFF, 0, 5))
    seen = []
    for _ in range(3):
        counter.update()
        seen.append(counter.drops)
    assert seen == [0xFFFF_FFFF, 0x1_0000_0000, 0x1_0000_0005]


@linux_only
def test_drops_are_unknown_where_the_system_does_not_tell() -> None:
    counter = QueueMeter(CountingSocket(OSError(errno.ENOPROTOOPT, "no such option")))
    counter.update()
    assert counter.drops is None


class ModestSocket:
    """Stands in for a socket that a user without rights opened, on a system with a limit."""

    def __init__(self, limit_bytes: int, forgiving: bool) -> None:
        self.limit_bytes, self.forgiving, self.granted_bytes = limit_bytes, forgiving, 0

    def setsockopt(self, level: int, option: int, size_bytes: int) -> None:
        if option == 33:
            raise PermissionError(errno.EPERM, "not root")
        if size_bytes > self.limit_bytes and not self.forgiving:
            raise OSError(errno.ENOBUFS, "too much")
        self.granted_bytes = min(size_bytes, self.limit_bytes)

    def getsockopt(self, level: int, option: int) -> int:
        return self.granted_bytes * (2 if self.forgiving else 1)


def test_linux_grants_silently_less_and_we_do_not_count_its_doubling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "_IS_LINUX", True)
    assert source_module._widen(ModestSocket(4 << 20, forgiving=True), 32 << 20) == 4 << 20


def test_a_bsd_refuses_until_the_size_is_within_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "_IS_LINUX", False)
    assert source_module._widen(ModestSocket(5 << 20, forgiving=False), 32 << 20) == 4 << 20


def test_a_source_tells_what_buffer_it_wanted_and_what_it_got(open_source: Opener) -> None:
    source = open_source(receive_buffer_bytes=100_000)
    assert source.receive_buffer_wanted_bytes == 100_000
    assert 0 < source.receive_buffer_bytes <= 100_000
