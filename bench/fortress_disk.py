"""Does a disk that stalls, is full, has no inodes or loses its folder cost more than what it could not take?

Stalled for 10 s, at 1,000 calls and the receive buffer of an ordinary user, it may cost nothing. For the others a small
file system is mounted, which takes root, and `strep record` records calls of which some end before the trouble and some
last until after it. What is promised: the recorder goes on; those that had ended are exact and final; of the others,
whatever the sidecar does not list as unwritten is exact, and their files and sidecars are final, too; and what happened
was told (failures).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.claims import Claim
from bench.completeness import read_stereo
from bench.expected import expected_samples
from bench.load import Load, Sending
from bench.machine import RECEIVER_CPU, SENDER_CPU
from bench.recorder_command import RecorderCommand
from bench.recording import RecordingProcess
from tools.traffic import Traffic, call_leg_id

_STALL_S, _STALL_CALLS, _STALL_SECONDS = 10.0, 1000, 20
#: Calls begin in groups: this is about what a stall costs, and bench.latency about calls that begin at once.
_STALL_GROUPS, _STALL_GROUP_AFTER_S = 5, 0.6
#: What net.core.rmem_max lets an ordinary user have here.
_BUFFER_BYTES = 4 << 20
_DISK_MIB, _INODES = 64, 400
_RATE_HZ = 8000
_SHOWN_FAULTS = 3


@dataclass(frozen=True, slots=True)
class Scene:
    """How a trouble goes: calls that have ended before it, calls that it meets, and when it is, all in seconds."""

    early: int = 10
    calls: int = 20
    early_seconds: int = 3
    seconds: int = 20
    trouble_after_s: float = 10.0
    trouble_s: float = 4.0


@dataclass(slots=True)
class Found:
    """What the files of some calls are like: exact where nothing is listed as unwritten, final, and what is lost."""

    calls: int = 0
    exact: int = 0
    final: int = 0
    unwritten_s: float = 0.0
    faults: list[str] = field(default_factory=list)


def measure(scene: Scene | None = None, *, stalls: bool = True) -> dict[str, Any]:
    """Measure in some two minutes."""
    scene, troubles = scene or Scene(), {"full": _fill_up, "no inodes": _take_inodes, "vanished folder": _remove}
    report: dict[str, Any] = {"stalled": measure_stall() if stalls else None}
    return report | {name: measure_trouble(scene, trouble) for name, trouble in troubles.items()}


def rows(report: dict[str, Any]) -> list[Claim]:
    """Say of a report what was promised, and whether it was kept."""
    claims, stalled = list[Claim](), report["stalled"]
    if stalled:
        claims.append(
            Claim(
                f"disk stalled for {_STALL_S:g} s, a receive buffer of {_BUFFER_BYTES >> 20} MB: calls exact; "
                f"{stalled['dropped']} packets dropped",
                f"{stalled['calls_recorded']} of {stalled['calls']}",
                "all, none",
                stalled["calls_recorded"] == stalled["calls"] and not stalled["dropped"] + stalled["unwritten_s"],
            )
        )
    for name, one in report.items():
        if name == "stalled":
            continue
        early, met = one["early"], one["met"]
        claims += [
            Claim(
                f"{name}: of {early['calls']} calls that had ended, exact and final",
                f"{min(early['exact'], early['final'])}",
                "all",
                early["exact"] == early["final"] == early["calls"] and not early["unwritten_s"],
            ),
            Claim(
                f"{name}: of {met['calls']} calls under way, final, and exact but for the {met['unwritten_s']:.1f} s "
                "that their sidecars list as unwritten",
                f"{min(met['exact'], met['final'])}",
                "all",
                met["exact"] == met["final"] == met["calls"],
            ),
            Claim(f"{name}: times that it was told", f"{one['told']}", "1 or more", one["told"] > 0),
        ]
    return claims


def measure_stall(calls: int = _STALL_CALLS, seconds: int = _STALL_SECONDS) -> dict[str, Any]:
    """Record calls, which begin in groups, while the disk stalls, and check every sample."""
    loads = [Load(calls // _STALL_GROUPS, seconds, seed=60 + group) for group in range(_STALL_GROUPS)]
    with tempfile.TemporaryDirectory(prefix="strep-fortress-") as name, ExitStack() as stack:
        folder = Path(name)
        recording = stack.enter_context(
            RecordingProcess(folder, cpu=RECEIVER_CPU, stall_s=_STALL_S, buffer_bytes=_BUFFER_BYTES)
        )
        sendings = []
        for load in loads:
            sendings.append(stack.enter_context(Sending(load, recording.address, cpu=SENDER_CPU)))
            time.sleep(_STALL_GROUP_AFTER_S)
        sent = sum(sending.finish()["packets_sent"] for sending in sendings)
        recorded = recording.stop()
        looks = [_look(folder, load) for load in loads]
    return {
        "calls": sum(load.calls for load in loads),
        "calls_recorded": sum(look["exact"] for look in looks),
        "dropped": sent - recorded.fates["accepted"],
        "unwritten_s": sum(look["unwritten_s"] for look in looks),
        "longest_turn_ms": recorded.longest_turn_ms,
        "most_queued_s": recorded.most_queued_s,
        "faults": [fault for look in looks for fault in look["faults"]][:_SHOWN_FAULTS],
    }


def measure_trouble(scene: Scene, trouble: Callable[[Path, Path], Callable[[], None]]) -> dict[str, Any]:
    """Record calls on a small file system, let there be trouble, end it, and look at what there is then.

    trouble: is given the file system and the folder of the recordings, and gives what ends it.
    """
    early, met = Load(scene.early, scene.early_seconds, seed=7), Load(scene.calls, scene.seconds, seed=8)
    with tempfile.TemporaryDirectory(prefix="strep-fortress-") as folder, small_disk(Path(folder)) as disk:
        directory = disk / "calls"
        kept = Path(folder) / "kept"
        # What it says goes elsewhere: beside the recordings there is trouble.
        with RecorderCommand(directory, "--idle-timeout-s", "1", said=Path(folder) / "said") as recorder:
            began_s = time.monotonic()
            with Sending(early, recorder.address, cpu=None), Sending(met, recorder.address, cpu=None) as sending:
                time.sleep(max(0.0, began_s + scene.trouble_after_s - time.monotonic()))
                kept.mkdir()
                for call in range(early.calls):  # where a folder vanishes, these go with it, final as they are
                    for path in directory.glob(f"{call_leg_id(call, early.seed)}*"):
                        shutil.copy(path, kept)
                end = trouble(disk, directory)
                time.sleep(scene.trouble_s)
                end()
                sending.finish()
            told = recorder.stop()
        stayed = any(directory.glob(f"{call_leg_id(0, early.seed)}*.wav"))
        return {
            "early": _look(directory if stayed else kept, early),
            "met": _look(directory, met),
            "told": told["failure_count"],
            "failures": told["failures"][:_SHOWN_FAULTS],
        }


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a small file system in memory. Raises CalledProcessError for whoever may not."""
    disk = folder / "disk"
    disk.mkdir()
    options = f"size={_DISK_MIB}m,nr_inodes={_INODES}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], check=True, capture_output=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def _fill_up(disk: Path, _: Path) -> Callable[[], None]:
    """Take all room; gives it back."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    return ballast.unlink


def _take_inodes(disk: Path, directory: Path) -> Callable[[], None]:
    """Take the files under way, and all inodes, so that they cannot be begun again; gives the inodes back."""
    for sidecar in directory.glob("*.json"):
        if not json.loads(sidecar.read_bytes())["complete"]:
            sidecar.with_suffix(".wav").unlink()
    number = 0
    try:
        while True:
            (disk / f"ballast{number}").touch()
            number += 1
    except OSError:
        pass

    def give_back() -> None:
        for taken in range(number):
            (disk / f"ballast{taken}").unlink()

    return give_back


def _remove(_: Path, directory: Path) -> Callable[[], None]:
    """Remove the folder; nobody makes it again but the recorder."""
    shutil.rmtree(directory)
    return lambda: None


def _look(directory: Path, load: Load) -> dict[str, Any]:
    """Hold the recordings of calls against what was sent, but for what is listed as unwritten."""
    found, traffic = Found(load.calls), load.traffic()
    for call in range(load.calls):
        try:
            _look_at(directory, load, traffic, call, found)
        except (OSError, EOFError, ValueError, KeyError, TypeError, wave.Error) as error:
            found.faults.append(f"call {call}: {type(error).__name__}: {error}")
    return {
        "calls": found.calls,
        "exact": found.exact,
        "final": found.final,
        "unwritten_s": found.unwritten_s,
        "faults": found.faults[:_SHOWN_FAULTS],
    }


def _look_at(directory: Path, load: Load, traffic: Traffic, call: int, found: Found) -> None:
    path = directory / f"{call_leg_id(call, traffic.seed)}-A.wav"
    audio = read_stereo(path, _RATE_HZ)
    document = json.loads(path.with_suffix(".json").read_bytes())
    found.final += document["complete"]
    unwritten = np.zeros(len(audio), bool)
    for entry in document["unwritten"]["listed"]:
        unwritten[entry["position"] : entry["position"] + entry["length_samples"]] = True
        found.unwritten_s += entry["length_samples"] / _RATE_HZ / load.calls
    wrong = 0
    for stream in document["streams"]:
        begin = round(stream["start_s"] * _RATE_HZ)
        samples = expected_samples(call, stream["channel"], load.packets, load.codec)
        expected = np.zeros(max(len(audio), begin + len(samples)), np.int16)
        expected[begin : begin + len(samples)] = samples
        if len(expected) > len(audio):
            raise ValueError(f"expected {len(expected)} frames, found {len(audio)}")
        wrong += int(np.count_nonzero((audio[:, stream["channel"]] != expected) & ~unwritten))
    if wrong or len(document["streams"]) != 2:
        raise ValueError(f"expected other samples: {wrong}, in {len(document['streams'])} streams")
    found.exact += 1
