"""Real calls, read as tshark, rtpproxy and a naive count of their packets read them."""

import re
import uuid
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import pytest

from strep.audio.block import AudioBlock, SampleState
from strep.audio.formats import AudioFormat
from strep.live.offline import CaptureResult, read_capture
from strep.net.capture import open_capture
from strep.net.capture.writer import PcapWriter
from strep.stream.events import Event, SourceReport, StreamOpened, TelephoneEvent
from strep.wire.strep import StrepHeader
from tests.conftest import CAPTURES
from tests.naive_datagram import parse_datagram

TELEPHONE_EVENT = AudioFormat("TELEPHONE-EVENT", 8000, 8000)
FAX, DTMF2 = "FAX-Call-t38-CA-TDM-SIP-FB-1.pcap", "SIP_DTMF2.cap"
#: What neither RFC 3551 nor SDP in the same file says.
PAYLOAD_TYPES = {FAX: {100: TELEPHONE_EVENT}}
#: Where tshark 4.0 is wrong about which packets there are.
WRONG_PACKETS = {
    (
        FAX,
        0x0EAF0EAF,
    ): "it reads packets as T.38 from the moment that SIP offers T.38, though RTP goes on: 1,838 of 3,848",
}
#: Where tshark 4.0 is wrong about jitter: what it prints is kept here to notice when that changes.
WRONG_JITTER = WRONG_PACKETS | {
    (FAX, 0x17D90134): "the timestamp steps back by 43 s once; it takes that for one packet that is 43 s late",
    (DTMF2, 0x5711BF84): (
        "events move the arrival time that it holds the next packet against, but not the timestamp, so that each of "
        "seven digits of 120 ms looks like 150 ms of jitter"
    ),
}
ROW = re.compile(
    r"\s+[\d.]+\s+[\d.]+\s+\S+\s+\d+\s+\S+\s+\d+\s+0x(?P<ssrc>[0-9A-F]{8})\s+.*?\s+(?P<packets>\d+)\s+(?P<lost>-?\d+) "
    r"\(-?[\d.]+%\)(?:\s+-?[\d.]+){2}\s+(?P<max_delta>-?[\d.]+)\s+-?[\d.]+\s+(?P<mean>-?[\d.]+)\s+(?P<max>-?[\d.]+)"
)
#: tshark prints milliseconds with three decimals.
PRINTED_MS = 0.001


@dataclass
class Printed:
    """Is what tshark prints about one stream."""

    packets: int
    lost: int
    max_delta_ms: float
    mean_jitter_ms: float
    max_jitter_ms: float


class Collector:
    """Is a sink that keeps everything."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.pieces: dict[int, list[tuple[int, int, SampleState, bytes]]] = {}

    def event(self, event: Event) -> None:
        self.events.append(event)

    def block(self, block: AudioBlock) -> None:
        for frame in block.frames():
            piece = (frame.position, frame.sample_rate_hz, frame.state, frame.samples.tobytes())
            self.pieces.setdefault(frame.slot, []).append(piece)

    def flush(self, now_ns: int) -> None:
        pass

    def close(self) -> None:
        pass

    def by_ssrc(self) -> dict[int, list]:
        opened = [event for event in self.events if isinstance(event, StreamOpened)]
        return {event.ssrc: self.pieces.get(event.slot, []) for event in opened}


def beside(suffix: str) -> list[Path]:
    """The captures that have such a file beside them."""
    return sorted(path.with_name(path.name.removesuffix(suffix)) for path in CAPTURES.rglob(f"*{suffix}"))


def each_capture(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.name)


@lru_cache(maxsize=64)
def read(path: Path) -> tuple[CaptureResult, list[Event]]:
    collector = Collector()
    result = read_capture(path, sinks=[collector], payload_types=PAYLOAD_TYPES.get(path.name))
    return result, collector.events


def sources(path: Path) -> dict[int, SourceReport]:
    reports = [source for stream in read(path)[0].streams for source in stream.sources]
    by_ssrc = {source.ssrc: source for source in reports}
    assert len(by_ssrc) == len(reports), "no SSRC occurs twice in these files"
    return by_ssrc


def tshark(path: Path) -> dict[int, Printed]:
    lines = path.with_name(f"{path.name}.streams.txt").read_text().splitlines()
    found = [match for match in map(ROW.match, lines) if match]
    return {
        int(row["ssrc"], 16): Printed(
            int(row["packets"]), int(row["lost"]), float(row["max_delta"]), float(row["mean"]), float(row["max"])
        )
        for row in found
    }


def naive_numbers(path: Path) -> dict[int, list[int]]:
    """Every packet's sequence number by SSRC, made unbounded by the step from the packet before."""
    numbers: dict[int, list[int]] = {}
    for batch in open_capture(path).batches(max_span_ns=10**12):
        for n in range(len(batch)):
            rtp = parse_datagram(batch.datagram(n)).rtp
            if rtp is None:
                continue
            seen = numbers.setdefault(rtp.ssrc, [])
            before = seen[-1] if seen else rtp.sequence_number
            step = (rtp.sequence_number - before) % 65_536
            seen.append(before + (step if step < 32_768 else step - 65_536))
    return numbers


STREAMS, EVENTS, OUTPUTS = beside(".streams.txt"), beside(".rtpevents.tsv"), beside(".output")


def test_the_captures_are_there(captures: Path) -> None:
    assert len(STREAMS) >= 22
    assert sum(len(tshark(path)) for path in STREAMS) >= 35
    assert len(EVENTS) >= 6


@each_capture(STREAMS)
def test_the_streams_are_those_that_tshark_finds(path: Path) -> None:
    found, expected = sources(path), tshark(path)
    assert found.keys() == expected.keys()
    packets = {ssrc: printed.packets for ssrc, printed in expected.items() if (path.name, ssrc) not in WRONG_PACKETS}
    assert {ssrc: found[ssrc].packets for ssrc in packets} == packets


@each_capture(STREAMS)
def test_loss_and_duplicates_are_what_a_naive_count_of_sequence_numbers_gives(path: Path) -> None:
    found, expected = sources(path), tshark(path)
    for ssrc, numbers in naive_numbers(path).items():
        source, distinct = found[ssrc], len(set(numbers))
        assert source.packets == len(numbers)
        assert source.expected == max(numbers) - min(numbers) + 1
        assert source.duplicates == len(numbers) - distinct
        assert source.lost == source.expected - distinct
        assert (source.restarts, source.rejected) == (0, 0)
        if (path.name, ssrc) not in WRONG_PACKETS:
            assert source.lost == expected[ssrc].lost + source.duplicates, "its lost is expected minus received"


@each_capture(STREAMS)
def test_jitter_is_within_5_percent_of_tsharks(path: Path) -> None:
    """Its mean weighs what it leaves out (events, markers) as if the mean had been measured there: up to 3 % here."""
    found = sources(path)
    for ssrc, printed in tshark(path).items():
        if printed.mean_jitter_ms <= 0 or (path.name, ssrc) in WRONG_JITTER:  # it does not know the clock, or is wrong
            continue
        assert found[ssrc].mean_jitter_ms == pytest.approx(printed.mean_jitter_ms, rel=0.05, abs=PRINTED_MS)
        assert found[ssrc].max_jitter_ms == pytest.approx(printed.max_jitter_ms, rel=0.05, abs=PRINTED_MS)


@each_capture(STREAMS)
def test_the_largest_interval_is_tsharks(path: Path) -> None:
    found = sources(path)
    for ssrc, printed in tshark(path).items():
        only_events = {"TELEPHONE-EVENT/8000"} == set(found[ssrc].payload_types.values())
        if (path.name, ssrc) not in WRONG_JITTER and not only_events:  # ours is told of audio alone
            assert found[ssrc].max_delta_ms == pytest.approx(printed.max_delta_ms, abs=PRINTED_MS)


def test_where_tshark_is_wrong_about_jitter_ours_is_what_the_audio_says(captures: Path) -> None:
    digits = captures / "wireshark-samples" / DTMF2
    assert tshark(digits)[0x5711BF84].mean_jitter_ms == 1.522
    assert sources(digits)[0x5711BF84].max_jitter_ms < 0.02, "the other direction, without digits, has 0.019"
    fax = captures / "wireshark-samples" / FAX
    assert tshark(fax)[0x17D90134].max_jitter_ms > 2700
    assert sources(fax)[0x17D90134].max_jitter_ms < 16, "one packet really comes 160 ms behind its timestamp"
    assert sources(fax)[0x0EAF0EAF].packets == 3848


@each_capture(OUTPUTS)
def test_counts_are_those_of_rtpproxy(path: Path) -> None:
    """Beside `X.a.rtp.converted.pcap` and `X.o.rtp.converted.pcap` lies what rtpproxy's extractaudio says of both."""
    text = path.with_name(f"{path.name}.output").read_text()
    pattern = r"ssrc=0x(\w+), duplicates=(\d+)\nssrc_changes=1, psent=(\d+), precvd=(\d+), plost=(\d+)"
    expected = {int(m[1], 16): tuple(map(int, m.groups()[1:])) for m in re.finditer(pattern, text)}
    found = {
        ssrc: (source.duplicates, source.expected, source.expected - source.lost, source.lost)
        for side in "ao"
        for ssrc, source in sources(path.with_name(f"{path.name}.{side}.rtp.converted.pcap")).items()
    }
    assert found == expected
    assert len(found) == 2


@each_capture(EVENTS)
def test_telephone_events_are_folded_as_their_packets_say(path: Path) -> None:
    folded: dict[tuple[str, int], list] = {}
    told_of = set()
    for line in path.with_name(f"{path.name}.rtpevents.tsv").read_text().splitlines():
        _, _, ssrc, _, timestamp, _, event, end, volume, duration = line.split("\t")
        told_of.add(int(ssrc, 16))
        one = folded.setdefault((timestamp, int(event)), [False, 0, 0])
        one[0] |= end == "1"
        one[1] = max(one[1], int(duration))
        one[2] = -int(volume)
    expected = [(event, complete, duration / 8, volume) for (_, event), (complete, duration, volume) in folded.items()]
    events = read(path)[1]
    slots = {event.slot for event in events if isinstance(event, StreamOpened) and event.ssrc in told_of}
    found = [event for event in events if isinstance(event, TelephoneEvent) and event.slot in slots]
    assert [(e.event, e.complete, e.duration_ms, e.volume_dbm0) for e in found] == expected
    assert all(earlier.position <= later.position for earlier, later in pairwise(found))


def test_the_digits_of_a_call_can_be_read(captures: Path) -> None:
    events = read(captures / "wireshark-samples" / DTMF2)[1]
    assert "".join(event.name for event in events if isinstance(event, TelephoneEvent)) == "6789123"


@each_capture(STREAMS)
def test_every_datagram_has_a_fate_and_every_sample_a_cause(path: Path) -> None:
    result, _ = read(path)
    assert sum(result.datagrams.values()) == len(result.reader)
    for stream in result.streams:
        assert sum(stream.samples_by_state.values()) == stream.length_samples
        assert min(stream.samples_by_state.values()) >= 0


@each_capture(STREAMS)
def test_a_recording_is_as_long_as_the_call(path: Path) -> None:
    """A stream is as long as it was heard for, but for the packet that is played after it came, and jitter."""
    for stream in read(path)[0].streams:
        if stream.length_samples:
            heard_s = (max(s.last_arrival_ns for s in stream.sources) - stream.start_ns) / 1e9
            assert stream.length_samples / stream.sample_rate_hz == pytest.approx(heard_s, abs=0.6)


@pytest.mark.parametrize("name", [DTMF2, "sip-rtp-g722.pcap"])
def test_wrapped_in_strep_it_is_the_same_audio(captures: Path, tmp_path: Path, name: str) -> None:
    plain = captures / "wireshark-samples" / name
    call_leg_id = uuid.UUID("11112222-3333-4444-5555-666677778888")
    reader, wrapped = open_capture(plain), tmp_path / "wrapped.pcap"
    with PcapWriter(wrapped) as writer:
        for batch in reader.batches():
            for n in range(len(batch)):
                datagram, endpoint = batch.datagram(n), reader.endpoints[int(batch.source[n])]
                direction = int(endpoint.source > endpoint.destination)
                if parse_datagram(datagram).rtp:
                    datagram = StrepHeader(call_leg_id, 0, direction).serialize() + datagram
                writer.write(int(batch.arrival_ns[n]), "192.0.2.1:4000", "192.0.2.2:5000", datagram)
    first, second = Collector(), Collector()
    read_capture(plain, sinks=[first], payload_types={96: TELEPHONE_EVENT})
    result = read_capture(wrapped, sinks=[second], payload_types={96: TELEPHONE_EVENT})
    assert second.by_ssrc() == first.by_ssrc()
    assert any(first.by_ssrc().values())
    assert {stream.identity.call_leg_id for stream in result.streams} == {call_leg_id}
    assert len({stream.identity.direction for stream in result.streams}) == len(result.streams)
