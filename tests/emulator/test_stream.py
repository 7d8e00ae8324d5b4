"""One stream and how it changes: the laws of RTP, and what is encoded."""

from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strep.audio import g711
from strep.audio.decoders import new_decoder
from strep.emulator.codec import CODECS, Audio, Party, encoded_conversation, silence, speech
from strep.emulator.dtmf import Digits, tone
from strep.emulator.media import ForkedStream, ForkMedia, Impairments
from strep.emulator.script import Pause
from strep.emulator.speech import conversation
from strep.emulator.stream import RtpStream
from strep.errors import ConfigError
from strep.net.address import UdpAddress
from strep.stream.events import Direction, Leg
from strep.wire.rtp import RtpPacket
from strep.wire.telephone_event import TelephoneEventPayload, event_name

PACKET_NS = 20_000_000
SSRC, SEQUENCE, TIMESTAMP = 0xDECAFBAD, 65_500, 2**32 - 3200


def new_stream(encoding="PCMU"):
    payloads = encoded_conversation(encoding)[0]
    return RtpStream(Leg.A, Direction.INBOUND, CODECS[encoding], payloads, SSRC, SEQUENCE, TIMESTAMP)


def packets_of(stream, packets):
    return [(packet, RtpPacket.parse(rtp)) for packet in packets for _, rtp in stream.rtp_packets(packet)]


def sent_while(stream, length, changes):
    """Lay a fork out, and make each change (packet, function) when its time has come: (packet, RtpPacket) in order."""
    media = ForkMedia([ForkedStream(stream, UdpAddress("127.0.0.1", 9))], range(length), Impairments())
    sent, waiting = [], sorted(changes, key=lambda change: change[0])
    for packet in range(length):
        while waiting and waiting[0][0] == packet:
            waiting.pop(0)[1](stream)
        for datagram in media.take(packet * PACKET_NS):
            assert datagram.offset_ns == packet * PACKET_NS
            assert stream.packet_of(datagram.packet) == packet
            sent.append((packet, RtpPacket.parse(datagram.data)))
    return sent


TIMES = st.integers(0, 160)
CHANGES = st.lists(
    st.one_of(
        st.tuples(TIMES, st.sampled_from(Pause).map(lambda kind: lambda stream: stream.pause(kind))),
        st.tuples(TIMES, st.just(lambda stream: stream.resume())),
        st.tuples(
            TIMES,
            st.builds(Digits, st.text("0123456789*#ABCDw", min_size=1, max_size=3), st.integers(40, 100)).map(
                lambda digits: lambda stream: stream.send_digits(digits)
            ),
        ),
        st.tuples(TIMES, st.just(lambda stream: stream.play(speech("PCMU", Party.AGENT)))),
    ),
    max_size=6,
)


@settings(max_examples=50)
@given(CHANGES)
def test_whatever_changes_numbers_are_contiguous_and_timestamps_tell_the_time(changes):
    sent = sent_while(new_stream(), 200, changes)
    assert [packet.sequence_number for _, packet in sent] == [(SEQUENCE + n) & 0xFFFF for n in range(len(sent))]
    assert {packet.ssrc for _, packet in sent} <= {SSRC}
    for at, packet in sent:
        if packet.payload_type != 101:
            assert packet.timestamp == (TIMESTAMP + at * 160) & 0xFFFFFFFF
    audio = [at for at, packet in sent if packet.payload_type == 0]
    assert len(audio) == len(set(audio)), "20 ms of audio are sent once"


@settings(max_examples=50)
@given(CHANGES)
def test_an_events_timestamp_stands_still_while_its_duration_grows(changes):
    sent = sent_while(new_stream(), 300, changes)
    events = [(at, packet) for at, packet in sent if packet.payload_type == 101]
    for timestamp, of_event in groupby(events, key=lambda each: each[1].timestamp):
        of_event = list(of_event)
        told = [TelephoneEventPayload.parse(packet.payload) for _, packet in of_event]
        begin = of_event[0][0]
        assert timestamp == (TIMESTAMP + begin * 160) & 0xFFFFFFFF
        assert [packet.marker for _, packet in of_event] == [True] + [False] * (len(told) - 1)
        assert [one.end for one in told].count(True) == 3 and all(one.end for one in told[-3:])
        durations = [one.duration for one in told]
        assert durations[0] == durations[1] == durations[2] == 160 and durations[-3] == durations[-1]
        assert all(one < other for one, other in pairwise(durations[2:-2]))
        assert (of_event[-1][0] - begin) * 160 < durations[-1] <= (of_event[-1][0] - begin + 1) * 160


def test_digits_are_pressed_one_after_another_whoever_asks_for_them():
    stream = new_stream()
    first = stream.send_digits(Digits("12"), at=10)
    second = stream.send_digits(Digits("3", payload_type=96), at=12)
    assert (first, second) == (range(10, 30), range(30, 40))
    events = [(at, packet) for at, packet in packets_of(stream, range(60)) if packet.payload_type in (101, 96)]
    names = [(at, event_name(packet.payload[0]), packet.payload_type) for at, packet in events if packet.marker]
    assert names == [(10, "1", 101), (20, "2", 101), (30, "3", 96)]


def test_between_the_keys_the_conversation_goes_on():
    stream = new_stream()
    stream.send_digits(Digits("12"), at=10)
    audio = {at: packet.payload for at, packet in packets_of(stream, range(40)) if packet.payload_type == 0}
    assert set(audio) == set(range(40)) - set(range(10, 15)) - set(range(20, 25))
    assert all(payload == stream.payloads[at] for at, payload in audio.items())


@pytest.mark.parametrize("kind", Pause)
def test_after_a_pause_the_stream_goes_on_where_the_conversation_is(kind):
    stream = new_stream()
    stream.pause(kind, at=20)
    stream.resume(at=50)
    sent = packets_of(stream, range(70))
    spoken = [(at, packet) for at, packet in sent if at < 20 or at >= 50]
    assert [packet.payload for _, packet in spoken] == [stream.payloads[at] for at, _ in spoken]
    paused = [(at, packet.payload_type, packet.payload) for at, packet in sent if 20 <= at < 50]
    assert (
        paused
        == {
            Pause.ABSENT: [],
            Pause.COMFORT_NOISE: [(at, 13, bytes((60,))) for at in (20, 30, 40)],
            Pause.SILENCE: [(at, 0, b"\xff" * 160) for at in range(20, 50)],
        }[kind]
    )
    marked = [at for at, packet in sent if packet.marker]
    assert marked == ([] if kind is Pause.SILENCE else [50])


def test_an_event_keeps_its_numbers_whatever_happens_while_it_lasts():
    stream = new_stream()
    stream.send_digits(Digits("1"), at=10)
    stream.pause(at=11)
    stream.resume(at=12, ssrc=7, timestamp_jump=999)
    sent = packets_of(stream, range(20))
    events = {(packet.ssrc, packet.timestamp) for _, packet in sent if packet.payload_type == 101}
    assert events == {(SSRC, (TIMESTAMP + 1600) & 0xFFFFFFFF)}
    after = next(packet for at, packet in sent if at == 15)
    assert (after.ssrc, after.timestamp) == (7, (TIMESTAMP + 15 * 160 + 999) & 0xFFFFFFFF)


def test_after_a_pause_other_numbers_may_be_used():
    stream = new_stream()
    for at, jumps in ((20, {"ssrc": 7}), (40, {"timestamp_jump": -1600}), (60, {"sequence_number_jump": 1000})):
        stream.pause(at=at - 10)
        stream.resume(at=at, **jumps)
    numbers = {at: (p.ssrc, p.sequence_number, p.timestamp) for at, p in packets_of(stream, range(80))}

    def expected(at, sent, ssrc=7, sequence=0, timestamp=0):
        return ssrc, (SEQUENCE + sent + sequence) & 0xFFFF, (TIMESTAMP + at * 160 + timestamp) & 0xFFFFFFFF

    assert numbers[9] == expected(9, 9, ssrc=SSRC)
    assert numbers[20] == expected(20, 10)
    assert numbers[40] == expected(40, 20, timestamp=-1600)
    assert numbers[60] == expected(60, 30, sequence=1000, timestamp=-1600)


def test_a_change_comes_too_late_for_what_is_laid_out():
    stream = new_stream()
    sent_while(stream, 30, [])
    stream.pause(at=10)
    assert [at for at, _ in packets_of(stream, range(40))] == [*range(30)]


def test_in_g711_tones_are_mixed_into_what_is_said_and_encoded_with_it():
    stream, (caller, _) = new_stream("PCMA"), conversation(8000)
    took = stream.send_digits(Digits("5", tone_ms=50, in_band=True), at=30)
    mixed = caller[: 160 * 60].astype(int)
    mixed[30 * 160 : 30 * 160 + 400] += tone("5", 400, 8000)
    expected = g711.encode(mixed.clip(-32768, 32767).astype(np.int16), g711.Law.A).tobytes()
    assert took == range(30, 38)  # 50 and 100 ms, rounded up
    assert b"".join(stream.payload(packet) for packet in range(60)) == expected
    assert np.array_equal(np.concatenate([stream.samples(packet) for packet in range(60)]), mixed)
    assert {packet.payload_type for _, packet in packets_of(stream, range(60))} == {8}


def test_what_is_too_loud_together_is_clipped():
    stream = new_stream()
    loud = np.full(160, 30_000, np.int16)
    stream.play(Audio([b""], loud))
    stream.send_digits(Digits("1", in_band=True), at=0)
    mixed = loud[:160].astype(int) + tone("1", 160, 8000)
    assert mixed.max() > 32767
    assert np.array_equal(stream.samples(0), mixed.clip(-32768, 32767))


def level_dbfs(samples):
    return 10 * np.log10(max(np.mean(np.square(samples.astype(float))), 1e-3) / 32768**2)


@pytest.mark.parametrize(("encoding", "delay", "least_db"), [("G722", 22, 20), ("OPUS", 312, 4.5)])
def test_tones_and_other_audio_sound_as_they_should_through_codecs_with_a_past(encoding, delay, least_db):
    stream = new_stream(encoding)
    # The caller speaks from packet 200 on, and the agent from packet 0.
    stream.send_digits(Digits("159D", in_band=True), at=205)
    stream.play(speech(encoding, Party.AGENT), at=250, shift=-200)
    stream.pause(Pause.SILENCE, at=280)
    stream.resume(at=300)
    decoder, per_packet = new_decoder(stream.codec.format), stream.codec.packet_samples
    heard = np.concatenate([decoder.decode(stream.payload(packet)) for packet in range(360)])[delay:]
    spoken = np.concatenate([stream.samples(packet) for packet in range(360)])
    loud = 0
    for begin in range(195, 350, 5):  # at every joint, too
        span = slice(begin * per_packet, (begin + 5) * per_packet)
        speech_dbfs = level_dbfs(spoken[span])
        noise_dbfs = level_dbfs(heard[span].astype(int) - spoken[span])
        assert noise_dbfs < max(speech_dbfs - least_db, -35), (begin, speech_dbfs, noise_dbfs)
        loud += speech_dbfs > -30
    assert loud > 15


def test_opus_is_sent_again_as_it_is_encoded_for_everybody_when_its_encoder_has_settled():
    stream = new_stream("OPUS")
    took = stream.send_digits(Digits("1", in_band=True), at=240)
    common = {packet for packet in range(340) if stream.payload(packet) == stream.payloads[packet]}
    assert common.isdisjoint(range(240, 245))
    assert set(range(240)) | set(range(took.stop + 25, 340)) <= common


def test_the_encoder_of_g722_takes_over_in_the_very_state_and_for_good():
    stream = new_stream("G722")
    stream.play(speech("G722", Party.CALLER), at=700)  # it is what is said anyway
    assert [stream.payload(packet) for packet in range(1000)] == list(stream.payloads[:1000])
    stream.send_digits(Digits("1", in_band=True), at=1000)
    payloads = [stream.payload(packet) for packet in range(len(stream.payloads))]
    assert payloads[:1000] == list(stream.payloads[:1000])
    assert sum(one != other for one, other in zip(payloads[1000:], stream.payloads[1000:], strict=True)) > 100


def test_what_was_sent_long_ago_is_encoded_again_when_it_is_asked_for(monkeypatch):
    monkeypatch.setattr("strep.emulator.stream._KEPT_PACKETS", 20)
    stream, plain = new_stream("G722"), new_stream("G722")
    for each in (stream, plain):
        each.send_digits(Digits("1", in_band=True), at=40)
    live = [stream.payload(packet) for packet in range(100)]
    assert [stream.payload(packet) for packet in range(60)] == live[:60]
    assert [stream.payload(packet) for packet in (100, 30, 50, 101, 45)] == [
        plain.payload(packet) for packet in (100, 30, 50, 101, 45)
    ]


def test_payloads_are_the_same_in_whatever_order_they_are_asked_for():
    def changed():
        stream = new_stream("G722")
        stream.send_digits(Digits("12", in_band=True), at=40)
        stream.play(speech("G722", Party.AGENT), at=55)
        return stream

    forward, backward = changed(), changed()
    assert [forward.payload(n) for n in range(120)] == [backward.payload(n) for n in reversed(range(120))][::-1]


@pytest.mark.parametrize("encoding", ["PCMU", "G722", "OPUS"])
def test_a_change_counts_although_it_was_asked_already_what_would_be_sent(encoding):
    curious, plain = new_stream(encoding), new_stream(encoding)
    for stream in (curious, plain):
        stream.send_digits(Digits("12", in_band=True), at=40)
        if stream is curious:
            assert all(stream.payload(packet) for packet in range(60))
        stream.play(speech(encoding, Party.AGENT), at=50)
    assert [curious.payload(packet) for packet in range(100)] == [plain.payload(packet) for packet in range(100)]


def test_a_later_change_leaves_what_was_encoded_before_it():
    stream = new_stream("G722")
    stream.send_digits(Digits("12", in_band=True), at=40)
    before = [stream.payload(packet) for packet in range(50)]
    stream.play(speech("G722", Party.AGENT), at=50)
    assert [stream.payload(packet) for packet in range(50)] == before
    agent = conversation(16000)[Party.AGENT][50 * 320 : 51 * 320]
    assert np.array_equal(stream.samples(50), (agent + tone("2", 1600, 16000)[:320]).clip(-32768, 32767))


@pytest.mark.parametrize("encoding", CODECS)
def test_silence_is_silent_once_decoded(encoding):
    audio, decoder = silence(encoding), new_decoder(CODECS[encoding].format)
    heard = np.concatenate([decoder.decode(audio.payload(packet)) for packet in range(100)])
    assert len(heard) == 100 * CODECS[encoding].packet_samples
    assert np.abs(heard[len(heard) // 2 :].astype(int)).max() < 64


def test_comfort_noise_needs_a_clock_of_8_khz():
    stream = new_stream("OPUS")
    with pytest.raises(ConfigError, match="RTP clock of 8000 Hz, found 48000"):
        stream.pause(Pause.COMFORT_NOISE)
    assert stream.has_audio(0)


def test_a_stream_is_changed_only_so_often(monkeypatch):
    monkeypatch.setattr("strep.emulator.stream.MAX_CHANGES", 4)
    stream = new_stream()
    stream.send_digits(Digits("123"))
    stream.pause()
    with pytest.raises(ConfigError, match="at most 4 changes"):
        stream.resume()
