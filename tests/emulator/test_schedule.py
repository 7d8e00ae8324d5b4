import asyncio
import threading

from hypothesis import given
from hypothesis import strategies as st

from strep.emulator.schedule import Pump, Schedule
from tests.receiving import BOUND_S


def test_what_is_due_happens_in_order_of_time_and_then_of_asking():
    schedule, done = Schedule(), []
    for due_ns, name in ((20, "c"), (10, "a"), (10, "b"), (30, "d")):
        schedule.at(due_ns, lambda name=name: done.append(name))
    assert schedule.next_ns == 10 and len(schedule) == 4
    schedule.advance(20)
    assert done == ["a", "b", "c"] and schedule.next_ns == 30


def test_what_follows_from_something_due_is_counted_from_when_that_was_due():
    schedule, done = Schedule(), []
    schedule.at(10, lambda: schedule.at(schedule.running_ns + 5, lambda: done.append(schedule.running_ns)))
    schedule.advance(1000)
    assert done == [15] and schedule.running_ns is None


def test_what_was_cancelled_does_not_happen_and_cancelling_twice_counts_once():
    schedule, done = Schedule(), []
    timer = schedule.at(10, lambda: done.append(1))
    schedule.at(20, lambda: done.append(2))
    timer.cancel()
    timer.cancel()
    assert len(schedule) == 1 and schedule.next_ns == 20
    schedule.advance(20)
    timer.cancel()
    assert done == [2] and len(schedule) == 0 and schedule.next_ns is None


def test_cancelled_timers_do_not_pile_up():
    schedule = Schedule()
    kept = schedule.at(10**12, lambda: None)
    for number in range(5000):
        schedule.at(10**12 + number, lambda: None).cancel()
    assert len(schedule) == 1 and len(schedule._heap) < 1100
    assert schedule.next_ns == kept.due_ns


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans())), st.lists(st.integers(0, 60)))
def test_everything_happens_once_and_at_its_time(timers, turns):
    schedule, done = Schedule(), []
    asked = [
        (schedule.at(due_ns, lambda number=number: done.append(number)), due_ns, is_cancelled)
        for number, (due_ns, is_cancelled) in enumerate(timers)
    ]
    for timer, _, is_cancelled in asked:
        if is_cancelled:
            timer.cancel()
    for now_ns in sorted(turns):
        schedule.advance(now_ns)
    last_ns = max(turns, default=-1)
    expected = [number for number, (_, due_ns, cancelled) in enumerate(asked) if due_ns <= last_ns and not cancelled]
    assert done == sorted(expected, key=lambda number: asked[number][1])


async def test_the_loop_turns_it_when_something_is_due():
    schedule, happened, now = Schedule(), asyncio.Event(), [0]
    pump = Pump(schedule, lambda: now[0], speed=1.0)
    pump.start()
    schedule.at(10**15, lambda: None)
    now[0] = 10**9
    schedule.at(10**9, happened.set)  # before the other, and due at once
    await asyncio.wait_for(happened.wait(), BOUND_S)
    assert schedule.next_ns == 10**15
    pump.stop()


async def test_another_thread_can_ask_for_something():
    schedule, happened = Schedule(), asyncio.Event()
    pump = Pump(schedule, lambda: 0, speed=1.0)
    pump.start()
    thread = threading.Thread(target=lambda: schedule.at(0, happened.set))
    thread.start()
    thread.join()
    await asyncio.wait_for(happened.wait(), BOUND_S)
    pump.stop()


async def test_a_stopped_pump_lets_nothing_happen():
    schedule, done = Schedule(), []
    pump = Pump(schedule, lambda: 0, speed=1.0)
    pump.start()
    schedule.at(0, lambda: done.append(1))
    pump.stop()
    schedule.at(0, lambda: done.append(2))
    for _ in range(3):
        await asyncio.sleep(0)
    assert not done


async def test_what_fails_is_told_by_the_loop_and_holds_nothing_up():
    told, done = [], asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))
    schedule = Schedule()
    pump = Pump(schedule, lambda: 0, speed=1.0)
    pump.start()
    schedule.at(0, lambda: 1 / 0)
    schedule.at(0, done.set)
    await asyncio.wait_for(done.wait(), BOUND_S)
    pump.stop()
    assert [type(error) for error in told] == [ZeroDivisionError]
