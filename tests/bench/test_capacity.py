"""Calls are sent, recorded by another process, and every file is held against what was sent."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench import BenchError, Outcome, capacity
from bench.capacity import conclude, conclude_search, judge, record, recordings_folder, search
from bench.completeness import Findings
from bench.knee import Knee, Verdict
from bench.load import Load
from bench.recording import Recorded, Usage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the generator is Linux's")


@pytest.mark.bench
@pytest.mark.parametrize("codec", ["PCMU", "OPUS"])
def test_a_few_calls_are_recorded_completely(tmp_path: Path, codec: str) -> None:
    outcome = record(Load(2, 1, codec), tmp_path)
    report = outcome.report
    assert outcome.passed, report
    assert (report["calls_recorded"], report["dropped"], report["faults"]) == (2, 0, [])
    assert (report["calls_analysed"], report["codec"], report["gso"]) == (None, codec, False)
    assert report["longest_turn_ms"] > 0
    assert report["packets_sent"] == report["packets_received"] == 200
    assert report["sender"]["packets_sent"] == 200
    assert report["receiver_cpu_seconds"] > 0
    assert json.loads(json.dumps(report)) == report
    assert len(list(tmp_path.glob("*.wav"))) == 2


LOAD = Load(3, 2)
SENT = {"packets_sent": 1000, "seconds": 2.0, "mean_lateness_ms": 0.1, "max_lateness_ms": 0.5}
BEFORE, AFTER, END = Usage(1.0, 0.5, 10.0, 50.0), Usage(1.5, 0.75, 12.5, 60.0), Usage(1.75, 0.75, 13.0, 70.0)


def recorded(accepted: int = 1000, failures: tuple[str, ...] = ()) -> Recorded:
    return Recorded(1000, 0, {"accepted": accepted, "late": 1000 - accepted}, 0, 0, 3, list(failures), END)


def test_the_report_has_what_the_receiver_used() -> None:
    outcome = conclude(LOAD, SENT, BEFORE, AFTER, recorded(), Findings(complete=3), {"calls_recorded": 3})
    assert outcome.passed
    assert outcome.report["receiver_cpu_seconds"] == 0.75
    assert outcome.report["receiver_cpu_percent"] == 37.5
    assert outcome.report["receiver_system_seconds"] == 0.25
    assert outcome.report["receiver_ns_per_packet"] == 750_000
    assert (outcome.report["closing_seconds"], outcome.report["closing_cpu_seconds"]) == (0.5, 0.25)
    assert outcome.tables[0].row_count


@pytest.mark.parametrize(
    ("what_came", "findings"),
    [
        (recorded(999), Findings(complete=3)),
        (recorded(), Findings(complete=2, faults={1: "expected other samples"})),
        (recorded(), Findings(complete=3, faults={3: "expected 3 recordings, found 4"})),
        (recorded(failures=("a: disk full",)), Findings(complete=3)),
    ],
)
def test_one_packet_one_file_or_one_failure_is_enough_not_to_pass(what_came: Recorded, findings: Findings) -> None:
    outcome = conclude(LOAD, SENT, BEFORE, AFTER, what_came, findings, {})
    assert not outcome.passed
    assert outcome.report["dropped"] == 1000 - what_came.fates["accepted"]


@pytest.mark.parametrize("keep", [False, True])
def test_recordings_are_deleted_unless_they_are_to_be_kept(
    tmp_path: Path, keep: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with recordings_folder(tmp_path, keep=keep) as directory:
        (directory / "a.wav").touch()
        assert directory.parent == tmp_path
    assert directory.exists() is keep
    assert (str(directory) in capsys.readouterr().err) is keep


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="expected a folder"), recordings_folder(tmp_path / "none", keep=False):
        pass


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    capacity.add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize("words", [["--calls", "0"], ["--calls", "1000000"], ["--seconds", "0"]])
def test_arguments_that_cannot_work_are_refused(words: list[str]) -> None:
    with pytest.raises(BenchError, match="expected 1 to"):
        capacity.run(parsed(*words))


def attempted(load: Load, *, carried: int = 1700, kept_pace: bool = True, cpu_percent: float = 50.0) -> Outcome:
    """Give what an attempt would say of a receiver that carries so many calls."""
    lateness_ms = 0.1 if kept_pace else 100.0
    sent = SENT | {"mean_lateness_ms": lateness_ms, "seconds": 1.0}
    came = recorded(1000 if load.calls <= carried else 900)
    after = replace(BEFORE, user_s=BEFORE.user_s + cpu_percent / 100)
    return conclude(load, sent, BEFORE, after, came, Findings(complete=load.calls), {"calls_recorded": load.calls})


def test_a_search_reports_the_knee_and_the_attempt_that_confirmed_it() -> None:
    outcome = search(Load(500, 12), attempted, limit_s=1000)
    report = outcome.report
    assert outcome.passed
    assert (report["knee_calls"], report["knee_confirmed"], report["limited_by"]) == (1625, True, "receiver")
    assert (report["calls"], report["calls_recorded"], report["dropped"]) == (1625, 1625, 0)
    assert [attempt["calls"] for attempt in report["attempts"]] == [500, 1000, 2000, 2000, 1500, 1750, 1750, 1625, 1625]
    assert json.loads(json.dumps(report)) == report


def test_a_search_without_time_makes_one_attempt() -> None:
    report = search(Load(500, 12), attempted, limit_s=0).report
    assert (report["knee_calls"], report["limited_by"], len(report["attempts"])) == (500, "time", 1)


def test_a_search_in_which_nothing_passes_is_not_passed() -> None:
    outcome = conclude_search(Knee(0, "receiver"), [attempted(LOAD, carried=0)])
    assert not outcome.passed
    assert (outcome.report["knee_calls"], outcome.report["calls"]) == (0, 3)


@pytest.mark.parametrize(
    ("carried", "kept_pace", "cpu_percent", "verdict"),
    [
        (3, True, 95.0, Verdict.PASSED),
        (2, True, 50.0, Verdict.FAILED),
        (3, False, 95.0, Verdict.NOT_OFFERED),
        (2, False, 95.0, Verdict.FAILED),
        (2, False, 50.0, Verdict.NOT_OFFERED),
    ],
)
def test_what_a_late_sender_offered_counts_only_against_a_busy_receiver(
    carried: int, kept_pace: bool, cpu_percent: float, verdict: Verdict
) -> None:
    assert judge(attempted(LOAD, carried=carried, kept_pace=kept_pace, cpu_percent=cpu_percent)) is verdict
