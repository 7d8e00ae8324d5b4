"""Does anything grow while calls come and go? A real recorder with 300 calls at a time, watched for minutes.

Calls of 20 s begin in groups, one group when another ends. Once a second the recorder's memory, descriptors and threads
are looked at; a line through the second half says by how much they grow.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.claims import Claim
from bench.completeness import check_recordings
from bench.groups import GroupSender
from bench.load import Load
from bench.machine import RECEIVER_CPU, SENDER_CPU
from bench.recorder_command import RecorderCommand

_CALLS, _CALL_S, _GROUPS = 300, 20, 10
#: A call that has ended is kept for so long, here.
_IDLE_S = 5
#: Of what there is at the end. In 2 minutes the sink's memory of its last 1,000 recordings still fills, which takes
#: some 3 MB; descriptors go up and down with each group.
_MOST_GROWTH_SHARE = 0.05
_SHOWN_FAULTS = 3
_WATCHED = ("resident_kib", "descriptors", "threads")


def measure(minutes: float = 2.0, calls: int = _CALLS, *, pinned: bool = True) -> dict[str, Any]:
    """Watch for so long."""
    with tempfile.TemporaryDirectory(prefix="strep-fortress-") as folder:
        directory = Path(folder) / "calls"
        cpu, sender_cpu = (RECEIVER_CPU, SENDER_CPU) if pinned else (None, None)
        with RecorderCommand(directory, "--idle-timeout-s", str(_IDLE_S), cpu=cpu) as recorder:
            loads, late_ms, samples = _soak(recorder, minutes * 60, max(1, calls // _GROUPS), sender_cpu)
            told = recorder.stop()
        total = sum(load.calls for load in loads)
        exact, faults = 0, list[str]()
        for load in loads:
            findings = check_recordings(directory, load.traffic(), load.packets, others=total - load.calls)
            exact += findings.complete
            faults += findings.faults.values()
    return {
        "minutes": minutes,
        "calls": total,
        "at_a_time": calls,
        "exact": exact,
        "faults": faults[:_SHOWN_FAULTS],
        "kernel_drops": told["kernel_drops"],
        "latest_packet_ms": late_ms,
        "growth": {name: growth(samples[name]) for name in _WATCHED},
        "last": {name: samples[name][-1] for name in _WATCHED},
        "samples": samples,
    }


def rows(report: dict[str, Any]) -> list[Claim]:
    """Say of a report what was promised, and whether it was kept."""
    minutes = report["minutes"]
    claims = [
        Claim(
            f"calls exact, {report['at_a_time']} at a time for {minutes:g} min",
            f"{report['exact']:,} of {report['calls']:,}",
            "all",
            report["exact"] == report["calls"],
        )
    ]
    for name in _WATCHED:
        grown, last = report["growth"][name], report["last"][name]
        most = 0.5 if name == "threads" else _MOST_GROWTH_SHARE * last
        claims.append(
            Claim(
                f"{name.replace('_kib', ' memory, KiB')}: growth in the second half, at the end {last:,}",
                f"{grown:+,.1f}",
                f"+{most:,.1f}",
                grown <= most,
            )
        )
    return claims


def growth(samples: list[int]) -> float:
    """Tell by how much the line grows that lies closest to the second half of some values."""
    half = np.array(samples[len(samples) // 2 :], float)
    if len(half) < 2:
        return 0.0
    slope, _ = np.polyfit(np.arange(len(half)), half, 1)
    return float(slope * (len(half) - 1))


def _soak(
    recorder: RecorderCommand, seconds: float, group: int, cpu: int | None
) -> tuple[list[Load], float, dict[str, list[int]]]:
    """Let groups of calls come and go, and look once a second; tells also how late the latest packet was sent."""
    samples: dict[str, list[int]] = {name: [] for name in _WATCHED}
    loads = list[Load]()
    with GroupSender(recorder.address, cpu=cpu) as sender:
        begun_s = time.monotonic()
        while (elapsed_s := time.monotonic() - begun_s) < seconds:
            if len(loads) * _CALL_S / _GROUPS <= elapsed_s and elapsed_s + _CALL_S <= seconds:
                loads.append(Load(group, _CALL_S, seed=100 + len(loads)))
                sender.begin(loads[-1])
            for name in _WATCHED:
                samples[name].append(getattr(recorder, name))
            time.sleep(1.0)
        late_ms = sender.finish()
    # While the last calls end there are fewer of them: that is no steady state.
    steady = max(1, int(seconds - _CALL_S))
    return loads, late_ms, {name: values[:steady] for name, values in samples.items()}
