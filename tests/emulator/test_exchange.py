"""What calls hear of each other: joined calls, keys pressed in them, hold, and the fork that has it all."""

import numpy as np
import pytest

from strep.emulator import CODECS, CallState, Digits, Party, Pause, conversation, speech
from strep.emulator.exchange import CallMedia
from strep.errors import ConfigError
from strep.stream.events import Direction, Leg
from strep.wire.rtp import RtpPacket

IN, OUT = (Leg.A, Direction.INBOUND), (Leg.A, Direction.OUTBOUND)
TARGET = {"target": "udp:127.0.0.1:9000"}


@pytest.fixture
def joined(platform):
    """Give two calls that are bridged, by their codecs."""

    def joined(*codecs):
        one, other = (platform.incoming_call(codec=codec) for codec in codecs)
        for call in (one, other):
            call.answer()
        platform.command(one.call_control_id, "bridge", {"call_control_id": other.call_control_id})
        return one, other

    return joined


def stream(call, which):
    return next(one for one in call.streams if (one.leg, one.direction) == which)


def samples(call, which, packets):
    return np.concatenate([stream(call, which).samples(packet) for packet in packets])


def payload_types(call, which, packets):
    return [RtpPacket.parse(data).payload_type for n in packets for _, data in stream(call, which).rtp_packets(n)]


@pytest.mark.parametrize("codecs", [("PCMU", "PCMU"), ("G722", "PCMA"), ("OPUS", "PCMU")])
def test_each_party_hears_the_other_in_its_own_codec(joined, codecs):
    one, other = joined(*codecs)
    for call in (one, other):
        rate_hz = CODECS[call.codecs[0]].format.sample_rate_hz
        caller = conversation(rate_hz)[Party.CALLER]
        heard = samples(call, OUT, range(300))
        assert heard.any() and np.array_equal(heard, caller[: len(heard)])  # both are callers, and said the same


def test_whoever_is_dialed_is_the_agent_and_hears_the_caller(platform, clock):
    dialed = platform.dial({"connection_id": "7", "from": "+13125550001", "to": "+13125550002"})
    clock.advance(1.5)
    platform.advance()
    call = platform.calls[dialed["call_control_id"]]
    caller, agent = conversation(8000)
    assert call.party is Party.AGENT
    assert np.array_equal(samples(call, IN, range(250)), agent[: 250 * 160])
    assert np.array_equal(samples(call, OUT, range(250)), caller[: 250 * 160])


def test_a_call_that_is_joined_later_hears_the_other_from_where_that_one_is(platform, clock, joined):
    early = platform.incoming_call()
    early.answer()
    clock.advance(5)
    late = platform.incoming_call()
    late.answer()
    platform.command(late.call_control_id, "bridge", {"call_control_id": early.call_control_id})
    caller = conversation(8000)[Party.CALLER]
    assert (early.next_packet, late.next_packet) == (250, 0)
    assert caller[250 * 160 : 300 * 160].any()
    assert np.array_equal(samples(late, OUT, range(50)), caller[250 * 160 : 300 * 160])
    assert np.array_equal(samples(early, OUT, range(250, 550)), caller[: 300 * 160])


def test_a_fork_of_a_joined_call_has_the_other_party(platform, sender, joined):
    one, _ = joined("PCMU", "PCMU")
    platform.command(one.call_control_id, "fork_start", TARGET)
    fork = sender.forks[0]
    for datagram in fork.take(6_000_000_000):
        fork.count(datagram, was_sent=True)
    caller = conversation(8000)[Party.CALLER]
    for which in (IN, OUT):
        assert np.array_equal(one.sent[which].samples(), caller[: 301 * 160])


@pytest.mark.parametrize("in_band", [True, False])
def test_keys_that_one_party_presses_are_in_both_calls(joined, in_band):
    one, other = joined("PCMU", "PCMA")
    one.send_dtmf("5", in_band=in_band)
    for call, which in ((one, IN), (other, OUT)):
        assert (101 in payload_types(call, which, range(5))) is not in_band
        assert samples(call, which, range(5)).any() == in_band  # nobody speaks yet: what sounds are the tones
    for call, which in ((one, OUT), (other, IN)):
        assert not samples(call, which, range(5)).any() and 101 not in payload_types(call, which, range(5))


def test_a_party_on_hold_is_silent_for_both_and_comes_back(clock, platform, told, joined):
    one, other = joined("PCMU", "PCMU")
    told()
    one.hold()
    assert payload_types(one, IN, range(50)) == payload_types(other, OUT, range(50)) == []
    assert len(payload_types(one, OUT, range(50))) == 50
    clock.advance(1)
    one.unhold()
    assert len(payload_types(one, IN, range(50, 100))) == len(payload_types(other, OUT, range(50, 100))) == 50
    assert [event_type for event_type, _ in told()] == ["call.hold", "call.unhold"]


def test_a_hold_that_one_of_the_codecs_has_not_changes_neither(joined, told):
    one, _ = joined("PCMU", "OPUS")
    told()
    with pytest.raises(ConfigError, match="comfort noise: expected a codec with an RTP clock of 8000 Hz"):
        one.hold(Pause.COMFORT_NOISE)
    assert payload_types(one, IN, range(50)) == [0] * 50 and not told()


def test_comfort_noise_and_silence_are_sent_on_hold(joined):
    one, other = joined("PCMU", "PCMU")
    one.hold(Pause.COMFORT_NOISE)
    other.hold(Pause.SILENCE)
    assert set(payload_types(one, IN, range(50))) == {13}
    assert payload_types(other, IN, range(300)) == [0] * 300 and not samples(other, IN, range(300)).any()


def test_a_users_own_script_can_be_played_on_a_stream(platform):
    call = platform.add_call()
    incoming = stream(call, IN)
    incoming.play(speech("PCMU", Party.AGENT), at=10)
    assert incoming.send_digits(Digits("1"), at=20) == range(20, 30)
    agent = conversation(8000)[Party.AGENT]
    assert np.array_equal(incoming.samples(12), agent[12 * 160 : 13 * 160])


def test_calls_of_every_codec_go_on_side_by_side(platform, sender):
    calls = [platform.add_call(codec) for codec in CODECS for _ in range(10)]
    for call in calls:
        platform.command(call.call_control_id, "fork_start", TARGET)
    for call, fork in zip(calls, sender.forks, strict=True):
        types = {RtpPacket.parse(datagram.data[24:]).payload_type for datagram in fork.take(200_000_000)}
        assert types == {CODECS[call.codecs[0]].payload_type}
    ssrcs = {one.ssrc for call in calls for one in call.streams}
    assert len(ssrcs) == 2 * len(calls) and len(platform.calls) == 40


@pytest.mark.parametrize("state", [CallState.ACTIVE, CallState.ENDED])
def test_a_call_is_found_while_it_is_remembered(platform, state):
    call = platform.add_call()
    if state is CallState.ENDED:
        call.hang_up()
    assert platform._exchange.find(call.call_control_id) is call
    assert platform._exchange.find("v3:nobody") is None


def test_media_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="codec: expected one of"):
        CallMedia("G729")
