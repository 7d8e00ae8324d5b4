"""Take care of the folder of recordings: what a killed service left in it, and what is too old or too much."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from strep.service.config import Recordings
from strep.sinks.recovery import Outcome, Recovery, recover
from strep.sinks.recovery_thread import ConversionThread
from strep.sinks.retention import Removed, Retention, RetentionLimits
from strep.sinks.retention_thread import RetentionThread

_log = logging.getLogger(__name__)


class Upkeep:
    """A keeper of the folder of recordings, in threads beside the event loop.

    tell: is told what happened, in the event loop: kind and details of a ServiceEvent. clock_ns: the wall clock.
    """

    def __init__(self, recordings: Recordings, tell: Callable[..., object], clock_ns: Callable[[], int]) -> None:
        self._recordings, self._tell, self._clock_ns = recordings, tell, clock_ns
        self._threads: list[ConversionThread | RetentionThread] = []

    async def recover(self) -> None:
        """Finish what was left, but for conversions, before anything is recorded. Raises SinkError."""
        if self._recordings.recover and self._recordings.out.is_dir():
            self._recovered(await asyncio.to_thread(recover, self._recordings.out, converts=False))

    def start(self) -> None:
        """Convert what was left unconverted, and keep within limits from now on."""
        out, limits = self._recordings.out, self._limits()
        loop = asyncio.get_running_loop()
        if self._recordings.recover and out.is_dir():
            self._threads.append(
                ConversionThread(out, lambda report: loop.call_soon_threadsafe(self._recovered, report))
            )
        if limits:
            self._threads.append(
                RetentionThread(
                    Retention(out, limits),
                    lambda removed: loop.call_soon_threadsafe(self._removed, removed),
                    partial(_log.warning, "%s"),
                    self._clock_ns,
                )
            )
        for thread in self._threads:
            thread.start()

    async def stop(self) -> None:
        """End, after the conversion or the removal that goes on just now."""
        threads, self._threads = self._threads, []
        await asyncio.gather(*(asyncio.to_thread(thread.stop) for thread in threads))

    def _limits(self) -> RetentionLimits:
        given = self._recordings
        return RetentionLimits(given.keep_days, given.keep_bytes, given.min_free_bytes)

    def _recovered(self, report: Recovery) -> None:
        if report.did_anything:
            counts = {outcome.value: report.counts[outcome] for outcome in Outcome}
            self._tell("recordings.recovered", None, counts=counts)
        for finding in report.findings:
            if finding.outcome is Outcome.FAILED:
                _log.warning("%s could not be finished: %s", finding.path, finding.reason)

    def _removed(self, removed: Removed) -> None:
        _log.info("removed %s, %d bytes", removed.sidecar.with_suffix(""), removed.size_bytes)
        self._tell("recording.removed", None, **removed.describe(), recorded_call=removed.call)
