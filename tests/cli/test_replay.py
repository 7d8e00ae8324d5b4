import signal
import socket
import sys

import pytest

from strep.cli import replay as command
from strep.net.schedule import call_leg_id_of
from strep.wire.strep import StrepHeader
from tests.cli.conftest import SIP, A, B, call_datagrams, write_capture
from tests.receiving import BOUND_S


@pytest.fixture
def listener():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(BOUND_S)
        yield sock


def address(listener):
    return f"udp:127.0.0.1:{listener.getsockname()[1]}"


def test_the_media_of_a_capture_goes_out_as_it_is(strep, capture, listener):
    outcome = strep("replay", capture, address(listener), "--speed", "max", "--json")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    sent = [datagram for *_, datagram in call_datagrams()]
    assert [listener.recv(2000) for _ in sent] == sent
    assert outcome.json | {"duration_s": 0} == {
        "destination": address(listener),
        "datagrams": 201,
        "sent": 200,
        "sent_bytes": 200 * 196,
        "left_out": 1,
        "refused": 0,
        "retried": 0,
        "unheard": 0,
        "duration_s": 0,
    }


def test_plain_rtp_becomes_a_fork(strep, plain_capture, listener):
    outcome = strep("replay", plain_capture, address(listener), "--speed", "max", "--encapsulate")
    assert outcome.stdout.startswith(f"sent 200 datagrams (39200 bytes) to {address(listener)} in 0.")
    assert outcome.stdout.endswith(" s; 0 others left out\n")
    call_leg_id = call_leg_id_of("192.0.2.1_4000-192.0.2.2_5000")
    received = [listener.recv(2000) for _ in range(200)]
    assert [StrepHeader.parse(data) for data in received] == [StrepHeader(call_leg_id, 0, d) for d in (0, 1)] * 100
    assert [data[24:] for data in received] == [datagram for *_, datagram in call_datagrams(strep=False)]


def test_the_pace_is_the_capture_s_times_the_speed(strep, capture, listener):
    slow, fast = (strep("replay", capture, address(listener), "--speed", speed, "--json") for speed in ("2", "40"))
    assert slow.json["duration_s"] > 0.95
    assert 0.04 < fast.json["duration_s"] < slow.json["duration_s"]


def test_a_capture_without_media_is_an_error(strep, tmp_path):
    path = write_capture(tmp_path / "sip.pcap", [(0, A, B, SIP)])
    outcome = strep("replay", path, "udp:127.0.0.1:9")
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.error == f"{path}: expected RTP or STREP to send, found none in 1 datagram"


@pytest.mark.parametrize(
    ("destination", "options", "message"),
    [
        ("127.0.0.1:9", (), "expected 'udp:IP:PORT'"),
        ("udp:localhost:9", (), "expected an IP address in udp:IP:PORT"),
        ("udp:127.0.0.1:0", (), "expected the address of one host and a port from 1"),
        ("udp:127.0.0.1:9", ("--speed", "fast"), "expected a speed like 1, 0.5 or max, found 'fast'"),
    ],
)
def test_what_cannot_work_is_one_line(strep, capture, destination, options, message):
    outcome = strep("replay", capture, destination, *options)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert outcome.error.startswith(message)


@pytest.mark.skipif(sys.platform != "linux", reason="whether one is told depends on the system")
def test_a_port_where_nobody_listens_is_noticed_and_makes_it_fail(strep, capture, listener):
    where = address(listener)
    listener.close()
    outcome = strep("replay", capture, where, "--speed", "max", "--json")
    assert outcome.exit_code == 1
    assert (outcome.json["sent"], outcome.json["unheard"], outcome.json["refused"]) == (200, 200, 0)
    assert outcome.error == f"200 datagrams were refused by {where}: is anybody listening there?"


@pytest.mark.skipif(sys.platform != "linux", reason="whether one is told depends on the system")
def test_a_listener_that_ends_in_between_is_noticed_and_makes_nothing_fail(strep, capture, listener, monkeypatch):
    def end(self, description, done, total):
        if description == "sending" and done == 199:
            listener.close()

    monkeypatch.setattr(command.Bar, "show", end)
    where = address(listener)
    outcome = strep("replay", capture, where, "--speed", "max")
    assert outcome.exit_code == 0
    assert outcome.error == f"1 datagram was refused by {where}: is anybody listening there?"


def test_what_the_system_refuses_makes_it_fail(strep, tmp_path):
    # 65,507 bytes fit into IPv4, but not with a STREP header in front.
    large = call_datagrams(1, strep=False)[0][3] + bytes(65_507 - 172)
    path = write_capture(tmp_path / "large.pcap", [(0, A, B, large)])
    outcome = strep("replay", path, "udp:127.0.0.1:9", "--encapsulate", "--json")
    assert outcome.exit_code == 1
    assert outcome.json["refused"] == 1
    assert outcome.error == "the system refused 1 datagram, the first because of: Message too long"


def test_an_interruption_says_how_much_went_out(strep, capture, monkeypatch):
    def interrupt(self, description, done, total):
        if description == "sending" and done == 5:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(command.Bar, "show", interrupt)
    outcome = strep("replay", capture, "udp:127.0.0.1:9", "--speed", "max")
    assert (outcome.exit_code, outcome.stdout) == (130, "")
    assert outcome.stderr.splitlines() == [
        f"strep: {capture}: not sent to its end: 5 datagrams went out",
        "strep: interrupted",
    ]
