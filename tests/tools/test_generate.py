"""The traffic generator sends what the plan says, when the plan says."""

import ctypes
import errno
import json
import math
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from bench.load import free_ports
from strep.errors import ConfigError
from strep.net.address import UdpAddress
from strep.net.source import DatagramSource
from strep.net.udp import open_udp
from strep.wire.rtp import RtpPacket
from tools import generate
from tools.generate import BATCH_PACKETS, Report, Sender, send_traffic
from tools.traffic import Traffic, expected_payload, withheld

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sendmmsg is Linux's")
NOWHERE = UdpAddress("127.0.0.1", 9)


@pytest.fixture
def receiver() -> Iterator[DatagramSource]:
    source = open_udp(UdpAddress("127.0.0.1", 0))
    yield source
    source.close()


def received(source: DatagramSource) -> list[bytes]:
    datagrams: list[bytes] = []
    while True:
        batch = source.read()
        datagrams += [batch.datagram(row) for row in range(len(batch))]
        if source.drained:
            return datagrams


@pytest.mark.parametrize("gso", [False, True])
@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_exactly_the_planned_packets_arrive_in_order(receiver: DatagramSource, gso: bool, loss: float) -> None:
    traffic = Traffic(13, loss=loss)
    report = send_traffic(traffic, receiver.local_address, seconds=0.83, speed=math.inf, gso=gso)
    planned = [traffic.packet(number) for number in range(traffic.due(829))]
    assert len(planned) > BATCH_PACKETS
    assert received(receiver) == [packet for packet in planned if packet is not None]
    assert report.packets_sent + report.packets_withheld == len(planned)
    assert (report.packets_withheld > 0) == (loss > 0)


def test_plain_streams_go_each_to_a_port_of_its_own() -> None:
    first = free_ports(6)
    sources = [open_udp(UdpAddress("127.0.0.1", port)) for port in range(first, first + 12, 2)]
    try:
        traffic = Traffic(3, plain=True, loss=0.2)
        report = send_traffic(traffic, sources[0].local_address, seconds=0.4, speed=math.inf)
        heard = [[RtpPacket.parse(datagram).payload for datagram in received(source)] for source in sources]
    finally:
        for source in sources:
            source.close()
    for stream, payloads in enumerate(heard):
        sent = [expected_payload(stream // 2, stream % 2, k, 1) for k in range(20) if not withheld_one(stream, k)]
        assert payloads == sent
    assert report.packets_sent == sum(map(len, heard)) < 120


def withheld_one(stream: int, index: int) -> bool:
    return bool(withheld(np.array([stream]), np.array([index]), 0.2)[0])


def test_a_full_send_after_a_part_of_one_is_full_again(receiver: DatagramSource) -> None:
    traffic = Traffic(64)
    sender = Sender(receiver.local_address, Report(64), gso=True)
    for start, stop in [(0, 70), (70, 198)]:
        traffic.fill(sender.rows, start, stop)
        sender.send(stop - start)
    sender.close()
    assert received(receiver) == [traffic.packet(number) for number in range(198)]


class Life:
    """Stands in for the time module: time passes in sleep, which overshoots, and while packets are sent."""

    def __init__(self, a_packet_takes_ns: int) -> None:
        self.now_ns = 10**15
        self.a_packet_takes_ns = a_packet_takes_ns
        self.sent: list[tuple[float, int]] = []

    def monotonic_ns(self) -> int:
        return self.now_ns

    def time_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now_ns += int(seconds * 1e9) + 60_000

    def send(self, sender: Sender, packets: int) -> None:
        self.sent += [((self.now_ns - 10**15) / 1e6, packets)]
        self.now_ns += packets * self.a_packet_takes_ns


def lived(monkeypatch: pytest.MonkeyPatch, a_packet_takes_ns: int, speed: float = 1.0) -> tuple[Life, Report]:
    life = Life(a_packet_takes_ns)
    monkeypatch.setattr(generate, "time", life)
    monkeypatch.setattr(Sender, "send", lambda sender, packets, port: life.send(sender, packets))
    return life, send_traffic(Traffic(100), NOWHERE, seconds=0.2, speed=speed)


def test_each_packet_is_sent_in_its_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    life, report = lived(monkeypatch, a_packet_takes_ns=2000)
    sent_ms = np.repeat([ms for ms, _ in life.sent], [packets for _, packets in life.sent])
    due_ms = Traffic(100).due_ms(np.arange(2000))
    assert (np.floor(sent_ms) == due_ms).all()
    assert report.late_packets == 0
    assert 0 < report.mean_lateness_ms <= report.max_lateness_ms < 1


def test_at_double_speed_it_takes_half_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    life, report = lived(monkeypatch, a_packet_takes_ns=2000, speed=2.0)
    assert life.sent[-1][0] < 100
    assert report.seconds == pytest.approx(0.1, abs=0.002)


def test_a_sender_too_slow_sends_all_in_order_and_says_how_late(monkeypatch: pytest.MonkeyPatch) -> None:
    life, report = lived(monkeypatch, a_packet_takes_ns=200_000)  # 5,000 a second, half of what is due
    assert sum(packets for _, packets in life.sent) == 2000
    assert report.seconds == pytest.approx(0.4, abs=0.01)
    assert report.late_packets > 1900
    assert report.max_lateness_ms == pytest.approx(200, abs=2)  # the last: due after 200 ms, sent after 400
    assert report.mean_lateness_ms == pytest.approx(100, abs=5)


def test_a_system_that_has_no_room_is_asked_again_until_it_has_taken_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "time", Life(0))
    report = Report(1)
    sender = Sender(NOWHERE, report)
    answers = [3, -errno.ENOBUFS, -errno.EAGAIN, -errno.ECONNREFUSED, -errno.EINTR, 7]
    asked: list[tuple[int, int]] = []

    def sendmmsg(_fileno: int, at: int, messages: int, _flags: int) -> int:
        asked.append(((at - sender._headers.ctypes.data) // 64, messages))
        answer = answers.pop(0)
        ctypes.set_errno(max(0, -answer))
        return max(answer, -1)

    monkeypatch.setattr(sender, "_sendmmsg", sendmmsg)
    sender.send(10)
    sender.close()
    assert asked == [(0, 10)] + [(3, 7)] * 5
    assert (report.no_room, report.would_block, report.refused, report.packets_sent) == (1, 1, 1, 10)


def test_an_error_that_will_not_pass_is_raised() -> None:
    sender = Sender(NOWHERE, Report(1))
    sender.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        sender.send(1)


def test_the_command_reports_as_json(
    receiver: DatagramSource, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = f"generate --target {receiver.local_address} --calls 2 --seconds 1 --speed max --json"
    monkeypatch.setattr(sys, "argv", command.split())
    generate.main()
    report = json.loads(capsys.readouterr().out)
    assert (report["packets_sent"], report["refused"]) == (200, 0)
    assert len(received(receiver)) == 200


def test_the_command_refuses_what_cannot_be_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["generate", "--target", "udp:nowhere:9"])
    with pytest.raises(SystemExit) as end:
        generate.main()
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("error: expected an IP address")


@pytest.mark.parametrize(("seconds", "speed"), [(0, 1.0), (math.inf, 1.0), (1, 0.0), (math.nan, 1.0)])
def test_a_time_or_a_speed_that_cannot_be_is_refused(seconds: float, speed: float) -> None:
    with pytest.raises(ConfigError, match="expected a time and a speed above 0"):
        send_traffic(Traffic(1), NOWHERE, seconds=seconds, speed=speed)


@pytest.mark.parametrize(
    ("target", "gso", "message"),
    [
        (NOWHERE, True, "sent one by one"),
        (UdpAddress("::1", 9), False, "expected IPv4"),
        (UdpAddress("127.0.0.1", 65_534), False, "expected room for 4 even ports"),
    ],
)
def test_plain_streams_need_ports_and_packets_one_by_one(target: UdpAddress, gso: bool, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        send_traffic(Traffic(2, plain=True), target, seconds=1, gso=gso)


def test_an_address_to_listen_on_is_no_target() -> None:
    with pytest.raises(ConfigError, match="expected an address and a port to send to"):
        send_traffic(Traffic(1), UdpAddress("0.0.0.0", 9), seconds=1)
