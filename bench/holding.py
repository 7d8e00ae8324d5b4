"""Hold many streams in a process of its own, in made-up time, and see what memory that takes."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

import numpy as np

from bench import BenchError
from bench.child import Child
from strep.live.pipeline import Pipeline
from strep.net.source import BATCH_DATAGRAMS
from strep.sinks.base import Sink
from strep.sinks.recordings import RecordingSink
from strep.stream.engine import Engine, EngineConfig
from strep.wire.batch import SLACK_BYTES, DatagramBatch, Endpoint
from tools.traffic import Traffic

_ENDPOINTS = (Endpoint("127.0.0.1:1", "127.0.0.1:2", "default"),)
_START_NS = 1_700_000_000_000_000_000
_NS_PER_MS = 1_000_000
#: As often as a receiver reads while traffic flows, and while none does.
_TICK_MS, _IDLE_TICK_MS = 10, 250
#: The first calls, which nobody measures: what is compiled, imported or built on first use is there then.
_WARM_CALLS, _WARM_SECONDS = 2, 1
#: Streams that were silent for the idle timeout are closed at the next whole second.
_SPARE_S = 2


@dataclass(frozen=True, slots=True)
class Held:
    """The resident memory of the process, in bytes.

    fixed: before any stream. open, ended: with all streams of each generation of calls, and when they had ended.
    streams: how many were open. recordings: how many were finished in all, but for the first ones.
    """

    fixed: int
    open: list[int]
    ended: list[int]
    streams: int
    recordings: int

    @classmethod
    def of(cls, streams: int, seconds: int, generations: int, directory: Path | None, seed: int = 0) -> Self:
        """Measure in a process of its own; with a folder, calls are recorded. Raises BenchError when it fails."""
        child = Child(_serve, streams, seconds, generations, directory, seed)
        try:
            held: Self = child.answer()
        finally:
            child.close()
        return held


class Replay:
    """A replay that plays calls to an engine and to sinks as a receiver would, in time that passes as quickly as it
    can.
    """

    def __init__(self, sinks: list[Sink]) -> None:
        self.engine = Engine(EngineConfig(compiled=True))
        self.pipeline = Pipeline(self.engine, sinks)
        self._elapsed_ms = 0
        self._flat = np.zeros(0, np.uint8)

    def play(self, traffic: Traffic, seconds: int) -> None:
        """Play the beginning of all calls; they stay open."""
        begin_ms, done = self._elapsed_ms, 0
        for ms in range(_TICK_MS, seconds * 1000 + 1, _TICK_MS):
            stop = traffic.due(ms - 1)  # what is due in the millisecond that begins has not arrived yet
            while done < stop:
                end = min(stop, done + BATCH_DATAGRAMS)
                self.pipeline.feed(self._batch(traffic, done, end, begin_ms))
                done = end
            self._elapsed_ms = begin_ms + ms
            self.pipeline.advance(self._now_ns())

    def end(self) -> None:
        """Let time pass without traffic until every stream has been closed and every file finished."""
        end_ms = self._elapsed_ms + (self.engine.config.idle_timeout_s + _SPARE_S) * 1000
        busy = False
        while self._elapsed_ms < end_ms or busy:
            self._elapsed_ms += _TICK_MS if busy else _IDLE_TICK_MS
            busy = self.pipeline.advance(self._now_ns())
        if self.engine.open_streams:
            raise BenchError(f"expected every stream to be closed, found {self.engine.open_streams} open")

    def _batch(self, traffic: Traffic, start: int, stop: int, begin_ms: int) -> DatagramBatch:
        width, count = traffic.packet_bytes, stop - start
        if len(self._flat) < BATCH_DATAGRAMS * width + SLACK_BYTES:
            self._flat = np.ones(BATCH_DATAGRAMS * width + SLACK_BYTES, np.uint8)  # not zeros: be resident now
        traffic.fill(self._flat[: BATCH_DATAGRAMS * width].reshape(-1, width), start, stop)
        due_ms = begin_ms + traffic.due_ms(np.arange(start, stop))
        return DatagramBatch(
            flat=self._flat,
            offset=np.arange(count) * width,
            length=np.full(count, width),
            arrival_ns=_START_NS + due_ms * _NS_PER_MS,
            source=np.zeros(count, np.int64),
            endpoints=_ENDPOINTS,
        )

    def _now_ns(self) -> int:
        return _START_NS + self._elapsed_ms * _NS_PER_MS


def resident_bytes() -> int:
    """Tell how much memory of this process is resident, to the page. Raises BenchError where the system does not."""
    gc.collect()  # what waits for the collector comes and goes
    try:  # unlike statm, this counts when it is asked
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    except OSError as error:
        raise BenchError(f"expected Linux to tell the memory of a process, found {error}") from error
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss:"))


def _serve(
    connection: Connection, streams: int, seconds: int, generations: int, directory: Path | None, seed: int
) -> None:
    connection.send(_hold(streams, seconds, generations, directory, seed))


def _hold(streams: int, seconds: int, generations: int, directory: Path | None, seed: int) -> Held:
    """Play one generation of calls after the other; each has ids and phases of its own."""
    sink = None if directory is None else RecordingSink(directory)
    replay = Replay([] if sink is None else [sink])
    replay.play(Traffic(_WARM_CALLS, seed=seed), _WARM_SECONDS)
    replay.end()
    fixed, opened, ended, most = resident_bytes(), [], [], 0
    for generation in range(1, generations + 1):
        replay.play(Traffic(streams // 2, seed=seed + generation), seconds)
        most = replay.engine.open_streams
        opened.append(resident_bytes())
        replay.end()
        ended.append(resident_bytes())
        if directory is not None:
            for path in directory.iterdir():  # a generation of recordings is enough for any disk
                path.unlink()
    counts = replay.engine.counts()
    if sum(counts.values()) != counts["accepted"] or most != streams:
        raise BenchError(f"expected {streams} streams and all packets accepted, found {most} and {counts}")
    recordings = 0 if sink is None else sink.recording_count - _WARM_CALLS
    if sink is not None and (sink.failure_count or recordings != generations * streams // 2):
        raise BenchError(
            f"expected {generations * streams // 2} recordings, found {recordings} ({list(sink.failures)[:3]})"
        )
    replay.pipeline.close()
    return Held(fixed, opened, ended, most, recordings)
