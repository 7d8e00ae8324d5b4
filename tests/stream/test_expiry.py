"""A leg ends when neither of its directions was heard for the idle time-out; that is looked at on whole seconds."""

import uuid

import pytest

from strep.stream.engine import Engine, EngineConfig
from strep.stream.events import CloseReason, StreamClosed, StreamOpened
from strep.wire.batch import DatagramBatch
from tests.traffic import HERE, MS, SMALL, START_NS, Sender, every, feed, play, result, run

SECONDS_5 = EngineConfig(probation=False, max_streams=8, idle_timeout_s=5)


def test_a_leg_of_which_nothing_is_heard_closes() -> None:
    arrivals = sorted([*every(Sender().packets(10)), *every(Sender(direction=1, seed=2).packets(10), start_ms=5)])
    closed = play(arrivals, SECONDS_5, until_ms=20_000).of(StreamClosed)
    assert [event.reason for event in closed] == [CloseReason.IDLE] * 2
    assert {event.time_ns for event in closed} == {START_NS + 6000 * MS}, "185 ms and 5 s, on the next whole second"


@pytest.mark.parametrize(("last_ms", "closes_ms"), [(0, 5000), (1, 6000), (999, 6000), (1000, 6000), (1001, 7000)])
def test_it_closes_at_the_first_whole_second_that_is_late_enough(last_ms: int, closes_ms: int) -> None:
    arrivals = [(last_ms, Sender().packet())]
    (closed,) = play(arrivals, SECONDS_5, until_ms=20_000).of(StreamClosed)
    assert closed.time_ns == START_NS + closes_ms * MS


def test_a_leg_that_was_heard_at_time_0_closes_as_any_other() -> None:
    """Clocks of captures may begin there."""
    engine = Engine(SECONDS_5)
    engine.feed(DatagramBatch.from_datagrams([Sender().packet()], [0], endpoints=HERE))
    (closed,) = [output for output in engine.advance(20_000 * MS) if isinstance(output, StreamClosed)]
    assert (closed.time_ns, closed.reason) == (5000 * MS, CloseReason.IDLE)


def test_it_does_not_close_before() -> None:
    (closed,) = play([(1, Sender().packet())], SECONDS_5, until_ms=5999).of(StreamClosed)
    assert closed.reason is CloseReason.STOPPED


def test_one_direction_keeps_the_other_open_for_minutes() -> None:
    silent, talking = Sender(), Sender(direction=1, seed=2)
    arrivals = [(0, silent.packet()), *every(talking.packets(61), start_ms=10, step_ms=4000)]
    result = play(arrivals, SECONDS_5)
    assert [event.reason for event in result.of(StreamClosed)] == [CloseReason.STOPPED] * 2
    assert len(result.of(StreamOpened)) == 2


def test_both_directions_close_together_when_the_last_of_them_falls_silent() -> None:
    arrivals = [(0, Sender().packet()), *every(Sender(direction=1).packets(4), start_ms=500, step_ms=3000)]
    closed = play(arrivals, SECONDS_5, until_ms=30_000).of(StreamClosed)
    assert [(event.reason, event.time_ns) for event in closed] == [(CloseReason.IDLE, START_NS + 15_000 * MS)] * 2


def test_another_leg_keeps_nothing_open() -> None:
    a, b, other = Sender(), Sender(leg=1, seed=2), Sender(call_leg_id=uuid.UUID(int=5), seed=3)
    arrivals = sorted([(0, a.packet()), *every(b.packets(9), 10, 4000), *every(other.packets(9), 20, 4000)])
    closed = play(arrivals, SECONDS_5).of(StreamClosed)
    idle = [event for event in closed if event.reason is CloseReason.IDLE]
    assert [event.report.identity.leg for event in idle] == [0]
    assert [event.report.identity.call_leg_id for event in idle] == [a.call_leg_id]


def test_packets_that_are_refused_are_heard_all_the_same() -> None:
    packet = Sender().packet()
    closed = play([(n * 4000, packet) for n in range(6)], SECONDS_5).of(StreamClosed)
    assert [event.reason for event in closed] == [CloseReason.STOPPED]


def test_what_comes_after_is_another_stream() -> None:
    sender = Sender()
    arrivals = [*every(sender.packets(5)), *every(sender.packets(5), start_ms=20_000)]
    result = play(arrivals, SECONDS_5)
    opened, closed = result.of(StreamOpened), result.of(StreamClosed)
    assert [event.time_ns - START_NS for event in opened] == [0, 20_000 * MS]
    assert [event.report.length_samples for event in closed] == [800, 800]
    assert closed[0].slot == closed[1].slot, "the number serves again"


def test_all_that_was_held_back_comes_out_before_the_end() -> None:
    engine = Engine(EngineConfig(probation=False, max_streams=8, idle_timeout_s=1, playout_delay_ms=500))
    outputs = feed(engine, every(Sender().packets(5)))
    outputs += engine.advance(START_NS + 2000 * MS)
    (closed,) = result(outputs, engine).of(StreamClosed)
    assert (closed.reason, closed.report.length_samples) == (CloseReason.IDLE, 800)
    assert isinstance(outputs[-1], StreamClosed)


def test_it_does_not_matter_when_anybody_looked() -> None:
    arrivals = [(0, Sender().packet()), (30_000, Sender(direction=1).packet())]
    ends = [
        [(event.reason, event.time_ns) for event in run(arrivals, SECONDS_5, step_ms=step_ms).of(StreamClosed)]
        for step_ms in (20, 700, 25_000, None)
    ]
    assert ends[0] == ends[1] == ends[2] == ends[3]
    assert ends[0][0] == (CloseReason.IDLE, START_NS + 5000 * MS)


def test_the_default_is_a_minute() -> None:
    (closed,) = play(every(Sender().packets(6)), SMALL, until_ms=100_000).of(StreamClosed)
    assert (closed.reason, closed.time_ns) == (CloseReason.IDLE, START_NS + 61_000 * MS)


def test_a_leg_that_hardly_began_closes_after_seconds() -> None:
    (closed,) = play(every(Sender().packets(5)), SMALL, until_ms=100_000).of(StreamClosed)
    assert (closed.reason, closed.time_ns) == (CloseReason.IDLE, START_NS + 6_000 * MS)


def test_a_direction_that_hardly_began_stays_open_while_the_other_is_heard() -> None:
    arrivals = [(0, Sender().packet()), *every(Sender(direction=1).packets(60), start_ms=10, step_ms=500)]
    closed = play(arrivals, SMALL).of(StreamClosed)
    assert [event.reason for event in closed] == [CloseReason.STOPPED] * 2
