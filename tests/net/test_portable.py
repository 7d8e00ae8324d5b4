"""What the portable loop does besides what every source does (see test_source)."""

import socket
from collections.abc import Iterator

import pytest

from strep.net.address import UdpAddress
from strep.net.source import DatagramSource
from strep.net.udp import open_udp


@pytest.fixture
def source() -> Iterator[DatagramSource]:
    opened = open_udp(UdpAddress("127.0.0.1", 0), batch_datagrams=8, portable=True)
    yield opened
    opened.close()


@pytest.fixture
def sender(source: DatagramSource) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", source.local_address.port))
        yield sock


def test_datagrams_lie_one_behind_the_other(source: DatagramSource, sender: socket.socket) -> None:
    for data in (b"abc", b"", b"de"):
        sender.send(data)
    batch = source.read()
    assert batch.offset.tolist() == [0, 3, 3]
    assert bytes(batch.flat[:5]) == b"abcde"


def test_long_datagrams_are_whole_and_end_a_batch_early(source: DatagramSource, sender: socket.socket) -> None:
    sent = [bytes([number]) * 60_000 for number in range(3)]
    for data in sent:
        sender.send(data)
    received = []
    while not source.drained:
        batch = source.read()
        assert len(batch) < 3
        received += [batch.datagram(row) for row in range(len(batch))]
    assert received == sent
