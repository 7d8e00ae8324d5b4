"""A leg begins with two packets in sequence; what came before them is held back, and taken then."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.stream import probation
from strep.stream.engine import Engine, EngineConfig
from strep.stream.events import StreamClosed, StreamOpened
from tests.traffic import HERE, MS, START_NS, Sender, every, feed, pcmu, per_stream, play, result, run

PROVEN = EngineConfig(max_streams=8)
STRAYS = [Sender(call_leg_id=uuid.UUID(int=n), ssrc=n) for n in range(400)]


def test_one_packet_is_no_leg() -> None:
    outcome = play(every([stray.packet() for stray in STRAYS]), PROVEN)
    assert outcome.of(StreamOpened) == []
    assert outcome.counts["rejected_probation"] == len(STRAYS)


def test_packets_that_do_not_follow_each_other_are_no_leg() -> None:
    packets = [Sender().packet(sequence_number=n * 7 % 1000) for n in range(200)]
    outcome = play(every(packets), PROVEN)
    assert outcome.of(StreamOpened) == []
    assert outcome.counts["rejected_probation"] == 200


def test_who_may_still_prove_itself_is_known_apart_from_who_did_not() -> None:
    engine = Engine(PROVEN)
    feed(engine, [(0, Sender(seed=3).packet()), *((0, stray.packet()) for stray in STRAYS)])
    assert engine.unproven_packets == engine.counts()["rejected_probation"] == 401
    engine.advance(START_NS + probation.HOLD_NS + 1000 * MS)
    assert (engine.unproven_packets, engine.counts()["rejected_probation"]) == (0, 401)


def test_who_has_proven_itself_waits_no_more() -> None:
    engine = Engine(PROVEN)
    first, second = Sender(seed=3).packets(2)
    feed(engine, [(0, first)])
    assert engine.unproven_packets == 1
    feed(engine, [(20, second)])
    assert (engine.unproven_packets, engine.counts()["rejected_probation"]) == (0, 0)


def test_a_call_beside_strays_is_whole_from_its_first_packet_on() -> None:
    packets = Sender(seed=3).packets(20)
    arrivals = sorted(every(packets) + every([stray.packet() for stray in STRAYS], step_ms=1))
    outcome = play(arrivals, PROVEN)
    assert (outcome.counts["accepted"], outcome.counts["rejected_probation"]) == (20, 400)
    assert outcome.audio().tolist() == pcmu(packets).tolist()
    (opened,) = outcome.of(StreamOpened)
    assert opened.time_ns == START_NS


def test_what_is_lost_or_overtaken_at_the_beginning_only_makes_the_proof_come_later() -> None:
    packets = Sender().packets(9)
    order = [3, 0, 5, 7, 8]
    outcome = play([(n * 20, packets[k]) for n, k in enumerate(order)], PROVEN)
    assert outcome.counts["accepted"] == 5
    assert outcome.report.sources[0].lost == 4


def test_one_direction_proves_the_leg_and_the_other_one_loses_nothing_either() -> None:
    inbound, outbound = Sender(), Sender(direction=1, ssrc=2, seed=2)
    first, packets = outbound.packets(1), inbound.packets(3)
    outcome = play([(0, first[0]), *every(packets, start_ms=5)], PROVEN)
    assert outcome.counts["accepted"] == 4
    audio = {event.report.identity.direction: outcome.audio(event.slot).tolist() for event in outcome.of(StreamClosed)}
    assert audio == {0: pcmu(packets).tolist(), 1: pcmu(first).tolist()}


def test_what_another_address_sends_proves_nothing() -> None:
    packets = Sender().packets(2)
    elsewhere = (*HERE, HERE[0])
    outcome = play([(0, packets[0], 0), (20, packets[1], 1)], PROVEN, endpoints=elsewhere)
    assert outcome.of(StreamOpened) == []


def test_who_is_not_heard_for_long_is_forgotten() -> None:
    hold_ms = probation.HOLD_NS // MS
    packets = Sender().packets(3)
    times = (1, hold_ms + 1, hold_ms + 2000)  # they are forgotten at whole seconds
    outcome = play(list(zip(times, packets, strict=True)), PROVEN)
    assert outcome.counts["accepted"] == 3
    outcome = play([(0, packets[0]), (hold_ms + 1001, packets[1]), (hold_ms + 1020, packets[2])], PROVEN)
    assert (outcome.counts["accepted"], outcome.counts["rejected_probation"]) == (2, 1)


def test_who_is_not_heard_for_long_is_forgotten_also_when_the_last_call_ends_meanwhile() -> None:
    call, stray = Sender(), Sender(call_leg_id=uuid.UUID(int=5), ssrc=5)
    arrivals = [*every(call.packets(2)), (4000, stray.packet()), (600_000, stray.packet())]
    assert run(arrivals, EngineConfig(idle_timeout_s=5)).counts["rejected_probation"] == 2


def test_what_is_held_back_has_a_bound_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probation, "MOST_SENDERS", 100)
    first, last = (stray.packets(2) for stray in STRAYS[:2])
    others = [stray.packet() for stray in STRAYS[2:102]]
    arrivals = every([first[0], *others[:-1], last[0], first[1], last[1]], step_ms=1)
    outcome = play(arrivals, PROVEN)
    assert outcome.counts["accepted"] == 2
    assert [event.identity.call_leg_id.int for event in outcome.of(StreamOpened)] == [1]


def test_the_bytes_that_are_held_back_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probation, "MOST_BYTES", 2000)
    engine = Engine(PROVEN)
    feed(engine, every([stray.packet() for stray in STRAYS], step_ms=1))
    assert engine._admission._probation._bytes <= 2000
    assert len(engine._admission._probation) == 10


def test_one_sender_may_hold_so_many_packets_and_no_more() -> None:
    engine = Engine(PROVEN)
    packets = [Sender().packet(sequence_number=2 * n, ssrc=n) for n in range(1000)]
    feed(engine, every(packets, step_ms=1))
    (held,) = engine._admission._probation._held.values()
    assert len(held) == probation.MOST_PACKETS


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 6), st.integers(0, 400)), max_size=60),
    st.lists(st.integers(1, 9), max_size=20),
)
def test_batches_change_nothing(packets: list[tuple[int, int, int, int]], portions: list[int]) -> None:
    arrivals, ms = [], 0
    for call, direction, number, pause_ms in packets:
        sender = Sender(call_leg_id=uuid.UUID(int=call), direction=direction, ssrc=direction, seed=call)
        ms += pause_ms
        arrivals.append((ms, sender.packet(sequence_number=number, timestamp=160 * number)))
    one_by_one = run(arrivals, PROVEN)
    together = run(arrivals, PROVEN, portions=[*portions, 1000], step_ms=None)
    assert per_stream(one_by_one) == per_stream(together)


def test_where_one_packet_is_enough_it_is() -> None:
    engine = Engine(EngineConfig(max_streams=8, probation=False))
    outcome = result([*feed(engine, [(0, Sender().packet())]), *engine.close()], engine)
    assert outcome.counts["accepted"] == 1
