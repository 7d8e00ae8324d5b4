"""Calls are sent, recorded by another process, and every file is held against what was sent."""

import json
import sys
from pathlib import Path

import pytest

from bench import BenchError, capacity
from bench.capacity import conclude, record, recordings_folder, send
from bench.completeness import Findings
from bench.recording import Recorded, Usage
from strep.net.address import UdpAddress

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the generator is Linux's")


def test_a_few_calls_are_recorded_completely(tmp_path: Path) -> None:
    outcome = record(2, 1, tmp_path)
    report = outcome.report
    assert outcome.passed, report
    assert (report["calls_recorded"], report["dropped"], report["faults"]) == (2, 0, [])
    assert report["packets_sent"] == report["packets_received"] == 200
    assert report["sender"]["packets_sent"] == 200
    assert report["receiver_cpu_seconds"] > 0
    assert json.loads(json.dumps(report)) == report
    assert len(list(tmp_path.glob("*.wav"))) == 2


SENT = {"packets_sent": 1000, "seconds": 2.0, "max_lateness_ms": 0.5}
BEFORE, AFTER, END = Usage(1.0, 0.5, 10.0, 50.0), Usage(1.5, 0.75, 12.5, 60.0), Usage(1.75, 0.75, 13.0, 70.0)


def recorded(accepted: int = 1000, failures: tuple[str, ...] = ()) -> Recorded:
    return Recorded(1000, 0, {"accepted": accepted, "late": 1000 - accepted}, 0, 3, list(failures), END)


def test_the_report_has_what_the_receiver_used() -> None:
    outcome = conclude(3, SENT, BEFORE, AFTER, recorded(), Findings(complete=3))
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
    outcome = conclude(3, SENT, BEFORE, AFTER, what_came, findings)
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


def test_a_generator_that_fails_is_noticed() -> None:
    with pytest.raises(BenchError, match="expected the traffic generator to succeed"):
        send(UdpAddress("127.0.0.1", 0), 1, 1, seed=0, cpu=None)


@pytest.mark.parametrize("words", [["--calls", "0"], ["--calls", "1000000"], ["--seconds", "0"]])
def test_arguments_that_cannot_work_are_refused(words: list[str]) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    capacity.add_arguments(parser)
    with pytest.raises(BenchError, match="expected 1 to"):
        capacity.run(parser.parse_args(words))
