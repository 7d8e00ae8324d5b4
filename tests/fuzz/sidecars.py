"""Read any sidecar, as pictures of a recording do: what is not one is refused in one way."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from strep.errors import AudioFileError
from strep.pictures.of_recording import sheet_of_recording

_FOLDER = Path(tempfile.mkdtemp(prefix="strep-fuzz-"))
_RECORDING = _FOLDER / "call.wav"


def run(data: bytes) -> None:
    """Lay a sidecar beside a recording, and look at both."""
    if not _RECORDING.exists():
        _record()
    _RECORDING.with_suffix(".json").write_bytes(data)
    try:
        sheet = sheet_of_recording(_RECORDING)
    except AudioFileError:
        return
    assert len(sheet.sides) == 2


def _record() -> None:
    soundfile.write(_RECORDING, np.zeros((800, 2), np.int16), 8000)


def seeds() -> list[bytes]:
    """Give a sidecar with an entry in each list, and what is none."""
    gap = {"at_s": 0.1, "length_samples": 160, "sample_rate_hz": 8000, "state": "LOST", "lost_packets": 1}
    digit = {"at_s": 0.2, "event": 5, "name": "5", "duration_ms": 100.0, "complete": True}
    format = {"at_s": 0.0, "payload_type": 0, "format": "PCMU/8000"}
    lists = {"gaps": gap, "telephone_events": digit, "formats": format, "source_changes": {"at_s": 0.3, "ssrc": 1}}
    stream = {
        "channel": 0,
        "direction": "inbound",
        **{name: {"count": 1, "listed": [it]} for name, it in lists.items()},
    }
    whole = {"sidecar_version": 1, "complete": True, "call_leg_id": None, "start": "2024-01-01T00:00:00Z"}
    whole |= {"call": {"from": "+1", "to": "+2"}, "streams": [stream, {**stream, "channel": 1}]}
    others = [{}, [], {"sidecar_version": 1, "streams": [{"channel": 0, "gaps": {"listed": [{}]}}]}]
    return [json.dumps(document).encode() for document in (whole, *others)] + [
        b"",
        b"[" * 3000,
        b'{"sidecar_version":1e999}',
    ]
