"""Fill a sheet from a recording and the sidecar beside it; without a sidecar, from the audio alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strep.audio.sound_file import open_call_audio
from strep.errors import AudioFileError
from strep.pictures.event_text import event_text
from strep.pictures.sheet import Interval, Mark, Sheet, Side, Trouble
from strep.sinks.sidecar_reading import listed, seconds, sidecar_of
from strep.stream.events import Direction


def sheet_of_recording(path: Path) -> Sheet:
    """Read a recording.

    Raises AudioFileError when the file is no audio, or not that of a call: empty, of more than two channels, or sampled
    too slowly or too fast; and when its sidecar is broken.
    """
    with open_call_audio(path) as opened:
        audio, rate = opened.read(), opened.sample_rate_hz
    with sidecar_of(path) as document:
        sheet = _sheet(path, audio, rate, document)
    if not len(audio) and not any(side.marks for side in sheet.sides):
        raise AudioFileError(f"{path}: expected audio, found no samples")
    return sheet


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


def _intervals(stream: dict[str, Any]) -> list[Interval]:
    return [
        Interval(
            at_s, at_s + seconds(gap["length_samples"] / gap["sample_rate_hz"]), Trouble(str(gap["state"]).lower())
        )
        for at_s, gap in listed(stream, "gaps")
    ]


def _marks(stream: dict[str, Any]) -> list[Mark]:
    events = [
        Mark(at_s, event_text(int(it["event"]), str(it["name"])), is_event=True)
        for at_s, it in listed(stream, "telephone_events")
    ]
    formats = [
        Mark(at_s, str(it["format"] or f"payload type {it['payload_type']}")) for at_s, it in listed(stream, "formats")
    ]
    sources = [Mark(at_s, "new source") for at_s, _ in listed(stream, "source_changes")]
    return sorted([*formats, *sources, *events], key=lambda mark: mark.at_s)
