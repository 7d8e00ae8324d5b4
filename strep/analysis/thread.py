"""Run a plugin in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from strep.analysis.driver import MOST_FINDINGS, Driver
from strep.analysis.found import Found
from strep.analysis.options import STARTING_NS, PluginCounts, PluginRun
from strep.analysis.waiting import Enqueuer, Item, Waiting, apply
from strep.plugins.base import Hops, Plugin

#: How often to look at the clock while waiting for the thread.
_LOOK_S = 0.02


class ThreadRunner(Enqueuer):
    """A thread runner that hands what it is given to a thread. One that hangs is left to itself, and the plugin is
    switched off.
    """

    def __init__(self, plugin: Plugin, run: PluginRun, clock: Callable[[], int], *, live: bool = True) -> None:
        self._plugin, self._run, self._clock, self._live = plugin, run, clock, live
        self._changed = threading.Condition()  # guards all below
        self._waiting = Waiting(run.queue_hops)
        self._found: list[Found] = []
        self._missed_findings = self._hung = 0
        self._given = 0  # hops of the call under way
        self._counts = PluginCounts()  # as of the last call that ended
        self._began_ns: int | None = clock()  # of the call under way
        self._off: str | None = None
        self._started = self._ended = False
        self._thread = threading.Thread(target=self._work, name=f"strep {plugin.NAME}", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> PluginCounts:
        """Count what became of the plugin."""
        with self._changed:
            counts = replace(self._counts, hung=self._hung)
            counts.missed_hops += self._waiting.missed_hops
            counts.missed_events += self._waiting.missed_events
            counts.missed_findings += self._missed_findings
            counts.switched_off = self._off or counts.switched_off
        return counts

    def take(self) -> list[Found]:
        """Give what was found, and see whether the thread still moves."""
        with self._changed:
            self._look()
            found, self._found = self._found, []
        return found

    def finish(self) -> list[Found]:
        """Settle, and give the rest."""
        self.settle()
        return self.take()

    def settle(self) -> None:
        """Wait until all is worked off, or the thread hangs, or, when live, patience ends."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        end_ns = self._clock() + int(self._run.patience_s * 1e9) if self._live else None
        while self._thread.is_alive() and self._off is None:
            self._thread.join(_LOOK_S)
            with self._changed:
                self._look()
                if end_ns is not None and self._clock() > end_ns:
                    self._switch_off(f"it was not done {self._run.patience_s:g} s after the end")

    def _put(self, item: Item) -> None:
        with self._changed:
            while not self._live and self._waiting.is_full and self._off is None:
                self._changed.wait(_LOOK_S)
                self._look()
            if self._off is not None:
                self._waiting.refuse(item)
                return
            self._waiting.put(item)
            if self._waiting.is_hopeless:
                self._switch_off("it is too far behind")
            self._changed.notify_all()

    def _look(self) -> None:
        """See whether the call under way has lasted too long."""
        patience_ns = self._run.patience_s * 1e9 if self._started else STARTING_NS
        if self._began_ns is not None and self._clock() - self._began_ns > patience_ns:
            self._hung += self._off is None
            self._switch_off(f"a call lasted longer than {patience_ns / 1e9:g} s")

    def _switch_off(self, why: str) -> None:
        if self._off is None:
            self._off = why
            self._waiting.clear()
            self._waiting.missed_hops += self._given
            self._changed.notify_all()

    def _work(self) -> None:
        driver = Driver(self._plugin, self._run, self._clock, live=self._live)
        while (item := self._next(driver)) is not None:
            apply(driver, item)
        if self._off is None:
            driver.finish_keeping()
            with self._changed:
                self._keep(driver)

    def _next(self, driver: Driver) -> Item | None:
        """Keep what the last call found, and wait for what is next; None: there is nothing more."""
        with self._changed:
            self._keep(driver)
            while not self._waiting and not self._ended and self._off is None:
                self._changed.wait()
            if not self._waiting or self._off is not None:
                return None
            item = self._waiting.pop()
            self._given = len(item) if isinstance(item, Hops) else 0
            self._began_ns = self._clock()
            self._changed.notify_all()
        return item

    def _keep(self, driver: Driver) -> None:
        """Lay what was found where it is taken, as far as there is room; a call that was given up tells nothing."""
        self._began_ns = None
        self._started = True
        found = driver.take()
        if self._off is not None:
            return
        self._given = 0
        self._counts = replace(driver.counts)
        room = max(0, MOST_FINDINGS - len(self._found))
        self._missed_findings += max(0, len(found) - room)
        self._found += found[:room]
