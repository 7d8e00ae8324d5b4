"""Drain one port by several processes at the same time, as `strep record --workers` does."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from bench import BenchError
from bench.child import Child
from bench.drains import ANY_PORT, QUEUED_BYTES, EngineDrain, require_room
from bench.machine import pin
from bench.turns import Progress
from strep.net.source import BoundSocket
from strep.net.steering import bind_group


class WorkerGroup:
    """A contender (bench.turns) of several processes, each with a socket of the group and an engine.

    queued: how many datagrams the queues hold, whoever gets them. cpus: where each worker runs, None: anywhere.
    stage_ns of its progress has one stage: the processor time of all workers.
    Raises BenchError when a process has failed, or where the system does not steer or lets us queue too few.
    """

    def __init__(self, cpus: Sequence[int | None], queued: int) -> None:
        with ExitStack() as stack:
            group = bind_group(ANY_PORT, len(cpus), QUEUED_BYTES * queued)
            for bound in group:  # they stay open here too: a closed one would leave its number to another
                stack.callback(bound.socket.close)
                require_room(bound)
            if len(group) != len(cpus):
                raise BenchError(f"expected a system that steers to {len(cpus)} sockets, found one that does not")
            self.address = group[0].address
            self._children = []
            for bound, cpu in zip(group, cpus, strict=True):
                child = Child(_serve, bound, queued, cpu)
                self._children.append(child)
                stack.callback(child.close)
            self._answers()
            self._closing = stack.pop_all()

    def drain(self, queued: int) -> None:
        """Let all workers begin, and wait until each has taken what it has in its queue."""
        self._ask(queued)

    def progress(self) -> Progress:
        """Add up what all workers did."""
        progress: list[Progress] = self._ask(None)
        return Progress(
            received=sum(one.received for one in progress),
            accepted=sum(one.accepted for one in progress),
            decoded=sum(one.decoded for one in progress),
            kernel_drops=sum(one.kernel_drops for one in progress),
            stage_ns=(sum(one.stage_ns[0] for one in progress),),
        )

    def close(self) -> None:
        """End the workers, and close the sockets."""
        self._closing.close()

    def _ask(self, question: int | None) -> list[Any]:
        for child in self._children:
            child.tell(question)
        return self._answers()

    def _answers(self) -> list[Any]:
        return [child.answer() for child in self._children]


def _serve(connection: Connection, bound: BoundSocket, queued: int, cpu: int | None) -> None:
    """Drain when told a number, tell what was done when told None, until the other end is closed."""
    pin(cpu)
    drain, spent_ns = EngineDrain(queued, bound=bound), 0
    connection.send(None)
    while True:
        try:
            told = connection.recv()
        except EOFError:
            drain.close()
            return
        if told is None:
            gc.collect()  # not while the next turn is timed
            connection.send(replace(drain.progress(), stage_ns=(spent_ns,)))
        else:
            begun_ns = time.process_time_ns()
            drain.drain(told)
            spent_ns += time.process_time_ns() - begun_ns
            connection.send(None)
