"""The supervisor, with workers that are no processes and a clock that stands unless told otherwise."""

import asyncio
import signal

import pytest

from strep.live.workers import Counts, RestartPolicy, Supervisor, WorkerError, WorkerLedger
from tests.receiving import until

AT_ONCE = RestartPolicy(delays_s=(0.0, 0.0), steady_s=60.0, patience_s=30.0)
IMPATIENT = RestartPolicy(delays_s=(0.0, 0.0), patience_s=0.01, starting_s=0.01)


class FakeWorker:
    """Is a worker that says and does what the test tells it; `finishes` is its exit code when asked to stop."""

    def __init__(self, finishes=0):
        self.messages = asyncio.Queue()
        self.code = asyncio.get_running_loop().create_future()
        self.finishes = finishes
        self.was_stopped = False

    async def receive(self):
        message = await self.messages.get()
        if isinstance(message, Exception):
            raise message
        return message

    def report(self, received=0, **counts):
        self.messages.put_nowait(Counts(received=received, **counts))

    def end(self, code):
        if not self.code.done():
            self.code.set_result(code)
            self.messages.put_nowait(None)

    def stop(self):
        self.was_stopped = True
        if self.finishes is not None:
            self.end(self.finishes)

    def kill(self):
        self.end(-signal.SIGKILL)

    async def wait(self):
        return await asyncio.shield(self.code)


class WorkerGroup:
    """Launches fake workers, each of which has reported already."""

    def __init__(self, count=2, policy=AT_ONCE, **settings):
        self.launched = [[] for _ in range(count)]
        self.lines = []
        self.now_s = 0.0
        self.ledger = WorkerLedger(count, keep=9)
        self.make = FakeWorker
        self.supervisor = Supervisor(
            count,
            self.launch,
            self.ledger,
            policy=policy,
            tell=self.lines.append,
            clock_s=lambda: self.now_s,
            **settings,
        )

    async def launch(self, index):
        worker = self.make()
        worker.report()
        self.launched[index].append(worker)
        return worker

    async def has(self, index, times):
        await until(lambda: len(self.launched[index]) == times)
        return self.launched[index][-1]


async def test_all_workers_report_before_the_supervisor_is_entered_and_all_are_stopped():
    group = WorkerGroup(3)
    async with group.supervisor:
        workers = [worker for (worker,) in group.launched]
        for n, worker in enumerate(workers):
            worker.report(10**n, calls=1)
        await until(lambda: group.ledger.total.received == 111)
        assert group.ledger.total.calls == 3
        assert not any(worker.was_stopped for worker in workers)
    assert all(worker.was_stopped for worker in workers)
    assert group.ledger.total == Counts(received=111)
    assert (group.lines, group.ledger.restarts) == ([], 0)
    await group.supervisor.wait()


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (-9, "was killed by SIGKILL"),
        (1, "ended with exit code 1"),
        (0, "ended with exit code 0"),
        (-45, "by signal 45"),
    ],
)
async def test_a_worker_that_ends_is_started_again_and_the_others_are_not_touched(code, how):
    group = WorkerGroup()
    async with group.supervisor:
        (other,), (first,) = group.launched
        first.report(7, streams=2)
        first.end(code)
        second = await group.has(1, times=2)
        second.report(5)
        await until(lambda: group.ledger.total.received == 12)
        assert len(group.launched[0]) == 1
        assert not other.was_stopped
    (line,) = group.lines
    assert line.startswith("worker 1 ")
    assert how in line
    assert line.endswith("; its calls go on in a new one")
    assert group.ledger.total == Counts(received=12)
    assert group.ledger.restarts == 1


async def test_recordings_that_end_with_their_worker_are_told_and_counted():
    group = WorkerGroup(1)
    async with group.supervisor:
        group.launched[0][0].report(7, open_recordings=3)
        group.launched[0][0].end(-9)
        await group.has(0, times=2)
    assert "was killed by SIGKILL, and its recordings under way (3) end there" in group.lines[0]
    assert group.ledger.cut_short == 3


async def test_a_worker_that_dies_again_and_again_is_given_up_and_the_others_go_on_until_stopped():
    group = WorkerGroup()
    async with group.supervisor:
        for times in (1, 2, 3):
            (await group.has(1, times)).end(2)
        with pytest.raises(WorkerError, match="worker 1 ended with exit code 2; it was started again 2 times in a row"):
            await group.supervisor.wait()
        (other,) = group.launched[0]
        assert not other.was_stopped
    assert other.was_stopped
    assert len(group.launched[1]) == 3


async def test_a_worker_that_dies_now_and_then_is_never_given_up():
    group = WorkerGroup(1)
    async with group.supervisor:
        for times in range(1, 9):
            worker = await group.has(0, times)
            group.now_s += 60.0
            worker.end(-11)
        await group.has(0, 9)
    assert group.ledger.restarts == 8


async def test_a_worker_that_is_silent_for_too_long_is_killed_and_started_again():
    group = WorkerGroup(1, IMPATIENT)
    talk = None

    async def talk_on():
        while True:
            group.launched[0][-1].report()
            await asyncio.sleep(0)

    async with group.supervisor:
        second = await group.has(0, times=2)
        talk = asyncio.create_task(talk_on())
        await until(lambda: second.messages.qsize() == 0)
        talk.cancel()
    assert group.lines[0] == "worker 0 is killed: it has been silent for 0.01 s"
    assert group.lines[1].startswith("worker 0 was killed by SIGKILL")


async def test_a_worker_that_talks_nonsense_is_killed_and_started_again():
    group = WorkerGroup(1)
    async with group.supervisor:
        group.launched[0][0].messages.put_nowait(ValueError("expected a worker's message, found b'?'"))
        await group.has(0, times=2)
    assert group.lines[0] == "worker 0 is killed: expected a worker's message, found b'?'"


async def test_a_worker_that_closes_its_channel_and_does_not_end_is_killed():
    group = WorkerGroup(1, IMPATIENT)
    async with group.supervisor:
        group.launched[0][0].messages.put_nowait(None)
        await group.has(0, times=2)
    assert group.lines[0].startswith("worker 0 was killed by SIGKILL")


async def test_a_worker_that_is_to_finish_may_be_silent_for_as_long_as_it_takes():
    group = WorkerGroup(1, IMPATIENT)
    group.make = lambda: FakeWorker(finishes=None)
    async with group.supervisor:
        (worker,) = group.launched[0]
        stopping = asyncio.create_task(group.supervisor.stop())
        await asyncio.wait([stopping], timeout=20 * IMPATIENT.patience_s)
        assert not worker.code.done()
        worker.report(3)
        worker.end(0)
        await stopping
    assert group.ledger.total.received == 3
    assert group.lines == []


async def test_a_worker_that_fails_while_it_finishes_is_told():
    group = WorkerGroup(1)
    group.make = lambda: FakeWorker(finishes=1)
    async with group.supervisor:
        group.launched[0][0].report(5, open_recordings=2)
        await until(lambda: group.ledger.total.received == 5)
    assert group.lines == ["worker 0 ended with exit code 1, and its recordings under way (2) end there"]
    assert group.ledger.restarts == 0


async def test_who_is_cancelled_while_stopping_kills_what_still_runs():
    group = WorkerGroup(2)
    group.make = lambda: FakeWorker(finishes=None)
    async with group.supervisor:
        stopping = asyncio.create_task(group.supervisor.stop())
        await until(lambda: all(worker.was_stopped for (worker,) in group.launched))
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        assert [worker.code.result() for (worker,) in group.launched] == [-9, -9]


async def test_a_restart_that_waits_does_not_hold_up_the_stop():
    group = WorkerGroup(1, RestartPolicy(delays_s=(3600.0,)))
    async with group.supervisor:
        group.launched[0][0].end(1)
        await until(lambda: bool(group.lines))
        assert group.lines[0].endswith("its calls go on in a new one in 3600 s")
    assert len(group.launched[0]) == 1


async def test_a_worker_that_cannot_be_started_is_tried_again_and_given_up_in_the_end():
    group = WorkerGroup(1)

    def refuse():
        raise OSError(11, "Resource temporarily unavailable")

    group.make = refuse
    async with group.supervisor:
        with pytest.raises(WorkerError, match=r"worker 0 could not be started \(Resource temporarily unavailable\)"):
            await group.supervisor.wait()
    assert len(group.lines) == 2


async def test_being_cancelled_while_workers_start_stops_them():
    group = WorkerGroup(1)

    async def launch(index):
        worker = FakeWorker()
        group.launched[index].append(worker)
        return worker

    supervisor = Supervisor(1, launch, group.ledger, policy=AT_ONCE)
    entering = asyncio.create_task(supervisor.__aenter__())
    worker = await group.has(0, 1)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert worker.was_stopped
