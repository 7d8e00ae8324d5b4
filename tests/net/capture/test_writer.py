import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.errors import CaptureFileError, ConfigError
from strep.net.capture import LinkType, PcapWriter, open_capture
from strep.net.capture.writer import udp_packet
from tests.net.capture.packet_bytes import A6, B6, T0_NS, A, B, payloads

SENT = [(T0_NS + row, A, B, bytes(range(row))) for row in (0, 1, 2, 160, 161)]
SENT6 = [(at + 1_000_000, A6, B6, payload) for at, _, _, payload in SENT]


def written(
    path: Path, datagrams: list[tuple[int, str, str, bytes]], link: LinkType = LinkType.ETHERNET, nano: bool = True
) -> Path:
    with PcapWriter(path, link, nano) as writer:
        for datagram in datagrams:
            writer.write(*datagram)
    return path


def scalar_checksum(data: bytes) -> int:
    """Add 16-bit words with end-around carry, one by one (RFC 1071 section 4.1)."""
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2].ljust(2, b"\0"))
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.parametrize("link_type", sorted(set(LinkType) - {LinkType.IPV6}))
@pytest.mark.parametrize("nano", [True, False], ids=["nanoseconds", "microseconds"])
def test_what_is_written_is_read_back(tmp_path: Path, link_type: LinkType, nano: bool) -> None:
    reader = open_capture(written(tmp_path / "c", SENT, link_type, nano))
    (batch,) = reader.batches()
    unit_ns = 1 if nano else 1000
    assert batch.arrival_ns.tolist() == [at // unit_ns * unit_ns for at, _, _, _ in SENT]
    assert payloads(reader) == [payload for _, _, _, payload in SENT]
    assert [(endpoint.source, endpoint.destination) for endpoint in reader.endpoints] == [(A, B)]


def test_ipv6_is_written_without_being_asked_for(tmp_path: Path) -> None:
    reader = open_capture(written(tmp_path / "c", SENT6))
    assert payloads(reader) == [payload for _, _, _, payload in SENT]
    assert [(endpoint.source, endpoint.destination) for endpoint in reader.endpoints] == [(A6, B6)]


@given(st.binary(max_size=70), st.integers(0, 65535), st.booleans())
def test_every_checksum_verifies(payload: bytes, port: int, ipv6: bool) -> None:
    source, destination = (f"[2001:db8::9]:{port}", B6) if ipv6 else (f"192.0.2.9:{port}", B)
    packet = udp_packet(source, destination, payload, port)
    ends, datagram = (packet[8:40], packet[40:]) if ipv6 else (packet[12:20], packet[20:])
    pseudo_header = ends + (17).to_bytes(2) + len(datagram).to_bytes(2)
    assert scalar_checksum(pseudo_header + datagram) == 0xFFFF
    assert datagram[6:8] != bytes(2)
    assert ipv6 or scalar_checksum(packet[:20]) == 0xFFFF


def test_a_udp_checksum_of_zero_is_written_as_all_ones() -> None:
    packets = [udp_packet(A, B, number.to_bytes(2)) for number in range(0x10000)]
    checksums = np.array([int.from_bytes(packet[26:28]) for packet in packets])
    # With one payload of two bytes the sum is 0xffff, whose complement 0 would mean "no checksum" (RFC 768).
    assert np.count_nonzero(checksums == 0xFFFF) == 1
    assert checksums.min() == 1


@pytest.mark.parametrize(
    ("datagram", "message"),
    [
        ((-1, A, B, b""), "expected a time of 1970 to 2106"),
        ((2**32 * 10**9, A, B, b""), "expected a time of 1970 to 2106"),
        ((0, A, B6, b""), "expected two addresses of one IP version"),
        ((0, "10.0.0.1", B, b""), "expected 'udp:IP:PORT'"),
        ((0, A, B, bytes(65508)), "expected a payload of up to 65507 bytes, found 65508"),
        ((0, A6, B6, bytes(65528)), "expected a payload of up to 65527 bytes, found 65528"),
    ],
)
def test_what_the_format_cannot_hold_is_refused_and_leaves_nothing_behind(
    tmp_path: Path, datagram: tuple[int, str, str, bytes], message: str
) -> None:
    with PcapWriter(tmp_path / "c") as writer, pytest.raises(ConfigError, match=message):
        writer.write(*datagram)
    assert open_capture(tmp_path / "c").counts.packets == 0


def test_the_longest_datagrams_are_read_back(tmp_path: Path) -> None:
    sent = [(T0_NS, A, B, bytes(65507)), (T0_NS, A6, B6, bytes(65527))]
    assert [len(payload) for payload in payloads(open_capture(written(tmp_path / "c", sent)))] == [65507, 65527]


def test_a_file_that_cannot_be_written_raises_saying_so(tmp_path: Path) -> None:
    with pytest.raises(CaptureFileError, match="expected a file to write to, found: No such file"):
        PcapWriter(tmp_path / "nowhere" / "c")


def tshark(path: Path, *fields: str) -> list[list[str]]:
    arguments = [argument for field in fields for argument in ("-e", field)]
    checked = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
    command = ["tshark", "-n", "-r", str(path), *checked, "-T", "fields", *arguments]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.split("\t") for line in output.splitlines()]


@pytest.mark.peer
@pytest.mark.parametrize(
    "link_type",
    [LinkType.ETHERNET, LinkType.LINUX_SLL, LinkType.LINUX_SLL2, LinkType.NULL, LinkType.LOOP, LinkType.RAW],
)
def test_tshark_reads_what_is_written(tmp_path: Path, link_type: LinkType, need: Callable[..., None]) -> None:
    need("tshark")
    path = written(tmp_path / "c.pcap", SENT, link_type)
    fields = "frame.time_epoch", "ip.src", "udp.srcport", "ip.dst", "udp.dstport", "udp.payload"
    assert tshark(path, *fields, "ip.checksum.status", "udp.checksum.status") == [
        [f"{at // 10**9}.{at % 10**9:09}", *A.split(":"), *B.split(":"), payload.hex(), "1", "1"]
        for at, _, _, payload in SENT
    ]


@pytest.mark.peer
def test_tshark_reads_ipv6_too(tmp_path: Path, need: Callable[..., None]) -> None:
    need("tshark")
    path = written(tmp_path / "c.pcap", SENT6, LinkType.RAW)
    fields = tshark(path, "ipv6.src", "udp.dstport", "udp.checksum.status", "udp.payload")
    assert fields == [["2001:db8::1", "6000", "1", payload.hex()] for _, _, _, payload in SENT]


@pytest.mark.peer
@pytest.mark.parametrize("form", ["pcapng", "nsecpcap", "pcap"])
def test_what_editcap_makes_of_it_is_read_the_same(tmp_path: Path, form: str, need: Callable[..., None]) -> None:
    need("editcap")
    path = written(tmp_path / "c.pcap", SENT + SENT6)
    subprocess.run(["editcap", "-F", form, str(path), str(tmp_path / "other")], check=True)
    before, after = open_capture(path), open_capture(tmp_path / "other")
    assert payloads(after) == payloads(before)
    assert after.endpoints == before.endpoints
    if form != "pcap":
        assert after.time_span_ns == before.time_span_ns


@pytest.mark.peer
def test_what_editcap_cut_is_counted_as_cut(tmp_path: Path, need: Callable[..., None]) -> None:
    need("editcap")
    path = written(tmp_path / "c.pcap", SENT)
    subprocess.run(["editcap", "-s", "60", str(path), str(tmp_path / "cut")], check=True)
    counts = open_capture(tmp_path / "cut").counts
    assert (counts.datagram, counts.cut) == (3, 2)
