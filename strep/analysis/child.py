"""Be the process that a plugin runs in.

`main` gets the ring, its size, the pipes of tasks and results, and where the plugin lies.
"""

from __future__ import annotations

import os
import pickle
import select
import struct
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from strep.analysis.driver import Driver
from strep.analysis.found import Found
from strep.analysis.options import PluginCounts
from strep.analysis.shared_ring import RingReader, read_given
from strep.analysis.waiting import apply

#: A task: where its record begins, and how much of the ring it takes up.
TASK = struct.Struct("<2q")
#: Before each result: how long it is.
LENGTH = struct.Struct("<q")


class Result(NamedTuple):
    """What became of a task."""

    taken_bytes: int
    found: list[Found]
    counts: PluginCounts
    is_last: bool


def main(arguments: list[str]) -> None:
    """Do what is asked until there is nothing more, or nobody who asks."""
    ring_fd, size_bytes, tasks, results, given = map(int, arguments)
    ring = RingReader(ring_fd, size_bytes)
    threading.Thread(target=_end_with_parent, args=(tasks,), daemon=True).start()
    plugin, run, live = pickle.loads(read_given(given))
    driver = Driver(plugin, run, time.perf_counter_ns, live=live)
    _answer(results, driver, 0)
    while (place := _task(tasks)) is not None:
        item: Any = ring.read(place[0])
        is_last = item is None
        if is_last:
            driver.finish_keeping()
        else:
            apply(driver, item)
        _answer(results, driver, place[1], is_last=is_last)
        if is_last:
            return


def _end_with_parent(tasks: int) -> None:
    """End this process when nobody can give it tasks any more, though it may be busy with one."""
    waiting = select.poll()
    waiting.register(tasks, 0)  # which leaves its other end being closed
    while not any(happened & select.POLLHUP for _, happened in waiting.poll()):
        pass
    os._exit(1)


def _task(fd: int) -> tuple[int, int] | None:
    data = b""
    while len(data) < TASK.size:
        more = os.read(fd, TASK.size - len(data))
        if not more:
            return None
        data += more
    begin, taken_bytes = TASK.unpack(data)
    return begin, taken_bytes


def _answer(fd: int, driver: Driver, taken_bytes: int, *, is_last: bool = False) -> None:
    counts = replace(driver.counts, memory_bytes=memory_bytes())
    data = pickle.dumps(Result(taken_bytes, driver.take(), counts, is_last))
    data = LENGTH.pack(len(data)) + data
    while data:
        data = data[os.write(fd, data) :]


def memory_bytes() -> int:
    """Give how much memory this process has, 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
