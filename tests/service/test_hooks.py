import asyncio
import threading

from strep.service.hooks import Hook, StreamHook
from tests.receiving import BOUND_S, until


async def test_what_is_put_is_done_in_order():
    done = []

    async def on_event(item):
        done.append(item)

    hook = Hook("on_event", on_event, 10)
    hook.start()
    for number in range(5):
        hook.put(number)
    await hook.stop(BOUND_S)
    assert done == [0, 1, 2, 3, 4]
    assert (hook.done, hook.failed, hook.missed) == (5, 0, 0)


async def test_a_plain_function_runs_in_a_thread_of_its_own():
    threads = []
    hook = Hook("on_event", lambda item: threads.append(threading.current_thread()), 10)
    hook.start()
    hook.put(1)
    await hook.stop(BOUND_S)
    assert threads[0] is not threading.current_thread()
    assert hook.done == 1


async def test_a_callable_object_may_be_async():
    class Listener:
        async def __call__(self, item):
            await asyncio.sleep(0)

    hook = Hook("on_event", Listener(), 10)
    hook.start()
    hook.put(1)
    await hook.stop(BOUND_S)
    assert (hook.done, hook.failed) == (1, 0)


async def test_one_that_fails_is_called_again(caplog):
    def fail(item):
        raise ValueError(f"cannot take {item}")

    async def fail_too(item):
        fail(item)

    for function in (fail, fail_too):
        caplog.clear()
        hook = Hook("on_event", function, 100)
        hook.start()
        for number in range(30):
            hook.put(number)
        await hook.stop(BOUND_S)
        assert (hook.done, hook.failed, hook.missed) == (0, 30, 0)
        assert len(caplog.records) == 20, "a log is no dump"


async def test_one_that_is_too_slow_misses_the_newest():
    release = asyncio.Event()

    async def wait(item):
        await release.wait()

    hook = Hook("on_event", wait, 3)
    hook.start()
    hook.put(0)
    await asyncio.sleep(0)
    for number in range(1, 6):
        hook.put(number)
    assert hook.missed == 2
    release.set()
    await hook.stop(BOUND_S)
    assert hook.done == 4


async def test_an_async_one_that_takes_too_long_is_cancelled():
    async def wait_for_ever(item):
        await asyncio.Event().wait()

    hook = Hook("on_event", wait_for_ever, 10, timeout_s=0.01)
    hook.start()
    hook.put(1)
    await until(lambda: hook.failed == 1)
    await hook.stop(0.1)


async def test_one_that_never_comes_back_does_not_hold_up_the_end():
    stuck, begun = threading.Event(), threading.Event()

    def block(item):
        begun.set()
        stuck.wait(BOUND_S)

    async def wait_for_ever(item):
        await asyncio.Event().wait()

    hooks = [Hook("on_event", block, 1), Hook("on_event", wait_for_ever, 1)]
    for hook in hooks:
        hook.start()
        hook.put(1)
    await asyncio.to_thread(begun.wait, BOUND_S)
    for hook in hooks:
        hook.put(2)
    async with asyncio.timeout(BOUND_S):
        for hook in hooks:
            await hook.stop(0.05)
    assert [hook.done for hook in hooks] == [0, 0]
    stuck.set()


async def test_no_function_is_nothing_to_do():
    hook = Hook("on_event", None, 1)
    hook.start()
    hook.put(1)
    hook.put(2)
    await hook.stop(1)
    assert (hook.done, hook.missed) == (0, 0)
    assert not hook.is_set


async def test_each_stream_has_a_task_of_its_own():
    running = []

    async def listen(call, stream):
        running.append(stream)
        await asyncio.Event().wait()

    hook = StreamHook("on_stream", listen, 2)
    for number in range(3):
        hook.put(None, number)
    await asyncio.sleep(0)
    assert running == [0, 1]
    assert hook.missed == 1
    await hook.stop(0.01)


async def test_a_stream_hook_that_fails_is_counted(caplog):
    async def fail(call, stream):
        raise ValueError("no")

    hook = StreamHook("on_stream", fail, 2)
    hook.put(None, 1)
    await hook.stop(BOUND_S)
    assert hook.failed == 1
    assert "on_stream failed" in caplog.text
