"""Send forks over real loopback UDP, faster than speech but for one test."""

import asyncio
import time

import pytest

from strep.emulator import Impairments, Platform
from strep.emulator.sender import UdpSender
from strep.errors import ConfigError
from strep.net.address import UdpAddress
from strep.stream.events import Direction, Leg
from strep.wire.rtp import RtpPacket
from strep.wire.strep import StrepHeader
from tests.receiving import until

A_IN, A_OUT = (Leg.A, Direction.INBOUND), (Leg.A, Direction.OUTBOUND)


async def test_a_fork_is_paced_like_speech_and_stops(receive):
    receiver, target = await receive()
    async with Platform() as platform:
        call = platform.add_call(waits_for_fork=True)
        began_s = time.monotonic()
        platform.command(call.call_control_id, "fork_start", {"target": target})
        await receiver.wait_for(2 * 20)  # 0.38 s of two directions
        platform.command(call.call_control_id, "fork_stop", {})
        sent = sum(int(stream.copies.sum()) for stream in call.sent.values())
        await receiver.wait_for(sent)
        await asyncio.sleep(0.05)
    assert len(receiver.datagrams) == sent, "what was under way came, and no more"
    assert all(arrived_s - began_s >= 0.02 * (n // 2) for n, arrived_s in enumerate(receiver.arrived_s)), (
        "none too soon"
    )
    headers = [StrepHeader.parse(datagram) for datagram in receiver.datagrams[:4]]
    assert [(header.call_leg_id, header.direction) for header in headers] == [
        (call.call_leg_id, direction) for direction in (0, 1, 0, 1)
    ]
    payloads = [RtpPacket.parse(data[24:]).payload for data in receiver.datagrams if data[0] & 1 == 0]
    assert payloads == call.sent[A_IN].payloads()[: len(payloads)]


class LateTimers:
    """Is a clock, and timers that fire when they are told to, each 3 ms late."""

    def __init__(self):
        self.now_s = 100.0
        self.fired_s = []
        self.waiting = None

    def call_later(self, delay_s, callback):
        assert delay_s >= 0
        self.waiting = (self.now_s + delay_s, callback)
        return self

    def cancel(self):
        self.waiting = None

    def fire(self):
        (due_s, callback), self.waiting = self.waiting, None
        self.now_s = max(self.now_s, due_s) + 0.003
        self.fired_s.append(self.now_s)
        callback()


async def test_waking_too_late_does_not_add_up():
    timers = LateTimers()
    sender = UdpSender(clock_s=lambda: timers.now_s, call_later=timers.call_later)
    async with Platform(sender=sender) as platform:
        call = platform.add_call(waits_for_fork=True)
        platform.command(call.call_control_id, "fork_start", {"target": "udp:127.0.0.1:9"})
        while timers.waiting:
            timers.fire()
        assert not call.fork.is_active
    due = [100 + 0.02 * packet for packet in range(call.length_packets)]
    assert all(-1e-9 < actual - planned < 0.0031 for actual, planned in zip(timers.fired_s, due, strict=True))


async def test_one_timer_wakes_for_whichever_fork_is_due_first():
    timers = LateTimers()
    async with Platform(sender=UdpSender(clock_s=lambda: timers.now_s, call_later=timers.call_later)) as platform:
        calls = [platform.add_call(waits_for_fork=True) for _ in range(2)]
        platform.command(calls[0].call_control_id, "fork_start", {"target": "udp:127.0.0.1:9"})
        timers.fire()
        assert [call.sent[A_IN].packets for call in calls[:1]] == [1]
        timers.now_s += 0.007  # so it is in between that the other one begins
        platform.command(calls[1].call_control_id, "fork_start", {"target": "udp:127.0.0.1:9"})
        sent = []
        for _ in range(5):
            timers.fire()
            sent.append([call.sent[A_IN].packets for call in calls])
    assert sent == [[1, 1], [2, 1], [2, 2], [3, 2], [3, 3]]


async def test_forks_to_a_target_share_a_port_and_each_plain_one_has_its_own():
    sources = {}

    class Kept(asyncio.DatagramProtocol):
        def datagram_received(self, data, addr):
            sources.setdefault("strep" if data[0] >> 6 == 3 else "plain", set()).add(addr[1])

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Kept, local_addr=("127.0.0.1", 0))
    here = str(UdpAddress(*transport.get_extra_info("sockname")))
    async with Platform() as platform:
        for destinations in [{"target": here}] * 3 + [{"rx": here, "tx": here}] * 3:
            call = platform.add_call(waits_for_fork=True)
            platform.command(call.call_control_id, "fork_start", destinations)
        await until(lambda: [len(ports) for ports in sources.values()] == [1, 3])
    transport.close()


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
