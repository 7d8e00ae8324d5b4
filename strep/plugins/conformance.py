"""Check that a plugin keeps what plugins promise: for authors, in their own tests.

    def test_my_plugin_conforms():
        conformance.check(MyPlugin)

What is checked: what is found in a stream does not depend on which other streams are in the same call, nor on its row,
nor on which streams had the row before; a call with no streams, silence, full scale, loss, a first position that is
not 0, and streams that end at once, do no harm; findings are Findings, of streams that are open, with sane positions,
and can be sent to another process; what is given is not written to.
"""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from strep.audio.block import SampleState
from strep.audio.formats import AudioFormat
from strep.plugins.base import RESERVED, Finding, Hops, PlacedEvent, Plugin, Wants
from strep.plugins.each import EachStream, StreamPlugin
from strep.stream.events import Direction, Event, FormatChanged, Gap, Leg, StreamIdentity

PluginFactory = Callable[[], Plugin | StreamPlugin]
_NS = 1_000_000_000
_START_NS = 1_700_000_000 * _NS
_ROWS = 16
_SECONDS = 3
_FIRST_HOPS = 3  # of another stream on the same row, before the one that counts
#: How often it is told how late it is.
_TICK_HOPS = 50


@dataclass(frozen=True, slots=True)
class Signal:
    """What one stream sounds like. samples: int16[n, hop], of pairs int16[n, 2, hop]; state: uint8[n] or [n, 2]."""

    name: str
    samples: NDArray[np.int16]
    state: NDArray[np.uint8]
    first_position: int = 0


def check(factory: PluginFactory, signals: Iterable[Signal] = ()) -> None:
    """Run plugins that `factory` makes over generated streams, and those given: what they are made for.

    Raises AssertionError saying what does not hold.
    """
    plugin = _made(factory)
    given = [*signals_for(plugin.wants), *signals]
    alone = {signal.name: _run(factory, [(signal, 0)])[0] for signal in given}
    orders = {
        "when all streams are in one call": [(signal, row) for row, signal in enumerate(given)],
        "in other rows and another order": [(signal, _ROWS - 1 - row) for row, signal in enumerate(given)][::-1],
    }
    for when, streams in orders.items():
        found = _run(factory, streams)
        for (signal, _), findings in zip(streams, found, strict=True):
            _same(plugin, signal, alone[signal.name], findings, when)
    for before, signal in zip(given, given[1:] + given[:1], strict=True):
        (findings,) = _run(factory, [(signal, 0)], before=before)
        _same(plugin, signal, alone[signal.name], findings, f"when {before.name} was on its row before")
    _check_edges(factory)


def signals_for(wants: Wants) -> list[Signal]:
    """Generate what every plugin should survive: silence, full scale, noise, a voice-like tone, loss, a late start."""
    rate_hz, hop = wants.sample_rate_hz, wants.hop_samples
    hops = max(8, rate_hz * _SECONDS // hop)
    time_s = np.arange(hops * hop) / rate_hz
    random = np.random.default_rng(1)
    noise = random.normal(0, 2000, hops * hop)
    burst = 8000 * np.sin(2 * np.pi * 440 * time_s) * (np.sin(2 * np.pi * 1.5 * time_s) > 0)
    sounds = {
        "silence": np.zeros(hops * hop),
        "full scale": np.where(np.sin(2 * np.pi * 300 * time_s) >= 0, 32767, -32768),
        "the least sample value": np.full(hops * hop, -32768),
        "noise": noise,
        "bursts of a tone": burst + noise / 40,
    }
    made = [_signal(wants, name, sound) for name, sound in sounds.items()]
    states = random.integers(0, len(SampleState), made[0].state.shape).astype(np.uint8)
    came = np.isin(states, (SampleState.RECEIVED, SampleState.CONCEALED))
    spoilt = replace(made[-1], name="loss", samples=made[-1].samples * came[..., None], state=states)
    return [*made, spoilt, replace(made[-1], name="a late start", first_position=1000 * hop)]


def _signal(wants: Wants, name: str, sound: NDArray[np.float64]) -> Signal:
    samples = np.clip(np.rint(sound), -32768, 32767).astype(np.int16).reshape(-1, wants.hop_samples)
    if wants.is_pair:
        samples = np.stack([samples, samples[::-1]], axis=1)
    return Signal(name, samples, np.zeros(samples.shape[:-1], np.uint8))


def _made(factory: PluginFactory) -> Plugin:
    made = factory()
    return EachStream(type(made), made.config) if isinstance(made, StreamPlugin) else made


def _run(
    factory: PluginFactory, streams: list[tuple[Signal, int]], before: Signal | None = None
) -> list[list[Finding]]:
    """Play streams side by side, each on its row; give what was found in each of them."""
    plugin = _made(factory)
    plugin.start(_ROWS)
    rows = [row for _, row in streams]
    if before is not None:
        for row in rows:
            _open(plugin, row)
        short = replace(before, samples=before.samples[:_FIRST_HOPS], state=before.state[:_FIRST_HOPS])
        _play(plugin, [(short, row) for row in rows], rows)
        for row in rows:
            _listed(plugin, plugin.close(row), [row])
    for row in rows:
        _open(plugin, row)
    found = _play(plugin, streams, rows)
    for row in rows:
        found += _listed(plugin, plugin.close(row), rows)
    found += _listed(plugin, plugin.finish(), rows)
    return [[finding for finding in found if finding.row == row] for row in rows]


def _open(plugin: Plugin, row: int) -> None:
    plugin.open(row, StreamIdentity(uuid.UUID(int=7), Leg.A, Direction.INBOUND))
    meaning = AudioFormat("PCMU", 8000, 8000)
    _listed(plugin, plugin.event(row, _placed(FormatChanged(_START_NS, row, 0, 0, meaning))), [row])


def _placed(event: Event) -> PlacedEvent:
    return PlacedEvent(event, Direction.INBOUND, 0)


def _play(plugin: Plugin, streams: list[tuple[Signal, int]], rows: list[int]) -> list[Finding]:
    found: list[Finding] = []
    for number in range(max(len(signal.samples) for signal, _ in streams)):
        some = [(signal, row) for signal, row in streams if number < len(signal.samples)]
        hops = hops_of(plugin.wants, some, number)
        kept = hops.samples.copy()
        hops.samples.flags.writeable = False
        found += _listed(plugin, plugin.process(hops), rows)
        assert (hops.samples == kept).all(), f"{plugin.NAME} wrote to the samples that it was given"
        if number % _TICK_HOPS == 0:
            found += _listed(plugin, plugin.tick(int(hops.time_ns.max())), rows)
    return found


def hops_of(wants: Wants, streams: list[tuple[Signal, int]], number: int) -> Hops:
    """Make the hop of that number of each signal, on its row."""
    position = np.array([signal.first_position + number * wants.hop_samples for signal, _ in streams], np.int64)
    time_ns = _START_NS + position * _NS // wants.sample_rate_hz
    state = np.stack([signal.state[number] for signal, _ in streams])
    came = np.isin(state, (SampleState.RECEIVED, SampleState.UNDECODED))
    arrival_ns = (time_ns[:, None] if state.ndim == 2 else time_ns) * came
    rows = np.array([row for _, row in streams], np.int64)
    samples = np.stack([signal.samples[number] for signal, _ in streams])
    return Hops(wants.sample_rate_hz, rows, position, time_ns, samples, state, arrival_ns)


def _listed(plugin: Plugin, findings: Iterable[Finding] | None, rows: list[int]) -> list[Finding]:
    """Check findings one by one."""
    listed = list(findings or ())
    for finding in listed:
        assert isinstance(finding, Finding), f"{plugin.NAME} gave {finding!r}, expected a Finding"
        kind = type(finding).__name__
        assert isinstance(getattr(finding, "KIND", None), str), f"{kind} has no KIND"
        taken = RESERVED.intersection(one.name for one in fields(finding))
        assert not taken, f"{kind} has a field {', '.join(sorted(taken))}, which says something else in reports"
        numbers = (finding.row, finding.position, finding.length_samples)
        assert all(type(number) is int for number in numbers), f"row, position or length is no int in {finding!r}"
        assert finding.row in rows, f"{plugin.NAME} found {finding!r} in row {finding.row}, open are {rows}"
        assert finding.length_samples >= 0, f"{finding!r} is shorter than nothing"
        assert pickle.loads(pickle.dumps(finding)) == finding or _has_nan(finding), f"{finding!r} changes by pickling"
    return listed


def _same(plugin: Plugin, signal: Signal, alone: list[Finding], found: list[Finding], when: str) -> None:
    """Check that the same was found, but for the row."""
    expected, got = ([repr(replace(finding, row=0)) for finding in findings] for findings in (alone, found))
    for number, (one, other) in enumerate(zip(expected, got, strict=False)):
        assert one == other, f"{plugin.NAME}, {signal.name}: {when}, finding {number} is {other}, alone it is {one}"
    assert len(expected) == len(got), (
        f"{plugin.NAME}, {signal.name}: {when}, it finds {len(got)} things, alone {len(expected)}"
    )


def _has_nan(finding: Finding) -> bool:
    return "nan" in repr(finding)


def _check_edges(factory: PluginFactory) -> None:
    """Check calls at the edge of what may come; what a plugin raises there is its failure."""
    plugin = _made(factory)
    plugin.start(_ROWS)
    plugin.start(_ROWS)  # a plugin that is started again has forgotten everything
    silence = signals_for(plugin.wants)[0]
    none = hops_of(plugin.wants, [(silence, 0)], 0)
    empty = replace(
        none,
        rows=none.rows[:0],
        position=none.position[:0],
        time_ns=none.time_ns[:0],
        samples=none.samples[:0],
        state=none.state[:0],
        arrival_ns=None,
    )
    _listed(plugin, plugin.process(empty), [])
    _listed(plugin, plugin.tick(_START_NS), [])
    for row in (0, _ROWS - 1):
        _open(plugin, row)
        gap = Gap(_START_NS, row, 0, 160, 8000, 1, SampleState.LOST)
        _listed(plugin, plugin.event(row, _placed(gap)), [row])
        _listed(plugin, plugin.close(row), [row])
        _open(plugin, row)
        _listed(plugin, plugin.process(replace(hops_of(plugin.wants, [(silence, row)], 0), arrival_ns=None)), [row])
        _listed(plugin, plugin.close(row), [row])
    _listed(plugin, plugin.finish(), [])
