import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.errors import CaptureFileError
from strep.net.capture import CaptureReader, LinkType, open_capture
from strep.net.capture.pcapng import LATEST_NS, nanoseconds
from strep.net.capture.writer import link_header, udp_packet
from tests.net.capture.packet_bytes import (
    A6,
    B6,
    T0_NS,
    A,
    B,
    block,
    enhanced,
    ethernet,
    fates,
    interface,
    obsolete,
    option,
    payloads,
    section,
    simple,
)

T0_US = T0_NS // 1000


def packet(payload: bytes) -> bytes:
    return ethernet(udp_packet(A, B, payload))


def arrivals(reader: CaptureReader) -> list[int]:
    return [int(at) for batch in reader.batches() for at in batch.arrival_ns]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "capture.pcapng"


def opened(path: Path, *blocks: bytes) -> CaptureReader:
    path.write_bytes(b"".join(blocks))
    return open_capture(path)


@pytest.mark.parametrize("order", "<>")
def test_enhanced_packets_of_either_byte_order_are_read(path: Path, order: str) -> None:
    blocks = section(order), interface(order), enhanced(packet(b"one"), T0_US, order=order)
    reader = opened(path, *blocks)
    assert payloads(reader) == [b"one"]
    assert arrivals(reader) == [T0_US * 1000]
    assert not reader.truncated


def test_sections_of_different_byte_order_follow_each_other_and_begin_their_interfaces_anew(path: Path) -> None:
    raw = udp_packet(A, B, b"two")
    first = section("<"), interface("<", 1), interface("<", 1), enhanced(packet(b"one"), T0_US, 1)
    second = section(">"), interface(">", LinkType.RAW), enhanced(raw, T0_US, 0, ">"), enhanced(raw, T0_US, 1, ">")
    reader = opened(path, *first, *second)
    assert payloads(reader) == [b"one", b"two"]
    assert fates(reader) == {"datagram": 2, "no_interface": 1}


def test_each_interface_has_its_own_link_type(path: Path) -> None:
    cooked = link_header(LinkType.LINUX_SLL2, 6) + udp_packet(A6, B6, b"any")
    blocks = interface(link_type=1), interface(link_type=276), enhanced(cooked, T0_US, 1), enhanced(packet(b"e"), T0_US)
    assert payloads(opened(path, section(), *blocks)) == [b"any", b"e"]


def test_an_interface_described_only_later_is_none_yet(path: Path) -> None:
    blocks = enhanced(packet(b"early"), T0_US, 1), interface(), enhanced(packet(b"late"), T0_US + 1, 1)
    reader = opened(path, section(), interface(), *blocks)
    assert payloads(reader) == [b"late"]
    assert fates(reader) == {"datagram": 1, "no_interface": 1}


def test_an_interface_may_count_nanoseconds(path: Path) -> None:
    nanosecond = interface(options=option("<", 9, b"\x09") + option("<", 0, b""))
    assert arrivals(opened(path, section(), nanosecond, enhanced(packet(b""), T0_NS))) == [T0_NS]


def test_an_interface_may_count_powers_of_two_of_a_second_from_an_offset(path: Path) -> None:
    options = option("<", 9, b"\x8a") + option("<", 14, struct.pack("<q", 1_700_000_000))
    reader = opened(path, section(), interface(options=options), enhanced(packet(b""), 1536))
    assert arrivals(reader) == [1_700_000_001_500_000_000]


def test_options_that_are_unknown_or_cut_short_change_nothing(path: Path) -> None:
    options = option("<", 2, b"eth0!") + option("<", 9, b"\x09\x09") + struct.pack("<HH", 9, 900)
    reader = opened(path, section(), interface(options=options), enhanced(packet(b""), T0_US))
    assert arrivals(reader) == [T0_US * 1000]


def test_options_behind_the_end_of_options_are_not_options(path: Path) -> None:
    options = option("<", 0, b"") + option("<", 9, b"\x09")
    reader = opened(path, section(), interface(options=options), enhanced(packet(b""), T0_US))
    assert arrivals(reader) == [T0_US * 1000]


@pytest.mark.parametrize("order", "<>")
def test_an_obsolete_packet_block_is_read_and_its_drop_count_is_no_interface_number(path: Path, order: str) -> None:
    blocks = interface(order, 105), interface(order), obsolete(packet(b"old"), T0_US, 1, drops=7, order=order)
    reader = opened(path, section(order), *blocks)
    assert payloads(reader) == [b"old"]
    assert arrivals(reader) == [T0_US * 1000]


def test_a_simple_packet_has_the_time_of_the_packet_before_it(path: Path) -> None:
    blocks = enhanced(packet(b"timed"), T0_US), simple(packet(b"simple")), simple(packet(b"again"))
    reader = opened(path, section(), interface(), *blocks)
    assert payloads(reader) == [b"timed", b"simple", b"again"]
    assert arrivals(reader) == [T0_US * 1000] * 3


def test_a_simple_packet_that_begins_a_run_still_has_the_time_of_the_packet_before_it(path: Path) -> None:
    blocks = interface(), enhanced(packet(b"timed"), T0_US), interface(), simple(packet(b"simple"))
    assert arrivals(opened(path, section(), *blocks)) == [T0_US * 1000] * 2


def test_a_simple_packet_is_as_long_as_the_snap_length_lets_it_be(path: Path) -> None:
    whole = packet(bytes(100))
    reader = opened(path, section(), interface(snap=60), simple(whole[:60], len(whole)), simple(packet(b"short")))
    assert payloads(reader) == [b"short"]
    assert fates(reader) == {"datagram": 1, "cut": 1}


def test_a_simple_packet_without_any_interface_is_counted(path: Path) -> None:
    assert fates(opened(path, section(), simple(packet(b"lost")))) == {"no_interface": 1}


def test_blocks_of_unknown_kind_are_skipped(path: Path) -> None:
    statistics = block("<", 5, bytes(20))
    custom = block("<", 0xBAD, b"anything at all")
    reader = opened(path, section(), custom, interface(), statistics, enhanced(packet(b"one"), T0_US), custom)
    assert payloads(reader) == [b"one"]
    assert (reader.counts.packets, reader.truncated) == (1, False)


def test_a_packet_that_claims_more_bytes_than_its_block_ends_with_the_block(path: Path) -> None:
    liar = enhanced(packet(b"exactly 16 bytes"), T0_US, captured=5000)
    cut = enhanced(packet(bytes(40))[:60], T0_US, captured=82)
    reader = opened(path, section(), interface(), liar, cut, enhanced(packet(b"next"), T0_US))
    assert payloads(reader) == [b"exactly 16 bytes", b"next"]
    assert fates(reader) == {"datagram": 2, "cut": 1}


def test_a_packet_block_too_short_for_its_own_header_is_counted_as_cut(path: Path) -> None:
    short = block("<", 6, bytes(8)), block("<", 3, b""), block("<", 2, b"")
    assert fates(opened(path, section(), interface(), *short)) == {"cut": 3}


@pytest.mark.parametrize("kept", [1, 11, 12, 40])
def test_a_file_cut_in_a_block_is_read_up_to_it(path: Path, kept: int) -> None:
    blocks = section(), interface(), enhanced(packet(b"one"), T0_US), enhanced(packet(b"two"), T0_US)[:kept]
    reader = opened(path, *blocks)
    assert payloads(reader) == [b"one"]
    assert reader.truncated


@pytest.mark.parametrize("length", [0, 8, 33, 0xFFFFFFFC])
def test_a_block_of_impossible_length_ends_the_reading(path: Path, length: int) -> None:
    damaged = struct.pack("<II", 6, length) + bytes(100)
    reader = opened(path, section(), interface(), enhanced(packet(b"one"), T0_US), damaged)
    assert payloads(reader) == [b"one"]
    assert (reader.counts.packets, reader.truncated) == (1, True)


def test_a_later_section_of_no_byte_order_ends_the_reading(path: Path) -> None:
    damaged = block("<", 0x0A0D0D0A, bytes(16))
    reader = opened(path, section(), interface(), enhanced(packet(b"one"), T0_US), damaged)
    assert payloads(reader) == [b"one"]
    assert reader.truncated


def test_a_file_whose_first_section_is_damaged_is_no_capture(path: Path) -> None:
    with pytest.raises(CaptureFileError, match="expected a whole pcapng section header"):
        opened(path, block("<", 0x0A0D0D0A, bytes(16)))


def test_runs_that_are_full_go_on_in_the_next(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strep.net.capture.pcapng.CHUNK_PACKETS", 2)
    sent = [bytes((n,)) for n in range(7)]
    blocks = [enhanced(packet(payload), T0_US + n) for n, payload in enumerate(sent)]
    assert payloads(opened(path, section(), interface(), *blocks)) == sent


def scalar_nanoseconds(ticks: int, resolution: int, offset_seconds: int) -> int:
    units = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution
    since = min(ticks * 1_000_000_000 // units, LATEST_NS)
    offset = max(-LATEST_NS, min(offset_seconds * 1_000_000_000, LATEST_NS))
    return max(0, min(since + offset, LATEST_NS))


@given(
    ticks=st.lists(st.integers(0, 2**64 - 1), max_size=4),
    resolution=st.integers(0, 255),
    offset_seconds=st.integers(-(2**63), 2**63 - 1) | st.integers(-10, 10),
)
def test_ticks_of_any_resolution_become_nanoseconds_as_by_whole_numbers(
    ticks: list[int], resolution: int, offset_seconds: int
) -> None:
    found = nanoseconds(np.array(ticks, np.uint64), resolution, offset_seconds).tolist()
    expected = [scalar_nanoseconds(tick, resolution, offset_seconds) for tick in ticks]
    # Fractions finer than 2**-34 s are dropped, which may round one nanosecond down.
    slack = 1 if resolution & 0x80 and resolution & 0x7F > 34 else 0
    assert all(0 <= right - left <= slack for left, right in zip(found, expected, strict=True))
