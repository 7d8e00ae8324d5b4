"""A packet ring gives what a socket gives: the same datagrams beside each other, of one port, by both."""

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from strep.errors import ReceiveError
from strep.net import ring_rules
from strep.net.address import UdpAddress
from strep.net.capture.writer import udp_packet
from strep.net.endpoints import EndpointTable
from strep.net.networks import Networks
from strep.net.opening import Opening, Receive
from strep.net.ring import RingSource, interface_of
from strep.net.source import BoundSocket, DatagramSource, bind_udp
from strep.net.steering import bind_group
from strep.net.udp import open_udp
from strep.net.wallclock import WallClock
from strep.wire.batch import NOT_STREP, SLACK_BYTES
from tests.net.capture.packet_bytes import ipv4_fragments, ipv6_fragments, ipv6_with
from tests.ring import MAC, RING_BYTES, Network, Row, beside, needs_network, needs_ring, read_rows

pytestmark = needs_ring
UDP_SEGMENT = 103  # linux/udp.h
LAST = b"the last one"
LOOPBACK = {"v4": "127.0.0.1", "v6": "::1"}


def is_last(rows: list[Row]) -> bool:
    return bool(rows) and rows[-1][0] == LAST


def open_ring(target: UdpAddress | BoundSocket, **settings: object) -> RingSource:
    settings = {"receive_buffer_bytes": RING_BYTES, "receive": Receive.RING} | settings
    source = Opening(**settings).open(target, EndpointTable(allow=settings.get("allow")), WallClock())
    assert isinstance(source, RingSource)
    return source


class Both:
    """A socket and a ring that have the same datagrams."""

    def __init__(self, host: str, port: int = 0) -> None:
        bound = bind_udp(UdpAddress(host, port))
        self.address = bound.address
        self.socket, self.ring = open_udp(bound), open_ring(beside(bound))

    def read(self) -> tuple[list[Row], list[Row]]:
        return read_rows(self.ring, is_last), read_rows(self.socket, is_last)

    def close(self) -> None:
        self.ring.close()
        self.socket.close()


@pytest.fixture(params=["v4", "v6"])
def both(request: pytest.FixtureRequest) -> Iterator[Both]:
    with closing(Both(LOOPBACK[request.param])) as made:
        yield made


@pytest.fixture(params=["compiled", "as they stand"], autouse=True)
def rules(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read by the rules compiled, and once more as they stand."""
    made = ring_rules.compiled_rules() if request.param == "compiled" else ring_rules.PLAIN
    monkeypatch.setattr("strep.net.ring.rules_now", lambda: made)


def connected(address: UdpAddress) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((address.host, address.port))
    return sock


def test_datagrams_senders_and_times_are_the_sockets(both: Both) -> None:
    with closing(connected(both.address)) as first, closing(connected(both.address)) as second:
        for number in range(50):
            (first, second)[number % 3 == 0].send(bytes([number]) * number * 20)
        second.send(LAST)
        by_ring, by_socket = both.read()
    assert by_ring == by_socket
    assert len(by_ring) == 51
    assert both.ring.kernel_drops == 0


def test_super_packets_are_cut_into_what_was_sent(both: Both) -> None:
    with closing(connected(both.address)) as sender:
        for size, data in ((196, bytes(range(250)) * 20), (7, b"seven" * 30), (1400, bytes(60_000))):
            sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
            sender.send(data)
        sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)
        sender.send(LAST)
        by_ring, by_socket = both.read()
    assert by_ring == by_socket
    assert len(by_ring) == 26 + 22 + 43 + 1


def test_the_longest_datagrams_are_whole_between_others(both: Both) -> None:
    with closing(connected(both.address)) as sender:
        for data in (b"short", b"a" * 65_507, b"b" * 3000, b"c" * 65_507, b"", LAST):
            sender.send(data)
        by_ring, by_socket = both.read()
    assert by_ring == by_socket


def test_every_offset_has_something_readable_behind_it_to_the_end_of_the_ring() -> None:
    small = open_ring(UdpAddress("127.0.0.1", 0), receive_buffer_bytes=4096)
    with closing(small) as source, closing(connected(source.local_address)) as sender:
        for _ in range(16):  # more than once around
            for _ in range(20):
                sender.send(bytes(30_000))
            count = 0
            while count < 20:
                batch = source.read()
                assert (batch.offset + SLACK_BYTES <= len(batch.flat)).all()
                assert not any(batch.flat[end - 1] for end in (batch.offset + batch.length).tolist())
                count += len(batch)
        assert source.kernel_drops == 0


def test_a_batch_takes_no_more_than_its_size_and_super_packets_go_on_in_the_next() -> None:
    bound = bind_udp(UdpAddress("127.0.0.1", 0), 8 << 20)
    senders = EndpointTable().add_input(bound.address)
    with closing(RingSource(bound, senders, WallClock(), 4)) as source, closing(connected(bound.address)) as sender:
        sender.send(b"first")
        sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 10)
        sender.send(bytes(range(95)))
        sizes, data = [], []
        while sum(sizes) < 11:
            batch = source.read()
            if len(batch):
                sizes.append(len(batch))
                data += [batch.datagram(row) for row in range(len(batch))]
                assert source.drained == (sum(sizes) == 11)
    assert sizes == [4, 4, 3]
    assert b"".join(data[1:]) == bytes(range(95))


def test_what_is_still_to_come_arrived_after_what_it_says() -> None:
    with closing(open_ring(UdpAddress("127.0.0.1", 0))) as source, closing(connected(source.local_address)) as sender:
        assert len(source.read()) == 0
        assert source.drained
        assert source.unread_since_ns is None, "a block with nothing in it hides nothing"
        for _ in range(20):
            before_ns = time.time_ns()
            sender.send(b"x")
            count = 0
            while count == 0:
                batch = source.read()
                count = len(batch)
                if not count and source.unread_since_ns is not None:
                    assert source.unread_since_ns <= before_ns + 1_000_000
            assert source.unread_since_ns is None


def test_what_found_no_room_is_counted() -> None:
    with (
        closing(open_ring(UdpAddress("127.0.0.1", 0), receive_buffer_bytes=4096)) as source,
        closing(connected(source.local_address)) as sender,
    ):
        assert source.receive_buffer_bytes == 4 << 20
        for _ in range(120):
            sender.send(bytes(60_000))
        received = len(read_rows(source, lambda rows: len(rows) + (source.kernel_drops or 0) == 120))
        assert 0 < received < 120
        assert len(source.read()) == 0  # which gives back what the last one was read from
        for _ in range(10):
            sender.send(bytes(60_000))
        sender.send(LAST)
        assert len(read_rows(source, is_last)) == 11, "it goes on as if nothing had been"
        assert received + source.kernel_drops == 120


def test_what_the_socket_had_before_comes_first_and_nothing_comes_twice() -> None:
    bound = bind_group(UdpAddress("127.0.0.1", 0), 1)[0]
    with closing(connected(bound.address)) as sender:
        sent = [b"%d" % number for number in range(300)]
        for data in sent[:200]:
            sender.send(data)
        with closing(open_ring(bound)) as source:
            for data in [*sent[200:], LAST]:
                sender.send(data)
            assert [row[0] for row in read_rows(source, is_last)] == [*sent, LAST]


def test_what_came_to_both_while_the_ring_took_over_comes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = bind_group(UdpAddress("127.0.0.1", 0), 1)[0]
    real = RingSource._close_socket_to_all
    with closing(connected(bound.address)) as sender:
        sender.send(b"before")

        def close_late(sock: socket.socket) -> None:
            for _ in range(3):
                sender.send(b"between")
            real(sock)

        monkeypatch.setattr(RingSource, "_close_socket_to_all", staticmethod(close_late))
        with closing(open_ring(bound)) as source:
            sender.send(b"behind")
            sender.send(LAST)
            received = [row[0] for row in read_rows(source, is_last)]
    assert received == [b"before", b"between", b"between", b"between", b"behind", LAST]


def test_what_is_no_strep_is_marked_where_only_that_is_taken() -> None:
    bound = bind_group(UdpAddress("127.0.0.1", 0), 1, strep_only=True)[0]
    opening = Opening(Receive.RING)
    with closing(opening.open(bound, EndpointTable(), WallClock(), strep_only=True)) as source:
        with closing(connected(bound.address)) as sender:
            sender.send(b"no STREP" * 10)
        sources: list[int] = []
        while not sources:
            sources += source.read().source.tolist()
        assert sources == [NOT_STREP]
        assert source.kernel_refused is None


def test_a_closed_ring_refuses_to_read_and_its_batches_stay() -> None:
    source = open_ring(UdpAddress("127.0.0.1", 0))
    with closing(connected(source.local_address)) as sender:
        sender.send(b"stays")
    batch = source.read()
    while not len(batch):
        batch = source.read()
    source.close()
    assert batch.datagram(0) == b"stays"
    with pytest.raises(ReceiveError, match="expected an open socket, found it closed"):
        source.read()


def ethernet(packet: bytes, to: bytes = MAC, tag: bytes = b"") -> bytes:
    kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
    return to + bytes.fromhex("020000000015") + tag + kind + packet


def damaged(packet: bytes, at: int) -> bytes:
    return packet[:at] + bytes([packet[at] ^ 0x55]) + packet[at + 1 :]


def checked(header: bytes) -> bytes:
    """Give an IPv4 header its checksum."""
    words = struct.unpack(f">{len(header) // 2}H", header[:10] + bytes(2) + header[12:])
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    return header[:10] + struct.pack(">H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + header[12:]


A, B = "10.0.2.15:28102", "10.0.2.20:6000"
A6, B6 = "[2001:db8::1]:28102", "[2001:db8::2]:6000"
LONG = bytes(range(256)) * 8
PLAIN, PLAIN6 = udp_packet(A, B, b"plain" * 30), udp_packet(A6, B6, b"plain" * 30)
LONGER = b"\x46" + PLAIN[1:2] + struct.pack(">H", len(PLAIN) + 4) + PLAIN[4:20] + b"\1\1\1\0"
WITH_OPTIONS = checked(LONGER) + PLAIN[20:]
PARTS = ipv4_fragments(LONG, 808)
FRAMES: dict[str, list[bytes]] = {
    "plain": [ethernet(PLAIN)],
    "padding behind": [ethernet(PLAIN) + bytes(40)],
    "IPv4 options": [ethernet(WITH_OPTIONS)],
    "no checksum": [ethernet(PLAIN[:26] + bytes(2) + PLAIN[28:])],
    "a wrong checksum": [ethernet(damaged(PLAIN, 27))],
    "a wrong bit": [ethernet(damaged(PLAIN, 99))],
    "a wrong IP checksum": [ethernet(damaged(PLAIN, 10))],
    "UDP longer than IP": [ethernet(PLAIN[:24] + b"\xff" + PLAIN[25:])],
    "IP longer than the frame": [ethernet(PLAIN)[:-3]],
    "another port": [ethernet(udp_packet(A, "10.0.2.20:6001", b"other"))],
    "another address": [ethernet(udp_packet(A, "10.0.2.21:6000", b"other"))],
    "another machine": [ethernet(PLAIN, to=bytes.fromhex("020000000099"))],
    "for all": [ethernet(PLAIN, to=b"\xff" * 6)],
    "a priority tag": [ethernet(PLAIN, tag=b"\x81\x00\xa0\x00")],
    "another VLAN": [ethernet(PLAIN, tag=b"\x81\x00\x00\x05")],
    "fragments": [*map(ethernet, PARTS)],
    "fragments turned round": [*map(ethernet, reversed(PARTS))],
    "fragments, one missing": [*map(ethernet, PARTS[:2])],
    "fragments, one twice": [*map(ethernet, PARTS[:2] + PARTS[1:])],
    "fragments, damaged": [*map(ethernet, [PARTS[0], damaged(PARTS[1], 99), PARTS[2]])],
    "many fragmented": [ethernet(f) for number in range(40) for f in ipv4_fragments(LONG, 808, identification=number)],
    "IPv6": [ethernet(PLAIN6)],
    "IPv6, no checksum": [ethernet(PLAIN6[:46] + bytes(2) + PLAIN6[48:])],
    "IPv6, a wrong checksum": [ethernet(damaged(PLAIN6, 99))],
    "IPv6, another port": [ethernet(udp_packet(A6, "[2001:db8::2]:6001", b"other"))],
    "IPv6, another address": [ethernet(udp_packet(A6, "[2001:db8::9]:6000", b"other"))],
    "IPv6, a destination option": [ethernet(ipv6_with(PLAIN6, [(60, bytes([17, 0, 1, 4, 0, 0, 0, 0]))]))],
    "IPv6, an option, damaged": [ethernet(damaged(ipv6_with(PLAIN6, [(60, bytes([17, 0, 1, 4, 0, 0, 0, 0]))]), 99))],
    "IPv6 fragments": [*map(ethernet, ipv6_fragments(LONG, 808))],
    "IPv6 fragments turned round": [*map(ethernet, reversed(ipv6_fragments(LONG, 808)))],
}


#: Of these, nothing is to be heard.
SILENT = {name for name in FRAMES if any(word in name for word in ("wrong", "damaged", "longer", "another", "missing"))}
SILENT |= {"IPv6, no checksum"}


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with closing(Network()) as made:
        yield made


@needs_network
@pytest.mark.parametrize("name", FRAMES)
def test_frames_become_the_datagrams_that_the_kernel_makes_of_them(name: str, network: Network) -> None:
    is_ipv6 = FRAMES[name][0][14] >> 4 == 6
    host, last = ("2001:db8::2", udp_packet(A6, B6, LAST)) if is_ipv6 else ("10.0.2.20", udp_packet(A, B, LAST))
    with closing(network.run(lambda: Both(host, 6000))) as both:
        for frame in [*FRAMES[name], ethernet(last)]:
            network.put(frame)
        by_ring, by_socket = both.read()
        assert by_ring == by_socket
        assert both.ring.kernel_drops == any(word in name for word in ("wrong", "damaged", "longer", "IPv6, no"))
        assert len(by_ring) - 1 == (0 if name in SILENT else 40 if name == "many fragmented" else 1)


@needs_network
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_datagrams_longer_than_the_link_carries_are_put_together(host: str) -> None:
    with closing(Network()) as network:
        network.carry_at_most(1280)
        with (
            closing(network.run(lambda: Both(host))) as both,
            closing(network.run(lambda: connected(both.address))) as one,
        ):
            for data in (b"short", LONG, LONG * 25, b"x" * 1252, LAST):
                one.send(data)
            by_ring, by_socket = both.read()
    assert by_ring == by_socket
    assert len(by_ring) == 5


ALLOWED = [
    (["10.0.2.15"], True),
    (["10.0.2.0/28"], True),
    (["10.0.3.0/24", "10.0.2.15/32", "2001:db8::/32"], True),
    (["10.0.2.16/28", "192.0.2.0/24"], False),
    (["0.0.0.0/0"], True),
    (["::/0"], False),
    ([], False),
]


@needs_network
@pytest.mark.parametrize(("allow", "is_heard"), ALLOWED)
def test_the_kernel_keeps_out_who_is_in_no_allowed_network(allow: list[str], is_heard: bool, network: Network) -> None:
    check_allowed(network, "10.0.2.20", allow, is_heard)


@needs_network
@pytest.mark.parametrize(
    ("allow", "is_heard"),
    [(["2001:db8::/33"], True), (["2001:db8::1"], True), (["2001:db8:1::/48", "0.0.0.0/0"], False), (["::/0"], True)],
)
def test_it_does_so_for_ipv6(allow: list[str], is_heard: bool, network: Network) -> None:
    check_allowed(network, "2001:db8::2", allow, is_heard)


def check_allowed(network: Network, host: str, allow: list[str], is_heard: bool) -> None:
    """Let a datagram arrive at a ring that hears some, and at one that hears all."""
    bound = network.run(lambda: bind_udp(UdpAddress(host, 6000)))
    with ExitStack() as stack:
        stack.callback(bound.close)
        sources: list[DatagramSource] = []
        for networks in (Networks.parse(allow), None):
            opened = network.run(lambda networks=networks: open_ring(beside(bound), allow=networks))
            sources.append(stack.enter_context(closing(opened)))
        network.put(ethernet(udp_packet(A, B, LAST) if host == "10.0.2.20" else udp_packet(A6, B6, LAST)))
        read_rows(sources[1], is_last)
        if is_heard:
            read_rows(sources[0], is_last)
        assert len(sources[0].read()) == 0
        assert sources[0].unread_since_ns is None, "nor is anything to come"
        assert sources[0].kernel_refused == (not is_heard)


def test_a_ring_of_the_loopback_listens_nowhere_else() -> None:
    assert interface_of(UdpAddress("127.0.0.1", 1)) == interface_of(UdpAddress("::1", 1)) == "lo"
    assert interface_of(UdpAddress("192.0.2.1", 1)) == interface_of(UdpAddress("0.0.0.0", 1)) == ""
