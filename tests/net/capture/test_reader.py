import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.errors import CaptureFileError, ConfigError
from strep.net.capture import CaptureReader, PcapWriter, open_capture
from strep.net.capture.flows import MOST_FLOWS
from strep.net.capture.writer import udp_packet
from strep.wire.batch import SLACK_BYTES
from tests.net.capture.packet_bytes import (
    A6,
    B6,
    T0_NS,
    A,
    B,
    capture_of,
    enhanced,
    ethernet,
    fates,
    interface,
    ipv4_fragments,
    ipv6_fragments,
    obsolete,
    payloads,
    section,
    simple,
    with_protocol,
)

MS = 1_000_000
ONE = ethernet(udp_packet(A, B, b"one"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "capture.pcap"


def at_times(path: Path, *arrival_ns: int) -> CaptureReader:
    """Capture datagrams whose payload is their number in the file."""
    with PcapWriter(path) as writer:
        for row, at in enumerate(arrival_ns):
            writer.write(T0_NS + at, A, B, bytes((row,)))
    return open_capture(path)


def test_a_batch_spans_no_more_time_than_asked(path: Path) -> None:
    reader = at_times(path, 0, 20 * MS, 20 * MS + 1, 39 * MS, 41 * MS, 300 * MS)
    sizes = [len(batch) for batch in reader.batches(max_span_ns=20 * MS)]
    assert sizes == [2, 2, 1, 1]


def test_a_batch_holds_no_more_datagrams_than_asked(path: Path) -> None:
    reader = at_times(path, *range(7))
    assert [len(batch) for batch in reader.batches(max_datagrams=3)] == [3, 3, 1]


def test_a_span_longer_than_time_itself_is_no_trouble(path: Path) -> None:
    assert [len(batch) for batch in at_times(path, 0, 10**18).batches(max_span_ns=2**80)] == [2]


@pytest.mark.parametrize(("span_ns", "datagrams"), [(-1, 1), (0, 0)])
def test_batches_that_could_hold_nothing_are_refused_at_once(path: Path, span_ns: int, datagrams: int) -> None:
    with pytest.raises(ConfigError, match="expected batches"):
        at_times(path, 0).batches(span_ns, datagrams)


def test_datagrams_that_lie_out_of_order_are_sorted_and_those_of_one_instant_are_not(path: Path) -> None:
    times = [5, 5, 0, 9, 5] * 50
    reader = at_times(path, *times)
    assert payloads(reader) == [bytes((row,)) for row in sorted(range(250), key=times.__getitem__)]
    assert reader.stepped_back == 100
    assert reader.time_span_ns == (T0_NS, T0_NS + 9)


def test_the_direction_goes_by_time_and_not_by_the_order_of_the_file(path: Path) -> None:
    with PcapWriter(path) as writer:
        writer.write(T0_NS + 1, B, A, b"answer")
        writer.write(T0_NS, A, B, b"question")
    reader = open_capture(path)
    assert [(endpoint.source, endpoint.direction) for endpoint in reader.endpoints] == [(A, 0), (B, 1)]
    (batch,) = reader.batches()
    assert [batch.endpoints[source].source for source in batch.source] == [A, B]


def test_the_buffer_is_the_mapped_file_itself_until_the_slack_runs_out(path: Path) -> None:
    with PcapWriter(path) as writer:
        for row in range(40):
            writer.write(T0_NS + row, A, B, bytes((row,)) * 20)
    reader = open_capture(path)
    batches = list(reader.batches(max_datagrams=1))
    mapped = [batch.flat.nbytes == path.stat().st_size for batch in batches]
    assert mapped == sorted(mapped, reverse=True)
    assert 0 < sum(mapped) < len(mapped)
    assert not any(batch.flat.flags.owndata for batch in batches)
    assert all(np.shares_memory(batches[0].flat, batch.flat) for batch in batches[: sum(mapped)])
    for row, batch in enumerate(batches):
        assert batch.offset[0] + SLACK_BYTES <= len(batch.flat)
        assert batch.datagram(0) == bytes((row,)) * 20


def test_the_columns_of_a_batch_have_the_types_that_a_socket_gives_them(path: Path) -> None:
    reader = capture_of(path, [ONE] * 30)
    for batch in reader.batches(max_datagrams=8):
        assert batch.flat.dtype == np.uint8
        assert {column.dtype for column in (batch.offset, batch.length, batch.arrival_ns, batch.source)} == {
            np.dtype(np.int64)
        }


def test_the_length_and_the_times_of_a_capture_are_known_beforehand(path: Path) -> None:
    reader = at_times(path, 0, 7, 50)
    assert (len(reader), reader.duration_ns) == (3, 50)


def test_progress_ends_at_the_whole_file_even_if_it_was_cut(path: Path) -> None:
    capture_of(path, [ONE, ONE])
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])
    told: list[tuple[int, int]] = []
    assert open_capture(path, progress=lambda done, total: told.append((done, total))).truncated
    assert told[-1] == (size - 1, size - 1)


def test_every_kind_of_packet_is_counted_and_they_add_up(path: Path) -> None:
    packets = [
        *[ONE] * 2,
        ONE[:20],
        ONE[:12] + b"\x08\x06" + bytes(28),
        ethernet(with_protocol(udp_packet(A, B, b""), 6)),
        ethernet(b"\x45" + bytes(40)),
        *map(ethernet, ipv4_fragments(bytes(100), 64)),
        *map(ethernet, ipv6_fragments(bytes(100), 64)[:1]),
    ]
    reader = capture_of(path, packets)
    assert reader.counts.packets == len(packets)
    assert fates(reader) == {
        "datagram": 3,
        "joined_fragment": 1,
        "unused_fragment": 1,
        "not_ip": 1,
        "not_udp": 1,
        "cut": 1,
        "malformed": 1,
    }


@pytest.mark.thorough
def test_more_flows_than_are_held_are_counted_and_known_ones_go_on(path: Path) -> None:
    frame = bytearray(ONE)
    with PcapWriter(path) as writer:
        for flow in range(MOST_FLOWS + 2):
            struct.pack_into(">HH", frame, 14 + 20, flow & 0xFFFF, flow >> 16)
            writer.write_packet(T0_NS, bytes(frame))
        writer.write_packet(T0_NS, ONE[:34] + bytes(4) + ONE[38:])
    reader = open_capture(path)
    assert fates(reader) == {"datagram": MOST_FLOWS + 1, "over_limit_flows": 2}
    assert len(reader.endpoints) == MOST_FLOWS


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "expected a pcap or pcapng capture, found an empty file"),
        (b"\xd4", "found a file that begins with d4$"),
        (b"RIFF" + bytes(100), "found a file that begins with 52 49 46 46$"),
        (gzip.compress(bytes(100), mtime=0), r"found gzip data \(unpack it first\)$"),
        (b"\xd4\xc3\xb2\xa1" + bytes(19), "expected a pcap header of 24 bytes, found 23$"),
        (section()[:27], "expected a pcapng header of 28 bytes, found 27$"),
        (section()[:8] + b"what" + section()[12:], "expected a whole pcapng section header"),
        (b"\x0a\x0d\x0d\x0a" + b"\xff" * 4 + section()[8:], "expected a whole pcapng section header"),
    ],
)
def test_a_file_that_is_no_capture_raises_saying_what_it_is(path: Path, data: bytes, message: str) -> None:
    path.write_bytes(data)
    with pytest.raises(CaptureFileError, match=message) as raised:
        open_capture(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_raises_saying_so(path: Path) -> None:
    with pytest.raises(CaptureFileError, match="No such file"):
        open_capture(path)


def test_a_folder_or_a_pipe_cannot_be_mapped_and_raises_saying_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(CaptureFileError, match="expected a regular file"):
            open_capture(path)


PACKETS = [
    ONE,
    ethernet(udp_packet(A6, B6, b"INVITE m=audio")),
    *map(ethernet, ipv4_fragments(bytes(40), 24)),
    *map(ethernet, ipv6_fragments(bytes(40), 24)),
    b"",
]
BLOCKS = [
    section("<"),
    section(">"),
    interface("<"),
    interface("<", snap=40),
    interface(">", 101),
    *[enhanced(packet, 10**15 + row) for row, packet in enumerate(PACKETS)],
    enhanced(PACKETS[0], 0, 1, ">"),
    obsolete(PACKETS[0], 5),
    simple(PACKETS[0]),
]


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Make files that are captures, nearly so, or nothing of the kind."""
    kind = draw(st.integers(0, 2))
    if kind == 0:
        magic = draw(st.sampled_from(["d4c3b2a1", "a1b2c3d4", "4d3cb2a1", "a1b23c4d", "0a0d0d0a", ""]))
        return bytes.fromhex(magic) + draw(st.binary(max_size=200))
    if kind == 1:
        header = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, draw(st.sampled_from([1, 101, 113, 7])))
        packets = draw(st.lists(st.sampled_from(PACKETS), max_size=8))
        data = header + b"".join(struct.pack("<IIII", 1, 2, len(p), len(p)) + p for p in packets)
    else:
        data = section("<") + b"".join(draw(st.lists(st.sampled_from(BLOCKS), max_size=8)))
    damaged = bytearray(data)
    for at, value in draw(st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=3)):
        damaged[at] = value
    return bytes(damaged[: draw(st.just(len(data)) | st.integers(0, len(data)))])


@given(files())
def test_any_bytes_are_read_and_counted_or_are_no_capture(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.unlink(missing_ok=True)  # a new file each time: the last one may still be mapped
    path.write_bytes(data)
    try:
        reader = open_capture(path)
    except CaptureFileError:
        return
    fates(reader)
    batches = list(reader.batches(max_span_ns=10**18))
    arrival_ns = [int(at) for batch in batches for at in batch.arrival_ns]
    assert len(arrival_ns) == len(reader) == len(payloads(reader))
    assert arrival_ns == sorted(arrival_ns)
    for batch in batches:
        assert (batch.offset >= 0).all()
        assert (batch.offset + np.maximum(batch.length, SLACK_BYTES) <= len(batch.flat)).all()
