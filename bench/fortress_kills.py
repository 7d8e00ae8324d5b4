"""Does `kill -9` cost more than the last second? A real recorder with calls, killed at random instants, time and again.

Of each file, the last sound is looked up in what was sent: it may be no older than a second at the time of the kill. A
call that has no file may have begun no longer before. Then `strep recover` finishes what was left.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import BenchError
from bench.claims import Claim
from bench.completeness import read_stereo
from bench.expected import expected_samples
from bench.recorder_command import RecorderCommand
from tools.generate import Report, send_traffic
from tools.traffic import PERIOD_MS, Traffic, call_leg_id

_CALLS = 20
#: From just after calls have begun until their files have been written to a few times.
_INSTANTS_S = (0.2, 4.0)
_MOST_LACKING_S = 1.0
#: A packet is sent when its sound is over.
_PACKET_S = PERIOD_MS / 1000
#: Recorders at a time: starting one takes a core for longer than the calls do.
_AT_A_TIME = 3
#: So many samples are found once in 40 s of a stream.
_MARK_SAMPLES = 400
_RATE_HZ = 8000
_SHOWN_FAULTS = 3


@dataclass(slots=True)
class Killed:
    """What a kill left: files that open, those that do not, and by how much the worst file lacks what was sent."""

    files: int = 0
    faults: list[str] = field(default_factory=list)
    lacking_s: float = 0.0
    incomplete: int | None = None


def measure(kills: int = 100, seed: int = 0, calls: int = _CALLS) -> dict[str, Any]:
    """Kill so many times, in some 1.5 s each."""
    instants_s = np.random.default_rng(seed).uniform(*_INSTANTS_S, kills).tolist()
    with tempfile.TemporaryDirectory(prefix="strep-fortress-") as folder, ThreadPoolExecutor(_AT_A_TIME) as threads:
        found = list(
            threads.map(
                lambda number: kill_once(Path(folder) / str(number), calls, instants_s[number], number),
                range(kills),
            )
        )
    left = [one.incomplete for one in found if one.incomplete is not None]
    return {
        "kills": kills,
        "calls": calls,
        "files": sum(one.files for one in found),
        "faults": [fault for one in found for fault in one.faults][:_SHOWN_FAULTS],
        "lacking_s": float(max(one.lacking_s for one in found)),
        "incomplete": sum(left) if left else None,
    }


def rows(report: dict[str, Any]) -> list[Claim]:
    """Say of a report what was promised, and whether it was kept."""
    what = f"after {report['kills']} kills beside {report['calls']} calls"
    return [
        Claim(
            f"{what}: files that open, with samples as sent",
            f"{report['files']:,}, {len(report['faults'])} not",
            "all",
            report["files"] > 0 and not report["faults"],
        ),
        Claim(
            f"{what}: the most that a call lacks",
            f"{report['lacking_s']:.2f} s",
            f"{_MOST_LACKING_S:g} s",
            report["lacking_s"] <= _MOST_LACKING_S,
        ),
        Claim(
            f"{what}: files that `strep recover` leaves incomplete",
            "not tried" if report["incomplete"] is None else f"{report['incomplete']}",
            "0",
            report["incomplete"] == 0,
        ),
    ]


def kill_once(directory: Path, calls: int, after_s: float, seed: int) -> Killed:
    """Record calls into a folder, kill the recorder, and look at the files."""
    traffic, reports = Traffic(calls, seed=seed), list[Report]()
    with RecorderCommand(directory) as recorder:
        address = recorder.address
        sending = threading.Thread(
            target=lambda: reports.append(send_traffic(traffic, address, seconds=after_s + 0.2)), daemon=True
        )
        sending.start()
        time.sleep(after_s)
        killed_ns = time.time_ns()
        recorder.kill()
        sending.join()
    if not reports:
        raise BenchError("expected the calls' sender to end with a report, found none")
    found = Killed()
    for call in range(calls):
        _look(directory, traffic, call, (killed_ns - reports[0].begin_ns) / 1e9, found)
    found.incomplete = recover(directory)
    return found


def _look(directory: Path, traffic: Traffic, call: int, killed_s: float, found: Killed) -> None:
    """Look at one call's file; killed_s: after the traffic began."""
    path = directory / f"{call_leg_id(call, traffic.seed)}-A.wav"
    phase_s = np.zeros(traffic.streams)
    phase_s[traffic.stream] = traffic.phase_ms / 1000
    if not path.exists():
        found.lacking_s = max(found.lacking_s, killed_s - float(phase_s[2 * call : 2 * call + 2].min()))
        return
    try:
        audio = read_stereo(path, _RATE_HZ)
    except (OSError, EOFError, ValueError) as error:
        found.faults.append(f"{path.name}: {error}")
        return
    found.files += 1
    for direction in (0, 1):
        packets = int(killed_s * 1000) // PERIOD_MS + 2
        end = last_sound(audio[:, direction], expected_samples(call, direction, packets, traffic.codec))
        if end is None:
            found.faults.append(f"{path.name}: channel {direction} is not what was sent")
            continue
        sent_s = phase_s[2 * call + direction] + end / _RATE_HZ - _PACKET_S
        found.lacking_s = max(found.lacking_s, killed_s - sent_s)


def last_sound(audio: NDArray[np.int16], sent: NDArray[np.int16]) -> int | None:
    """Give where in what was sent the last sound of a channel ends, in samples; None: it is not in there."""
    heard = np.trim_zeros(audio)[-_MARK_SAMPLES:]
    if not len(heard):
        return 0
    place = sent.tobytes().find(heard.tobytes())
    return None if place < 0 or place % sent.itemsize else place // sent.itemsize + len(heard)


def recover(directory: Path) -> int | None:
    """Let `strep recover` finish what was left; returns how many files are incomplete then. None: there is no such."""
    command = [sys.executable, "-m", "strep", "recover", str(directory)]
    done = subprocess.run(command, cwd=Path(__file__).resolve().parents[1], capture_output=True, text=True, check=False)
    if "No such command" in done.stderr:
        return None
    incomplete = len([path for path in directory.iterdir() if path.suffix not in {".wav", ".json"}])
    for path in directory.glob("*.wav"):
        sidecar = path.with_suffix(".json")
        try:
            incomplete += not json.loads(sidecar.read_bytes())["complete"]
        except (OSError, ValueError, KeyError):
            incomplete += 1
    return incomplete
