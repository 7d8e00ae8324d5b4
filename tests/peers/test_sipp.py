"""A SIP call between two sipp, whose caller plays captures to our port: what is in the captures is in the recording."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile

import strep
from strep import Direction
from strep.net.address import UdpAddress
from strep.net.udp import open_udp
from strep.sinks.recordings import Recording
from strep.stream.events import Event, TelephoneEvent
from tests.live.test_pipeline import KeepingSink
from tests.peers.media import run_program
from tests.receiving import BOUND_S, RECEIVE_BUFFER_BYTES, recorded, streams_of

pytestmark = pytest.mark.peer

HERE = Path(__file__).parent
SPEECH, DIGIT = (Path("/usr/share/sip-tester") / name for name in ("g711a.pcap", "dtmf_2833_1.pcap"))


@dataclass(frozen=True)
class Outcome:
    """Is what came of the call."""

    recording: Recording
    events: list[Event]
    received: int
    counts: dict[str, int]


def may_open_raw_sockets() -> bool:
    """Tell whether sipp can play captures: it writes IP packets itself."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP).close()
    except PermissionError:
        return False
    return True


def free_port() -> int:
    source = open_udp(UdpAddress("127.0.0.1", 0))
    source.close()
    return source.local_address.port


async def hold_call(folder: Path) -> Outcome:
    sink, loopback = strep.RecordingSink(folder), UdpAddress("127.0.0.1", 0)
    common = f"-nostdin -m 1 -timeout {BOUND_S} -timeout_error -i 127.0.0.1 -mi 127.0.0.1 -ci 127.0.0.1".split()
    async with strep.Receiver(
        rx=loopback, tx=loopback, sinks=[sink], receive_buffer_bytes=RECEIVE_BUFFER_BYTES
    ) as receiver:
        events, sip_port, fork_port = receiver.events(), str(free_port()), str(receiver.addresses[0].port)
        callee = ["sipp", *common, "-sf", str(HERE / "sipp_callee.xml"), "-p", sip_port, "-key", "fork_port", fork_port]
        caller = ["sipp", *common, "-sf", str(HERE / "sipp_caller.xml"), f"127.0.0.1:{sip_port}"]
        async with asyncio.TaskGroup() as programs:
            programs.create_task(run_program(*callee))
            programs.create_task(run_program(*caller))
    (recording,) = sink.recordings
    return Outcome(recording, [event async for event in events], receiver.received, receiver.counts())


@pytest.fixture(scope="module")
def held_call(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return asyncio.run(hold_call(tmp_path_factory.mktemp("sipp")))


@pytest.fixture
def call(need: Callable[..., None], request: pytest.FixtureRequest) -> Outcome:
    need("sipp")
    if not may_open_raw_sockets():
        pytest.skip("needs the right to open raw sockets, with which sipp plays captures")
    assert SPEECH.exists(), "Debian's sip-tester brings it"
    return request.getfixturevalue("held_call")


def test_the_recording_holds_every_sample_of_the_capture(call: Outcome, tmp_path: Path) -> None:
    sink = strep.RecordingSink(tmp_path)
    strep.read_capture(SPEECH, sinks=[sink])
    (from_file,) = sink.recordings
    expected, rate_hz = soundfile.read(from_file.path, dtype="int16", always_2d=True)
    assert (rate_hz, len(expected)) == (8000, 236 * 240)
    assert (recorded(call.recording, Direction.INBOUND) == expected[:, Direction.INBOUND]).all()
    assert expected[:, Direction.INBOUND].std() > 100


def test_the_digit_is_an_event_behind_the_speech(call: Outcome) -> None:
    from_file = KeepingSink()
    strep.read_capture(DIGIT, sinks=[from_file])
    (expected,) = (event for event in from_file.outputs if isinstance(event, TelephoneEvent))
    (found,) = (event for event in call.events if isinstance(event, TelephoneEvent))
    assert (found.name, found.duration_ms, found.volume_dbm0, found.complete) == ("1", 280, -10, True)
    assert (found.event, found.duration_ms, found.volume_dbm0) == (
        expected.event,
        expected.duration_ms,
        expected.volume_dbm0,
    )
    assert found.position >= 236 * 240
    (stream,) = streams_of(call.recording)
    assert stream["telephone_events"]["count"] == 1


def test_every_datagram_is_counted(call: Outcome) -> None:
    # The digit's last packet is sent three times, as RFC 4733 section 2.5.1.4 wants it: here, with one sequence number.
    counts = {name: count for name, count in call.counts.items() if count}
    assert counts == {"accepted": 236 + 8, "duplicate": 2}
    assert sum(counts.values()) == call.received
