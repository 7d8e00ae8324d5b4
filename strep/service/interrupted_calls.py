"""Say in the sidecars of a service that was killed what its calls were: that is known by the state file.

Their sidecars say `complete: false`, or `recovered: true` (strep.sinks.recovery has finished them); what is counted at
the end is null and stays so: it died with the service. How long they became the files know. `interrupted: true` says
that nothing more will be added; what came of the call afterwards is in a recording of its own, of the same
call_control_id.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import soundfile

from strep.sinks.recordings.naming import safe_stem
from strep.sinks.sidecar import Document, write_sidecar

_log = logging.getLogger(__name__)
#: A sidecar with all its lists full has some megabytes.
_LARGEST_SIDECAR_BYTES = 64 << 20


def find_interrupted(folders: Iterable[Path], legs: Mapping[str, str]) -> dict[str, list[Path]]:
    """Find the sidecars of interrupted recordings, by call_control_id, before anything is recorded there again.

    legs: the call_control_id of each leg that is looked for, by StreamIdentity.call; that is how recordings are named.
    Only files with such names are read: a folder may hold the recordings of years.
    """
    wanted = {safe_stem(leg): call_control_id for leg, call_control_id in legs.items()}
    lengths = sorted({len(stem) for stem in wanted})
    found: dict[str, list[Path]] = {}
    for folder in folders:
        for path in sorted(_sidecars(folder)):
            if not any(path.name[:length] in wanted for length in lengths):
                continue
            call_control_id = _call_of_interrupted(path)
            if call_control_id is not None and call_control_id in wanted.values():
                found.setdefault(call_control_id, []).append(path)
    return found


def finish_interrupted(path: Path, call: Document) -> Document | None:
    """Finish the sidecar of an interrupted recording; give it, None if that could not be.

    `call`: what is known of its call.
    """
    try:
        document = json.loads(path.read_bytes())
        document |= _lengths(path.parent, document) | {"call": call, "interrupted": True}
        write_sidecar(path, document)
    except (OSError, ValueError, TypeError, KeyError, ArithmeticError, soundfile.LibsndfileError) as error:
        _log.warning("the sidecar %s of an interrupted recording stays as it was: %s", path, error)
        return None
    return dict(document)


def _sidecars(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            yield from (Path(entry.path) for entry in entries if entry.name.endswith(".json") and entry.is_file())
    except OSError:  # no such folder yet
        return


def _call_of_interrupted(path: Path) -> str | None:
    """Give the call_control_id in a sidecar whose program was killed; None: it was not, or says nothing of a call."""
    try:
        if path.stat().st_size > _LARGEST_SIDECAR_BYTES:
            return None
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("interrupted"):
        return None
    if document.get("complete") is not False and not document.get("recovered"):
        return None
    call = document.get("call")
    return call.get("call_control_id") if isinstance(call, dict) else None


def _lengths(folder: Path, document: Document) -> dict[str, Any]:
    """Measure the audio that is there."""
    frames, rate_hz = 0, int(document["sample_rate_hz"])
    for name in document["files"]:
        frames += soundfile.info(folder / Path(name).name).frames
    start = datetime.fromisoformat(document["start"])
    end = (start + timedelta(seconds=frames / rate_hz)).replace(tzinfo=None)
    return {
        "length_samples": frames,
        "duration_s": round(frames / rate_hz, 6),
        "end": end.isoformat(timespec="microseconds") + "Z",
    }
