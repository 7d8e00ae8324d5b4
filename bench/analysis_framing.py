"""Measure what it costs to hand audio to plugins: cutting it into hops, and each way to run a plugin."""

from __future__ import annotations

import statistics
import time
import uuid

import numpy as np
from rich.table import Table

from strep.analysis import Analysis, PluginRun, Way
from strep.audio.block import AudioBlock
from strep.plugins.base import BlockPlugin, Wants
from strep.stream.events import Direction, Leg, StreamIdentity, StreamOpened

STREAMS = 2_000
_START_NS = 1_700_000_000_000_000_000
_WARM_UP = 20


class Nothing(BlockPlugin):
    """What does nothing with 20 ms hops: what is left is the cost of handing them over."""

    NAME = "nothing"


class Long(BlockPlugin):
    """What does nothing with 100 ms hops."""

    NAME = "long"
    wants = Wants(8000, 800)


class Pairs(BlockPlugin):
    """What does nothing with both directions."""

    NAME = "pairs"
    wants = Wants(8000, 160, is_pair=True)


class Wide(BlockPlugin):
    """What does nothing with 16 kHz hops, to which telephone audio is resampled."""

    NAME = "wide"
    wants = Wants(16000, 320)


def measure(streams: int = STREAMS, ticks: int = 100) -> dict[str, float]:
    """Give nanoseconds per 20 ms packet and stream, medians over ticks, that the receiver's thread is kept."""
    return {
        "20 ms hops, passed through": _ns(PluginRun(Nothing), streams, ticks),
        "100 ms hops": _ns(PluginRun(Long), streams, ticks),
        "pairs of directions": _ns(PluginRun(Pairs), streams, ticks),
        "resampled to 16 kHz": _ns(PluginRun(Wide), streams // 10, ticks // 2),
        "20 ms hops, to a thread": _ns(PluginRun(Nothing, way=Way.THREAD), streams, ticks),
        "20 ms hops, to a process": _ns(PluginRun(Nothing, way=Way.PROCESS), streams, ticks),
    }


def tables(report: dict[str, float]) -> list[Table]:
    """Show a report."""
    table = Table("handed over", title="handing audio to plugins that do nothing", title_justify="left")
    table.add_column("ns a packet of 20 ms", justify="right")
    for what, ns in report.items():
        table.add_row(what, f"{ns:,.0f}")
    return [table]


def _ns(run: PluginRun, streams: int, ticks: int) -> float:
    analysis = Analysis([run])
    for slot in range(streams):
        identity = StreamIdentity(uuid.UUID(int=slot // 2 + 1), Leg.A, Direction(slot % 2))
        analysis.event(StreamOpened(_START_NS, slot, identity, slot, "", ""))
    slots, state = np.arange(streams), np.zeros(streams, np.uint8)
    samples = np.random.default_rng(1).integers(-2000, 2000, (streams, 160)).astype(np.int16)
    took = []
    for tick in range(ticks + _WARM_UP):
        arrival_ns = np.full(streams, _START_NS + tick * 20_000_000)
        block = AudioBlock(8000, slots, np.full(streams, tick * 160), samples, state, arrival_ns)
        began_ns = time.perf_counter_ns()
        analysis.block(block)
        analysis.flush(0)
        took.append(time.perf_counter_ns() - began_ns)
        if run.way is not Way.INLINE:
            time.sleep(0.005)
    analysis.close()
    return statistics.median(took[_WARM_UP:]) / streams
