"""Latency counts from when audio was due to when a sink was given it, and a slow or lossy load is not passed."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import BenchError, latency
from bench.delivering import Delivered, Latency, LatencyMeter, runnable_but_waiting_ns
from bench.latency import MOST_P99_MS, conclude, deliver, summed_up
from bench.load import Load
from bench.recording import Recorded, Usage
from strep.audio.block import AudioBlock, SampleState
from strep.stream.engine import EngineConfig

MS = 1_000_000
START_NS = 1_700_000_000_000 * MS
DELAY_MS = EngineConfig().playout_delay_ms


def block(*due_ms: int, state: SampleState = SampleState.RECEIVED) -> AudioBlock:
    """Make one whose rows are due at these times."""
    n = len(due_ms)
    arrival_ns = START_NS + (np.array(due_ms, np.int64) - DELAY_MS) * MS
    places = np.arange(n)
    return AudioBlock(8000, places, places * 160, np.zeros((n, 160), np.int16), np.full(n, state, np.uint8), arrival_ns)


def metered(opening_s: float, *turns: tuple[int, int, list[AudioBlock]]) -> Latency:
    """Deliver turn by turn: when it began, when its blocks were delivered, and these; in milliseconds."""
    clock_ns: Iterator[int] = iter([START_NS + at * MS for _, at, blocks in turns for _ in blocks])
    meter = LatencyMeter(opening_s, clock_ns=lambda: next(clock_ns))
    for began_ms, _, blocks in turns:
        for one in blocks:
            meter.block(one)
        meter.flush(START_NS + began_ms * MS)
    return meter.latency


def quantiles(found: Latency, share: float) -> list[float]:
    """Give quantiles of all that was added, and of its two parts, to the millisecond."""
    return [int(histogram.quantile_ms(share)) for histogram in (found.added, found.waiting, found.working)]


def test_latency_is_what_came_after_the_playout_delay_before_a_turn_and_in_it() -> None:
    found = metered(0, (10, 13, [block(2, 9)]))
    assert quantiles(found, 0.0) == [4, 1, 3]
    assert quantiles(found, 1.0) == [11, 8, 3]
    assert found.added.count == 2


def test_what_was_made_up_is_not_counted() -> None:
    assert metered(0, (10, 11, [block(5, state=SampleState.CONCEALED)])).added.count == 0


def test_what_was_due_while_calls_began_is_counted_apart() -> None:
    found = metered(1, (500, 900, [block(0)]), (1000, 1001, [block(999, 1000)]))
    assert (found.opening.count, found.added.count) == (2, 1)
    assert int(found.opening.quantile_ms(1.0)) == 900
    assert quantiles(found, 1.0) == [1, 0, 1]


def test_what_comes_because_the_receiver_closes_is_not_counted() -> None:
    meter = LatencyMeter(0, clock_ns=lambda: START_NS)
    meter.block(block(50))
    meter.close()
    assert meter.latency.added.count == 0


def test_a_turn_that_has_got_to_a_time_before_its_audio_was_due_waited_for_nothing() -> None:
    assert quantiles(metered(0, (10, 40, [block(20)])), 1.0) == [20, 0, 20]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_linux_tells_how_long_a_process_was_kept_from_its_core() -> None:
    waited_ns = runnable_but_waiting_ns()
    assert waited_ns is None or waited_ns >= 0


@pytest.mark.bench
@pytest.mark.skipif(sys.platform != "linux", reason="the generator is Linux's")
@pytest.mark.parametrize("recorded", [False, True])
def test_every_packet_that_was_waited_for_has_a_latency(tmp_path: Path, recorded: bool) -> None:
    found = deliver(Load(2, 1), tmp_path if recorded else None, 4)
    assert (found["calls"], found["percent_of_knee"], found["recorded"]) == (2, 50.0, recorded)
    assert (found["dropped"], found["sink_failures"]) == (0, 0)
    # The last ones may still be held back when the receiver is told to stop.
    assert 100 <= found["packets"] <= 200
    assert 0 < found["p50_ms"] <= found["p99_ms"] <= found["p99_9_ms"] <= found["max_ms"]
    assert len(list(tmp_path.glob("*.wav"))) == (2 if recorded else 0)
    assert json.loads(json.dumps(found)) == found


def one(**changed: Any) -> dict[str, Any]:
    """Sum up a load at half the knee at which every packet took a millisecond."""
    taken = Latency(preempted_ns=2_500_000)
    for histogram in (taken.added, taken.waiting):
        histogram.add(np.full(10, MS))
    recorded = Recorded(10, 0, {"accepted": 10}, 0, 0, 1, [], Usage(0, 0, 0, 0))
    sent = {"packets_sent": 10, "seconds": 2.0, "mean_lateness_ms": 0.1}
    usages = Usage(1, 0, 0, 0), Usage(1.5, 0.5, 2, 0)
    return summed_up(Load(50, 2), 100, sent, *usages, Delivered(recorded, taken, 0), recorded=True) | changed


def test_a_load_is_summed_up_with_what_the_receiver_used() -> None:
    assert one()["p99_ms"] == one()["waiting_p99_ms"] == 1.1
    assert (one()["working_p99_ms"], one()["receiver_cpu_percent"], one()["preempted_ms"]) == (0.0, 50.0, 2.5)


def test_loads_up_to_half_the_knee_are_passed_when_delivered_in_time() -> None:
    outcome = conclude(100, [one(), one(percent_of_knee=90.0, p99_ms=1000.0, dropped=7, preempted_ms=None)])
    assert outcome.passed
    assert outcome.report["dropped"] == 7
    assert [load["p99_ms"] for load in outcome.report["loads"]] == [1.1, 1000.0]
    assert [table.row_count for table in outcome.tables] == [2, 2]


@pytest.mark.parametrize(
    "changed",
    [{"p99_ms": MOST_P99_MS + 0.1}, {"dropped": 1}, {"sink_failures": 1}, {"sender_kept_pace": False}],
)
def test_a_load_that_is_late_lossy_or_not_offered_is_not_passed(changed: dict[str, Any]) -> None:
    outcome = conclude(100, [one(), one(**changed)])
    assert not outcome.passed
    assert outcome.report["dropped"] == changed.get("dropped", 0)


@pytest.mark.parametrize("words", [["--knee", "0"], ["--seconds", "5"], ["--calls", "-1"]])
def test_arguments_that_cannot_work_are_refused(words: list[str]) -> None:
    parser = argparse.ArgumentParser()
    latency.add_arguments(parser)
    with pytest.raises(BenchError, match="expected"):
        latency.run(parser.parse_args(words))
