"""What the engine makes of a stream is what the naive model makes of it, packet by packet."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.block import SampleState
from strep.audio.formats import parse_format
from strep.stream.engine import EngineConfig
from strep.stream.events import AnchorMoved, FormatChanged, Gap, SourceChanged, TelephoneEvent
from tests.naive_stream import NaiveStream, Told
from tests.traffic import MS, START_NS, Result, Sender, run

TYPES = {96: "L16/16000", 101: "telephone-event/8000", 111: "opus/48000/2", 121: "red/8000"}
CONFIG = EngineConfig(max_streams=4, probation=False).with_payload_types(
    {number: parse_format(name) for number, name in TYPES.items()}
)


class Step(NamedTuple):
    """A packet: how its fields go on from those of the one before, when it comes, and what is done with it."""

    sequence_step: int = 1
    ticks: int | None = None
    pause_ms: int = 20
    delay_ms: int = 0
    payload_type: int = 0
    length: int = 160
    ssrc: int = 1
    marker: bool = False
    claims: int = 0
    copies: int = 1


#: What each field may be, the usual first and most often.
CHOICES = {
    "sequence_step": [1] * 12 + [2, 3, 5, 0, -1, 70, 3000, 3001, -64, 40_000],
    "ticks": [None] * 12 + [160, 0, -160, 1600, 8000, -8000, 1 << 31],
    "pause_ms": [20] * 12 + [0, 0, 40, 100, 300, 1500, 4000],
    "delay_ms": [0] * 8 + [5, 30, 90, 101, 150, 400],
    "payload_type": [0] * 10 + [8, 8, 9, 13, 55, *TYPES],
    "length": [160] * 10 + [0, 4, 80, 161, 240, 320, 1700],
    "ssrc": [1] * 12 + [2, 3],
    "marker": [False] * 5 + [True],
    "claims": [0] * 9 + [0x10, 1, 0x12, 0x20],
    "copies": [1] * 9 + [2],
}
STEPS = st.lists(st.builds(Step, **{name: st.sampled_from(some) for name, some in CHOICES.items()}), min_size=1)


def random_steps(seed: int) -> list[Step]:
    """Make a long run in which few or many packets are odd, each in a few of its fields."""
    random = np.random.default_rng(seed)
    oddity = random.choice([0.01, 0.05, 0.2, 0.6])
    main_type = int(random.choice([0, 0, 0, 8, 9, 96, 111]))
    steps = []
    for _ in range(int(random.integers(20, 300))):
        step = Step(payload_type=main_type)
        if random.random() < oddity:
            for name in random.choice(list(CHOICES), int(random.integers(1, 4))):
                step = step._replace(**{str(name): CHOICES[name][int(random.integers(len(CHOICES[name])))]})
        steps.append(step)
    return steps


def arrivals_of(steps: list[Step]) -> list[tuple[int, bytes]]:
    """Make datagrams and say when they come, in order."""
    sender, arrivals, sent_ms, number, timestamp = Sender(), list[tuple[int, bytes]](), 0, 65_500, (1 << 32) - 4000
    random = np.random.default_rng(len(steps))
    for n, step in enumerate(steps):
        sent_ms += step.pause_ms if n else 0
        number += step.sequence_step
        usual = step.length * max(1, step.sequence_step) if step.sequence_step < 70 else step.length
        timestamp += usual if step.ticks is None else step.ticks
        payload = random.integers(0, 256, step.length, dtype=np.uint8).tobytes()
        fields = {"sequence_number": number & 0xFFFF, "timestamp": timestamp & 0xFFFF_FFFF, "ssrc": step.ssrc}
        datagram = bytearray(sender.packet(payload=payload, payload_type=step.payload_type, **fields))
        datagram[24] |= step.claims
        datagram[25] |= 0x80 * step.marker
        if step.claims & 0x20:
            datagram[-1] = min(step.length, 3)
        if not step.claims & 0x20 or step.length:
            arrivals += [(sent_ms + step.delay_ms, bytes(datagram))] * step.copies
    return sorted(arrivals, key=lambda arrival: arrival[0])


def modelled(arrivals: list[tuple[int, bytes]]) -> NaiveStream:
    model = NaiveStream(CONFIG.payload_types, START_NS + arrivals[0][0] * MS)
    for at_ms, datagram in arrivals:
        model.packet(START_NS + at_ms * MS, datagram[24:])
    model.close()
    return model


def joined(pieces: list[tuple[int, int, bytes, SampleState]]) -> list[tuple[int, int, bytes, SampleState]]:
    """Join pieces that go on in one state and rate: how they were cut is nobody's concern."""
    found: list[tuple[int, int, bytes, SampleState]] = []
    for rate_hz, position, samples, state in pieces:
        if found and found[-1][0] == rate_hz and found[-1][3] is state:
            _, begin, before, _ = found[-1]
            if begin + len(before) // 2 == position:  # a rate that came and went may have moved it by a sample
                found[-1] = (rate_hz, begin, before + samples, state)
                continue
        found.append((rate_hz, position, samples, state))
    return found


def assert_same(result: Result, model: NaiveStream) -> None:
    assert {name: count for name, count in result.counts.items() if count} == {
        fate.label: count for fate, count in model.fates.items()
    }
    events = [event for event in result.events if isinstance(event, Told)]
    kinds = (FormatChanged, SourceChanged, Gap, TelephoneEvent, AnchorMoved)
    for kind in kinds:
        assert [e for e in events if type(e) is kind] == [e for e in model.events if type(e) is kind]
    pieces = [(rate, position, samples, state) for position, rate, state, samples in result.pieces.get(0, [])]
    expected = [(rate, position, samples.tobytes(), state) for rate, position, samples, state in model.pieces]
    assert joined(pieces) == joined(expected)
    report = result.report
    assert (report.length_samples, report.sample_rate_hz) == (model.end, model.rate_hz)
    assert (report.anchor_ns, report.overlapped_samples) == (model.anchor_ns, model.overlapped)
    for found, source in zip(report.sources, model.sources.values(), strict=True):
        counts = source.counts
        assert (found.ssrc, found.packets, found.payload_bytes) == (source.ssrc, source.packets, source.payload_bytes)
        assert (found.lost, found.duplicates, found.late) == (source.lost, counts["duplicate"], counts["late"])
        assert (found.reordered, found.rejected) == (counts["reordered"], counts["rejected_sequence"])
        assert (found.undecoded, found.restarts) == (counts["undecoded"], counts["restarts"])
        assert found.false_header_claims == (source.claims == "disbelieved")
        assert found.max_delta_ms == source.most_delta_ns / MS
        if source.knows_a_type:
            jitters_ns = source.jitters_ns or [0.0]
            assert found.max_jitter_ms == pytest.approx(max(jitters_ns) / MS)
            assert found.mean_jitter_ms == pytest.approx(sum(jitters_ns) / len(jitters_ns) / MS)


def compare(steps: list[Step], portion: int, tick_ms: int, *, compiled: bool) -> None:
    """Play steps to the engine and to the model."""
    arrivals = arrivals_of(steps)
    if not arrivals:
        return
    config = EngineConfig(max_streams=4, probation=False, compiled=compiled, payload_types=CONFIG.payload_types)
    found = run(arrivals, config, portions=itertools.repeat(portion), step_ms=tick_ms)
    assert_same(found, modelled(arrivals))


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
@given(steps=STEPS, portion=st.sampled_from([1, 7, 1000]), tick_ms=st.sampled_from([20, 130]))
def test_a_stream_is_what_the_model_makes_of_it(compiled, steps: list[Step], portion: int, tick_ms: int) -> None:
    compare(steps, portion, tick_ms, compiled=compiled)


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
@pytest.mark.parametrize("seed", [*range(8), *(pytest.param(n, marks=pytest.mark.thorough) for n in range(8, 200))])
def test_a_long_run_is_what_the_model_makes_of_it(compiled, seed: int) -> None:
    compare(random_steps(seed), [1, 7, 1000][seed % 3], [20, 130][seed % 2], compiled=compiled)
