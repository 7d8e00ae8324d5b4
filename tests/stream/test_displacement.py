"""When slots are short, legs that have sent little and are silent make way; what waited for their slots is whole."""

import uuid

import pytest

from strep.stream import admission
from strep.stream.engine import Engine, EngineConfig
from strep.stream.events import CloseReason, StreamClosed, StreamOpened
from tests.traffic import Sender, every, feed, pcmu, per_stream, play, run


def senders(count: int, first: int = 0) -> list[Sender]:
    return [Sender(call_leg_id=uuid.UUID(int=n), seed=n, ssrc=n) for n in range(first, first + count)]


def stubs(count: int, packets: int = 2) -> list[tuple[float, bytes]]:
    """Legs that send a few packets in the first 200 ms, and nothing more."""
    return [(n * 20 + k, packet) for k, s in enumerate(senders(count)) for n, packet in enumerate(s.packets(packets))]


CONFIG = EngineConfig(max_streams=8)


@pytest.mark.parametrize("config", [CONFIG, EngineConfig(max_calls=8, max_streams=64)])
def test_a_call_gets_the_slot_of_a_leg_that_sent_little_and_loses_nothing(config: EngineConfig) -> None:
    (caller,) = senders(1, 100)
    packets = caller.packets(150)
    outcome = play(sorted(stubs(8) + every(packets, start_ms=700)), config)
    closed = [event for event in outcome.of(StreamClosed) if event.reason is CloseReason.DISPLACED]
    assert len(closed) == 1
    (slot,) = [event.slot for event in outcome.of(StreamOpened) if event.identity.call_leg_id.int == 100]
    audio = b"".join(data for _, _, _, data in outcome.pieces[slot][-150:])
    assert audio == pcmu(packets).tobytes()
    assert outcome.counts["over_limit_streams"] == outcome.counts["over_limit_calls"] == 0


def test_those_that_sent_least_go_first() -> None:
    legs = senders(8)
    arrivals = [(n * 20, p) for k, leg in enumerate(legs) for n, p in enumerate(leg.packets(2 + k))]
    callers = [packet for caller in senders(3, 100) for packet in every(caller.packets(100), start_ms=1500)]
    outcome = play(sorted(arrivals + callers), CONFIG)
    gone = [event.report.identity.call_leg_id.int for event in outcome.of(StreamClosed) if event.reason == "displaced"]
    assert sorted(gone) == [0, 1, 2]


def test_a_call_that_is_heard_and_one_on_hold_are_never_displaced() -> None:
    heard, on_hold = senders(2)
    arrivals = every(heard.packets(400)) + every(on_hold.packets(admission.DISPLACED_PACKETS + 1))
    newcomers = [packet for new in senders(5, 100) for packet in every(new.packets(50), start_ms=3000)]
    outcome = play(sorted(arrivals + newcomers), EngineConfig(max_streams=2))
    assert {event.reason for event in outcome.of(StreamClosed)} == {CloseReason.STOPPED}
    assert (outcome.counts["over_limit_streams"], outcome.counts["rejected_probation"]) == (245, 5)


@pytest.mark.thorough
def test_thousands_of_short_legs_do_not_keep_a_call_out() -> None:
    flood = [(20 * n + k * 20, p) for n, leg in enumerate(senders(1000)) for k, p in enumerate(leg.packets(2))]
    (caller,) = senders(1, 5000)
    packets = caller.packets(200)
    outcome = play(sorted(flood + every(packets, start_ms=10_000)), EngineConfig(max_streams=64))
    (closed,) = [event for event in outcome.of(StreamClosed) if event.report.identity.call_leg_id.int == 5000]
    assert closed.report.fates["accepted"] == 200


def test_a_host_may_begin_so_many_legs_at_once_and_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "LEGS_AT_ONCE", 10)
    monkeypatch.setattr(admission, "LEGS_A_SECOND", 5)
    arrivals = [(k * 10, p) for leg in senders(30) for k, p in enumerate(leg.packets(8))]
    engine = Engine(EngineConfig(max_streams=64))
    feed(engine, sorted(arrivals))
    assert engine.open_calls == 10
    assert engine.counts()["over_limit_rate"] + engine.counts()["rejected_probation"] == 20 * 8
    feed(engine, [(1000 + k * 10, p) for leg in senders(30) for k, p in enumerate(leg.packets(20)[8:])])
    assert engine.open_calls == 15


def test_batches_change_nothing_when_slots_are_short() -> None:
    arrivals = stubs(8) + [p for s in senders(6, 100) for p in every(s.packets(90), start_ms=900 + 7 * s.seed)]
    arrivals.sort()
    one_by_one = run(arrivals, CONFIG)
    for portions in ([13] * 100, [1000]):
        assert per_stream(run(arrivals, CONFIG, portions=portions, step_ms=None)) == per_stream(one_by_one)
