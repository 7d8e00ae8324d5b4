"""Every byte of the made-up traffic can be computed by whoever receives it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.decoders import new_decoder
from strep.audio.formats import AudioFormat
from strep.errors import ConfigError
from strep.wire.rtp import RtpPacket
from strep.wire.strep import StrepHeader
from tools.traffic import CODINGS, RING_BYTES, Traffic, call_leg_id, expected_payload, payload_ring, ring_start

traffics = st.builds(
    Traffic,
    st.integers(1, 12),
    codec=st.sampled_from(sorted(CODINGS)),
    loss=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 3),
    plain=st.booleans(),
)


def filled(traffic: Traffic, start: int, stop: int) -> list[bytes]:
    rows = np.full((stop - start, traffic.packet_bytes), 0xAA, np.uint8)
    return [row.tobytes() for row in rows[: traffic.fill(rows, start, stop)]]


def test_plain_packets_are_the_same_without_strep_and_their_stream_is_told() -> None:
    traffic = Traffic(5, loss=0.3)
    packets = filled(traffic, 3, 90)
    assert filled(Traffic(5, loss=0.3, plain=True), 3, 90) == [packet[24:] for packet in packets]
    headers = [StrepHeader.parse(packet) for packet in packets]
    streams = {(call_leg_id(call), direction): 2 * call + direction for call in range(5) for direction in (0, 1)}
    assert traffic.streams_of(3, 90).tolist() == [streams[h.call_leg_id, h.direction] for h in headers]


def test_opus_is_speech_in_packets_of_20_ms() -> None:
    decoder = new_decoder(AudioFormat("OPUS", 48_000, 48_000, 2))
    payload = expected_payload(0, 0, 100, 100, "OPUS")
    samples = [decoder.decode(payload[start : start + 64]) for start in range(0, len(payload), 64)]
    assert {len(one) for one in samples} == {960}
    assert decoder.errors == 0
    assert 300 < np.concatenate(samples).std() < 10_000


def test_opus_streams_begin_at_one_of_64_places() -> None:
    starts = [ring_start(call, direction, "OPUS") for call in range(100) for direction in (0, 1)]
    assert len(set(starts)) == 64
    assert len(set(starts[:64])) == 64, "streams that begin alike are not of calls next to each other"


@given(traffics, st.one_of(st.integers(0, 100), st.integers(1 << 20, 1 << 34)), st.integers(1, 60))
def test_the_columns_agree_with_the_scalar_twin(traffic: Traffic, start: int, packets: int) -> None:
    one_by_one = [traffic.packet(number) for number in range(start, start + packets)]
    assert filled(traffic, start, start + packets) == [packet for packet in one_by_one if packet is not None]


@given(traffics, st.integers(0, 200))
def test_packets_follow_each_other_in_order_of_their_due_time(traffic: Traffic, elapsed_ms: int) -> None:
    due = traffic.due(elapsed_ms)
    due_ms = traffic.due_ms(np.arange(due + 1))
    assert (np.diff(due_ms) >= 0).all()
    assert (due_ms[:due] <= elapsed_ms).all()
    assert due_ms[due] > elapsed_ms


def test_each_stream_sends_every_20_ms_and_counts_on() -> None:
    traffic = Traffic(5, seed=1)
    streams: dict[tuple[object, int], list[tuple[int, RtpPacket]]] = {}
    numbers = range(traffic.due(20 * 30 - 1))
    assert len(numbers) == 30 * traffic.streams
    for number, data in zip(numbers, filled(traffic, 0, len(numbers)), strict=True):
        header, rtp = StrepHeader.parse(data), RtpPacket.parse(data[24:])
        when_ms = int(traffic.due_ms(np.array([number]))[0])
        streams.setdefault((header.call_leg_id, header.direction), []).append((when_ms, rtp))
    assert set(streams) == {(call_leg_id(call, 1), direction) for call in range(5) for direction in (0, 1)}
    assert len({packets[0][0] for packets in streams.values()}) > 1, "phases differ"
    for packets in streams.values():
        assert [when_ms - packets[0][0] for when_ms, _ in packets] == [20 * k for k in range(30)]
        first = packets[0][1]
        for k, (_, rtp) in enumerate(packets):
            assert rtp.sequence_number == (first.sequence_number + k) % 65536
            assert rtp.timestamp == (first.timestamp + 160 * k) % (1 << 32)
            assert (rtp.ssrc, rtp.payload_type, rtp.marker) == (first.ssrc, 0, k == 0)


@pytest.mark.parametrize("codec", sorted(CODINGS))
def test_a_checker_can_compute_what_a_recording_must_hold(codec: str) -> None:
    traffic = Traffic(3, codec=codec)
    heard: dict[tuple[object, int], bytes] = {}
    for data in filled(traffic, 0, 500 * traffic.streams):  # beyond the end of the ring
        header = StrepHeader.parse(data)
        key = header.call_leg_id, header.direction
        heard[key] = heard.get(key, b"") + RtpPacket.parse(data[24:]).payload
    for call in range(3):
        for direction in (0, 1):
            assert heard[call_leg_id(call), direction] == expected_payload(call, direction, 0, 500, codec)
    frame_bytes = CODINGS[codec].frame_bytes
    assert expected_payload(2, 1, 7, 3, codec) == expected_payload(2, 1, 0, 10, codec)[7 * frame_bytes :]


def test_no_two_streams_and_no_two_packets_in_a_row_sound_alike() -> None:
    payloads = {expected_payload(call, direction, k, 1) for call in range(50) for direction in (0, 1) for k in range(9)}
    assert len(payloads) == 50 * 2 * 9


@pytest.mark.parametrize(("codec", "inverted_bits"), [("PCMU", 0xFF), ("PCMA", 0x55)])
def test_in_g711_the_level_follows_syllables(codec: str, inverted_bits: int) -> None:
    ring = payload_ring(codec)
    segment = (ring ^ inverted_bits) >> 4 & 7
    assert segment.max() == 6, "loud in the middle of a syllable, without clipping"
    assert segment[:50].max() == segment[2000:2048].max() == 0, "silent at its ends"
    assert len(ring) == RING_BYTES


def test_the_share_of_withheld_packets_is_as_asked() -> None:
    traffic = Traffic(100, loss=0.05)
    kept = sum(len(filled(traffic, start, start + 1000)) for start in range(0, 50_000, 1000))
    assert 47_000 < kept < 48_000


def test_the_seed_changes_everything_and_nothing_else_does() -> None:
    assert filled(Traffic(3, seed=1), 0, 60) == filled(Traffic(3, seed=1), 0, 60)
    assert not set(filled(Traffic(3, seed=1), 0, 60)) & set(filled(Traffic(3, seed=2), 0, 60))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"calls": 0}, "expected 1 to 32768 calls, found 0"),
        ({"calls": 32_769}, "found 32769"),
        ({"calls": 1, "codec": "Opus"}, "found codec 'Opus'"),
        ({"calls": 1, "loss": 1.0}, "found 1.0"),
        ({"calls": 1, "seed": -1}, "found -1"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Traffic(**arguments)
