"""Send more calls than a core carries for some seconds, and see that it counts what it drops, lives, and recovers."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import Outcome
from bench.completeness import Findings, check_recordings
from bench.load import Load, Sending, kept_pace
from bench.machine import RECEIVER_CPU, SENDER_CPU
from bench.recording import Recorded, RecordingProcess
from tools.generate import GSO_PACKETS

#: Half as many calls more than the load, that is one and a half times the load.
_MORE = 0.5
#: A packet lies in the recording where it was due, which is a little before it arrived.
_SETTLED_S = 0.5
#: Without an undisturbed end of this length nothing is said of recovery.
_LEAST_AFTER_S = 2.0
_SHOWN_FAULTS = 10


@dataclass(frozen=True, slots=True)
class Phases:
    """How many seconds the load lasts before more calls come, with them, and after they have ended."""

    before: int
    during: int
    after: int

    @property
    def seconds(self) -> int:
        """Add them up."""
        return self.before + self.during + self.after


def overload(load: Load, phases: Phases, directory: Path, *, pinned: bool) -> Outcome:
    """Record a load, with half as many calls more for a while, and check what became of it after that."""
    base = replace(load, seconds=phases.seconds)
    more = replace(load, calls=max(1, round(load.calls * _MORE)), seconds=phases.during, seed=load.seed + 1)
    cpu = SENDER_CPU if pinned else None
    with RecordingProcess(directory, cpu=RECEIVER_CPU if pinned else None) as recording:
        with Sending(base, recording.address, cpu=cpu) as sending_base:
            time.sleep(phases.before)
            with Sending(more, recording.address, cpu=cpu) as sending_more:
                sent_more = sending_more.finish()
            sent_base = sending_base.finish()
        recorded = recording.stop()
    recovered_s = (_recovered_ns(recorded, sent_more["end_ns"]) - sent_base["begin_ns"]) / 1e9
    findings = check_recordings(
        directory,
        base.traffic(),
        base.packets,
        processes=2 if pinned else 1,
        exact_from_s=recovered_s + _SETTLED_S,
        others=more.calls,
    )
    return conclude(base, more, sent_base, sent_more, recorded, findings)


def conclude(
    base: Load, more: Load, sent_base: dict[str, Any], sent_more: dict[str, Any], recorded: Recorded, findings: Findings
) -> Outcome:
    """Sum up. Not passed: drops that were not counted, an end of a call that was not left out and is not exact, or no
    recovery before the end.
    """
    sent = sent_base["packets_sent"] + sent_more["packets_sent"]
    recovered_ns = _recovered_ns(recorded, sent_more["end_ns"])
    after_s = (sent_base["end_ns"] - recovered_ns) / 1e9
    report: dict[str, Any] = {
        "calls": base.calls,
        "overload_calls": base.calls + more.calls,
        "codec": base.codec,
        "overload_seconds": round(sent_more["seconds"], 3),
        "overloaded": recorded.kernel_drops > 0,
        "packets_sent": sent,
        "packets_received": recorded.received,
        "dropped": sent - recorded.fates["accepted"],
        "kernel_drops": recorded.kernel_drops,
        "dropped_percent": round(100 * (sent - recorded.received) / sent, 2),
        "unaccounted": unaccounted(sent, recorded, gso=base.gso),
        "fates": {name: count for name, count in recorded.fates.items() if count},
        "seconds_until_no_drops": _seconds_after(recorded.last_drop_ns, sent_more["end_ns"]),
        "seconds_until_caught_up": _seconds_after(recorded.last_behind_ns, sent_more["end_ns"]),
        "seconds_after_recovery": round(after_s, 3),
        "calls_exact_after_recovery": findings.complete,
        "calls_left_out": recorded.calls_left_out,
        "longest_turn_ms": round(recorded.longest_turn_ms, 1),
        "faults": [f"call {call}: {fault}" for call, fault in [*findings.faults.items()][:_SHOWN_FAULTS]],
        "sink_failures": recorded.failures[:_SHOWN_FAULTS],
        "sender_kept_pace": kept_pace(sent_base) and kept_pace(sent_more),
        "sender": sent_base,
        "sender_of_more": sent_more,
    }
    passed = (
        findings.complete > 0
        and base.calls - findings.complete <= recorded.calls_left_out
        and not (report["unaccounted"] or recorded.failures)
        and after_s >= _LEAST_AFTER_S
    )
    return Outcome(report, passed=passed)


def unaccounted(sent: int, recorded: Recorded, *, gso: bool) -> int:
    """Count what was neither received nor counted as dropped, or counted without reason: there may be none.

    gso: the system counts what it drops together as one drop, so that here not all of them can be told.
    """
    missing, drops = sent - recorded.received, recorded.kernel_drops
    if gso:
        return max(0, missing - GSO_PACKETS * drops, drops - missing)
    return abs(missing - drops)


def _recovered_ns(recorded: Recorded, overload_end_ns: int) -> int:
    """Give the wall time after which nothing was dropped and the load was the ordinary one."""
    return max(recorded.last_drop_ns, overload_end_ns)


def _seconds_after(time_ns: int, end_ns: int) -> float:
    """Tell how long after the end of the overload something last was; 0 if it was before or never."""
    return round(max(0, time_ns - end_ns) / 1e9, 3)
