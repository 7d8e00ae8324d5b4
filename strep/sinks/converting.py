"""Turn a finished recording into the container that was asked for, by steps that can be gone on with after a kill.

1. The converted file appears, whole and on the disk.
2. The sidecar speaks of it, and lists the files that it replaces under `superseded`.
3. Those are removed.
4. The sidecar says that nothing is left to be done.

So at every instant the sidecar names files that are there, and nothing is removed that it does not name. Where a step
fails, the next try goes on with what is there.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import soundfile

from strep.sinks.sidecar import Document, write_sidecar
from strep.sinks.sndfile import Container, convert


def convert_recording(sidecar: Path, document: Document) -> Path:
    """Convert what `document`, the content of a sidecar, speaks of, from wherever it was left; give the new file.

    What is written has the permissions of the first file that is there.
    Raises OSError: FileExistsError when something else has the name that the converted file should have.
    """
    mode = (sidecar.parent / document["files"][0]).stat().st_mode & 0o777
    document = convert_files(sidecar, document, mode=mode)
    remove_superseded(sidecar, document, mode=mode)
    return sidecar.parent / str(document["files"][0])


def convert_files(sidecar: Path, document: Document, *, mode: int, fsync: bool = False) -> Document:
    """Do the steps 1 and 2, unless that was done; give what the sidecar says then. Raises as `convert_recording`.

    mode, fsync: as `write_sidecar` takes them.
    """
    container = Container(document["requested_container"])
    if document["container"] == container.value:
        return document
    parts = [sidecar.parent / name for name in document["files"]]
    target = sidecar.with_suffix(container.suffix)
    if not target.exists():
        convert(parts, target, container, mode=mode)
    elif not _is_conversion(parts, target, container):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    document = document | {
        "files": [target.name],
        "container": container.value,
        "superseded": [part.name for part in parts],
    }
    if container is Container.OGG_OPUS:
        document["encoding"] = "opus"
    write_sidecar(sidecar, document, mode=mode, fsync=fsync)
    return document


def remove_superseded(sidecar: Path, document: Document, *, mode: int, fsync: bool = False) -> None:
    """Do the steps 3 and 4. Raises OSError."""
    for name in document.get("superseded", ()):
        (sidecar.parent / name).unlink(missing_ok=True)
    rest = {key: value for key, value in document.items() if key != "superseded"}
    write_sidecar(sidecar, rest | {"recorder_lock": None}, mode=mode, fsync=fsync)


def _is_conversion(parts: Sequence[Path], target: Path, container: Container) -> bool:
    """Tell whether a file is what these were converted to, before somebody was killed: it appears only when whole."""
    try:
        infos = [soundfile.info(str(part)) for part in parts]
        made = soundfile.info(str(target))
    except soundfile.SoundFileError:
        return False
    form = {Container.FLAC: ("FLAC", "PCM_16"), Container.OGG_OPUS: ("OGG", "OPUS")}[container]
    first = infos[0]
    return (made.format, made.subtype, made.samplerate, made.channels, made.frames) == (
        *form,
        first.samplerate,
        first.channels,
        sum(info.frames for info in infos),
    )
