"""Fill a sheet from a recording and the sidecar beside it; without a sidecar, from the audio alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from strep.errors import ConfigError
from strep.pictures.event_text import event_text
from strep.pictures.sheet import Interval, Mark, Sheet, Side, Trouble
from strep.stream.events import Direction

_LARGEST_SIDECAR_BYTES = 64 << 20
#: A month: no call is longer.
_LONGEST_S = 31 * 86_400
#: What is sampled slower or faster is no call, and a window of it would be nothing, or fill the memory.
_RATE_LIMITS_HZ = (1000, 384_000)


def sheet_of_recording(path: Path) -> Sheet:
    """Read a recording.

    Raises ConfigError when the file is no audio, or not that of a call: empty, of more than two channels, or sampled
    too slowly or too fast; and when its sidecar is broken.
    """
    audio, rate = _audio(path)
    document = _sidecar(path)
    try:
        sheet = _sheet(path, audio, rate, document)
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        found = f"{type(error).__name__} {error}"
        raise ConfigError(
            f"{path.with_suffix('.json')}: expected what was written with a recording, found {found}"
        ) from None
    if not len(audio) and not any(side.marks for side in sheet.sides):
        raise ConfigError(f"{path}: expected audio, found no samples")
    return sheet


def _audio(path: Path) -> tuple[NDArray[np.int16], int]:
    """Read int16[n, channels] and the sample rate."""
    try:
        with soundfile.SoundFile(path) as file:
            channels, rate = file.channels, file.samplerate
            low, high = _RATE_LIMITS_HZ
            if channels > len(Direction):
                raise ConfigError(f"{path}: expected one or two channels, found {channels}")
            if not low <= rate <= high:
                raise ConfigError(f"{path}: expected a sample rate of {low} to {high} Hz, found {rate}")
            if file.subtype not in ("FLOAT", "DOUBLE"):
                return file.read(dtype="int16", always_2d=True), rate
            # Read as integers, floats would not be scaled: ±1 would be all that remains.
            scaled = np.nan_to_num(file.read(dtype="float32", always_2d=True)) * 32768.0
            return np.clip(np.round(scaled), -32768, 32767).astype(np.int16), rate
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{path}: expected a capture or an audio file, found neither: {error}") from None


def _sheet(path: Path, audio: NDArray[np.int16], rate: int, document: dict[str, Any]) -> Sheet:
    streams = {int(stream["channel"]): stream for stream in document.get("streams", ())}
    names = [direction.name.lower() for direction in Direction] if audio.shape[1] == len(Direction) else ["audio"]
    sides = []
    for channel, name in enumerate(names):
        stream = streams.get(channel, {})
        # The file begins where the call does, so what lies before a direction's start is silence of the file.
        direction = str(stream.get("direction", name))
        sides.append(Side(direction, 0.0, rate, audio[:, channel], _intervals(stream), _marks(stream)))
    call = document.get("call") or {}
    parties = f"{call['from']} → {call['to']}" if call.get("from") and call.get("to") else ""
    begun = f"from {document['start']}" if "start" in document else ""
    title = str(document.get("call_leg_id") or path.stem)
    return Sheet(title, ", ".join(filter(None, (path.name, parties, begun))), sides)


def _sidecar(path: Path) -> dict[str, Any]:
    sidecar = path.with_suffix(".json")
    try:
        if sidecar.stat().st_size > _LARGEST_SIDECAR_BYTES:
            return {}
        document = json.loads(sidecar.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) and "sidecar_version" in document else {}


def _listed(stream: dict[str, Any], what: str) -> list[tuple[float, dict[str, Any]]]:
    """Give what has a place in the recording, and where."""
    entries = stream.get(what, {}).get("listed", ())
    return [(_seconds(entry["at_s"]), entry) for entry in entries if entry["at_s"] is not None]


def _seconds(value: float) -> float:
    """Refuse what would make a picture of nothing but empty time, or of none."""
    if not abs(value) < _LONGEST_S:
        raise ValueError(f"{value} s")
    return float(value)


def _intervals(stream: dict[str, Any]) -> list[Interval]:
    return [
        Interval(
            at_s, at_s + _seconds(gap["length_samples"] / gap["sample_rate_hz"]), Trouble(str(gap["state"]).lower())
        )
        for at_s, gap in _listed(stream, "gaps")
    ]


def _marks(stream: dict[str, Any]) -> list[Mark]:
    events = [
        Mark(at_s, event_text(int(it["event"]), str(it["name"])), is_event=True)
        for at_s, it in _listed(stream, "telephone_events")
    ]
    formats = [
        Mark(at_s, str(it["format"] or f"payload type {it['payload_type']}")) for at_s, it in _listed(stream, "formats")
    ]
    sources = [Mark(at_s, "new source") for at_s, _ in _listed(stream, "source_changes")]
    return sorted([*formats, *sources, *events], key=lambda mark: mark.at_s)
