"""Run a plugin in a process of its own, which is started again when it dies, hangs, or takes too much memory.

Nothing here waits for it: audio goes through memory that both see (strep.analysis.shared_ring), and the two pipes
carry only where it lies and what was found.
"""

from __future__ import annotations

import logging
import os
import pickle
import select
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from strep.analysis.child import LENGTH, TASK, Result
from strep.analysis.driver import MOST_FINDINGS
from strep.analysis.found import Found
from strep.analysis.options import STARTING_NS, PluginCounts, PluginRun
from strep.analysis.shared_ring import RingWriter, given_memory, parts_of, record_of
from strep.analysis.waiting import Enqueuer, Item, OpenStreams, Waiting
from strep.errors import ConfigError
from strep.plugins.base import Hops, Plugin

_log = logging.getLogger(__name__)
#: A pipe holds 64 KB, and so many tasks always fit: writing one never waits.
_MOST_UNDER_WAY = 1000
_STDERR = 2
#: A process that lived so long has recovered, and its restarts count from 0 again.
_STEADY_NS = 60_000_000_000
_READ_BYTES = 1 << 20
_LOOK_S = 0.02


class ProcessRunner(Enqueuer):
    """A process runner that hands what it is given to a process; see `check_sendable` for which plugins that can be."""

    def __init__(self, plugin: Plugin, run: PluginRun, clock: Callable[[], int], *, live: bool = True) -> None:
        self._name, self._run, self._clock, self._live = plugin.NAME, run, clock, live
        self._task = pickle.dumps((plugin, replace(run, plugin=plugin.NAME, config=None), live))
        self._most_under_way = max(1, run.queue_hops // 2)  # what is in the ring cannot be dropped any more
        self._waiting, self._streams = Waiting(max(1, run.queue_hops // 2)), OpenStreams()
        self._past, self._now = PluginCounts(), PluginCounts()  # of processes that died, of the one that runs
        self._off: str | None = None
        self._found: list[Found] = []
        self._restarts = 0  # in a row
        self._done = False
        self._process: _Process | None = None
        self._begin(clock())

    @property
    def pid(self) -> int | None:
        """Give the number of the process, while there is one."""
        return self._process.pid if self._process else None

    @property
    def counts(self) -> PluginCounts:
        """Count what became of the plugin, in all its processes."""
        counts = self._past + self._now
        counts.missed_hops += self._waiting.missed_hops
        counts.missed_events += self._waiting.missed_events
        counts.memory_bytes = self._now.memory_bytes
        counts.switched_off = self._off
        return counts

    def process(self, hops: Hops) -> None:
        """Take audio."""
        for part in parts_of(hops, self._process.ring.largest_record_bytes if self._process else len(hops)):
            self._put(part)

    def take(self) -> list[Found]:
        """Give what was found, and look after the process."""
        self._look()
        self._send()
        found, self._found = self._found, []
        return found

    def finish(self) -> list[Found]:
        """Settle, and give the rest."""
        self.settle()
        return self.take()

    def settle(self) -> None:
        """Wait until all is worked off; when live, only as long as patience lasts."""
        end_ns = self._clock() + int(self._run.patience_s * 1e9) if self._live else None
        is_told = False
        while self._process is not None and not self._done:
            self._send()
            if not self._waiting and not is_told:
                is_told = self._process.give(None)
            self._wait(_LOOK_S)
            before = self._process
            self._look()
            is_told = is_told and self._process is before
            if end_ns is not None and self._clock() > end_ns and self._process is not None and not self._done:
                self._switch_off(f"it was not done {self._run.patience_s:g} s after the end")
        self._end_process()

    def _put(self, item: Item) -> None:
        while not self._live and self._waiting.is_full and self._off is None:
            self._send()
            self._wait(_LOOK_S)
            self._look()
        if self._off is not None:
            self._waiting.refuse(item)
            return
        self._waiting.put(item)
        if self._waiting.is_hopeless:
            self._switch_off("it is too far behind")

    def _wait(self, timeout_s: float) -> None:
        if self._process is not None:
            waiting = select.poll()  # select knows no descriptors above 1023
            waiting.register(self._process.results, select.POLLIN)
            waiting.poll(timeout_s * 1000)

    def _send(self) -> None:
        """Hand over what there is room for."""
        while self._process is not None and self._waiting and self._process.hops_under_way < self._most_under_way:
            item = self._waiting.pop()
            if not self._process.give(item):
                self._waiting.put_back(item)
                return
            self._streams.note(item)

    def _look(self) -> None:
        """Take the results, and see whether the process lives, moves, and is not too large."""
        process, now_ns = self._process, self._clock()
        if process is None:
            return
        for result in process.answers(now_ns):
            self._take(result)
        patience_ns = int(self._run.patience_s * 1e9) if process.is_started else STARTING_NS
        if self._now.switched_off is not None:
            self._switch_off(self._now.switched_off)
        elif self._done:
            return
        elif process.is_dead:
            self._restart(process, now_ns, f"its process ended with {process.end()}")
        elif process.is_under_way and now_ns - process.heard_ns > patience_ns:
            self._past.hung += 1
            self._restart(process, now_ns, f"a call lasted longer than {patience_ns / 1e9:g} s")
        elif self._now.memory_bytes > self._run.most_memory_bytes:
            self._restart(process, now_ns, f"it took {self._now.memory_bytes} bytes of memory")

    def _take(self, result: Result) -> None:
        self._now = result.counts
        self._done = result.is_last
        room = max(0, MOST_FINDINGS - len(self._found))
        self._past.missed_findings += max(0, len(result.found) - room)
        self._found += result.found[:room]

    def _restart(self, process: _Process, now_ns: int, why: str) -> None:
        """Begin anew with another process, unless that was tried often enough."""
        self._restarts = 0 if now_ns - process.began_ns > _STEADY_NS else self._restarts
        if self._restarts == self._run.most_restarts:
            self._switch_off(f"{why}, after {self._restarts} restarts")
            return
        self._end_process()
        self._restarts += 1
        self._past.restarts += 1
        _log.warning("plugin %s is started again: %s", self._name, why)
        self._waiting.put_first(self._streams.all())
        self._begin(now_ns)

    def _begin(self, now_ns: int) -> None:
        try:
            self._process = _Process(self._task, now_ns)
        except OSError as error:  # no more processes, memory or descriptors to be had
            self._switch_off(f"no process could be made: {error}")

    def _switch_off(self, why: str) -> None:
        self._off = self._off or why
        _log.error("plugin %s is switched off: %s", self._name, why)
        self._waiting.clear()
        self._end_process()

    def _end_process(self) -> None:
        """End the process, and count what it was given for nothing."""
        process, self._process = self._process, None
        if process is not None:
            self._past = self._past + self._now
            self._past.missed_hops += process.hops_under_way
            self._now = PluginCounts(memory_bytes=self._now.memory_bytes)
            process.end()


class _Process:
    """One process, with its ring and its pipes. results: the descriptor to wait at."""

    def __init__(self, task: bytes, now_ns: int) -> None:
        self.began_ns = self.heard_ns = now_ns
        self.is_started = self.is_dead = False
        self._under_way: deque[int] = deque([0])  # hops of each task; the first one is to begin
        self.hops_under_way = 0  # that it was given and has not answered for
        self._bytes = b""
        self.ring = RingWriter()
        child_tasks, self._tasks = os.pipe()
        self.results, child_results = os.pipe()
        os.set_blocking(self.results, False)
        given = given_memory(task)
        try:
            self._process = _start(self.ring, child_tasks, child_results, given)
        except OSError:
            self._let_go()
            raise
        finally:
            for fd in (child_tasks, child_results, given):
                os.close(fd)

    @property
    def pid(self) -> int:
        """Give its number."""
        return self._process.pid

    @property
    def is_under_way(self) -> bool:
        """Tell whether it has something to do."""
        return bool(self._under_way)

    def give(self, item: object) -> bool:
        """Hand a task over; tell whether there was room."""
        if self.is_dead or len(self._under_way) >= _MOST_UNDER_WAY:
            return False
        place = self.ring.write(record_of(item))
        if place is None:
            return False
        self._under_way.append(len(item) if isinstance(item, Hops) else 0)
        self.hops_under_way += self._under_way[-1]
        try:
            os.write(self._tasks, TASK.pack(*place))
        except BrokenPipeError:
            self.is_dead = True
        return True

    def answers(self, now_ns: int) -> list[Result]:
        """Read what it answered."""
        while not self.is_dead:
            try:
                data = os.read(self.results, _READ_BYTES)
            except BlockingIOError:
                break
            self._bytes += data
            self.is_dead = not data
        results = []
        while len(self._bytes) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(self._bytes)[0]
            if len(self._bytes) < end:
                break
            try:
                result: Result = pickle.loads(self._bytes[LENGTH.size : end])
            except Exception:  # a finding of a kind that cannot be unpickled here
                _log.exception("a result cannot be read")
                self.is_dead = True
                break
            self._bytes = self._bytes[end:]
            self.hops_under_way -= self._under_way.popleft()
            self.ring.free(result.taken_bytes)
            self.is_started = True
            results.append(result)
        if results or not self._under_way:
            self.heard_ns = now_ns
        return results

    def end(self) -> int:
        """Kill it if it still runs, and let go of everything; gives its exit code, negative for a signal."""
        if self._tasks >= 0:
            self._process.kill()
            self._process.wait()
            self._let_go()
            self._tasks = -1
        return int(self._process.returncode)

    def _let_go(self) -> None:
        os.close(self._tasks)
        os.close(self.results)
        self.ring.close()


def _start(ring: RingWriter, tasks: int, results: int, given: int) -> subprocess.Popen[bytes]:
    """Start strep.analysis.child; what its plugin prints goes to our stderr, for stdout may be somebody's data."""
    begin = "import sys; from strep.analysis.child import main; main(sys.argv[1:])"
    numbers = [str(number) for number in (ring.fd, ring.size_bytes, tasks, results, given)]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", begin, *numbers],
        stdin=subprocess.DEVNULL,
        stdout=_STDERR,
        pass_fds=(ring.fd, tasks, results, given),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
        process_group=0,  # Ctrl-C in the terminal is for us alone
    )


def check_sendable(plugin: Plugin) -> None:
    """Raise ConfigError when another process could not have the plugin."""
    try:
        data = pickle.dumps(plugin)
    except Exception as error:
        raise ConfigError(f"plugin {plugin.NAME} cannot be sent to a process: {error}") from error
    if b"__main__" in data:
        raise ConfigError(f"plugin {plugin.NAME} must be in a module that can be imported, found it in __main__")
