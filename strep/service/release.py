"""Bring a finished recording out of quarantine to where the others lie, once its call is known."""

from __future__ import annotations

import contextlib
import json
import logging
from dataclasses import replace
from pathlib import Path

from strep.sinks.atomic import publish
from strep.sinks.recordings import Recording
from strep.sinks.sidecar import write_sidecar

_log = logging.getLogger(__name__)
#: Recordings of one name in one folder: a leg has a few, and whoever has more has lost count.
_MOST_OF_A_NAME = 1000


def release(recording: Recording, folder: Path) -> Recording:
    """Move a recording's audio and its sidecar to `folder`; give it as it is then.

    Nothing there is overwritten: where the name is taken, it becomes `-2` and so on, as recordings are named. What the
    system refuses is logged, and the recording is then where it was.
    """
    stem = recording.path.stem
    for number in range(1, _MOST_OF_A_NAME):
        name = stem if number == 1 else f"{stem}-{number}"
        try:
            return _move(recording, folder, name)
        except FileExistsError:
            continue
        except (OSError, ValueError) as error:
            _log.error("%s cannot be moved to %s, and stays where it is: %s", recording.path, folder, error)
            break
    return recording


def _move(recording: Recording, folder: Path, name: str) -> Recording:
    """Give all files their new names, the sidecar last. Raises FileExistsError when one of those is taken."""
    stem, sidecar = recording.path.stem, folder / f"{name}.json"
    if sidecar.exists():
        raise FileExistsError(f"{sidecar} exists")
    parts = tuple(folder / part.name.replace(stem, name, 1) for part in recording.parts)
    moved: list[tuple[Path, Path]] = []
    try:
        for old, new in zip(recording.parts, parts, strict=True):
            publish(old, new)
            moved.append((old, new))
        document = json.loads(recording.sidecar_path.read_bytes())
        write_sidecar(sidecar, document | {"files": [part.name for part in parts]})
    except (OSError, ValueError):
        for old, new in moved:
            with contextlib.suppress(OSError):
                new.rename(old)
        raise
    with contextlib.suppress(OSError):
        recording.sidecar_path.unlink()
    return replace(recording, path=parts[0], sidecar_path=sidecar, parts=parts)
