"""Run plugins on what the engine puts out, and hand on what they find.

1. Plugins that want the same audio are given the same hops, cut once.
2. Whatever a plugin, or who listens to it, does: nothing is raised here, so capture and the other sinks go on. `counts`
   tells what happened.
3. Notices are numbered from 1 in the order in which they are told. Those of one stream are in order as far as they are
   of one plugin. What runs in a thread or a process may tell of a stream that has stopped by then.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from weakref import WeakSet

from strep.analysis.bounded_queue import QUEUED_ITEMS, BoundedQueue
from strep.analysis.child import memory_bytes
from strep.analysis.driver import Driver, Runner
from strep.analysis.found import Found
from strep.analysis.options import PluginCounts, PluginRun, Way
from strep.analysis.process import ProcessRunner, check_sendable
from strep.analysis.thread import ThreadRunner
from strep.audio.block import AudioBlock
from strep.errors import ConfigError
from strep.plugins.base import Hops, PlacedEvent, Wants
from strep.plugins.framing import Framer
from strep.plugins.pairs import PairFramer
from strep.plugins.portions import Portions
from strep.plugins.registry import PluginSource, load_plugin
from strep.stream.events import AnchorMoved, Event, StreamClosed, StreamIdentity, StreamOpened

_log = logging.getLogger(__name__)
#: How often plugins are told how late it is, while calls are live.
TICK_NS = 1_000_000_000
_RUNNERS: dict[Way, Callable[..., Runner]] = {Way.INLINE: Driver, Way.THREAD: ThreadRunner, Way.PROCESS: ProcessRunner}


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that is told: an event of the engine, or what a plugin found.

    sequence: 1, 2, 3 and so on; an anchor that moved, which only consumers are told, has the number of the one before.
    """

    sequence: int
    identity: StreamIdentity
    what: Event | Found


class Consumer(Protocol):
    """A consumer that takes notices."""

    def __call__(self, notice: Notice) -> None:
        """Take one; what it raises makes it be left out from then on."""


class Analysis:
    """A sink that runs plugins.

    plugins: names, import paths, classes or objects, which run inline, or a PluginRun for each that says more.
    consumers: are called with every Notice, in the thread of the receiver; one with a method `close` has that called
    in the end. live: whether audio waits for nobody; for a file, everything waits for the slowest plugin. clock: a
    steady one, ns. Raises ConfigError for a plugin that cannot be run as asked.
    """

    def __init__(
        self,
        plugins: Sequence[PluginSource | PluginRun],
        *,
        consumers: Iterable[Consumer] = (),
        live: bool = True,
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        runs = [given if isinstance(given, PluginRun) else PluginRun(given) for given in plugins]
        loaded = [(load_plugin(run.plugin, run.config), run) for run in runs]
        names = [plugin.NAME for plugin, _ in loaded]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(f"expected each plugin once, got {', '.join(twice)} more than once")
        self._consumers = list(consumers)
        self._queues: WeakSet[BoundedQueue[Notice]] = WeakSet()
        self._identity: dict[int, StreamIdentity] = {}
        self._told = self._next_tick_ns = 0
        self._settling = threading.Lock()
        self._closed = False
        self.failed_consumers = 0
        for plugin, run in loaded:
            if run.way is Way.PROCESS:
                check_sendable(plugin)
        self._loaded, self._live, self._clock = loaded, live, clock
        self._runners: dict[str, Runner] | None = None  # they start with the first call: what is not used costs nothing
        self._framers: dict[tuple[Wants, int], Framer | PairFramer] = {}
        self._portions: dict[tuple[Wants, int], Portions] = {}

    def event(self, event: Event) -> None:
        """Take an event of a stream: plugins are told first, so that what they find in a stream is before its end."""
        self._start()
        if isinstance(event, StreamOpened):
            self._identity[event.slot] = event.identity
            self._tell(event.identity, event)
        for way in self._ways:
            way.event(event)
        if isinstance(event, StreamClosed):
            self._take()
            self._tell(self._identity.pop(event.slot, event.report.identity), event)
        elif not isinstance(event, StreamOpened) and event.slot in self._identity:
            self._tell(self._identity[event.slot], event)

    def block(self, block: AudioBlock) -> None:
        """Take audio."""
        for way in self._ways:
            way.block(block)

    def flush(self, now_ns: int) -> None:
        """Hand on what was found, and look after what runs elsewhere."""
        self._start()
        for way in self._ways:
            way.flush(now_ns)
        if self._live and now_ns >= self._next_tick_ns:
            self._next_tick_ns = now_ns - now_ns % TICK_NS + TICK_NS
            self._tick(now_ns)
        self._take()

    def settle(self) -> None:
        """Wait for plugins that run elsewhere, as far as patience goes: so that `close` need not.

        May be called in a thread of its own, when nothing more is to come.
        """
        with self._settling:  # who comes second waits for the first
            for runner in (self._runners or {}).values():
                runner.settle()

    def close(self) -> None:
        """End every plugin, and hand on what they say last."""
        if self._closed:
            return
        self._closed = True
        self.settle()
        for runner in (self._runners or {}).values():
            self._hand_on(runner.finish())
        for queue in self._queues:
            queue.end()
        for consumer in self._consumers:
            end = getattr(consumer, "close", None)
            if end is not None:
                self._guard(consumer, end)

    def add(self, consumer: Consumer) -> None:
        """Tell one more consumer, from now on."""
        self._consumers.append(consumer)

    def notices(self) -> BoundedQueue[Notice]:
        """Iterate, with `async for`, what is told from now on. One that is too slow misses the oldest, see `missed`."""
        queue: BoundedQueue[Notice] = BoundedQueue(QUEUED_ITEMS)
        self._queues.add(queue)
        if self._closed:
            queue.end()
        return queue

    def counts(self) -> dict[str, PluginCounts]:
        """Count what became of each plugin, by name."""
        if self._runners is None:
            return {plugin.NAME: PluginCounts() for plugin, _ in self._loaded}
        counts = {}
        for plugin, run in self._loaded:
            framer = self._framers[plugin.wants, run.rows]
            counts[plugin.NAME] = replace(
                self._runners[plugin.NAME].counts,
                memory_bytes=self._runners[plugin.NAME].counts.memory_bytes or memory_bytes(),
                late_samples=framer.late_samples,
                refused_streams=framer.refused_streams,
            )
        return counts

    @property
    def _ways(self) -> Iterable[Portions | Framer | PairFramer]:
        """Give what leads to the framers."""
        return (self._portions or self._framers).values()

    def _start(self) -> None:
        if self._runners is not None:
            return
        self._runners = {}
        groups: dict[tuple[Wants, int], list[Runner]] = {}
        for plugin, run in self._loaded:
            runner = _RUNNERS[run.way](plugin, run, self._clock, live=self._live)
            self._runners[plugin.NAME] = runner
            groups.setdefault((plugin.wants, run.rows), []).append(runner)
        self._framers = {key: _framer(*key, _All(runners)) for key, runners in groups.items()}
        if self._live:
            self._portions = {key: Portions(framer) for key, framer in self._framers.items()}

    def _tick(self, now_ns: int) -> None:
        """Say how late it is to plugins that have heard all that came until now: not behind what waits in portions."""
        for (plugin, run), runner in zip(self._loaded, (self._runners or {}).values(), strict=True):
            if not self._portions[plugin.wants, run.rows].are_waiting:
                runner.tick(now_ns)

    def _take(self) -> None:
        for runner in (self._runners or {}).values():
            self._hand_on(runner.take())

    def _hand_on(self, findings: list[Found]) -> None:
        for found in findings:
            self._tell(found.identity, found)

    def _tell(self, identity: StreamIdentity, what: Event | Found) -> None:
        is_news = not isinstance(what, AnchorMoved)
        self._told += is_news
        notice = Notice(self._told, identity, what)
        for queue in self._queues if is_news else ():
            queue.put(notice)
        for consumer in tuple(self._consumers):
            self._guard(consumer, lambda consumer=consumer: consumer(notice))  # type: ignore[misc]  # it is typed

    def _guard(self, consumer: Consumer, act: Callable[[], object]) -> None:
        """Leave out a consumer that raises."""
        try:
            act()
        except Exception as error:
            self.failed_consumers += 1
            self._consumers = [other for other in self._consumers if other is not consumer]
            _log.error("%r failed and is told nothing more", consumer, exc_info=error)


class _All:
    """What gives the same to several."""

    def __init__(self, runners: list[Runner]) -> None:
        self._runners = runners

    def open(self, row: int, identity: StreamIdentity, time_ns: int) -> None:
        for runner in self._runners:
            runner.open(row, identity, time_ns)

    def process(self, hops: Hops) -> None:
        for runner in self._runners:
            runner.process(hops)

    def event(self, row: int, placed: PlacedEvent) -> None:
        for runner in self._runners:
            runner.event(row, placed)

    def close(self, row: int) -> None:
        for runner in self._runners:
            runner.close(row)


def _framer(wants: Wants, rows: int, taker: _All) -> Framer | PairFramer:
    return PairFramer(wants, taker, rows) if wants.is_pair else Framer(wants, taker, rows)
