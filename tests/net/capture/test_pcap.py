import struct
from pathlib import Path

import pytest

from strep.net.capture import open_capture
from strep.net.capture.pcap import LONGEST_RECORD_BYTES
from strep.net.capture.writer import udp_packet
from tests.net.capture.packet_bytes import T0_NS, A, B, ethernet, fates, payloads

PACKET = ethernet(udp_packet(A, B, b"payload"))
SECONDS, FRACTION_NS = divmod(T0_NS, 1_000_000_000)


def pcap(order: str, magic: int, network: int, *records: tuple[int, int, bytes]) -> bytes:
    header = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, network)
    return header + b"".join(
        struct.pack(order + "IIII", seconds, fraction, len(packet), len(packet)) + packet
        for seconds, fraction, packet in records
    )


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "capture"


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("magic", "fraction", "expected_ns"),
    [(0xA1B2C3D4, FRACTION_NS // 1000, T0_NS // 1000 * 1000), (0xA1B23C4D, FRACTION_NS, T0_NS)],
)
def test_either_byte_order_and_either_unit_of_time_is_read(
    path: Path, order: str, magic: int, fraction: int, expected_ns: int
) -> None:
    reader = open_capture(write(path, pcap(order, magic, 1, (SECONDS, fraction, PACKET))))
    (batch,) = reader.batches()
    assert batch.datagram(0) == b"payload"
    assert batch.arrival_ns.tolist() == [expected_ns]


def test_a_capture_without_packets_yields_nothing(path: Path) -> None:
    reader = open_capture(write(path, pcap("<", 0xA1B2C3D4, 1)))
    assert (len(reader), list(reader.batches()), reader.time_span_ns, reader.duration_ns) == (0, [], None, 0)
    assert not reader.truncated
    assert fates(reader) == {}


@pytest.mark.parametrize("kept", [1, 15, 16, 20, 16 + len(PACKET) - 1])
def test_a_file_cut_in_a_record_is_read_up_to_it(path: Path, kept: int) -> None:
    whole = pcap("<", 0xA1B2C3D4, 1, (1, 0, PACKET), (2, 0, PACKET))
    reader = open_capture(write(path, whole[: 24 + 16 + len(PACKET) + kept]))
    assert payloads(reader) == [b"payload"]
    assert reader.truncated


def test_a_file_cut_right_behind_a_record_is_not_truncated(path: Path) -> None:
    whole = pcap("<", 0xA1B2C3D4, 1, (1, 0, PACKET), (2, 0, PACKET))
    reader = open_capture(write(path, whole[: 24 + 16 + len(PACKET)]))
    assert (len(reader), reader.truncated) == (1, False)


def test_a_record_longer_than_any_is_damage_and_ends_the_reading(path: Path) -> None:
    longest = (2, 0, bytes(LONGEST_RECORD_BYTES))
    too_long = (2, 0, bytes(LONGEST_RECORD_BYTES + 1))
    records = (1, 0, PACKET), longest, (3, 0, PACKET), too_long, (4, 0, PACKET)
    reader = open_capture(write(path, pcap("<", 0xA1B2C3D4, 1, *records)))
    assert reader.counts.packets == 3
    assert len(payloads(reader)) == 2
    assert reader.truncated


def test_the_upper_half_of_the_link_type_field_is_about_checksums(path: Path) -> None:
    with_fcs = 1 | 0x5400 << 16  # four bytes of frame check sequence behind each packet
    reader = open_capture(write(path, pcap("<", 0xA1B2C3D4, with_fcs, (1, 0, PACKET + b"\xde\xad\xbe\xef"))))
    assert payloads(reader) == [b"payload"]


def test_more_packets_than_one_run_holds_are_all_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strep.net.capture.pcap.CHUNK_PACKETS", 3)
    packets = [ethernet(udp_packet(A, B, bytes((n,)) * n)) for n in range(1, 9)]
    told: list[tuple[int, int]] = []
    whole = pcap("<", 0xA1B2C3D4, 1, *((n, 0, packet) for n, packet in enumerate(packets)))
    reader = open_capture(write(path, whole), progress=lambda done, total: told.append((done, total)))
    assert payloads(reader) == [bytes((n,)) * n for n in range(1, 9)]
    assert not reader.truncated
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len(told) > 3
    assert told[-1] == (len(whole), len(whole))
