import numpy as np
import pytest

from strep.emulator import CallState, Impairments
from strep.emulator.speech import conversation
from strep.errors import ConfigError
from strep.stream.events import Direction, Leg

TARGET = {"target": "udp:127.0.0.1:9000"}
LENGTH = len(conversation(8000)[0]) // 160
A_IN, A_OUT, B_IN, B_OUT = [(leg, direction) for leg in Leg for direction in Direction]


def send_all(fork):
    """Be the sender: send what there is."""
    for datagram in fork.media():
        fork.count(datagram, was_sent=True)
    fork.end()


def forked(platform, sender, call, body=None):
    platform.command(call.call_control_id, "fork_start", body or TARGET)
    return sender.forks[-1]


def test_a_call_is_answered_speaks_and_ends_with_its_conversation(platform, clock):
    call = platform.add_call()
    assert call.state is CallState.ACTIVE
    clock.advance(LENGTH * 0.02 - 0.001)
    assert call.state is CallState.ACTIVE
    clock.advance(0.001)
    assert call.state is CallState.ENDED


def test_a_call_can_ring_for_as_long_as_it_likes(platform, clock):
    call = platform.add_call(answered=False)
    clock.advance(3600)
    assert call.state is CallState.RINGING
    call.answer()
    assert call.state is CallState.ACTIVE and call.next_packet == 0
    clock.advance(1)
    call.answer()  # it is answered already
    assert call.next_packet == 50


def test_a_fork_begins_where_the_conversation_is(platform, clock, sender):
    call = platform.add_call()
    clock.advance(2.005)
    send_all(forked(platform, sender, call))
    sent = call.sent[A_IN]
    assert (sent.first_packet, sent.first_sample, sent.end_packet) == (101, 101 * 160, LENGTH)


def test_parties_that_wait_for_the_fork_are_heard_from_their_first_word(platform, clock, sender):
    call = platform.add_call(waits_for_fork=True)
    clock.advance(3600)
    assert call.state is CallState.ACTIVE
    forked(platform, sender, call)
    assert call.sent[A_IN].first_packet == 0
    clock.advance(LENGTH * 0.02)
    assert call.state is CallState.ENDED


def test_a_second_fork_goes_on_where_the_conversation_is_then(platform, clock, sender):
    call = platform.add_call()
    first = forked(platform, sender, call)
    first.end()
    clock.advance(1)
    second = forked(platform, sender, call)
    assert next(second.media()).packet == 50
    assert call.sent[A_IN].first_packet == 50


def test_parties_can_hold_the_conversation_again(platform, clock, sender):
    call = platform.add_call("G722", repeats=2)
    clock.advance(LENGTH * 0.02 - 0.5)
    send_all(forked(platform, sender, call))
    assert call.state is CallState.ACTIVE
    sent, (_, agent) = call.sent[A_OUT], conversation(16000)
    assert sent.end_packet == 2 * LENGTH
    assert np.array_equal(sent.samples(), np.concatenate([agent[-8000:], agent]))
    assert sent.payloads() == [*sent.stream.payloads[-25:], *sent.stream.payloads]


def test_the_platform_receives_the_caller_and_transmits_the_agent(platform, sender):
    call = platform.add_call()
    send_all(forked(platform, sender, call))
    caller, agent = conversation(8000)
    assert set(call.sent) == {A_IN, A_OUT}
    assert np.array_equal(call.sent[A_IN].samples(), caller)
    assert np.array_equal(call.sent[A_OUT].samples(), agent)


def test_what_leg_b_receives_leg_a_transmits(platform, sender):
    call = platform.add_call(bridged=True)
    send_all(forked(platform, sender, call))
    assert set(call.sent) == {A_IN, A_OUT, B_IN, B_OUT}
    assert call.sent[B_IN].payloads() == call.sent[A_OUT].payloads() != call.sent[A_IN].payloads()
    assert call.sent[B_OUT].payloads() == call.sent[A_IN].payloads()
    caller, agent = conversation(8000)
    assert np.array_equal(call.sent[B_IN].samples(), agent) and np.array_equal(call.sent[B_OUT].samples(), caller)
    assert len({sent.stream.ssrc for sent in call.sent.values()}) == 4


def test_the_account_tells_what_was_lost_doubled_and_refused(platform, sender):
    call = platform.add_call(impairments=Impairments(loss=0.1, duplicate=0.1, seed=1))
    fork = forked(platform, sender, call)
    datagrams = [datagram for datagram in fork.media() if datagram.stream == 0]
    for datagram in datagrams[:-1]:
        fork.count(datagram, was_sent=True)
    fork.count(datagrams[-1], was_sent=False)
    sent, numbers = call.sent[A_IN], {datagram.packet for datagram in datagrams[:-1]}
    assert sent.packets == len(numbers) and sent.refused == 1
    assert sent.duplicates == len(datagrams) - 1 - len(numbers) > 0
    assert sent.lost == max(numbers) + 1 - len(numbers) > 0
    assert len(sent.payloads()) == len(sent.samples()) // 160 == sent.end_packet
    assert call.sent[A_OUT].packets == call.sent[A_OUT].lost == 0


def test_a_call_that_was_never_forked_sent_nothing(platform):
    assert platform.add_call().sent == {}


def test_hanging_up_ends_the_fork(platform, sender):
    call = platform.add_call()
    fork = forked(platform, sender, call)
    assert fork.is_active
    call.hang_up()
    assert call.state is CallState.ENDED and not fork.is_active


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"codec": "G729"}, "codec: expected one of PCMU, PCMA, G722, OPUS, found 'G729'"),
        ({"payload_type": 128}, "payload_type: expected 0 to 127, found 128"),
        ({"repeats": 0}, "repeats: expected 1 to 1000, found 0"),
        ({"repeats": 1001}, "repeats: expected 1 to 1000, found 1001"),
    ],
)
def test_a_call_that_cannot_be_is_refused(platform, wrong, message):
    with pytest.raises(ConfigError, match=message):
        platform.add_call(**wrong)
    assert not platform.calls


def test_a_platform_holds_so_many_calls(platform, monkeypatch):
    monkeypatch.setattr("strep.emulator.exchange.MAX_CALLS", 2)
    platform.add_call()
    platform.add_call()
    with pytest.raises(ConfigError, match="at most 2 calls"):
        platform.add_call()


def test_another_payload_type_goes_on_the_wire(platform, sender):
    call = platform.add_call("OPUS", payload_type=111)
    datagram = next(forked(platform, sender, call).media())
    assert datagram.data[24 + 1] & 0x7F == 111
