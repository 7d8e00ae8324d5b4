"""RTP without STREP: the endpoint it came from says which call and which direction it belongs to."""

from strep.audio.block import SampleState
from strep.audio.formats import AudioFormat, PayloadTypeMap
from strep.stream.engine import Engine, EngineConfig
from strep.stream.events import Direction, Leg, StreamOpened
from strep.wire.batch import Endpoint
from tests.traffic import LEG, SMALL, Sender, every, feed, pcmu, play, result

RX, TX = Endpoint("192.0.2.1:9", "192.0.2.2:10", "call", 0), Endpoint("192.0.2.1:9", "192.0.2.2:12", "call", 1)
OTHER = Endpoint("192.0.2.7:9", "192.0.2.2:10", "other", 0)


def from_source(source: int, arrivals: list[tuple[float, bytes]]) -> list[tuple[float, bytes, int]]:
    return [(ms, datagram, source) for ms, datagram in arrivals]


def test_one_port_for_each_direction_makes_one_call_of_two_streams() -> None:
    rx, tx = Sender(strep=False, ssrc=1).packets(10), Sender(strep=False, ssrc=2, seed=2).packets(10)
    arrivals = sorted([*from_source(0, every(rx)), *from_source(1, every(tx, start_ms=5))])
    played = play(arrivals, endpoints=(RX, TX))
    opened = played.of(StreamOpened)
    assert [event.identity.direction for event in opened] == [Direction.INBOUND, Direction.OUTBOUND]
    assert {event.identity.call for event in opened} == {"call"}
    assert {(event.identity.call_leg_id, event.identity.leg) for event in opened} == {(None, Leg.A)}
    assert [event.destination for event in opened] == [RX.destination, TX.destination]
    assert played.audio(0).tolist() == pcmu(rx, header=12).tolist()
    assert played.audio(1).tolist() == pcmu(tx, header=12).tolist()


def test_the_same_ssrc_in_two_conversations_is_two_streams() -> None:
    first, second = Sender(strep=False).packets(5), Sender(strep=False, seed=2).packets(5)
    arrivals = sorted([*from_source(0, every(first)), *from_source(1, every(second, start_ms=5))])
    played = play(arrivals, endpoints=(RX, OTHER))
    assert {event.identity.call for event in played.of(StreamOpened)} == {"call", "other"}
    assert played.audio(1).tolist() == pcmu(second, header=12).tolist()


def test_one_port_takes_plain_rtp_and_strep_from_the_same_sender() -> None:
    plain, wrapped = Sender(strep=False).packets(5), Sender(direction=1, seed=2).packets(5)
    arrivals = sorted([*from_source(0, every(plain)), *from_source(0, every(wrapped, start_ms=5))])
    played = play(arrivals, endpoints=(RX,))
    identities = [event.identity for event in played.of(StreamOpened)]
    assert [identity.call for identity in identities] == ["call", f"{LEG}-A"]
    assert played.audio(0).tolist() == pcmu(plain, header=12).tolist()
    assert played.audio(1).tolist() == pcmu(wrapped).tolist()


def test_a_strep_header_goes_before_what_the_endpoint_says() -> None:
    played = play(from_source(0, every(Sender(leg=1, direction=0).packets(3))), endpoints=(TX,))
    (opened,) = played.of(StreamOpened)
    assert (opened.identity.leg, opened.identity.direction) == (Leg.B, Direction.INBOUND)
    assert opened.identity.conversation == ""


def test_a_call_leg_id_of_nothing_but_zeros_is_one_like_any_other() -> None:
    zeros = type(LEG)(int=0)
    plain, wrapped = Sender(strep=False).packets(3), Sender(call_leg_id=zeros, seed=2).packets(3)
    played = play(sorted([*every(plain), *every(wrapped, start_ms=5)]))
    assert [event.identity.call_leg_id for event in played.of(StreamOpened)] == [None, zeros]


def test_endpoints_may_be_added_while_the_engine_runs() -> None:
    engine, endpoints = Engine(SMALL), [RX]
    outputs = feed(engine, every(Sender(strep=False).packets(3)), endpoints)
    endpoints.append(OTHER)
    outputs += feed(engine, from_source(1, every(Sender(strep=False, seed=2).packets(3), start_ms=100)), endpoints)
    outputs += engine.close()
    assert [event.identity.call for event in result(outputs, engine).of(StreamOpened)] == ["call", "other"]


def test_what_payload_types_mean_may_be_said_of_each_call() -> None:
    told = PayloadTypeMap({97: AudioFormat("PCMA", 8000, 8000)})
    config = EngineConfig(
        max_streams=8,
        payload_types_of=lambda identity, endpoint: told if endpoint.conversation == "other" else None,
    )
    arrivals = sorted(
        (n * 20 + source, packet, source)
        for source in (0, 1)
        for n, packet in enumerate(Sender(strep=False, payload_type=97).packets(3))
    )
    played = play(arrivals, config, endpoints=(RX, OTHER))
    assert [dict(played.states(slot)).get(SampleState.RECEIVED, 0) for slot in (0, 1)] == [0, 480]
