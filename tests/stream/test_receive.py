"""Whose packet a datagram is: what the rules find is what parsing it by hand finds, for any bytes."""

import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.stream.engine import Engine
from strep.stream.events import Direction, Leg, StreamIdentity
from strep.stream.index import Key
from strep.stream.keys import identity_of, sender_of, ssrc_of
from strep.stream.records import NEVER
from strep.wire.batch import DatagramBatch, Endpoint
from strep.wire.fate import Fate
from tests.naive_datagram import parse_datagram
from tests.traffic import SMALL, Sender, feed

ENDPOINTS = [Endpoint("192.0.2.1:9", "192.0.2.2:9", "one"), Endpoint("192.0.2.1:8", "192.0.2.2:9", "two", 1)]


@st.composite
def datagrams(draw: st.DrawFn) -> list[bytes]:
    """Packets of known and unknown sources, plain and wrapped, some of them bent or cut."""
    made = []
    for _ in range(draw(st.integers(1, 12))):
        sender = Sender(
            call_leg_id=uuid.UUID(int=draw(st.sampled_from([1, 2, 1 << 100]))),
            direction=draw(st.integers(0, 1)),
            leg=draw(st.integers(0, 1)),
            ssrc=draw(st.sampled_from([0, 1, 0xFFFF_FFFF])),
            payload_type=draw(st.integers(0, 127)),
            sequence_number=draw(st.sampled_from([0, 255, 256, 65535])),
            timestamp=draw(st.sampled_from([0, 0x0102_0304, 0xFFFF_FFFF])),
        )
        packet = bytearray(sender.packet(draw(st.integers(0, 40))))
        if draw(st.booleans()):
            packet = packet[24:]
        if draw(st.booleans()):
            packet[draw(st.integers(0, min(40, len(packet)) - 1))] = draw(st.integers(0, 255))
        made.append(bytes(packet[: draw(st.sampled_from([1, 11, 12, 13, 24, 35, 36, 999, 999, 999]))]))
    return made


Found = tuple[int, int, int, StreamIdentity, int, int]


def by_hand(datagrams: list[bytes], senders: list[int]) -> list[Found]:
    """Give, of each packet: number, sequence number, timestamp, stream, SSRC and sender."""
    found = []
    for number, (datagram, sender) in enumerate(zip(datagrams, senders, strict=False)):
        parsed, endpoint = parse_datagram(datagram), ENDPOINTS[sender]
        if parsed.fate is not Fate.ACCEPTED:
            continue
        identity = StreamIdentity(None, Leg.A, Direction(endpoint.direction), endpoint.conversation)
        if header := parsed.strep:
            identity = StreamIdentity(header.call_leg_id, Leg(header.leg), Direction(header.direction))
        rtp = parsed.rtp
        found.append((number, rtp.sequence_number, rtp.timestamp, identity, rtp.ssrc, sender))
    return found


def by_rules(engine: Engine, batch: DatagramBatch) -> tuple[list[Found], list[Key]]:
    """Give the same of the packets that the engine does not know, and their keys."""
    unknown = engine._path.find_unknown(batch, 0, NEVER)
    keys = [key.tobytes() for key in unknown.key]
    numbers = unknown.number.tolist(), unknown.sequence_number.tolist(), unknown.timestamp.tolist()
    sources = [(identity_of(key, ENDPOINTS[sender_of(key)]), ssrc_of(key), sender_of(key)) for key in keys]
    return [(*some, *source) for *some, source in zip(*numbers, sources, strict=True)], keys


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
@given(datagrams(), st.lists(st.integers(0, 1), min_size=12, max_size=12), st.sets(st.integers(0, 11)))
def test_any_bytes_are_identified_as_by_hand(
    compiled: bool, bytes_: list[bytes], senders: list[int], known: set[int]
) -> None:
    engine = Engine(replace(SMALL, compiled=compiled))
    for sender, endpoint in enumerate(ENDPOINTS):
        engine._conversations.learn(sender, endpoint)
    batch = DatagramBatch.from_datagrams(bytes_, range(len(bytes_)), senders[: len(bytes_)], ENDPOINTS)
    expected = by_hand(bytes_, senders)
    found, keys = by_rules(engine, batch)
    assert found == expected
    known_keys = sorted({keys[n] for n in known if n < len(keys)})[:4]
    engine._legs.index.add(known_keys, list(range(len(known_keys))))
    left = [some for some, key in zip(expected, keys, strict=True) if key not in known_keys]
    assert by_rules(engine, batch)[0] == left


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
def test_nothing_is_sought_behind_a_whole_second_nor_behind_a_sender_whose_call_nobody_knows(compiled: bool) -> None:
    engine = Engine(replace(SMALL, compiled=compiled))
    bytes_ = [Sender().packet(), Sender(leg=1).packet(), Sender(strep=False).packet(), Sender(direction=1).packet()]
    batch = DatagramBatch.from_datagrams(bytes_, [10, 20, 30, 40], [0] * 4, ENDPOINTS)
    assert engine._path.find_unknown(batch, 0, 20).number.tolist() == [0]
    assert engine._path.find_unknown(batch, 0, NEVER).number.tolist() == [0, 1]
    engine._conversations.learn(0, ENDPOINTS[0])
    assert engine._path.find_unknown(batch, 1, NEVER).number.tolist() == [1, 2, 3]


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
def test_calls_whose_keys_have_one_place_are_told_apart_and_heard(compiled: bool) -> None:
    engine = Engine(replace(SMALL, compiled=compiled))
    engine._legs.index.multipliers[:] = 0  # the secret that keeps others from choosing such keys
    senders = [Sender(call_leg_id=uuid.UUID(int=n + 1), ssrc=n, seed=n) for n in range(8)]
    for turn in range(10):
        feed(engine, [(20 * turn, sender.packet()) for sender in senders[: turn + 1]])
    assert engine.counts()["accepted"] == sum(10 - n for n in range(8))
    assert [len(report.sources) for report in engine.reports()] == [1] * 8
