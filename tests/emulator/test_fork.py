"""What a fork's account says was sent is what our own engine makes of it."""

import uuid
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strep.audio.block import SampleState
from strep.audio.formats import AudioFormat
from strep.emulator.codec import CODECS, encoded_conversation
from strep.emulator.dtmf import Digits
from strep.emulator.fork import Fork, SentStream
from strep.emulator.media import ForkedStream, Impairments, RtpStream
from strep.emulator.script import Pause
from strep.net.address import UdpAddress
from strep.stream.engine import EngineConfig
from strep.stream.events import Direction, Gap, Leg, SourceChanged, StreamClosed, TelephoneEvent
from strep.wire.strep import StrepHeader
from tests.emulator.test_dtmf import levels_dbm0
from tests.traffic import MS, run

CALL = uuid.UUID("428c31b6-7af4-4bcb-b7f5-5013ef9657c1")
TARGET = UdpAddress("127.0.0.1", 9000)
PACKET_NS = 20 * MS


def config(encoding):
    clock_hz = CODECS[encoding].format.rtp_clock_hz
    told = {116: CODECS["OPUS"].format, 101: AudioFormat("TELEPHONE-EVENT", clock_hz, clock_hz)}
    return EngineConfig(max_streams=8).with_payload_types(told)


def new_fork(encoding="PCMU", packets=range(250), impairments=None, directions=tuple(Direction)):
    payloads = encoded_conversation(encoding)
    streams = [
        RtpStream(Leg.A, direction, CODECS[encoding], payloads[direction], direction, 65_500, 99)
        for direction in directions
    ]
    forked = [
        ForkedStream(stream, TARGET, StrepHeader(CALL, stream.leg, stream.direction).serialize()) for stream in streams
    ]
    return Fork(CALL, "raw", forked, packets, impairments or Impairments()), streams


def play(fork, changes=(), encoding="PCMU"):
    """Send all of a fork to an engine, making each change (packet, function) in its time; gives what came out."""
    arrivals, waiting = [], sorted(changes, key=lambda change: change[0])
    while (offset_ns := fork.next_offset_ns) is not None:
        while waiting and offset_ns >= waiting[0][0] * PACKET_NS:
            waiting.pop(0)[1]()
        for datagram in fork.take(offset_ns):
            fork.count(datagram, was_sent=True)
            arrivals.append((datagram.offset_ns / MS, datagram.data))
    return run(arrivals, config(encoding), portions=[64] * len(arrivals), until_ms=arrivals[-1][0] + 200)


def slot_of(result, direction):
    (closed,) = (event for event in result.of(StreamClosed) if event.report.identity.direction is direction)
    return closed.slot, closed.report


def check(result, sent):
    """Hold what an engine made of a stream against its account: every sample that was received, and where it is."""
    slot, report = slot_of(result, sent.stream.direction)
    heard = np.zeros(report.length_samples, np.int16)
    received = np.zeros(report.length_samples, bool)
    for position, _, state, data in result.pieces[slot]:
        if state is SampleState.RECEIVED:
            heard[position : position + len(data) // 2] = np.frombuffer(data, np.int16)
            received[position : position + len(data) // 2] = True
    per_packet, arrived = sent.stream.codec.packet_samples, sent.arrived()
    first = int(np.argmax(arrived))  # a stream begins with the first packet that comes
    assert report.length_samples == (len(arrived) - first) * per_packet
    assert np.array_equal(received, arrived.repeat(per_packet)[first * per_packet :])
    assert np.array_equal(heard, sent.heard()[first * per_packet :])
    assert sum(source.lost for source in report.sources) == sent.lost
    assert sum(source.duplicates for source in report.sources) == sent.duplicates
    return report


@pytest.mark.parametrize("encoding", CODECS)
def test_digits_are_reported_as_pressed_and_the_audio_around_them_is_right(encoding):
    fork, (inbound, outbound) = new_fork(encoding)
    changes = [
        (30, lambda: inbound.send_digits(Digits("0#w9", tone_ms=90))),
        (50, lambda: outbound.send_digits(Digits("A"))),
    ]
    result = play(fork, changes, encoding)
    for sent in fork.sent:
        check(result, sent)
    told = {direction: [] for direction in Direction}
    slots = {slot_of(result, direction)[0]: direction for direction in Direction}
    for event in result.of(TelephoneEvent):
        assert event.complete and event.volume_dbm0 == -7
        at = event.position / CODECS[encoding].packet_samples
        told[slots[event.slot]].append((event.name, at, event.duration_ms))
    # 90 ms and 100 ms make the next key 190 ms later, at the next packet to begin; then again, and half a second.
    assert told[Direction.INBOUND] == [("0", 30, 90), ("#", 40, 90), ("9", 74, 90)]
    assert told[Direction.OUTBOUND] == [("A", 50, 100)]
    silence_ms = sum(gap.length_samples / gap.sample_rate_hz * 1000 for gap in result.of(Gap))
    assert silence_ms == 3 * 100 + 100
    assert {gap.state for gap in result.of(Gap)} == {SampleState.SILENCE}


@pytest.mark.parametrize("encoding", CODECS)
def test_tones_are_in_the_audio_at_their_frequencies_and_levels(encoding):
    fork, (stream,) = new_fork(encoding, directions=[Direction.INBOUND])
    result = play(fork, [(30, lambda: stream.send_digits(Digits("17D", in_band=True)))], encoding)
    check(result, fork.sent[0])
    assert not result.of(TelephoneEvent) and not result.of(Gap)
    audio, rate_hz = result.audio(), stream.codec.format.sample_rate_hz
    for press, (row_hz, column_hz) in enumerate([(697, 1209), (852, 1209), (941, 1633)]):
        start = round((0.6 + 0.2 * press + 0.025) * rate_hz)  # behind what a codec needs to get going
        tone, pause = (audio[at : at + rate_hz // 20] for at in (start, start + rate_hz // 10))
        measured = levels_dbm0(tone, rate_hz, [row_hz, column_hz, 770, 1477])
        assert measured[:2] == pytest.approx([-11, -9], abs=1) and max(measured[2:]) < -30
        assert np.abs(pause.astype(int)).max() < 600


@pytest.mark.parametrize(
    ("encoding", "kind"),
    [
        *((encoding, Pause.ABSENT) for encoding in CODECS),
        *((encoding, Pause.COMFORT_NOISE) for encoding in CODECS if encoding != "OPUS"),  # it has no clock of 8 kHz
    ],
)
def test_hold_is_silence_that_the_sender_meant_and_nothing_is_lost(encoding, kind):
    fork, (stream,) = new_fork(encoding, directions=[Direction.INBOUND])
    result = play(fork, [(50, lambda: stream.pause(kind)), (150, stream.resume)], encoding)
    report = check(result, fork.sent[0])
    (gap,) = result.of(Gap)
    per_packet = stream.codec.packet_samples
    assert (gap.position, gap.length_samples, gap.state) == (50 * per_packet, 100 * per_packet, SampleState.SILENCE)
    assert gap.lost_packets == 0 and report.sources[0].lost == 0
    assert not result.of(SourceChanged)


def test_hold_with_frames_of_silence_is_received_as_such():
    fork, (stream,) = new_fork(directions=[Direction.INBOUND])
    result = play(fork, [(50, lambda: stream.pause(Pause.SILENCE)), (150, stream.resume)])
    check(result, fork.sent[0])
    assert result.states() == [(SampleState.RECEIVED, 250 * 160)]
    assert not result.audio()[50 * 160 : 150 * 160].any()


@pytest.mark.parametrize(
    "numbers",
    [
        {"ssrc": 77},
        {"ssrc": 77, "sequence_number_jump": 20_000, "timestamp_jump": 1 << 31},
        {"timestamp_jump": 123_456_789},
        {"timestamp_jump": -100 * 160},  # the sender's clock stood still
    ],
    ids=["new SSRC", "all new", "new offset", "stood still"],
)
def test_after_hold_with_other_numbers_the_audio_is_still_where_it_belongs(numbers):
    fork, (stream,) = new_fork(directions=[Direction.INBOUND])
    result = play(fork, [(50, stream.pause), (150, lambda: stream.resume(**numbers))])
    check(result, fork.sent[0])
    assert len(result.of(SourceChanged)) == 1


@settings(max_examples=20, deadline=None)
@given(
    st.builds(
        Impairments,
        loss=st.floats(0, 0.3),
        duplicate=st.floats(0, 0.3),
        reorder=st.floats(0, 0.2),
        jitter_ms=st.floats(0, 20),
        burst_packets=st.floats(1, 5),
        seed=st.integers(0, 99),
    ),
    st.integers(20, 60),
)
def test_the_account_is_right_whatever_the_network_does_and_whatever_is_sent(harm, at):
    fork, (stream, _) = new_fork(packets=range(7, 130))
    changes = [
        (at, lambda: fork.impair(harm, Direction.INBOUND)),
        (at + 5, lambda: stream.send_digits(Digits("12"))),
        (at + 30, stream.pause),
        (at + 40, stream.resume),
    ]
    result = play(fork, changes)
    inbound, outbound = fork.sent
    for sent in (inbound, outbound):
        source = slot_of(result, sent.stream.direction)[1].sources[0]
        assert source.packets == int(sent.copies.sum())
        assert (source.lost, source.duplicates) == (sent.lost, sent.duplicates)
    assert outbound.lost == outbound.duplicates == 0
    check(result, outbound)
    assert sum(result.counts.values()) == sum(int(sent.copies.sum()) for sent in fork.sent)


@pytest.mark.parametrize("drift_ppm", [-200, 0, 80, 500])
def test_a_drifting_clock_is_the_skew_that_is_measured(drift_ppm):
    harm = Impairments(clock_drift_ppm=drift_ppm)
    fork, _ = new_fork(packets=range(50 * 60), impairments=harm, directions=[Direction.INBOUND])
    result = play(fork)
    report = check(result, fork.sent[0])
    assert report.skew_ppm == pytest.approx(drift_ppm, abs=5)


def test_a_drifting_sender_sends_by_its_own_clock():
    fork, _ = new_fork(packets=range(10_001), directions=[Direction.INBOUND])
    fork.impairments = Impairments(clock_drift_ppm=1000)
    last = list(fork.media())[-1]
    assert last.offset_ns == pytest.approx(10_000 * PACKET_NS / 1.001, abs=1)


def test_each_direction_may_have_a_network_of_its_own():
    fork, _ = new_fork()
    fork.impair(Impairments(loss=1), Direction.OUTBOUND)
    assert {datagram.stream for datagram in fork.media()} == {0}
    assert fork.impairments == Impairments()


def test_impairments_change_while_a_fork_runs():
    fork, _ = new_fork(directions=[Direction.INBOUND])
    went = []
    for packet in range(150):
        fork.impairments = Impairments(loss=float(50 <= packet < 100))
        went += [datagram.packet for datagram in fork.take(packet * PACKET_NS)]
    assert went == [*range(50), *range(100, 150)]


def test_a_network_switched_off_lets_no_packet_overtake_those_on_their_way():
    fork, _ = new_fork(directions=[Direction.INBOUND], impairments=Impairments(jitter_ms=1000, seed=1))
    went = [datagram.packet for packet in range(50) for datagram in fork.take(packet * PACKET_NS)]
    assert len(went) < 45
    fork.impairments = Impairments()
    went += [datagram.packet for datagram in fork.media()]
    assert went == [*range(250)]


def test_a_change_acts_on_the_very_next_packet():
    fork, (inbound, outbound) = new_fork()
    fork.take(20 * PACKET_NS)
    inbound.pause()
    assert {datagram.stream for datagram in fork.take(30 * PACKET_NS)} == {1}
    assert (inbound.number(31), outbound.number(31)) == (21, 31)


def test_the_account_names_packets_of_time_and_numbers_what_was_sent():
    fork, (stream,) = new_fork(packets=range(10, 100), directions=[Direction.INBOUND])
    stream.pause(at=20)
    stream.send_digits(Digits("5"), at=30)
    stream.resume(at=60)
    sent = fork.sent[0]
    assert (sent.first_packet, sent.first_number, sent.end_packet, sent.packets) == (10, 10, 10, 0)
    numbers = []
    for datagram in fork.media():
        fork.count(datagram, was_sent=True)
        numbers.append(datagram.packet)
    assert numbers == [*range(10, 10 + 10 + 9 + 40)]
    assert (sent.end_packet, sent.packets, sent.lost, sent.duplicates) == (100, 59, 0, 0)
    said = [(has, len(list(group))) for has, group in groupby(sent.payloads(), key=bool)]
    assert said == [(True, 10), (False, 40), (True, 40)]
    assert [bool(payload) for payload in sent.payloads()] == sent.arrived().tolist()
    assert not sent.samples()[10 * 160 : 50 * 160].any() and len(sent.samples()) == len(sent.heard()) == 90 * 160


def test_a_fork_that_ends_in_a_pause_ends_with_what_was_sent_last():
    fork, (stream,) = new_fork(directions=[Direction.INBOUND])
    stream.pause(at=100)
    check(play(fork), fork.sent[0])
    assert fork.sent[0].end_packet == 100


def test_an_account_grows_with_a_long_call():
    _, (stream,) = new_fork(packets=range(1 << 40), directions=[Direction.INBOUND])
    sent = SentStream(stream, range(5, 1 << 40))
    assert len(sent.copies) <= 3000
    for number in (5, 2999, 3005, 20_000, 20_000):
        sent.count(number, was_sent=True)
    assert (sent.packets, sent.duplicates, sent.end_packet) == (4, 1, 20_001)
    assert sent.copies.dtype == np.uint8 and len(sent.copies) < 40_000
