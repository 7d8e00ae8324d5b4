"""Numbers of senders can be given to others: then they are other conversations."""

import numpy as np

from strep.stream.engine import Engine
from strep.stream.events import StreamOpened
from strep.stream.keys import UNLEARNT
from strep.wire.batch import Endpoint
from tests.traffic import SMALL, Sender, feed, result


def endpoint(name: str, direction: int = 0) -> Endpoint:
    return Endpoint(f"{name}:9", "192.0.2.2:9", name, direction)


def identities_of(engine: Engine, endpoints: list[Endpoint], *source: int) -> list[list[int]]:
    """Feed a packet of plain RTP of each sender; give what tells their conversations from others."""
    packets = Sender(strep=False).packets(len(source))
    feed(engine, [(0, packet, sender) for packet, sender in zip(packets, source, strict=True)], endpoints)
    return engine._conversations.identity[list(source)].tolist()


def test_a_number_that_was_forgotten_is_another_conversation_and_the_others_stay() -> None:
    engine, endpoints = Engine(SMALL), [endpoint("a"), endpoint("b")]
    a, b, again = identities_of(engine, endpoints, 0, 1, 0)
    assert a == again != b
    engine.forget_senders(np.array([0, 70]))
    endpoints[0] = endpoint("c")
    c, still_b = identities_of(engine, endpoints, 0, 1)
    assert still_b == b
    assert c not in (a, b)


def test_endpoints_of_one_conversation_have_one_identity() -> None:
    engine, endpoints = Engine(SMALL), [endpoint("pair"), endpoint("pair", 1)]
    one, other = identities_of(engine, endpoints, 0, 1)
    assert one == other
    engine.forget_senders(np.array([0]))
    assert identities_of(engine, endpoints, 0, 1) == [one, other]
    assert engine.open_streams == 2


def test_more_senders_than_there_was_room_for_keep_their_conversations() -> None:
    engine, endpoints = Engine(SMALL), [endpoint("a")]
    (a,) = identities_of(engine, endpoints, 0)
    endpoints += [endpoint(f"{n}") for n in range(1, 1000)]
    again, far = identities_of(engine, endpoints, 0, 999)
    assert again == a != far


def test_senders_of_strep_and_of_what_is_no_rtp_are_not_asked_for_their_conversation() -> None:
    engine, endpoints = Engine(SMALL), [endpoint("a"), endpoint("b")]
    feed(engine, [(0, Sender().packet(), 0), (0, b"INVITE", 1)], endpoints)
    assert (engine._conversations.identity == UNLEARNT).all()


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
