"""A leg is asked about before it begins; what comes of one that is refused is counted until one asks again."""

import uuid
from collections.abc import Callable

import pytest

from strep.stream.engine import Engine, EngineConfig
from strep.stream.events import CloseReason, StreamClosed, StreamIdentity, StreamOpened
from strep.wire.batch import Endpoint
from tests.stream.test_shedding import Traffic, legs
from tests.traffic import HERE, Sender, feed, pcmu


class Doorkeeper:
    """Admits the legs whose number is in `wanted`, and keeps what it was asked."""

    def __init__(self, *wanted: int) -> None:
        self.wanted = set(wanted)
        self.asked: list[int] = []

    def __call__(self, identity: StreamIdentity, endpoint: Endpoint) -> bool:
        assert endpoint == HERE[0]
        assert identity.call_leg_id is not None
        self.asked.append(identity.call_leg_id.int)
        return identity.call_leg_id.int in self.wanted


def traffic_of(admits: Callable[[StreamIdentity, Endpoint], bool], max_streams: int = 8) -> Traffic:
    return Traffic(Engine(EngineConfig(probation=False, max_streams=max_streams, admits=admits)))


def test_packets_of_a_leg_that_is_refused_are_counted_and_those_of_the_others_are_whole() -> None:
    traffic, calls = traffic_of(Doorkeeper(1, 3)), legs(4)
    traffic.send(calls, 10)
    assert (traffic.engine.open_calls, traffic.engine.refused_calls, traffic.engine.left_out_calls) == (2, 2, 0)
    outcome = traffic.end()
    assert (outcome.counts["accepted"], outcome.counts["rejected_leg"], outcome.counts["over_limit_load"]) == (
        20,
        20,
        0,
    )
    assert [event.identity.call_leg_id.int for event in outcome.of(StreamOpened)] == [1, 3]
    for event in outcome.of(StreamOpened):
        assert outcome.audio(event.slot).tolist() == pcmu(traffic.sent[event.identity.call_leg_id]).tolist()


def test_a_leg_is_asked_about_once_whatever_comes_of_it_while_it_is_open_or_refused() -> None:
    doorkeeper = Doorkeeper(1)
    traffic, (wanted, refused) = traffic_of(doorkeeper), legs(2)
    for ssrc in range(5):
        wanted.ssrc, refused.ssrc = ssrc, ssrc
        other = [Sender(call_leg_id=sender.call_leg_id, direction=1, ssrc=ssrc) for sender in (wanted, refused)]
        traffic.send([wanted, refused, *other], 2)
    assert doorkeeper.asked == [1, 2]
    assert traffic.engine.counts()["rejected_leg"] == 20


def test_the_legs_of_a_call_are_asked_about_each_for_itself() -> None:
    traffic = traffic_of(lambda identity, _: identity.leg.name == "B")
    traffic.send([Sender(leg=0), Sender(leg=1)], 3)
    assert (traffic.engine.counts()["accepted"], traffic.engine.counts()["rejected_leg"]) == (3, 3)


def test_conversations_of_plain_rtp_are_asked_about_by_name() -> None:
    asked = []

    def admits(identity: StreamIdentity, endpoint: Endpoint) -> bool:
        asked.append((identity.call, endpoint))
        return False

    traffic = traffic_of(admits)
    traffic.send([Sender(strep=False)], 3)
    assert asked == [("default", HERE[0])]
    assert traffic.engine.counts()["rejected_leg"] == 3


def test_who_was_refused_begins_with_its_next_packet_when_one_asked_again_and_it_is_wanted_now() -> None:
    doorkeeper = Doorkeeper(1)
    traffic, calls = traffic_of(doorkeeper), legs(3)
    traffic.send(calls, 5)
    doorkeeper.wanted.add(2)
    traffic.send(calls, 5)
    assert traffic.engine.counts()["rejected_leg"] == 20
    traffic.engine.ask_again()
    assert traffic.engine.refused_calls == 0
    traffic.send(calls, 5)
    outcome = traffic.end()
    assert doorkeeper.asked == [1, 2, 3, 2, 3]
    assert outcome.counts["rejected_leg"] == 25
    first, second = outcome.of(StreamOpened)
    assert second.identity.call_leg_id == calls[1].call_leg_id
    assert outcome.audio(second.slot).tolist() == pcmu(traffic.sent[calls[1].call_leg_id][10:]).tolist()
    assert outcome.audio(first.slot).tolist() == pcmu(traffic.sent[calls[0].call_leg_id]).tolist()


def test_whoever_is_asked_may_ask_again() -> None:
    engine: Engine

    def admits(identity: StreamIdentity, endpoint: Endpoint) -> bool:
        engine.ask_again()
        return False

    traffic = traffic_of(admits)
    engine = traffic.engine
    traffic.send(legs(3), 4)
    assert engine.counts()["rejected_leg"] == 12


def test_a_leg_that_was_closed_is_asked_about_anew() -> None:
    doorkeeper = Doorkeeper(1)
    traffic, (call,) = traffic_of(doorkeeper), legs(1)
    traffic.send([call], 2)
    doorkeeper.wanted.clear()
    traffic.outputs += traffic.engine.end_call(f"{call.call_leg_id}-A")
    traffic.send([call], 3)
    outcome = traffic.end()
    assert [event.reason for event in outcome.of(StreamClosed)] == [CloseReason.ENDED]
    assert (outcome.counts["accepted"], outcome.counts["rejected_leg"]) == (2, 3)


def test_refused_legs_stay_so_under_load_and_are_not_taken_back_with_those_that_are_left_out() -> None:
    doorkeeper = Doorkeeper(1, 2)
    traffic, calls = traffic_of(doorkeeper), legs(4)
    traffic.send(calls[:3], 2)
    traffic.leave_out(1)
    calls[2].ssrc += 100
    traffic.send(calls, 2)  # the last one is new: nobody is asked about it now
    engine = traffic.engine
    assert (engine.open_calls, engine.left_out_calls, engine.refused_calls) == (1, 2, 1)
    assert (engine.counts()["over_limit_load"], engine.counts()["rejected_leg"]) == (4, 4)
    engine.take_back(9)
    traffic.send(calls, 2)
    assert (engine.open_calls, engine.left_out_calls, engine.refused_calls) == (2, 0, 2)
    assert (engine.counts()["over_limit_load"], engine.counts()["rejected_leg"]) == (4, 8)
    assert doorkeeper.asked == [1, 2, 3, 2, 4]


def test_refusals_have_a_bound_beyond_which_the_oldest_are_forgotten_and_asked_about_again() -> None:
    doorkeeper = Doorkeeper()
    traffic, calls = traffic_of(doorkeeper, max_streams=1), legs(300)
    for call in calls:
        traffic.send([call], 2)
    engine = traffic.engine
    assert engine.counts()["rejected_leg"] == 600
    assert engine.refused_calls <= 65
    assert doorkeeper.asked == list(range(1, 301))
    traffic.send(calls[-1:] + calls[:1], 1)
    assert doorkeeper.asked[300:] == [1]


@pytest.mark.parametrize("count", [65, 300])
def test_of_more_new_legs_in_one_batch_than_can_be_remembered_none_begins_and_all_are_counted(count: int) -> None:
    traffic = traffic_of(Doorkeeper(), max_streams=1)
    traffic.send(legs(3), 1)
    traffic.outputs += feed(traffic.engine, [(traffic.ms, sender.packet()) for sender in legs(count, 10)])
    counts = traffic.engine.counts()
    assert sum(counts.values()) == counts["rejected_leg"] == 3 + count
    assert traffic.engine.open_calls == 0


def test_a_refusal_that_makes_way_within_a_batch_holds_for_its_packets_in_that_batch() -> None:
    """One new packet more than can be remembered, all of a wanted leg, makes all refusals forgotten."""
    traffic = traffic_of(Doorkeeper(1), max_streams=1)
    wanted, refused = legs(2)
    traffic.send([refused], 1)
    packets = [refused.packet(), *wanted.packets(66)]
    traffic.outputs += feed(traffic.engine, [(20 + n, packet) for n, packet in enumerate(packets)])
    assert traffic.engine.counts()["rejected_leg"] == 2
    assert traffic.engine.counts()["accepted"] == 66
    assert traffic.engine.faults == 0


def test_many_packets_of_a_refused_leg_do_not_crowd_others_out() -> None:
    doorkeeper = Doorkeeper(1)
    traffic, (wanted, refused) = traffic_of(doorkeeper, max_streams=1), legs(2)
    for ssrc in range(200):
        refused.ssrc = ssrc
        traffic.send([wanted, refused], 1)
    assert traffic.engine.counts()["accepted"] == traffic.engine.counts()["rejected_leg"] == 200


def test_nobody_is_refused_where_nobody_is_asked() -> None:
    traffic = Traffic(Engine(EngineConfig(probation=False, max_streams=8)))
    traffic.send([Sender(call_leg_id=uuid.UUID(int=9))], 2)
    traffic.engine.ask_again()
    traffic.send([Sender(call_leg_id=uuid.UUID(int=9))], 2)
    assert traffic.engine.open_calls == 1
    assert traffic.engine.refused_calls == 0
