"""Numbers of senders can be given to others: then they are other conversations."""

import numpy as np

from strep.engine import Engine
from strep.stream.events import StreamOpened
from strep.stream.keys import UNLEARNT, PacketKeys
from strep.wire.batch import DatagramBatch, Endpoint
from strep.wire.headers import parse_headers
from tests.traffic import SMALL, Sender, feed, result


def endpoint(name: str, direction: int = 0) -> Endpoint:
    return Endpoint(f"{name}:9", "192.0.2.2:9", name, direction)


def keys_of(keys: PacketKeys, endpoints: list[Endpoint], *source: int) -> list[int]:
    datagrams = Sender(strep=False).packets(len(source))
    batch = DatagramBatch.from_datagrams(datagrams, [0] * len(source), source, endpoints)
    return keys.of(batch, parse_headers(batch))[:, 0].tolist()


def test_a_number_that_was_forgotten_is_another_conversation_and_the_others_stay() -> None:
    keys, endpoints = PacketKeys(), [endpoint("a"), endpoint("b")]
    a, b, again = keys_of(keys, endpoints, 0, 1, 0)
    assert a == again != b
    keys.forget(np.array([0, 70]))
    endpoints[0] = endpoint("c")
    c, still_b = keys_of(keys, endpoints, 0, 1)
    assert still_b == b
    assert c not in (a, b)


def test_endpoints_of_one_conversation_have_one_identity() -> None:
    keys, endpoints = PacketKeys(), [endpoint("pair"), endpoint("pair", 1)]
    one, other = keys_of(keys, endpoints, 0, 1)
    assert one == other
    keys.forget(np.array([0]))
    assert keys_of(keys, endpoints, 0, 1) == [one, other]


def test_senders_of_strep_and_of_what_is_no_rtp_are_not_asked_for_their_conversation() -> None:
    keys = PacketKeys()
    batch = DatagramBatch.from_datagrams([Sender().packet(), b"INVITE"], [0, 0], [0, 1], [endpoint("a"), endpoint("b")])
    keys.of(batch, parse_headers(batch))
    assert (keys.conversation == UNLEARNT).all()


def test_a_new_sender_with_the_number_of_an_old_one_begins_a_stream_of_its_own() -> None:
    engine, endpoints = Engine(SMALL), [endpoint("a"), endpoint("b")]
    outputs = feed(engine, [(0, Sender(strep=False).packet(), 0), (1, Sender(strep=False).packet(), 1)], endpoints)
    outputs += engine.end_call("a")
    assert engine.senders_in_use() == {1}
    engine.forget_senders(np.array([0]))
    endpoints[0] = endpoint("c")
    outputs += feed(engine, [(20, Sender(strep=False, seed=3).packet(), 0)], endpoints)
    opened = result(outputs, engine).of(StreamOpened)
    assert [event.identity.conversation for event in opened] == ["a", "b", "c"]
    assert [event.source for event in opened] == ["a:9", "b:9", "c:9"]
