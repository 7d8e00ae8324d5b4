"""tshark looks at what the emulator sends: it is RTP, and tshark counts the same losses and jitter in it as we do."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import strep
from strep.emulator import CODECS, Impairments, Platform
from strep.emulator.media import ForkDatagram
from strep.net.capture.writer import PcapWriter
from strep.stream.events import SourceReport
from strep.wire.rtp import RtpPacket
from tests.emulator.conftest import KeptForks
from tests.receiving import BOUND_S
from tests.traffic import START_NS

pytestmark = pytest.mark.peer

STREP_BYTES = 24
PORT = 9000
CASES = {
    "nothing": Impairments(seed=1),
    "loss": Impairments(loss=0.05, seed=2),
    "duplicates": Impairments(duplicate=0.05, seed=3),
    "jitter": Impairments(jitter_ms=30, seed=4),
    "loss and duplicates and jitter": Impairments(loss=0.1, duplicate=0.1, jitter_ms=60, seed=5),
    "reordering": Impairments(reorder=0.05, seed=6),
    "all of it": Impairments(loss=0.05, duplicate=0.05, reorder=0.05, jitter_ms=30, seed=7),
    "all of it, and worse": Impairments(loss=0.3, duplicate=0.1, reorder=0.2, jitter_ms=150, seed=8),
}
ENCODINGS = ["PCMU", "PCMA", "G722"]  # tshark knows the clocks of static payload types only


def emulated(case: int, encoding: str, impairments: Impairments) -> list[ForkDatagram]:
    """Give all that one fork sends."""
    forks = KeptForks()
    platform = Platform(seed=case, sender=forks)
    call = platform.add_call(encoding, waits_for_fork=True, impairments=impairments)
    platform.command(call.call_control_id, "fork_start", {"target": f"udp:192.0.2.2:{PORT}"})
    return list(forks.forks[0].media())


@dataclass(frozen=True)
class Sent:
    """Is one datagram in the capture, its STREP header taken off again."""

    time_ns: int
    sender: str
    rtp: bytes
    strep: bytes


def all_calls() -> dict[str, list[Sent]]:
    """Give every case in one encoding or another, each sent from ports of its own."""
    calls = {}
    for number, (name, impairments) in enumerate(CASES.items()):
        calls[name] = [
            # Whole microseconds: tshark's own arithmetic is in floating point milliseconds since the capture began.
            Sent(
                START_NS + datagram.offset_ns // 1000 * 1000,
                f"192.0.2.1:{4000 + 10 * number + 2 * datagram.stream}",
                datagram.data[STREP_BYTES:],
                datagram.data[:STREP_BYTES],
            )
            for datagram in emulated(number, ENCODINGS[number % len(ENCODINGS)], impairments)
        ]
    return calls


def write_capture(path: Path, sent: list[Sent], *, strep_header: bool = False) -> Path:
    with PcapWriter(path) as writer:
        for one in sorted(sent, key=lambda one: one.time_ns):
            data = one.strep + one.rtp if strep_header else one.rtp
            writer.write(one.time_ns, one.sender, f"192.0.2.2:{PORT}", data)
    return path


def tshark(path: Path, *options: str) -> str:
    command = ["tshark", "-n", "-r", str(path), "-d", f"udp.port=={PORT},rtp", *options]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=BOUND_S).stdout


@dataclass(frozen=True)
class Count:
    """Is a line of tshark's table of streams."""

    packets: int
    lost: int
    max_delta_ms: float
    mean_jitter_ms: float
    max_jitter_ms: float


_LINE = re.compile(
    r"192\.0\.2\.1 +(?P<port>\d+) +192\.0\.2\.2 +9000 +0x(?P<ssrc>[0-9A-F]{8}) +\S+ +(?P<packets>\d+) +(?P<lost>-?\d+)"
    r" \(\S+\) +\S+ +\S+ +(?P<max_delta>\S+) +\S+ +(?P<mean_jitter>\S+) +(?P<max_jitter>\S+)"
)


def table_of_streams(path: Path) -> dict[tuple[str, int], Count]:
    """Read tshark's table, by sender and SSRC."""
    return {
        (f"192.0.2.1:{m['port']}", int(m["ssrc"], 16)): Count(
            int(m["packets"]), int(m["lost"]), float(m["max_delta"]), float(m["mean_jitter"]), float(m["max_jitter"])
        )
        for m in _LINE.finditer(tshark(path, "-q", "-z", "rtp,streams"))
    }


@dataclass(frozen=True)
class Judged:
    """Is what both said of the same streams, by sender and SSRC."""

    calls: dict[str, list[Sent]]
    ours: dict[tuple[str, int], SourceReport]
    theirs: dict[tuple[str, int], Count]

    def pairs(self, case: str) -> list[tuple[SourceReport, Count, list[int]]]:
        """Give for both directions what we said, what tshark said, and the sequence numbers in order of sending."""
        sequences: dict[tuple[str, int], list[int]] = {}
        for one in self.calls[case]:
            packet = RtpPacket.parse(one.rtp)
            sequences.setdefault((one.sender, packet.ssrc), []).append(packet.sequence_number)
        assert len(sequences) == 2
        return [(self.ours[key], self.theirs[key], numbers) for key, numbers in sequences.items()]


@pytest.fixture(scope="module")
def all_judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    calls, folder = all_calls(), tmp_path_factory.mktemp("tshark")
    path = write_capture(folder / "rtp.pcap", [one for sent in calls.values() for one in sent])
    ours = {(s.source, s.ssrc): s for stream in strep.read_capture(path).streams for s in stream.sources}
    return Judged(calls, ours, table_of_streams(path))


@pytest.fixture
def judged(need: Callable[..., None], request: pytest.FixtureRequest) -> Judged:
    need("tshark")
    return request.getfixturevalue("all_judged")


def test_both_find_the_same_streams(judged: Judged) -> None:
    assert judged.ours.keys() == judged.theirs.keys()
    assert len(judged.ours) == 2 * len(CASES)


@pytest.mark.parametrize("case", list(CASES))
def test_both_count_the_same_packets_and_losses(judged: Judged, case: str) -> None:
    for ours, theirs, numbers in judged.pairs(case):
        assert theirs.packets == ours.packets == len(numbers)
        # tshark takes a duplicate for a packet that was expected, and begins to count at the first that came, also
        # when that had overtaken another.
        overtaken = max((numbers[0] - number) % 2**16 for number in numbers if (numbers[0] - number) % 2**16 < 2**15)
        assert theirs.lost == ours.lost - ours.duplicates - overtaken
        assert ours.duplicates == len(numbers) - len(set(numbers))


@pytest.mark.parametrize("case", list(CASES))
def test_both_measure_the_same_jitter(judged: Judged, case: str) -> None:
    for ours, theirs, numbers in judged.pairs(case):
        # Three decimals are printed. tshark leaves what the first packet had overtaken out of its mean and maximum; RFC
        # 3550 section 6.4.1 measures between packets in order of arrival, in sequence or not.
        overtaken = any(0 < (numbers[0] - number) % 2**16 < 2**15 for number in numbers)
        tolerance = {"rel": 0.005} if overtaken else {"abs": 0.0006}
        assert ours.mean_jitter_ms == pytest.approx(theirs.mean_jitter_ms, **tolerance)
        assert ours.max_jitter_ms == pytest.approx(theirs.max_jitter_ms, **tolerance)


@pytest.mark.parametrize("case", list(CASES))
def test_both_measure_the_same_longest_wait(judged: Judged, case: str) -> None:
    for ours, theirs, _ in judged.pairs(case):
        assert ours.max_delta_ms == pytest.approx(theirs.max_delta_ms, abs=0.0006)


def test_the_impairments_are_there_to_be_counted(judged: Judged) -> None:
    for ours, _, _ in judged.pairs("all of it"):
        assert ours.lost > 20
        assert ours.duplicates > 20
        assert ours.reordered > 20
        assert ours.max_jitter_ms > 5


@pytest.mark.thorough
def test_a_strep_header_changes_nothing_of_what_is_counted(judged: Judged, tmp_path: Path) -> None:
    path = write_capture(
        tmp_path / "strep.pcap", [s for sent in judged.calls.values() for s in sent], strep_header=True
    )
    wrapped = strep.read_capture(path)
    assert {(s.source, s.ssrc): s for stream in wrapped.streams for s in stream.sources} == judged.ours


@pytest.mark.parametrize("encoding", list(CODECS))
def test_every_datagram_of_the_emulator_is_rtp_to_tshark(
    encoding: str, need: Callable[..., None], tmp_path: Path
) -> None:
    need("tshark")
    datagrams = emulated(1, encoding, Impairments())[:200]
    sent = [Sent(START_NS + d.offset_ns, f"192.0.2.1:{4000 + d.stream}", d.data[STREP_BYTES:], b"") for d in datagrams]
    fields = ["version", "p_type", "seq", "timestamp", "ssrc", "payload", "marker"]
    names = [f"rtp.{field}" for field in fields] + ["udp.checksum.status", "_ws.expert"]
    options = [option for name in names for option in ("-e", name)]
    said = tshark(write_capture(tmp_path / "rtp.pcap", sent), "-o", "udp.check_checksum:TRUE", "-T", "fields", *options)
    expected = []
    for one in sent:
        packet = RtpPacket.parse(one.rtp)
        wire = [packet.payload_type, packet.sequence_number, packet.timestamp, f"0x{packet.ssrc:08x}"]
        expected.append(["2", *map(str, wire), packet.payload.hex(), "0", "1", ""])
    assert [line.split("\t") for line in said.splitlines()] == expected
