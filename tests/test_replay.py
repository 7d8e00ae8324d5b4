"""The same datagrams give the same recordings, byte for byte, whenever and in whatever portions they are read."""

from pathlib import Path

import pytest

from strep.live.offline import read_capture
from strep.live.pipeline import Pipeline
from strep.net.capture import open_capture
from strep.net.capture.writer import PcapWriter
from strep.sinks.recordings import RecordingSink
from strep.stream.engine import Engine, EngineConfig
from strep.stream.outbox import Output
from tests.conftest import CAPTURES
from tests.traffic import MS, START_NS, Sender

#: Loss, duplicates, jitter, a gap of half a second, and a codec with a past.
REAL = "sippy-rtpproxy/extractaudio__call1_gsm.a.rtp.converted.pcap"


def stream(leg: int, direction: int) -> list[tuple[float, bytes]]:
    """Loss, a pause, an SSRC change, a digit, a change of format (and rate), an overtaken packet and one too late."""
    sender = Sender(leg, direction, seed=2 * leg + direction)
    arrivals, now_ms = [], 13.0 * direction + 40 * leg
    for n in range(200):
        if n == 50:
            sender.timestamp += 8 * 1700
            now_ms += 1700
        elif n == 80:
            sender.ssrc += 1
        elif n == 120:
            sender.payload_type = 9 if direction else 8
        is_event = 95 <= n < 99
        event = {"payload": bytes((3, 0x80 * (n == 98) | 10, 0, n)), "payload_type": 101}
        datagram = sender.packet(**event) if is_event else sender.packet()
        if n % 37 not in (9, 10):
            arrivals.append((now_ms + {20: 25, 60: 99, 140: 160}.get(n, n * 7 % 11), datagram))
        now_ms += 20
    return arrivals


def hand_made(path: Path) -> Path:
    arrivals = sorted(arrival for leg in (0, 1) for direction in (0, 1) for arrival in stream(leg, direction))
    with PcapWriter(path) as writer:
        for ms, datagram in arrivals:
            writer.write(START_NS + int(ms * MS), "192.0.2.1:4000", "192.0.2.2:5000", datagram)
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


class Log:
    """Is a sink that writes down every event."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def event(self, event: Output) -> None:
        self.events.append(str(event))

    def block(self, block: Output) -> None:
        pass

    def flush(self, now_ns: int) -> None:
        pass

    def close(self) -> None:
        pass


def record(capture: Path, folder: Path) -> tuple[dict[str, bytes], list[str]]:
    log = Log()
    read_capture(capture, sinks=[RecordingSink(folder), log])
    return files(folder), log.events


@pytest.fixture(scope="module", params=["hand-made", REAL])
def capture(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "hand-made":
        return hand_made(tmp_path_factory.mktemp("capture") / "hand-made.pcap")
    if not CAPTURES.is_dir():
        pytest.skip("needs the folder of real captures beside the checkout")
    return CAPTURES / request.param


@pytest.fixture(scope="module")
def first(capture: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], list[str]]:
    """Give what the first reading recorded, and its events."""
    return record(capture, tmp_path_factory.mktemp("first"))


def test_reading_a_capture_twice_gives_the_same_bytes_and_events(capture: Path, first, tmp_path: Path) -> None:
    second = record(capture, tmp_path)
    assert first[1] == second[1]
    assert first[0] == second[0]
    assert {name.rpartition(".")[2] for name in first[0]} == {"wav", "json"}


@pytest.mark.parametrize("portion", [(0, 1), (1_500_000_000, 100_000)], ids=["one by one", "all at once"])
def test_the_portions_in_which_it_is_read_change_no_recording(
    capture: Path, first, tmp_path: Path, portion: tuple[int, int]
) -> None:
    reader, config = open_capture(capture), EngineConfig(idle_timeout_s=86_400)
    pipeline = Pipeline(Engine(config), [RecordingSink(tmp_path)])
    for batch in reader.batches(*portion):
        pipeline.feed(batch)
        pipeline.advance(int(batch.arrival_ns[-1]))
    pipeline.close()
    assert files(tmp_path) == first[0]


def test_the_hand_made_call_has_all_that_can_go_wrong(tmp_path: Path) -> None:
    result = read_capture(hand_made(tmp_path / "call.pcap"))
    assert len(result.streams) == 4
    for report in result.streams:
        assert len(report.sources) == 2
        assert report.fates["late"] == 1
        assert sum(source.reordered for source in report.sources) >= 2
        assert min(report.samples_by_state[name] for name in ("received", "concealed", "silence")) > 0
    assert sorted(report.sample_rate_hz for report in result.streams) == [8000, 8000, 16_000, 16_000]
