"""Reading a capture file: who may say what payload types mean, and what is told on the way."""

from pathlib import Path

import pytest

from strep.audio.formats import AudioFormat, PayloadTypeMap
from strep.errors import CaptureFileError
from strep.live.offline import read_capture
from strep.net.capture.writer import PcapWriter
from strep.stream.engine import EngineConfig
from strep.stream.events import StreamClosed
from tests.traffic import MS, START_NS, Sender, every, pcmu

SENDER, RECEIVER = "192.0.2.1:4000", "192.0.2.2:5000"
PCMA, PCMU = AudioFormat("PCMA", 8000, 8000), AudioFormat("PCMU", 8000, 8000)
SDP = f"INVITE sip:x SIP/2.0\r\n\r\nv=0\r\nc=IN IP4 192.0.2.2\r\nm=audio 5000 RTP/AVP 97\r\na=rtpmap:97 {PCMA}\r\n"


class Closes:
    """Is a sink that counts how often it was closed, and keeps the last event."""

    def __init__(self) -> None:
        self.closed, self.last = 0, None

    def event(self, event) -> None:
        self.last = event

    def block(self, block) -> None:
        pass

    def flush(self, now_ns: int) -> None:
        pass

    def close(self) -> None:
        self.closed += 1


def written(path: Path, arrivals: list[tuple[float, bytes]]) -> Path:
    with PcapWriter(path) as writer:
        for ms, datagram in arrivals:
            writer.write(START_NS + int(ms * MS), SENDER, RECEIVER, datagram)
    return path


@pytest.fixture
def call(tmp_path: Path) -> Path:
    packets = Sender(strep=False, payload_type=97).packets(10)
    return written(tmp_path / "call.pcap", [(0, SDP.encode()), *every(packets, start_ms=50)])


def meaning(path: Path, **kwargs) -> str:
    (stream,) = read_capture(path, **kwargs).streams
    return stream.sources[0].payload_types[97]


def test_sdp_in_the_file_says_what_payload_types_mean(call: Path) -> None:
    assert meaning(call) == "PCMA/8000"


def test_the_caller_goes_before_the_sdp(call: Path) -> None:
    assert meaning(call, payload_types={97: PCMU}) == "PCMU/8000"


def test_the_caller_of_one_stream_goes_before_both(call: Path) -> None:
    config = EngineConfig(payload_types_of=lambda identity, endpoint: PayloadTypeMap({97: PCMU}))
    assert meaning(call, config=config, payload_types={97: PCMA}) == "PCMU/8000"
    config = EngineConfig(payload_types_of=lambda identity, endpoint: None)
    assert meaning(call, config=config) == "PCMA/8000"


def test_an_hour_of_silence_is_no_end_of_the_call(tmp_path: Path) -> None:
    sender = Sender()
    before = every(sender.packets(10))
    path = written(tmp_path / "long.pcap", [*before, (3_600_000, sender.packet())])
    (stream,) = read_capture(path).streams
    assert stream.length_samples == 3600 * 8000 + 160


def test_reports_come_in_the_order_in_which_streams_began(tmp_path: Path) -> None:
    senders = [Sender(direction=1), Sender(), Sender(leg=1)]
    arrivals = sorted(
        every(senders[0].packets(3)) + every(senders[1].packets(3), 10) + every(senders[2].packets(3), 15)
    )
    streams = read_capture(written(tmp_path / "three.pcap", arrivals)).streams
    assert [(stream.identity.leg, stream.identity.direction) for stream in streams] == [(0, 1), (0, 0), (1, 0)]


def test_progress_of_both_passes_is_told_and_ends_at_the_end(call: Path) -> None:
    indexed, fed = [], []
    read_capture(call, indexed=lambda *done: indexed.append(done), fed=lambda *done: fed.append(done))
    assert indexed[-1] == (call.stat().st_size,) * 2
    assert fed[-1] == (11, 11)
    assert fed == sorted(fed)


def test_sinks_get_the_last_event_and_are_closed_once(call: Path) -> None:
    sink = Closes()
    read_capture(call, sinks=[sink])
    assert isinstance(sink.last, StreamClosed)
    assert sink.closed == 1


def test_sinks_are_closed_when_the_file_is_no_capture(tmp_path: Path) -> None:
    sink, path = Closes(), tmp_path / "no.pcap"
    path.write_bytes(b"no capture at all")
    with pytest.raises(CaptureFileError):
        read_capture(path, sinks=[sink])
    assert sink.closed == 1


def test_a_long_header_in_the_last_datagram_of_a_file_is_read_within_it(tmp_path: Path) -> None:
    plain, long = Sender(), Sender(direction=1)
    packets = plain.packets(12)
    fields = {"samples": 10, "extension": (0xBEDE, bytes(300))}
    arrivals = sorted([*every(packets), *((n * 20 + 1, long.packet(**fields)) for n in range(12))])
    result = read_capture(written(tmp_path / "end.pcap", arrivals))
    assert [stream.length_samples for stream in result.streams] == [len(pcmu(packets)), 120]
