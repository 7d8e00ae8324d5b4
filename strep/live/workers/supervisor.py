"""Start workers, watch them, start again what dies, and stop them all.

The rules:

1. A worker that ends unasked, however it ends, is started again under the same number after the delay that the policy
   says. One that is silent for too long is killed first. Others are not touched.
2. When the policy gives a worker up, `wait` raises WorkerError. The others go on until they are stopped.
3. Stopping asks every worker to finish and waits for it as long as that takes; a restart that is due is left out. Who
   is stopped while it waits (cancelled) kills what still runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Protocol

from strep.errors import StrepError
from strep.live.workers.ledger import WorkerLedger
from strep.live.workers.messages import Message
from strep.live.workers.restarts import RestartPolicy, Restarts

#: A worker's silence is measured in looks, not by the clock: when the whole machine stood still, nobody was silent.
_LOOKS = 10


class WorkerError(StrepError):
    """An error that says that a worker died so often that it was not started again."""


class Worker(Protocol):
    """A running worker."""

    async def receive(self) -> Message | None:
        """Wait for its next message; None when there will be no more. Can be cancelled without losing one."""

    def stop(self) -> None:
        """Ask it to finish."""

    def kill(self) -> None:
        """End it at once, if it still runs."""

    async def wait(self) -> int:
        """Wait for its end; returns its exit code, negative for the signal that killed it."""


class Supervisor:
    """A supervisor that keeps `count` workers running while it is entered.

    launch: starts a worker under its number, from 0. tell: takes a line about each worker that died.
    ledger: takes what the workers report. Leaving stops them all.
    """

    def __init__(
        self,
        count: int,
        launch: Callable[[int], Awaitable[Worker]],
        ledger: WorkerLedger,
        *,
        policy: RestartPolicy | None = None,
        tell: Callable[[str], None] = lambda line: None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ledger = ledger
        self._count, self._launch, self._tell, self._clock_s = count, launch, tell, clock_s
        self._policy = policy or RestartPolicy()
        self._running: dict[int, Worker] = {}
        self._ready = [asyncio.Event() for _ in range(count)]
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Supervisor:
        self._tasks = [
            asyncio.create_task(self._keep(index), name=f"strep worker {index}") for index in range(self._count)
        ]
        all_ready = asyncio.create_task(self._all_ready())
        try:  # a task that is done before has given up, as `wait` will tell
            await asyncio.wait([all_ready, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            await self.stop()
            raise
        finally:
            all_ready.cancel()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def wait(self) -> None:
        """Wait until all workers have been stopped. Raises WorkerError as soon as one is given up."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """Ask all workers to finish; wait until they have ended and all that they reported was taken."""
        self._stopping.set()
        for worker in self._running.values():
            worker.stop()
        try:
            await asyncio.wait(self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()  # each kills its worker
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _all_ready(self) -> None:
        for ready in self._ready:
            await ready.wait()

    async def _keep(self, index: int) -> None:
        """Keep one worker running until it is time to stop."""
        restarts = Restarts(self._policy)
        while not self._stopping.is_set():
            began_s = self._clock_s()
            outcome = await self._run(index)
            last = self.ledger.end(index)
            what = f"worker {index} {_ended(outcome)}"
            if last.open_recordings:
                self.ledger.cut_short += last.open_recordings
                what += f", and its recordings under way ({last.open_recordings}) end there"
            if self._stopping.is_set():
                if outcome != 0:
                    self._tell(what)
                return
            delay_s = restarts.next_delay_s(self._clock_s() - began_s)
            if delay_s is None:
                raise WorkerError(f"{what}; it was started again {restarts.in_a_row} times in a row: giving up")
            self.ledger.restarts += 1
            self._tell(f"{what}; its calls go on in a new one" + (f" in {delay_s:g} s" if delay_s else ""))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)

    async def _run(self, index: int) -> int | OSError:
        """Start a worker and take its messages until it ends; returns its exit code, or why there is none."""
        try:
            worker = await self._launch(index)
        except OSError as error:
            return error
        self._running[index] = worker
        if self._stopping.is_set():
            worker.stop()
        try:
            await self._listen(index, worker)
            with contextlib.suppress(TimeoutError):  # what has closed its channel has nothing left to do
                return await asyncio.wait_for(worker.wait(), self._policy.patience_s)
        finally:
            worker.kill()
            del self._running[index]
            code = await worker.wait()
        return code

    async def _listen(self, index: int, worker: Worker) -> None:
        """Take messages until there are no more, or the worker is silent for too long or talks nonsense."""
        silent_looks, patience_s = 0, self._policy.starting_s
        while silent_looks < _LOOKS or self._stopping.is_set():  # finishing thousands of files is silent work
            try:
                async with asyncio.timeout(patience_s / _LOOKS):
                    message = await worker.receive()
            except TimeoutError:
                silent_looks += 1
                continue
            except ValueError as error:
                self._tell(f"worker {index} is killed: {error}")
                break
            if message is None:
                return
            silent_looks, patience_s = 0, self._policy.patience_s
            self.ledger.take(index, message)
            self._ready[index].set()
        else:
            self._tell(f"worker {index} is killed: it has been silent for {patience_s:g} s")
        worker.kill()


def _ended(outcome: int | OSError) -> str:
    """Say how a worker ended."""
    if isinstance(outcome, OSError):
        return f"could not be started ({outcome.strerror or outcome})"
    if outcome >= 0:
        return f"ended with exit code {outcome}"
    try:
        return f"was killed by {signal.Signals(-outcome).name}"
    except ValueError:  # a real-time signal
        return f"was killed by signal {-outcome}"
