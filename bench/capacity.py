"""Record or analyse many calls in real time by one process on one core, and hold every sample against what was sent."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.table import Table

from bench import BenchError, Outcome
from bench.analysing import AnalysingProcess, check_heard
from bench.completeness import Findings, check_recordings
from bench.knee import Knee, Search, Verdict
from bench.load import Load, kept_pace, send
from bench.machine import RECEIVER_CPU, SENDER_CPU, file_system_of
from bench.overload import Phases, overload
from bench.recording import Recorded, RecordingProcess, Usage
from strep.net.source import RECEIVE_BUFFER_BYTES
from strep.stream.engine import EngineConfig
from tools.traffic import CODINGS

_MEMORY = Path("/dev/shm")
_SHOWN_FAULTS = 10
_SECONDS, _SEARCH_SECONDS = 30, 12
#: Longer than Linux lets written data wait in memory (vm.dirty_expire_centisecs, 30 s): the disk has its say, too.
_CONFIRM_SECONDS = 40
#: An attempt takes so much of its seconds, and so many more, with starting, closing and checking. Measured.
_ATTEMPT_SHARE, _ATTEMPT_MORE_S = 1.3, 5.0
#: A receiver that uses so much of its core has no time to spare.
_BUSY_PERCENT = 90
_PHASES = Phases(before=4, during=6, after=10)
#: Two streams a call; the receiver is used as it comes.
_MOST_CALLS = EngineConfig().max_streams // 2
_CHECKING_PROCESSES = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this bench's options."""
    parser.add_argument("--calls", type=int, default=500, help="simultaneous calls, two streams each (500)")
    parser.add_argument(
        "--seconds", type=int, help=f"length of the calls ({_SECONDS}; with --search {_SEARCH_SECONDS})"
    )
    parser.add_argument("--codec", choices=list(CODINGS), default="PCMU", help="of all calls (PCMU)")
    parser.add_argument("--seed", type=int, default=0, help="of the traffic (0)")
    parser.add_argument("--gso", action="store_true", help="packets due together arrive as one, up to 64")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--analyse", action="store_true", help="deliver to a level meter, without recording")
    parser.add_argument("--plugins", default="", help="with --analyse: these listen besides, such as level,voice,dtmf")
    what.add_argument("--overload", action="store_true", help="half as many calls more for 6 s of 20 s")
    parser.add_argument("--stall", type=float, default=0.0, help="let the disk stall for so many seconds (0)")
    parser.add_argument(
        "--receive-buffer-bytes",
        type=int,
        default=RECEIVE_BUFFER_BYTES,
        help="what the kernel may hold for the receiver",
    )
    parser.add_argument("--search", action="store_true", help="find the most calls, from --calls on")
    parser.add_argument("--limit", type=int, default=270, help="seconds that a search may take, about (270)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--out", type=Path, help="record below this folder (the system's for temporary files)")
    where.add_argument("--memory", action="store_true", help=f"record to {_MEMORY}, which no disk slows down")
    parser.add_argument("--keep", action="store_true", help="keep the recordings (not of a search)")


def run(arguments: argparse.Namespace) -> Outcome:
    """Measure. Not passed: anything was dropped, or a call is not complete and exact."""
    seconds = arguments.seconds
    if seconds is None:
        seconds = _SEARCH_SECONDS if arguments.search else _SECONDS
    load = Load(arguments.calls, seconds, arguments.codec, arguments.seed, arguments.gso)
    parent = _MEMORY if arguments.memory else arguments.out

    def attempt(load: Load) -> Outcome:
        if arguments.analyse:
            return analyse(load, tuple(filter(None, arguments.plugins.split(","))), pinned=True)
        with recordings_folder(parent, keep=arguments.keep and not arguments.search) as directory:
            recording = RecordingProcess(
                directory, cpu=RECEIVER_CPU, stall_s=arguments.stall, buffer_bytes=arguments.receive_buffer_bytes
            )
            return record(load, directory, recording, pinned=True)

    outcome = search(load, attempt, arguments.limit) if arguments.search else None
    if arguments.overload:
        with recordings_folder(parent, keep=arguments.keep) as directory:
            knee = outcome.report["knee_calls"] if outcome else load.calls
            over = overload(replace(load, calls=max(1, knee)), _PHASES, directory, pinned=True)
        over.tables.append(_table(over.report, _overload_title(over)))
        return _joined(outcome, over) if outcome else over
    return outcome or attempt(load)


def record(load: Load, directory: Path, recording: RecordingProcess | None = None, *, pinned: bool = False) -> Outcome:
    """Record a load into a folder (by `recording`, if that is not to be made here), check all of it, and sum up."""
    with recording or RecordingProcess(directory, cpu=RECEIVER_CPU if pinned else None) as recording:
        before = recording.usage()
        sent = send(load, recording.address, cpu=SENDER_CPU if pinned else None)
        after = recording.usage()
        recorded = recording.stop()
    processes = _CHECKING_PROCESSES if pinned else 1
    findings = check_recordings(directory, load.traffic(), load.packets, processes=processes)
    counted = {"calls_recorded": findings.complete, "calls_analysed": None, "file_system": file_system_of(directory)}
    return conclude(load, sent, before, after, recorded, findings, counted)


def analyse(load: Load, plugins: tuple[str, ...] = (), *, pinned: bool = False) -> Outcome:
    """Deliver a load to a level meter, and plugins besides, check what the meter got, and sum up."""
    with AnalysingProcess(plugins, cpu=RECEIVER_CPU if pinned else None) as analysing:
        before = analysing.usage()
        sent = send(load, analysing.address, cpu=SENDER_CPU if pinned else None)
        after = analysing.usage()
        recorded, heard = analysing.stop()
    findings = check_heard(heard, load.traffic(), load.packets)
    counted: dict[str, Any] = {"calls_recorded": None, "calls_analysed": findings.complete}
    for name, counts in recorded.plugins.items():
        counted[f"{name}_ns_per_hop"] = round(counts.busy_ns_per_hop)
        counted[f"{name}_missed_hops"] = counts.missed_hops
    return conclude(load, sent, before, after, recorded, findings, counted)


def search(load: Load, attempt: Callable[[Load], Outcome], limit_s: float) -> Outcome:
    """Search for the most calls that pass, by attempts of the load's seconds and a longer one at the end."""
    begin_s = time.monotonic()
    outcomes: list[Outcome] = []

    def try_calls(calls: int, longer: bool) -> Verdict:
        outcome = attempt(replace(load, calls=calls, seconds=_seconds(load, longer)))
        outcomes.append(outcome)
        print(f"{calls} calls: {_summary(outcome)}", file=sys.stderr)
        return judge(outcome)

    def has_time(longer: bool) -> bool:
        needed_s = _attempt_s(load, True) + (0 if longer else _attempt_s(load, False))
        return not outcomes or time.monotonic() - begin_s + needed_s <= limit_s

    knee = Search(try_calls, has_time, load.calls, _MOST_CALLS).run()
    return conclude_search(knee, outcomes)


def judge(outcome: Outcome) -> Verdict:
    """Say what an attempt tells: where the sender was late, only that a receiver without time to spare has too many."""
    if outcome.report["sender_kept_pace"]:
        return Verdict.PASSED if outcome.passed else Verdict.FAILED
    is_busy = outcome.report["receiver_cpu_percent"] >= _BUSY_PERCENT
    return Verdict.FAILED if is_busy and not outcome.passed else Verdict.NOT_OFFERED


def _seconds(load: Load, longer: bool) -> int:
    return max(_CONFIRM_SECONDS, load.seconds) if longer else load.seconds


def _attempt_s(load: Load, longer: bool) -> float:
    return _ATTEMPT_SHARE * _seconds(load, longer) + _ATTEMPT_MORE_S


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
    load: Load,
    sent: dict[str, Any],
    before: Usage,
    after: Usage,
    recorded: Recorded,
    findings: Findings,
    counted: dict[str, Any],
) -> Outcome:
    """Sum up one run, for a program and for people. counted: what goes into the report about the calls as it is."""
    processor_s = after.processor_s - before.processor_s
    report: dict[str, Any] = {
        "calls": load.calls,
        "codec": load.codec,
        "gso": load.gso,
        "seconds": sent["seconds"],
        "packets_sent": sent["packets_sent"],
        "packets_received": recorded.received,
        **counted,
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
        "longest_turn_ms": round(recorded.longest_turn_ms, 1),
        "most_queued_s": round(recorded.most_queued_s, 2),
        "closing_seconds": round(recorded.usage.wall_s - after.wall_s, 3),
        "closing_cpu_seconds": round(recorded.usage.processor_s - after.processor_s, 3),
        "worst_misalignment_ms": round(findings.worst_misalignment_ms, 3),
        "faults": [f"call {call}: {fault}" for call, fault in [*findings.faults.items()][:_SHOWN_FAULTS]],
        "faulty_calls": len(findings.faults),
        "sink_failures": recorded.failures[:_SHOWN_FAULTS],
        "sender_kept_pace": kept_pace(sent),
        "sender": sent,
    }
    passed = findings.complete == load.calls and not (findings.faults or report["dropped"] or report["sink_failures"])
    arrived = "in real time, packets due together arriving as one" if load.gso else "in real time"
    title = f"{load.calls} calls of {load.codec} {arrived}: {'passed' if passed else 'NOT PASSED'}"
    return Outcome(report, [_table(report, title)], passed)


def conclude_search(knee: Knee, outcomes: list[Outcome]) -> Outcome:
    """Sum up a search: the knee, the last attempt at it, and all attempts in short."""
    names = ("calls", "seconds", "dropped", "kernel_drops", "faulty_calls", "receiver_cpu_percent", "longest_turn_ms")
    attempts = [
        {name: outcome.report[name] for name in (*names, "sender_kept_pace")} | {"passed": outcome.passed}
        for outcome in outcomes
    ]
    at_most = [one for one in outcomes if one.passed and one.report["calls"] <= knee.calls]
    last = max(reversed(at_most), key=lambda one: one.report["calls"], default=outcomes[-1])
    found = {"knee_calls": knee.calls, "knee_confirmed": knee.confirmed, "limited_by": knee.limited_by}
    table = Table(title=f"{knee.calls} calls pass; limited by {knee.limited_by}", title_justify="left")
    for name in attempts[0]:
        table.add_column(name.replace("_", " "), justify="right")
    for attempt in attempts:
        table.add_row(*(str(value) if isinstance(value, bool) else f"{value:,}" for value in attempt.values()))
    return Outcome(found | last.report | {"attempts": attempts}, [table, *last.tables], knee.calls > 0)


def _joined(searched: Outcome, over: Outcome) -> Outcome:
    """Put an overload at the knee beside the search for it."""
    report = searched.report | {"overload": over.report}
    return Outcome(report, [*searched.tables, *over.tables], searched.passed and over.passed)


def _summary(outcome: Outcome) -> str:
    report = outcome.report
    drops = f"{report['dropped']} dropped, {report['faulty_calls']} calls not complete"
    return f"{'passed' if outcome.passed else drops}, {report['receiver_cpu_percent']} % of the core"


def _overload_title(over: Outcome) -> str:
    report = over.report
    verdict = "recovered" if over.passed else "NOT RECOVERED"
    if not report["overloaded"]:
        verdict = "nothing was dropped: no overload"
    return f"{report['calls']} calls, {report['overload_calls']} for {report['overload_seconds']:.0f} s: {verdict}"


def _table(report: dict[str, Any], title: str) -> Table:
    table = Table(title=title)
    table.add_column("what", no_wrap=True)
    table.add_column("found", justify="right")
    for what, value in report.items():
        if isinstance(value, list):
            for item in value:
                table.add_row(what, str(item))
        elif isinstance(value, dict):
            for part, number in value.items():
                table.add_row(f"{what}: {part}", _text(number))
        elif value is not None:
            table.add_row(what, _text(value))
    return table


def _text(value: Any) -> str:
    return str(value) if isinstance(value, bool | str) else f"{value:,}"
