"""An overload is passed when all drops were counted, and everything is exact again when it is over."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.completeness import Findings
from bench.load import Load
from bench.overload import Phases, conclude, overload, unaccounted
from bench.recording import Recorded, Usage

S = 10**9
BASE, MORE = Load(2, 20), Load(1, 6)
ORDINARY = {"mean_lateness_ms": 0.1, "seconds": 20.0}
SENT_BASE: dict[str, Any] = ORDINARY | {"packets_sent": 4000, "begin_ns": 100 * S, "end_ns": 120 * S}
SENT_MORE: dict[str, Any] = ORDINARY | {"packets_sent": 600, "begin_ns": 104 * S, "end_ns": 110 * S, "seconds": 6.0}
RECORDED = Recorded(
    received=4500,
    kernel_drops=100,
    fates={"accepted": 4500},
    lost=100,
    calls_left_out=0,
    recordings=3,
    failures=[],
    usage=Usage(1.0, 1.0, 1.0, 50.0),
    last_drop_ns=112 * S,
    last_behind_ns=113 * S,
)


def test_drops_that_are_counted_and_an_exact_end_are_passed() -> None:
    outcome = conclude(BASE, MORE, SENT_BASE, SENT_MORE, RECORDED, Findings(complete=2))
    report = outcome.report
    assert outcome.passed
    assert (report["overload_calls"], report["overloaded"], report["dropped"], report["unaccounted"]) == (
        3,
        True,
        100,
        0,
    )
    assert (report["seconds_until_no_drops"], report["seconds_until_caught_up"]) == (2.0, 3.0)
    assert report["seconds_after_recovery"] == 8.0
    assert json.loads(json.dumps(report)) == report


@pytest.mark.parametrize(
    ("recorded", "findings"),
    [
        (replace(RECORDED, kernel_drops=99), Findings(complete=2)),
        (replace(RECORDED, last_drop_ns=119 * S), Findings(complete=2)),
        (replace(RECORDED, failures=["a: disk full"]), Findings(complete=2)),
        (RECORDED, Findings(complete=1, faults={0: "expected other samples"})),
    ],
)
def test_uncounted_drops_no_recovery_or_an_end_that_is_not_exact_are_not(
    recorded: Recorded, findings: Findings
) -> None:
    assert not conclude(BASE, MORE, SENT_BASE, SENT_MORE, recorded, findings).passed


def test_calls_that_were_left_out_need_not_be_whole() -> None:
    recorded = replace(RECORDED, calls_left_out=1)
    findings = Findings(complete=1, faults={0: "expected 160000 frames, found 14608"})
    assert conclude(BASE, MORE, SENT_BASE, SENT_MORE, recorded, findings).passed


def test_without_a_drop_there_was_no_overload() -> None:
    recorded = replace(RECORDED, received=4600, kernel_drops=0, last_drop_ns=0, last_behind_ns=0)
    report = conclude(BASE, MORE, SENT_BASE, SENT_MORE, recorded, Findings(complete=2)).report
    assert (report["overloaded"], report["seconds_until_no_drops"], report["seconds_until_caught_up"]) == (False, 0, 0)


@pytest.mark.parametrize(("drops", "gso", "found"), [(99, False, 1), (101, False, 1), (2, True, 0), (1, True, 36)])
def test_what_nobody_counted_is_told(drops: int, gso: bool, found: int) -> None:
    assert unaccounted(4600, replace(RECORDED, kernel_drops=drops), gso=gso) == found


@pytest.mark.bench
@pytest.mark.skipif(sys.platform != "linux", reason="the generator is Linux's")
def test_more_calls_come_and_go_while_the_others_are_recorded(tmp_path: Path) -> None:
    outcome = overload(Load(2, 1), Phases(before=0, during=1, after=3), tmp_path, pinned=False)
    assert outcome.passed, outcome.report
    assert outcome.report["packets_sent"] == outcome.report["packets_received"] == 2 * 2 * 200 + 2 * 50
    assert len(list(tmp_path.glob("*.wav"))) == 3
