import uuid
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strep.emulator.codec import CODECS
from strep.emulator.media import ForkedStream, Impairments, RtpStream, fork_media
from strep.errors import ConfigError
from strep.net.address import UdpAddress
from strep.stream.events import Direction, Leg
from strep.wire.rtp import RtpPacket
from strep.wire.strep import StrepHeader

CALL = uuid.UUID("428c31b6-7af4-4bcb-b7f5-5013ef9657c1")
TARGET = UdpAddress("127.0.0.1", 9000)
PAYLOADS = [bytes([n]) * 160 for n in range(50)]
MS = 1_000_000


def stream(direction=Direction.INBOUND, codec="PCMU", sequence=65530, timestamp=2**32 - 320):
    return RtpStream(Leg.A, direction, CODECS[codec], PAYLOADS, 0xDECAFBAD, sequence, timestamp)


def media(packets=range(500), impairments=None, streams=None):
    forked = [ForkedStream(each, TARGET) for each in streams or [stream()]]
    return list(fork_media(forked, packets, impairments or Impairments()))


def test_a_packet_every_20_ms_from_the_forks_beginning():
    assert [datagram.offset_ns for datagram in media(range(10, 13))] == [0, 20 * MS, 40 * MS]


def test_numbers_count_from_the_beginning_of_the_call_and_wrap():
    packets = [RtpPacket.parse(datagram.data) for datagram in media(range(4, 8))]
    assert [packet.sequence_number for packet in packets] == [65534, 65535, 0, 1]
    assert [packet.timestamp for packet in packets] == [320, 480, 640, 800]
    assert {(packet.ssrc, packet.payload_type) for packet in packets} == {(0xDECAFBAD, 0)}


@pytest.mark.parametrize(("codec", "ticks"), [("PCMA", 160), ("G722", 160), ("OPUS", 960)])
def test_the_timestamp_runs_by_the_rtp_clock(codec, ticks):
    first, second = (
        RtpPacket.parse(datagram.data) for datagram in media(range(2), streams=[stream(codec=codec, timestamp=0)])
    )
    assert second.timestamp - first.timestamp == ticks


def test_a_call_longer_than_the_conversation_holds_it_again():
    payloads = [RtpPacket.parse(datagram.data).payload for datagram in media(range(49, 52))]
    assert payloads == [PAYLOADS[49], PAYLOADS[0], PAYLOADS[1]]


def test_the_header_goes_in_front_of_each_packet():
    header = StrepHeader(CALL, Leg.A, Direction.OUTBOUND).serialize()
    (datagram,) = fork_media([ForkedStream(stream(), TARGET, header)], range(1), Impairments())
    assert StrepHeader.parse(datagram.data) == StrepHeader(CALL, 0, 1)
    assert RtpPacket.parse(datagram.data[24:]).payload == PAYLOADS[0]


def test_streams_are_sent_side_by_side():
    both = media(range(3), streams=[stream(), stream(Direction.OUTBOUND)])
    assert [(datagram.stream, datagram.packet) for datagram in both] == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]


HARM = st.builds(
    Impairments,
    loss=st.floats(0, 1),
    duplicate=st.floats(0, 1),
    reorder=st.floats(0, 1),
    jitter_ms=st.floats(0, 100),
    seed=st.integers(),
)


@settings(max_examples=30)
@given(HARM)
def test_the_same_seed_does_the_same_harm(impairments):
    streams = [stream(), stream(Direction.OUTBOUND)]
    assert media(range(50), impairments, streams) == media(range(50), impairments, streams)


@settings(max_examples=50)
@given(HARM)
def test_datagrams_come_in_order_of_time_each_at_most_twice_and_never_early(impairments):
    sent = media(range(50), impairments)
    offsets = [datagram.offset_ns for datagram in sent]
    assert offsets == sorted(offsets)
    assert all(datagram.offset_ns >= datagram.packet * 20 * MS for datagram in sent)
    assert set(Counter(datagram.packet for datagram in sent).values()) <= {1, 2}


def test_another_seed_does_other_harm_and_each_direction_has_its_own():
    def lost(seed, direction):
        sent = media(impairments=Impairments(loss=0.2, seed=seed), streams=[stream(direction)])
        return set(range(500)) - {datagram.packet for datagram in sent}

    assert len({frozenset(lost(seed, direction)) for seed in (1, 2) for direction in Direction}) == 4


def test_loss_and_duplication_come_in_the_share_asked_for():
    counts = Counter(datagram.packet for datagram in media(impairments=Impairments(loss=0.1, duplicate=0.2)))
    assert 30 <= 500 - len(counts) <= 70
    assert 60 <= sum(count == 2 for count in counts.values()) <= 130


def test_more_loss_loses_the_same_packets_and_others():
    few, many = (
        {datagram.packet for datagram in media(impairments=Impairments(loss=loss, duplicate=0.5, jitter_ms=9))}
        for loss in (0.05, 0.2)
    )
    assert many < few


def test_a_reordered_packet_comes_right_after_its_successor():
    order = [datagram.packet for datagram in media(range(100), Impairments(reorder=0.1, seed=3))]
    assert order != sorted(order) and sorted(order) == list(range(100))
    swapped = [i for i in range(99) if order[i] > order[i + 1]]
    assert 3 <= len(swapped) <= 20
    assert all(order[i] - order[i + 1] == 1 for i in swapped)


def test_at_most_every_second_packet_can_be_reordered():
    assert [datagram.packet for datagram in media(range(5), Impairments(reorder=1))] == [1, 0, 3, 2, 4]


def test_jitter_alone_delays_and_keeps_the_order():
    sent = media(impairments=Impairments(jitter_ms=50))
    delays = [datagram.offset_ns - datagram.packet * 20 * MS for datagram in sent]
    assert [datagram.packet for datagram in sent] == list(range(500))
    assert max(delays) > 40 * MS and all(0 <= delay <= 50 * MS for delay in delays)


def test_everything_may_be_lost():
    assert media(impairments=Impairments(loss=1)) == []


def test_a_fork_of_nothing_sends_nothing():
    assert media(range(0)) == []


@pytest.mark.parametrize(
    "wrong", [{"loss": 1.1}, {"duplicate": -0.1}, {"reorder": float("nan")}, {"jitter_ms": -1}, {"jitter_ms": 1e9}]
)
def test_harm_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))}: expected"):
        Impairments(**wrong)
