"""Measure what a hop costs a plugin, with thousands of streams that are all elsewhere in a conversation."""

from __future__ import annotations

import statistics
import time

import numpy as np
from numpy.typing import NDArray

from strep.emulator.speech import conversation
from strep.plugins.base import Hops, Plugin
from strep.stream.events import Direction, Leg, StreamIdentity

_IDENTITY = StreamIdentity(None, Leg.A, Direction.INBOUND, "bench")


def conversations(streams: int, hops: int, sample_rate_hz: int = 8000, hop_samples: int = 160) -> NDArray[np.int16]:
    """Make int16[hops, streams, hop_samples]; both directions of a conversation are neighbours."""
    said = conversation(sample_rate_hz)
    length = hops * hop_samples
    begin = np.random.default_rng(1).integers(0, len(said[0]) - length, streams // 2)
    samples = np.stack([side[start : start + length] for start in begin.tolist() for side in said])
    return np.ascontiguousarray(samples.reshape(len(samples), hops, hop_samples).transpose(1, 0, 2))


def ns_per_hop(plugin: Plugin, samples: NDArray[np.int16], rounds: int) -> float:
    """Give the mean time that a hop of a stream takes: int16[hops, streams, hop_samples]; two streams make a pair.

    rounds: hops that it is given; samples begin again when they are over. It is this thread's processor time, so that
    what else runs on the machine counts less.
    """
    hops, streams, length = samples.shape
    shape = (streams // 2, 2) if plugin.wants.is_pair else (streams,)
    rows, no_time, state = np.arange(shape[0]), np.zeros(shape[0], np.int64), np.zeros(shape, np.uint8)
    plugin.start(len(rows))
    for row in rows.tolist():
        plugin.open(row, _IDENTITY)
    took_ns = list[int]()
    for hop in range(rounds):
        block = Hops(
            plugin.wants.sample_rate_hz,
            rows,
            np.full(len(rows), hop * length),
            no_time,
            samples[hop % hops].reshape(*shape, length),
            state,
        )
        start_ns = time.thread_time_ns()
        for _ in plugin.process(block):
            pass
        took_ns.append(time.thread_time_ns() - start_ns)
    return float(statistics.mean(took_ns[2:]) / streams)
