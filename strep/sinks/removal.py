"""Remove a finished recording with its sidecar, so that a kill in between leaves what can be gone on with.

1. A hidden second name of the sidecar says that the removal was begun.
2. The audio goes. The sidecar still stands, so that no new recording can take the name.
3. The sidecar goes, and its second name last.

The second name needs no room on the disk, which may be full, but a file system with hard links. On others a removal
that was cut short leaves a sidecar whose audio is not there: it is removed as any recording of that age.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from strep.sinks.interrupted import NotOurs, files_of, read_sidecar
from strep.sinks.locks import Claims, lock_named
from strep.sinks.sidecar import Document


def read_finished(sidecar: Path, claims: Claims) -> Document:
    """Read the sidecar of a recording that is finished, and that nobody converts. Raises OSError, and NotOurs."""
    document = read_sidecar(sidecar)
    if document is None or "complete" not in document:
        raise NotOurs("expected what was written with a recording, found something else")
    if document["complete"] is not True:
        raise NotOurs("not complete")
    try:
        if f"{Path(files_of(document)[0]).stem}.json" != sidecar.name:
            raise NotOurs("its files have other names")
    except (LookupError, TypeError, ValueError) as error:
        raise NotOurs(f"its files are not named: {error}") from None
    lock = lock_named(sidecar.parent, document.get("recorder_lock"))
    if lock and not claims.is_dead(lock):
        raise NotOurs("being converted")
    return document


def remove_recording(sidecar: Path, document: Document) -> None:
    """Remove what `read_finished` gave the document of. Raises OSError when the system refuses."""
    mark = sidecar.with_name(f".strep-{os.urandom(8).hex()}.removing")
    try:
        os.link(sidecar, mark)
    except FileNotFoundError:
        return  # somebody else was faster
    except OSError:  # no hard links here, or no room for a name
        _remove_files(sidecar, document)
        return
    end_removal(mark)


def end_removal(mark: Path) -> None:
    """Go on with a removal that was begun. Raises OSError when the system refuses."""
    try:
        document = read_sidecar(mark)
        sidecar = mark.with_name(f"{Path(files_of(document)[0]).stem}.json") if document else None
    except (LookupError, TypeError, ValueError):
        document = sidecar = None
    # Where the sidecar is another one, a new recording has the name, and all that was to go has gone.
    if document and sidecar and _is_same(sidecar, mark):
        _remove_files(sidecar, document)
    mark.unlink(missing_ok=True)


def _remove_files(sidecar: Path, document: Document) -> None:
    for name in files_of(document):
        (sidecar.parent / name).unlink(missing_ok=True)
    sidecar.unlink(missing_ok=True)


def _is_same(one: Path, other: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return one.samefile(other)
    return False
