"""Send forks over real loopback UDP, faster than speech but for one test."""

import asyncio

import pytest

from strep.emulator import Impairments, Platform
from strep.emulator.sender import UdpSender
from strep.errors import ConfigError
from strep.stream.events import Direction, Leg
from strep.wire.rtp import RtpPacket
from strep.wire.strep import StrepHeader

A_IN, A_OUT = (Leg.A, Direction.INBOUND), (Leg.A, Direction.OUTBOUND)


async def test_a_fork_is_paced_like_speech_and_stops(receive):
    receiver, target = await receive()
    async with Platform() as platform:
        call = platform.add_call(waits_for_fork=True)
        platform.command(call.call_control_id, "fork_start", {"target": target})
        await receiver.wait_for(2 * 20)  # 0.38 s of two directions
        platform.command(call.call_control_id, "fork_stop", {})
        stopped_with = len(receiver.datagrams)
        await asyncio.sleep(0.05)
    assert len(receiver.datagrams) == stopped_with
    arrived_s = receiver.arrived_s[:40]
    assert arrived_s[-1] - arrived_s[0] > 0.3  # not in a burst
    headers = [StrepHeader.parse(datagram) for datagram in receiver.datagrams[:4]]
    assert [(header.call_leg_id, header.direction) for header in headers] == [
        (call.call_leg_id, direction) for direction in (0, 1, 0, 1)
    ]
    payloads = [RtpPacket.parse(data[24:]).payload for data in receiver.datagrams if data[0] & 1 == 0]
    assert payloads == call.sent[A_IN].payloads()[: len(payloads)]


async def test_sleeping_too_long_does_not_add_up():
    now_s, slept_until = 100.0, []

    async def oversleep(delay_s):
        nonlocal now_s
        now_s += delay_s + 0.003
        slept_until.append(now_s)
        await asyncio.sleep(0)

    sender = UdpSender(clock_s=lambda: now_s, sleep=oversleep)
    async with Platform(sender=sender) as platform:
        call = platform.add_call(waits_for_fork=True)
        platform.command(call.call_control_id, "fork_start", {"target": "udp:127.0.0.1:9"})
        await call.fork.wait_ended()
    due = [100 + 0.02 * packet for packet in range(call.length_packets)]
    assert all(-1e-9 < actual - planned < 0.0031 for actual, planned in zip(slept_until, due, strict=True))


async def test_a_whole_conversation_arrives_and_then_the_fork_is_over(receive):
    (received, rx), (transmitted, tx) = await receive(), await receive()
    async with Platform(speed=200) as platform:
        call = platform.add_call("G722", waits_for_fork=True)
        platform.command(call.call_control_id, "fork_start", {"rx": rx, "tx": tx})
        for receiver in (received, transmitted):
            await receiver.wait_for(call.length_packets)
        await call.fork.wait_ended()
    for receiver, key in ((received, A_IN), (transmitted, A_OUT)):
        packets = [RtpPacket.parse(data) for data in receiver.datagrams]
        assert [packet.payload for packet in packets] == call.sent[key].payloads()
        assert {(packet.payload_type, packet.ssrc) for packet in packets} == {(9, call.sent[key].stream.ssrc)}
        assert (call.sent[key].packets, call.sent[key].lost) == (call.length_packets, 0)


async def test_what_the_account_says_was_sent_is_what_arrives(receive):
    receiver, target = await receive()
    async with Platform(speed=200) as platform:
        harm = Impairments(loss=0.05, duplicate=0.05, reorder=0.05, jitter_ms=30, seed=5)
        call = platform.add_call(waits_for_fork=True, impairments=harm)
        platform.command(call.call_control_id, "fork_start", {"target": target})
        await call.fork.wait_ended()
        sent = call.sent.values()
        await receiver.wait_for(sum(stream.packets + stream.duplicates for stream in sent))
    assert len(receiver.datagrams) == sum(int(stream.copies.sum()) for stream in sent)
    assert all(stream.lost > 0 and stream.duplicates > 0 and stream.refused == 0 for stream in sent)


async def test_hanging_up_silences_the_fork(receive):
    receiver, target = await receive()
    async with Platform(speed=20) as platform:
        call = platform.add_call(waits_for_fork=True)
        platform.command(call.call_control_id, "fork_start", {"target": target})
        await receiver.wait_for(4)
        call.hang_up()
        assert call.sent[A_IN].end_packet < call.length_packets / 2


async def test_a_destination_without_a_route_is_counted_and_hurts_nobody():
    async with Platform(speed=1000) as platform:
        call = platform.add_call(waits_for_fork=True)
        # No socket may send to the broadcast address unasked: the kernel refuses each datagram.
        platform.command(call.call_control_id, "fork_start", {"target": "udp:255.255.255.255:9"})
        await call.fork.wait_ended()
    assert call.sent[A_IN].refused == call.length_packets and call.sent[A_IN].packets == 0


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_a_speed_that_goes_nowhere_is_refused(speed):
    with pytest.raises(ConfigError, match="speed"):
        UdpSender(speed)
