"""Hold recordings against what was sent: every sample of both channels of every file, not counters."""

from __future__ import annotations

import json
import multiprocessing
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.expected import expected_samples, format_of, frame_samples
from tools.traffic import Traffic, call_leg_id

#: The directions may be this far from where the sender had them: one packet. More is a recording out of joint.
_MOST_MISALIGNED_MS = 20.0
#: One process checks so many calls at a time.
_CALLS_A_TASK = 50


@dataclass(slots=True)
class Findings:
    """What became of all calls. faults: by call number, why its recording is not complete and exact."""

    complete: int = 0
    faults: dict[int, str] = field(default_factory=dict)
    worst_misalignment_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Checker:
    """A checker that checks recordings of calls whose streams sent `packets` packets each.

    exact_from_s: samples earlier than that, in each recording, are not looked at; lengths and places are.
    """

    directory: Path
    codec: str
    seed: int
    packets: int
    exact_from_s: float = 0.0

    def check(self, call: int) -> tuple[str, float]:
        """Check one recording; returns its fault ("": none), and how much later outbound begins, in milliseconds."""
        path = self.directory / f"{call_leg_id(call, self.seed)}-A.wav"
        rate_hz, frame = format_of(self.codec).sample_rate_hz, frame_samples(self.codec)
        try:
            found = read_stereo(path, rate_hz)
            document: dict[str, Any] = json.loads(path.with_suffix(".json").read_bytes())
            starts = {stream["direction"]: round(stream["start_s"] * rate_hz) for stream in document["streams"]}
            begins = [starts["inbound"], starts["outbound"]]
        except (OSError, EOFError, ValueError, TypeError, KeyError, wave.Error) as error:
            return f"expected {path.name} and its sidecar, found {type(error).__name__}: {error}", 0.0
        apart_ms = (begins[1] - begins[0]) * 1000 / rate_hz
        if len(document["streams"]) != 2 or not document["complete"] or min(begins) != 0:
            return f"expected a finished recording of two streams from frame 0 on, found {begins}", apart_ms
        frames = max(begins) + self.packets * frame
        if len(found) != frames:
            return f"expected {frames} frames, found {len(found)}", apart_ms
        first = round(self.exact_from_s * rate_hz)
        for direction, begin in enumerate(begins):
            expected = np.zeros(frames, np.int16)
            samples = expected_samples(call, direction, self.packets, self.codec)
            expected[begin : begin + len(samples)] = samples
            wrong = first + np.flatnonzero(found[first:, direction] != expected[first:])
            if len(wrong):
                fault = f"expected other samples in channel {direction}: {len(wrong)}, the first at {wrong[0]}"
                return fault, apart_ms
        return "", apart_ms

    def check_some(self, calls: range) -> list[tuple[str, float]]:
        """Check some recordings in order."""
        return [self.check(call) for call in calls]


def check_recordings(
    directory: Path,
    traffic: Traffic,
    packets: int,
    *,
    processes: int = 1,
    exact_from_s: float = 0.0,
    others: int = 0,
) -> Findings:
    """Check the recording of every call, of which each direction sent `packets` packets.

    exact_from_s: as of Checker. others: recordings that are there besides.
    """
    findings = Findings()
    phase_ms = np.zeros(traffic.streams, np.int64)
    phase_ms[traffic.stream] = traffic.phase_ms
    checker = Checker(directory, traffic.codec, traffic.seed, packets, exact_from_s)
    checked = _check_all(checker, traffic.calls, processes)
    for call, (inbound_ms, outbound_ms) in enumerate(phase_ms.reshape(-1, 2).tolist()):
        fault, apart_ms = checked[call]
        misaligned_ms = abs(apart_ms - (outbound_ms - inbound_ms))
        if not fault:
            findings.worst_misalignment_ms = max(findings.worst_misalignment_ms, misaligned_ms)
            if misaligned_ms > _MOST_MISALIGNED_MS:
                fault = f"expected directions {outbound_ms - inbound_ms} ms apart, found {apart_ms:.1f} ms"
        if fault:
            findings.faults[call] = fault
        else:
            findings.complete += 1
    files = len(list(directory.glob("*.wav"))) - others
    if files > traffic.calls:
        findings.faults[traffic.calls] = f"expected {traffic.calls} recordings, found {files}"
    return findings


def _check_all(checker: Checker, calls: int, processes: int) -> list[tuple[str, float]]:
    """Check all recordings, by several processes if there is enough to do."""
    tasks = [range(first, min(first + _CALLS_A_TASK, calls)) for first in range(0, calls, _CALLS_A_TASK)]
    if processes == 1 or len(tasks) == 1:
        return [one for task in tasks for one in checker.check_some(task)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return [one for some in pool.imap(checker.check_some, tasks) for one in some]


def read_stereo(path: Path, rate_hz: int) -> NDArray[np.int16]:
    """Read a file by Python's own reader as int16[frames, 2]. Raises ValueError for another kind of WAV file."""
    with wave.open(str(path)) as file:
        found = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        if found != (2, 2, rate_hz):
            raise ValueError(f"expected 2 channels of 2 bytes at {rate_hz} Hz, got {found}")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
