"""A receiver with a packet ring records what one with a socket records, to the byte."""

import uuid
from pathlib import Path

import strep
from strep.net.address import UdpAddress
from strep.net.opening import Receive
from strep.net.source import bind_udp
from strep.net.steering import bind_group
from tests.receiving import RECEIVE_BUFFER_BYTES, deliver, interleave, open_socket, until
from tests.ring import beside, needs_ring
from tests.traffic import Sender

pytestmark = needs_ring


async def test_recordings_by_a_ring_are_those_by_a_socket(tmp_path: Path) -> None:
    bound = bind_udp(UdpAddress("127.0.0.1", 0), RECEIVE_BUFFER_BYTES)
    # Where the two directions of a call lie depends on when they are looked at, if they come faster than they sound.
    calls = [uuid.UUID(int=1), uuid.UUID(int=2)]
    packets = interleave(*(Sender(call_leg_id=call, direction=n).packets(150) for n, call in enumerate(calls)))
    ways, folders = (Receive.RING, Receive.RECVMMSG), (tmp_path / "ring", tmp_path / "socket")
    sinks = [strep.RecordingSink(folder) for folder in folders]
    by_ring, by_socket = (
        strep.Receiver(target, sinks=[sink], receive=way)
        for target, sink, way in zip((beside(bound), bound), sinks, ways, strict=True)
    )
    async with by_ring, by_socket:
        assert [*by_ring.ways, *by_socket.ways] == [*ways]
        await deliver(by_socket, packets)
        await until(lambda: by_ring.received == len(packets))
    assert by_ring.counts() == by_socket.counts()
    made = [{path.name: path.read_bytes() for path in folder.glob("*.wav")} for folder in folders]
    assert made[0] == made[1]
    assert len(made[0]) == 2


async def test_what_arrives_just_before_the_end_is_recorded(tmp_path: Path) -> None:
    sink, packets = strep.RecordingSink(tmp_path), Sender().packets(100)
    receiver = strep.Receiver("udp:127.0.0.1:0", sinks=[sink], receive=Receive.RING)
    async with receiver:
        with open_socket(receiver.addresses[0]) as sender:
            for packet in packets:
                sender.send(packet)
    assert receiver.received == 100
    assert sum(receiver.counts().values()) == 100


async def test_what_waits_in_a_socket_bound_before_is_received_too(tmp_path: Path) -> None:
    bound, packets = bind_group(UdpAddress("127.0.0.1", 0), 1)[0], Sender().packets(100)
    with open_socket(bound.address) as sender:
        for packet in packets[:50]:
            sender.send(packet)
        receiver = strep.Receiver(bound, receive=Receive.RING)
        async with receiver:
            for packet in packets[50:]:
                sender.send(packet)
            await until(lambda: receiver.received == 100)
    assert receiver.counts()["accepted"] == 100
