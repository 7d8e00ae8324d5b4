"""Fill a sheet from a recording and the sidecar beside it; without a sidecar, from the audio alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import soundfile

from strep.errors import ConfigError
from strep.pictures.sheet import Interval, Mark, Sheet, Side, Trouble

_LARGEST_SIDECAR_BYTES = 64 << 20


def sheet_of_recording(path: Path) -> Sheet:
    """Read a recording. Raises ConfigError when the file is no audio."""
    try:
        audio, rate = soundfile.read(path, dtype="int16", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{path}: expected a capture or an audio file, found neither: {error}") from None
    document = _sidecar(path)
    streams = {int(stream["channel"]): stream for stream in document.get("streams", ())}
    names = ("inbound", "outbound") if audio.shape[1] == 2 else ("audio",)
    sides = []
    for channel in range(audio.shape[1]):
        stream = streams.get(channel, {})
        name = str(stream.get("direction", names[channel] if channel < len(names) else f"channel {channel + 1}"))
        # The file begins where the call does, so what lies before a direction's start is silence of the file.
        sides.append(Side(name, 0.0, rate, audio[:, channel], _intervals(stream), _marks(stream)))
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
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) and "sidecar_version" in document else {}


def _intervals(stream: dict[str, Any]) -> list[Interval]:
    found = []
    for gap in stream.get("gaps", {}).get("listed", ()):
        length_s = gap["length_samples"] / gap["sample_rate_hz"]
        found.append(Interval(gap["at_s"], gap["at_s"] + length_s, Trouble(str(gap["state"]).lower())))
    return found


def _marks(stream: dict[str, Any]) -> list[Mark]:
    keys = [Mark(it["at_s"], str(it["name"])) for it in stream.get("telephone_events", {}).get("listed", ())]
    formats = [Mark(it["at_s"], str(it["format"])) for it in stream.get("formats", {}).get("listed", ())]
    sources = [Mark(it["at_s"], "new source") for it in stream.get("source_changes", {}).get("listed", ())]
    return sorted([*formats, *sources, *keys], key=lambda mark: mark.at_s)
