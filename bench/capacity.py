"""Record many calls in real time by one process on one core, and hold every file against what was sent."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.table import Table

from bench import BenchError, Outcome
from bench.completeness import Findings, check_recordings
from bench.machine import RECEIVER_CPU, SENDER_CPU
from bench.recording import Recorded, RecordingProcess, Usage
from strep.net.address import UdpAddress
from tools.traffic import MAX_CALLS, PERIOD_MS, Traffic

_ROOT = Path(__file__).resolve().parents[1]
_MEMORY = Path("/dev/shm")
_SHOWN_FAULTS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this bench's options."""
    parser.add_argument("--calls", type=int, default=500, help="simultaneous calls, two streams each (500)")
    parser.add_argument("--seconds", type=int, default=30, help="length of the calls (30)")
    parser.add_argument("--seed", type=int, default=0, help="of the traffic (0)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--out", type=Path, help="record below this folder (the system's for temporary files)")
    where.add_argument("--memory", action="store_true", help=f"record to {_MEMORY}, which no disk slows down")
    parser.add_argument("--keep", action="store_true", help="keep the recordings")


def run(arguments: argparse.Namespace) -> Outcome:
    """Measure. Not passed: anything was dropped, or a file is not complete and exact."""
    if not 1 <= arguments.calls <= MAX_CALLS or arguments.seconds < 1:
        raise BenchError(f"expected 1 to {MAX_CALLS} calls of at least 1 second")
    parent = _MEMORY if arguments.memory else arguments.out
    with recordings_folder(parent, keep=arguments.keep) as directory:
        return record(arguments.calls, arguments.seconds, directory, seed=arguments.seed, pinned=True)


def record(calls: int, seconds: int, directory: Path, *, seed: int = 0, pinned: bool = False) -> Outcome:
    """Record `calls` calls of `seconds` seconds into a folder, check them, and sum up."""
    with RecordingProcess(directory, cpu=RECEIVER_CPU if pinned else None) as recording:
        before = recording.usage()
        sent = send(recording.address, calls, seconds, seed=seed, cpu=SENDER_CPU if pinned else None)
        after = recording.usage()
        recorded = recording.stop()
    traffic = Traffic(calls, seed=seed)
    findings = check_recordings(directory, traffic, seconds * 1000 // PERIOD_MS)
    return conclude(calls, sent, before, after, recorded, findings)


def send(target: UdpAddress, calls: int, seconds: int, *, seed: int, cpu: int | None) -> dict[str, Any]:
    """Send the traffic by tools.generate, in its own process; returns its report."""
    words = ["--target", str(target), "--calls", calls, "--seconds", seconds, "--seed", seed, "--json"]
    words += [] if cpu is None else ["--cpu", cpu]
    command = [sys.executable, "-m", "tools.generate", *map(str, words)]
    ended = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise BenchError(f"expected the traffic generator to succeed, found {ended.stderr.strip()}")
    report: dict[str, Any] = json.loads(ended.stdout)
    return report


@contextmanager
def recordings_folder(parent: Path | None, *, keep: bool) -> Iterator[Path]:
    """Make a folder for recordings, and delete it afterwards unless it is to be kept."""
    try:
        directory = Path(tempfile.mkdtemp(prefix="strep-capacity-", dir=parent))
    except OSError as error:
        raise BenchError(f"expected a folder to record to, found {error}") from error
    try:
        yield directory
    finally:
        if keep:
            print(f"the recordings are in {directory}", file=sys.stderr)
        else:
            shutil.rmtree(directory)


def conclude(
    calls: int, sent: dict[str, Any], before: Usage, after: Usage, recorded: Recorded, findings: Findings
) -> Outcome:
    """Sum up, for a program and for people."""
    processor_s = after.processor_s - before.processor_s
    report: dict[str, Any] = {
        "calls": calls,
        "seconds": sent["seconds"],
        "packets_sent": sent["packets_sent"],
        "packets_received": recorded.received,
        "calls_recorded": findings.complete,
        # A packet that the kernel dropped is also missed in its stream, so the parts are not added up.
        "dropped": sent["packets_sent"] - recorded.fates["accepted"],
        "kernel_drops": recorded.kernel_drops,
        "lost": recorded.lost,
        "late": recorded.fates["late"],
        "fates": {name: count for name, count in recorded.fates.items() if count},
        "receiver_cpu_seconds": round(processor_s, 3),
        "receiver_cpu_percent": round(100 * processor_s / sent["seconds"], 1),
        "receiver_system_seconds": round(after.system_s - before.system_s, 3),
        "receiver_ns_per_packet": round(processor_s * 1e9 / max(1, sent["packets_sent"]), 1),
        "receiver_resident_mib": round(recorded.usage.resident_most_mib, 1),
        "closing_seconds": round(recorded.usage.wall_s - after.wall_s, 3),
        "closing_cpu_seconds": round(recorded.usage.processor_s - after.processor_s, 3),
        "worst_misalignment_ms": round(findings.worst_misalignment_ms, 3),
        "faults": [f"call {call}: {fault}" for call, fault in [*findings.faults.items()][:_SHOWN_FAULTS]],
        "faulty_calls": len(findings.faults),
        "sink_failures": recorded.failures[:_SHOWN_FAULTS],
        "sender": sent,
    }
    passed = findings.complete == calls and not (findings.faults or report["dropped"] or report["sink_failures"])
    return Outcome(report, [_table(report, passed=passed)], passed)


def _table(report: dict[str, Any], *, passed: bool) -> Table:
    table = Table(title=f"{report['calls']} calls in real time: {'passed' if passed else 'NOT PASSED'}")
    table.add_column("what", no_wrap=True)
    table.add_column("found", justify="right")
    for what, value in report.items():
        if isinstance(value, list):
            for item in value:
                table.add_row(what, str(item))
        elif isinstance(value, dict):
            for part, number in value.items():
                table.add_row(f"{what}: {part}", f"{number:,}")
        else:
            table.add_row(what, f"{value:,}")
    return table
