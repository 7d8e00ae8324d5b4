"""Hold recordings against what was sent: every sample of both channels of every file, not counters."""

from __future__ import annotations

import json
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strep.audio.g711 import Law, decode
from tools.traffic import FRAME_BYTES, Traffic, call_leg_id, expected_payload

_RATE_HZ = 8000
#: The directions may be this far from where the sender had them: one packet. More is a recording out of joint.
_MOST_MISALIGNED_MS = 20.0


@dataclass(slots=True)
class Findings:
    """Is what became of all calls. faults: by call number, why its recording is not complete and exact."""

    complete: int = 0
    faults: dict[int, str] = field(default_factory=dict)
    worst_misalignment_ms: float = 0.0


def check_recordings(directory: Path, traffic: Traffic, packets: int) -> Findings:
    """Check the recording of every call, of which each direction sent `packets` packets of mu-law."""
    findings = Findings()
    phase_ms = np.zeros(traffic.streams, np.int64)
    phase_ms[traffic.stream] = traffic.phase_ms
    for call, (inbound_ms, outbound_ms) in enumerate(phase_ms.reshape(-1, 2).tolist()):
        fault, apart_ms = check_recording(directory, call, traffic.seed, packets)
        misaligned_ms = abs(apart_ms - (outbound_ms - inbound_ms))
        if not fault:
            findings.worst_misalignment_ms = max(findings.worst_misalignment_ms, misaligned_ms)
            if misaligned_ms > _MOST_MISALIGNED_MS:
                fault = f"expected directions {outbound_ms - inbound_ms} ms apart, found {apart_ms:.1f} ms"
        if fault:
            findings.faults[call] = fault
        else:
            findings.complete += 1
    files = len(list(directory.glob("*.wav")))
    if files > traffic.calls:
        findings.faults[traffic.calls] = f"expected {traffic.calls} recordings, found {files}"
    return findings


def check_recording(directory: Path, call: int, seed: int, packets: int) -> tuple[str, float]:
    """Check one recording; returns its fault ("": none), and how much later outbound begins, in milliseconds."""
    path = directory / f"{call_leg_id(call, seed)}-A.wav"
    try:
        found = read_stereo(path)
        document: dict[str, Any] = json.loads(path.with_suffix(".json").read_bytes())
        starts = {stream["direction"]: round(stream["start_s"] * _RATE_HZ) for stream in document["streams"]}
        begins = [starts["inbound"], starts["outbound"]]
    except (OSError, EOFError, ValueError, TypeError, KeyError, wave.Error) as error:
        return f"expected {path.name} and its sidecar, found {type(error).__name__}: {error}", 0.0
    apart_ms = (begins[1] - begins[0]) * 1000 / _RATE_HZ
    if len(document["streams"]) != 2 or not document["complete"] or min(begins) != 0:
        return f"expected a finished recording of two streams from frame 0 on, found {begins}", apart_ms
    frames = max(begins) + packets * FRAME_BYTES
    if len(found) != frames:
        return f"expected {frames} frames, found {len(found)}", apart_ms
    for direction, begin in enumerate(begins):
        expected = np.zeros(frames, np.int16)
        payload = np.frombuffer(expected_payload(call, direction, 0, packets), np.uint8)
        expected[begin : begin + len(payload)] = decode(payload, Law.MU)
        wrong = np.flatnonzero(found[:, direction] != expected)
        if len(wrong):
            return f"expected other samples in channel {direction}: {len(wrong)}, the first at {wrong[0]}", apart_ms
    return "", apart_ms


def read_stereo(path: Path) -> NDArray[np.int16]:
    """Read a file by Python's own reader as int16[frames, 2]. Raises ValueError for another kind of WAV file."""
    with wave.open(str(path)) as file:
        found = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        if found != (2, 2, _RATE_HZ):
            raise ValueError(f"expected 2 channels of 2 bytes at {_RATE_HZ} Hz, got {found}")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
