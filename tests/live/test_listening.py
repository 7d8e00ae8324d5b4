"""Live audio for tasks in the same program: bounded, counted, and forgotten when nobody holds it."""

import asyncio
import gc
import tracemalloc
import weakref

import numpy as np
import pytest

from strep.analysis.bounded_queue import BoundedQueue
from strep.audio.block import AudioBlock
from strep.live.listening import QUEUED_FRAMES, Listeners
from tests.receiving import BOUND_S
from tests.sinks.recordings.calls import block, closed, opened, tone

FRAME = 160


def audio(slot: int, count: int = 1, start: int = 0) -> list[AudioBlock]:
    return [block([(slot, (start + n) * FRAME, tone(FRAME, seed=n + 1))]) for n in range(count)]


async def take(queue) -> list:
    return [item async for item in queue]


async def test_a_queue_gives_items_in_order_and_ends_after_the_last() -> None:
    queue = BoundedQueue[int](10)
    for number in range(3):
        queue.put(number)
    queue.end()
    assert await take(queue) == [0, 1, 2]
    assert await take(queue) == []
    assert queue.missed == 0


async def test_a_full_queue_loses_the_oldest_and_counts_it() -> None:
    queue = BoundedQueue[int](4)
    for number in range(10):
        queue.put(number)
    queue.end()
    assert await take(queue) == [6, 7, 8, 9]
    assert queue.missed == 6


async def test_a_task_that_waits_is_woken_by_an_item_and_by_the_end() -> None:
    queue = BoundedQueue[int](4)
    task = asyncio.create_task(take(queue))
    await asyncio.sleep(0)
    queue.put(1)
    await asyncio.sleep(0)
    queue.end()
    assert await asyncio.wait_for(task, BOUND_S) == [1]


async def test_two_tasks_at_one_queue_share_its_items() -> None:
    queue = BoundedQueue[int](100)
    tasks = [asyncio.create_task(take(queue)) for _ in range(2)]
    for number in range(20):
        queue.put(number)
        await asyncio.sleep(0)
    queue.end()
    taken = await asyncio.wait_for(asyncio.gather(*tasks), BOUND_S)
    assert sorted(taken[0] + taken[1]) == list(range(20))


async def test_each_iteration_of_streams_gets_a_stream_of_its_own() -> None:
    listeners = Listeners()
    both = [listeners.streams(), listeners.streams()]
    listeners.take(opened(3))
    for one in audio(3, 5):
        listeners.take(one)
    listeners.take(closed(3, length=800))
    listeners.end()
    for queue in both:
        (stream,) = await take(queue)
        frames = await take(stream)
        assert [frame.position for frame in frames] == [n * FRAME for n in range(5)]
        assert (frames[4].samples == tone(FRAME, seed=5)).all()
        assert stream.report is not None
        assert stream.report.length_samples == 800


async def test_frames_go_to_the_stream_whose_slot_they_name_also_when_the_number_serves_again() -> None:
    listeners = Listeners()
    queue = listeners.streams()
    for output in [opened(0), opened(1, 1), *audio(0, 2), *audio(1, 3), closed(0), *audio(0, 1), opened(0, call=2)]:
        listeners.take(output)
    for output in audio(0, 4):
        listeners.take(output)
    listeners.end()
    streams = await take(queue)
    assert [len(await take(stream)) for stream in streams] == [2, 3, 4]
    assert [stream.report is not None for stream in streams] == [True, False, False]


async def test_a_stream_opened_before_the_iteration_is_not_part_of_it() -> None:
    listeners = Listeners()
    listeners.take(opened(0))
    queue = listeners.streams()
    for output in [*audio(0), opened(1)]:
        listeners.take(output)
    listeners.end()
    assert [stream.opened.slot for stream in await take(queue)] == [1]


async def test_a_task_that_is_late_keeps_the_newest_five_seconds_and_knows_what_it_missed() -> None:
    listeners = Listeners()
    queue = listeners.streams()
    listeners.take(opened(0))
    (stream,) = [await anext(queue)]
    for one in audio(0, QUEUED_FRAMES + 30):
        listeners.take(one)
    listeners.end()
    assert stream.missed_frames == 30
    assert [frame.position // FRAME for frame in await take(stream)] == list(range(30, QUEUED_FRAMES + 30))


async def test_a_task_that_reads_nothing_of_one_stream_of_4000_holds_less_than_200_kb() -> None:
    listeners = Listeners()
    queue = listeners.streams()
    listeners.take(opened(7))
    (stream,) = [await anext(queue)]
    del queue
    for slot in range(8, 20):  # which nobody listens to
        listeners.take(opened(slot))
    slots, samples = np.arange(4000), np.ones((4000, FRAME), np.int16)
    tracemalloc.start()
    for n in range(QUEUED_FRAMES + 10):
        position = np.full(4000, n * FRAME)
        states = np.zeros(4000, np.uint8)
        listeners.take(AudioBlock(8000, slots, position, samples + np.int16(n), states, position))
    gc.collect()
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held_bytes < 200_000
    frame = await anext(stream)
    assert (frame.slot, frame.position, set(frame.samples.tolist())) == (7, 10 * FRAME, {11})


async def test_events_come_in_order_without_audio() -> None:
    listeners = Listeners()
    queue = listeners.events()
    sent = [opened(0), opened(1, 1), closed(0), closed(1, 1)]
    for output in [sent[0], *audio(0), *sent[1:]]:
        listeners.take(output)
    listeners.end()
    assert await take(queue) == sent


async def test_an_iteration_that_begins_after_the_end_is_over_at_once() -> None:
    listeners = Listeners()
    listeners.end()
    assert await asyncio.wait_for(take(listeners.streams()), BOUND_S) == []
    assert await asyncio.wait_for(take(listeners.events()), BOUND_S) == []


async def test_what_nobody_holds_takes_no_more_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    listeners = Listeners()
    queue = listeners.streams()
    listeners.take(opened(0))
    left = weakref.ref(await anext(queue))
    one = audio(0)[0]
    samples = weakref.ref(one.samples)
    listeners.take(one)
    del queue, one
    gc.collect()
    assert left() is None
    assert samples() is None
    monkeypatch.delattr("strep.live.listening.Stream")
    listeners.take(opened(1))  # no stream is made for an iteration that was broken off


async def test_who_iterates_a_stream_holds_it() -> None:
    listeners = Listeners()
    queue = listeners.streams()
    listeners.take(opened(0))
    frames = aiter(await anext(queue))
    gc.collect()
    listeners.take(audio(0)[0])
    listeners.take(closed(0))
    assert [np.asarray(frame.samples).shape for frame in await asyncio.wait_for(take(frames), BOUND_S)] == [(FRAME,)]
