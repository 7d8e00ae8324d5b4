"""Measure what 20 ms of audio cost a plugin, with thousands of streams that are all elsewhere in a conversation."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from strep.audio.formats import AudioFormat
from strep.emulator.speech import conversation
from strep.plugins.base import Hops, PlacedEvent, Plugin, Wants
from strep.plugins.registry import load_plugin
from strep.stream.events import Direction, FormatChanged, Leg, StreamIdentity

STREAMS = 2000
#: Plugins sum up every 10 s, and voice every 30 s: a few legs a hop, so that all 1,000 take some 0.6 s more.
SECONDS = 31.0
PACKET_NS = 20_000_000
_START_NS = 1_700_000_000_000_000_000
_MOST_DELAY_NS = 10_000_000
#: As many delays for each stream, which begin again after 1.3 s.
_DELAYS = 64
_IDENTITY = StreamIdentity(None, Leg.A, Direction.INBOUND, "bench")
_FORMAT = FormatChanged(_START_NS, 0, 0, 0, AudioFormat("PCMU", 8000, 8000))


@functools.cache
def ns_per_20_ms(name: str, streams: int, seconds: float) -> float:
    """Give what 20 ms of one of so many streams cost a built-in plugin, which hears so many seconds of them.

    It is measured once, whoever asks. Two streams make a pair where the plugin wants pairs. Raises ConfigError for a
    plugin of which something is not installed.
    """
    plugin = load_plugin(name)
    hop_s = plugin.wants.hop_samples / plugin.wants.sample_rate_hz
    hops = conversation_hops(plugin.wants, streams, max(5, round(seconds / hop_s)))
    return ns_per_hop(plugin, hops, streams) * PACKET_NS / 1e9 / hop_s


def ns_per_hop(plugin: Plugin, hops: Iterable[Hops], streams: int) -> float:
    """Give the mean time that a hop of a stream takes; the first two calls warm up.

    It is this thread's processor time, so that what else runs on the machine counts less.
    """
    rows = streams // 2 if plugin.wants.is_pair else streams
    plugin.start(rows)
    for row in range(rows):
        plugin.open(row, _IDENTITY)
        for direction in Direction if plugin.wants.is_pair else (Direction.INBOUND,):
            plugin.event(row, PlacedEvent(_FORMAT, direction, 0))
    took_ns = list[int]()
    for block in hops:
        start_ns = time.thread_time_ns()
        for _ in plugin.process(block):
            pass
        took_ns.append(time.thread_time_ns() - start_ns)
    return float(statistics.mean(took_ns[2:]) / streams)


def conversation_hops(wants: Wants, streams: int, count: int) -> Iterator[Hops]:
    """Make so many hops of streams of which two neighbours are both directions of the conversation, over and over.

    They came in packets of 20 ms, each up to 10 ms late, none lost.
    """
    rate_hz, length = wants.sample_rate_hz, wants.hop_samples
    said = np.stack(conversation(rate_hz))
    windows = sliding_window_view(np.concatenate([said, said[:, :length]], axis=1), length, axis=1)
    chance, side = np.random.default_rng(1), np.arange(streams) % 2
    begin = chance.integers(0, said.shape[1], -(-streams // 2)).repeat(2)[:streams]
    delay_ns = chance.integers(0, _MOST_DELAY_NS, (_DELAYS, streams))
    shape = (streams // 2, 2) if wants.is_pair else (streams,)
    rows, state = np.arange(shape[0]), np.zeros(shape, np.uint8)
    for position in range(0, count * length, length):
        packet = (position + length - 1) * 50 // rate_hz
        yield Hops(
            rate_hz,
            rows,
            np.full(len(rows), position),
            np.full(len(rows), _START_NS + position * 1_000_000_000 // rate_hz),
            windows[side, (begin + position) % said.shape[1]].reshape(*shape, length),
            state,
            (_START_NS + packet * PACKET_NS + delay_ns[packet % _DELAYS]).reshape(shape),
        )
