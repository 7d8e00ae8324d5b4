"""The rule that parses headers, as it stands and compiled, and what a person reads, which says the same."""

import functools
import uuid
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.compiler import compiled_twin
from strep.errors import WireError
from strep.stream.records import HEADER, Record, records
from strep.wire.batch import SLACK_BYTES, DatagramBatch
from strep.wire.fate import Fate
from strep.wire.headers import Claim, parse_headers
from strep.wire.rtp import RtpPacket
from strep.wire.strep import StrepHeader
from tests.naive_datagram import parse_datagram

LEG = uuid.UUID("428c31b6-7af4-4bcb-b7f5-5013ef9657c1")
RTP = RtpPacket(0, 4660, 0xDEADBEEF, 0x1A2B3C4D, b"payload!")


def strep(rtp: bytes, **fields: int) -> bytes:
    return StrepHeader(LEG, fields.pop("leg", 0), fields.pop("direction", 0), **fields).serialize() + rtp


@functools.cache
def compiled() -> Callable[..., int]:
    return compiled_twin(parse_headers, np.zeros(1, np.uint8), 0, 0, records(1, HEADER)[0])


def parse(flat: np.ndarray, start: int, length: int) -> tuple[Fate, Record]:
    """Parse a datagram's headers by the rule as it stands, and compiled."""
    plain, twin = records(2, HEADER)
    fate = Fate(parse_headers(flat, start, length, plain))
    assert compiled()(flat, start, length, twin) == fate
    assert fate is not Fate.ACCEPTED or plain == twin
    return fate, plain


def one(data: bytes):
    parsed = parse_datagram(data)
    check_that_rules_agree([data])
    return parsed


def check_that_rules_agree(datagrams: list[bytes]) -> None:
    batch = DatagramBatch.from_datagrams(datagrams, range(len(datagrams)))
    for row, data in enumerate(datagrams):
        expected = parse_datagram(data)
        fate, header = parse(batch.flat, int(batch.offset[row]), int(batch.length[row]))
        assert fate == expected.fate, data.hex()
        if expected.rtp is None:
            continue
        start, length = int(header.payload_start), int(header.payload_bytes)
        found = RtpPacket(
            payload_type=int(header.payload_type),
            sequence_number=int(header.sequence_number),
            timestamp=int(header.timestamp),
            ssrc=int(header.ssrc),
            payload=batch.flat[start : start + length].tobytes(),
            marker=bool(header.marker),
            csrc=expected.rtp.csrc,
            extension=expected.rtp.extension,
            padding_length=expected.rtp.padding_length,
        )
        assert found == expected.rtp
        assert header.claim == expected.claim
        assert header.is_strep == (expected.strep is not None)
        assert header.rtp_start == batch.offset[row] + (data[1] if header.is_strep else 0)
        words = np.array([header.id_high, header.id_low], np.uint64).tobytes()
        if expected.strep is None:
            assert words == bytes(16)
            assert header.leg_direction == 0
        else:
            assert uuid.UUID(bytes=words) == expected.strep.call_leg_id
            assert header.leg_direction == expected.strep.leg << 1 | expected.strep.direction


rtp_packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence_number=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=200),
    marker=st.booleans(),
    csrc=st.lists(st.integers(0, 0xFFFFFFFF), max_size=15).map(tuple),
    extension=st.none() | st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=12).map(lambda b: b[: len(b) // 4 * 4])),
    padding_length=st.integers(0, 20),
)
strep_headers = st.builds(
    StrepHeader,
    call_leg_id=st.uuids(),
    leg=st.integers(0, 1),
    direction=st.integers(0, 1),
    version=st.sampled_from([1, 1, 1, 0, 2, 15]),
    header_length=st.sampled_from([24, 24, 28, 255]),
)


@st.composite
def datagrams(draw: st.DrawFn) -> bytes:
    front = draw(st.sampled_from([b"", b"strep"]))
    data = (draw(strep_headers).serialize() if front else b"") + draw(rtp_packets).serialize()
    mangled = bytearray(data)
    for _ in range(draw(st.integers(0, 2))):
        mangled[draw(st.integers(0, min(39, len(mangled) - 1)))] = draw(st.integers(0, 255))
    return bytes(mangled[: draw(st.integers(0, len(mangled)))] if draw(st.booleans()) else mangled)


@given(st.lists(datagrams() | st.binary(max_size=80), max_size=12))
def test_any_bytes_are_parsed_as_a_person_reads_them(data: list[bytes]) -> None:
    check_that_rules_agree(data)


@given(strep_headers)
def test_a_strep_header_survives_the_round_trip(header: StrepHeader) -> None:
    assert StrepHeader.parse(header.serialize()) == header


@given(rtp_packets)
def test_an_rtp_packet_survives_the_round_trip(packet: RtpPacket) -> None:
    assert RtpPacket.parse(packet.serialize()) == packet


def test_the_drawing_is_what_goes_on_the_wire() -> None:
    assert StrepHeader(LEG, leg=1, direction=1).serialize() == bytes.fromhex("c718000000000000") + LEG.bytes


def test_leg_and_direction_are_read_from_strep() -> None:
    parsed = one(strep(RTP.serialize(), leg=1, direction=0))
    assert parsed.strep == StrepHeader(LEG, 1, 0)
    assert parsed.rtp == RTP


def test_a_longer_header_is_skipped_over() -> None:
    assert one(strep(RTP.serialize(), header_length=40)).rtp == RTP


def test_reserved_bytes_are_ignored() -> None:
    data = bytearray(strep(RTP.serialize()))
    data[2:8] = b"\xff" * 6
    assert one(bytes(data)).rtp == RTP


@pytest.mark.parametrize("version", [0, 2, 15])
def test_another_version_is_refused(version: int) -> None:
    assert one(strep(RTP.serialize(), version=version)).fate is Fate.REJECTED_STREP_VERSION


@pytest.mark.parametrize(
    ("data", "fate"),
    [
        (b"", Fate.MALFORMED_EMPTY),
        (b"\xc4", Fate.MALFORMED_STREP),
        (b"\xc4\x18" + bytes(21), Fate.MALFORMED_STREP),
        (b"\xc4\x17" + bytes(40), Fate.MALFORMED_STREP),
        (b"\xc4\xff" + bytes(40), Fate.MALFORMED_STREP),
        (strep(b""), Fate.MALFORMED_RTP),
        (strep(b"\x80"), Fate.MALFORMED_RTP),
        (strep(b"\x40" + bytes(30)), Fate.MALFORMED_RTP),
        (strep(strep(RTP.serialize())), Fate.MALFORMED_RTP),
        (strep(b"\x80\xc8" + bytes(26)), Fate.NOT_AUDIO_RTCP),
        (b"\x80\xc9\x00\x01" + bytes(4), Fate.NOT_AUDIO_RTCP),
        (b"\x80\x00" + bytes(9), Fate.MALFORMED_RTP),
        (bytes.fromhex("000100002112a442") + bytes(12), Fate.NOT_AUDIO_STUN),
        (bytes.fromhex("000100002112a442"), Fate.NOT_AUDIO_T38),
        (b"\x00\x01\x06", Fate.NOT_AUDIO_T38),
        (b"INVITE sip:a SIP/2.0\r\n", Fate.NOT_AUDIO_SIP),
    ],
)
def test_what_is_no_audio_is_told_apart(data: bytes, fate: Fate) -> None:
    assert one(data).fate is fate


def test_a_claim_that_fits_is_believed() -> None:
    packet = RtpPacket(0, 1, 2, 3, b"x" * 160, csrc=(7, 8), extension=(0xBEDE, b"abcd"))
    parsed = one(strep(packet.serialize()))
    assert parsed.rtp == packet
    assert parsed.claim is Claim.FITS


def test_a_claim_that_does_not_fit_is_ignored() -> None:
    data = bytearray(RtpPacket(0, 1, 2, 3, b"\xff" * 160).serialize())
    data[0] |= 0x10
    parsed = one(strep(bytes(data)))
    assert parsed.claim is Claim.FALSE
    assert parsed.rtp is not None
    assert parsed.rtp.payload == b"\xff" * 160


@pytest.mark.parametrize("padding", [0, 9, 200])
def test_padding_that_cannot_be_is_malformed(padding: int) -> None:
    data = bytearray(RtpPacket(0, 1, 2, 3, b"\xff" * 8).serialize())
    data[0] |= 0x20
    data[-1] = padding
    assert one(strep(bytes(data))).fate is Fate.MALFORMED_RTP


def test_a_packet_that_is_all_padding_has_no_payload() -> None:
    parsed = one(RtpPacket(0, 1, 2, 3, padding_length=224).serialize())
    assert parsed.rtp is not None
    assert parsed.rtp.payload == b""


@pytest.mark.parametrize("name", ["rtp_dtmf", "rtp_only_padding", "rtp_with_csrc", "rtp_with_sdes_mid"])
def test_single_packets_of_a_peer_are_read(captures, name: str) -> None:
    data = (captures / "aiortc" / f"{name}.bin").read_bytes()
    parsed = one(data)
    assert parsed.rtp is not None
    assert parsed.rtp.serialize() == data or parsed.rtp.padding_length  # padding bytes need not be zero


def test_the_slack_covers_the_longest_header_at_the_end_of_the_buffer() -> None:
    data = strep(RTP.serialize(), header_length=255)
    flat = np.frombuffer(data[:1] + b"\xff" + bytes(SLACK_BYTES - 2), np.uint8)
    assert parse(flat, 0, 2)[0] is Fate.MALFORMED_STREP


@given(st.binary(min_size=1, max_size=80) | datagrams().filter(len))
def test_what_lies_behind_a_datagram_changes_nothing(data: bytes) -> None:
    (fate, header), (other_fate, other_header) = (
        parse(np.frombuffer(data + bytes((behind,)) * SLACK_BYTES, np.uint8), 0, len(data)) for behind in (0, 0xFF)
    )
    assert fate is other_fate
    assert fate is not Fate.ACCEPTED or header == other_header


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: StrepHeader.parse(b"\xc4"), "needs 24 bytes, got 1"),
        (lambda: StrepHeader.parse(b"\x80" + bytes(30)), "bits 11, got byte 0x80"),
        (lambda: RtpPacket.parse(bytes(7)), "needs 12 bytes, got 7"),
        (lambda: RtpPacket.parse(bytes(12)), "version must be 2, got 0"),
        (lambda: StrepHeader(LEG, 0, 0, header_length=8).serialize(), "24 to 255, got 8"),
        (lambda: RtpPacket(128, 0, 0, 0).serialize(), "payload type"),
    ],
)
def test_errors_say_what_was_expected_and_found(call, words: str) -> None:
    with pytest.raises(WireError, match=words):
        call()
