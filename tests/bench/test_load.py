"""A load is what is sent; who sends it is another process, which tells how well it did."""

import socket
import sys

import pytest

from bench import BenchError
from bench.load import Load, free_ports, kept_pace, send
from strep.net.address import UdpAddress

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the generator is Linux's")


@pytest.mark.parametrize(
    ("calls", "seconds", "codec", "message"),
    [
        (0, 1, "PCMU", "expected 1 to"),
        (1_000_000, 1, "PCMU", "expected 1 to"),
        (1, 0, "PCMU", "at least 1 second"),
        (1, 1, "G729", "found codec 'G729'"),
    ],
)
def test_a_load_that_cannot_be_is_refused(calls: int, seconds: int, codec: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        Load(calls, seconds, codec)


def test_a_load_has_its_traffic() -> None:
    load = Load(3, 2, "G722", seed=7, plain=True)
    traffic = load.traffic()
    assert (traffic.calls, traffic.codec, traffic.seed, traffic.plain) == (3, "G722", 7, True)
    assert load.packets == 100


@pytest.mark.thorough
def test_a_generator_that_fails_is_noticed() -> None:
    with pytest.raises(BenchError, match="expected the traffic generator to succeed"):
        send(Load(1, 1), UdpAddress("127.0.0.1", 0), cpu=None)


@pytest.mark.bench
@pytest.mark.parametrize("load", [Load(2, 1, "OPUS", gso=True), Load(2, 1, plain=True)])
def test_the_generator_is_told_all_of_a_load(load: Load) -> None:
    port = free_ports(4)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", port))
        sent = send(load, UdpAddress("127.0.0.1", port), cpu=None)
        packet = receiver.recv(2048)
    assert sent["packets_sent"] == 4 * load.packets
    assert packet == first_of(load, stream=0 if load.plain else None)
    assert sent["end_ns"] > sent["begin_ns"]


def first_of(load: Load, stream: int | None) -> bytes | None:
    traffic = load.traffic()
    return next(
        traffic.packet(number)
        for number in range(4)
        if stream in (None, int(traffic.streams_of(number, number + 1)[0]))
    )


def test_a_sender_half_a_packet_behind_did_not_keep_pace() -> None:
    assert kept_pace({"mean_lateness_ms": 10.0})
    assert not kept_pace({"mean_lateness_ms": 10.1})


def test_ports_are_free_with_their_neighbours() -> None:
    first = free_ports(2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", first + 3))
        assert free_ports(2) != first
