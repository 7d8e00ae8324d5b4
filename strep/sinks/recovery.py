"""Finish what a recorder left that was killed, lost its power, or met a disk that refused.

The rules:

- Touched is only what nobody works at: see strep.sinks.locks. Where a recording names no lock, or has no sidecar yet,
  nobody may record in its folder or in one above.
- A recording whose sidecar is not complete: the headers of its files are made to count what they hold, files that came
  after the sidecar was written (`-part2` ...) are found by name and form, and the sidecar says how long it became.
- A WAV file without a sidecar is ours if it has our form and is named after a leg: it gets one. Others are left alone.
- A recording that was to be converted is, from where that was left (strep.sinks.converting).
- Then temporary files go, removals that were begun are ended (strep.sinks.removal), and the locks of the dead go last.
- Each step leaves what the next run goes on with. What is finished is recognised by the first bytes of its sidecar.

Names are listed before locks are looked at: a recorder that begins in between has made nothing of what was listed.
"""

from __future__ import annotations

import enum
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from strep.errors import SinkError
from strep.sinks.converting import convert_recording
from strep.sinks.folders import Listing, list_folders
from strep.sinks.interrupted import Interrupted, NotOurs, read_interrupted, read_unnamed
from strep.sinks.locks import Claims, RecorderLock
from strep.sinks.removal import end_removal
from strep.sinks.sidecar import write_sidecar
from strep.sinks.wav_repair import repair_wav

#: The first bytes of a sidecar of which nothing is left to be done, as strep.sinks.sidecar writes it.
_FINISHED = re.compile(rb'\{"sidecar_version": \d+,\s*"complete": true,\s*"recorder_lock": null,')
_HEAD_BYTES = 128
#: Lines of the report; a folder may hold the music of others.
MOST_LISTED = 10_000


class Outcome(enum.StrEnum):
    """What became of a file."""

    RECOVERED = "recovered"  #: its headers and its sidecar were made right
    CONVERTED = "converted"  #: it is now what was asked for
    REMOVED = "removed"  #: a temporary file, the lock of a dead program, or the rest of something that was removed
    UNDER_WAY = "under_way"  #: another program works at it
    LEFT_ALONE = "left_alone"  #: it is not ours, or broken
    FAILED = "failed"  #: the system refused


@dataclass(frozen=True, slots=True)
class RecoveryFinding:
    """One file that was found, and what became of it; with `check`, what would become of it."""

    path: Path
    outcome: Outcome
    reason: str = ""


@dataclass(slots=True)
class Recovery:
    """The report of a run. findings: the first MOST_LISTED of them; counts: of all, by their outcome."""

    findings: list[RecoveryFinding] = field(default_factory=list)
    counts: Counter[Outcome] = field(default_factory=Counter)

    def note(self, path: Path, outcome: Outcome, reason: str = "") -> None:
        """Take in one."""
        self.counts[outcome] += 1
        if len(self.findings) < MOST_LISTED:
            self.findings.append(RecoveryFinding(path, outcome, reason))

    @property
    def did_anything(self) -> bool:
        """Tell whether anything was, or would be, changed."""
        return any(self.counts[outcome] for outcome in (Outcome.RECOVERED, Outcome.CONVERTED, Outcome.REMOVED))


def recover(
    folder: Path | str,
    *,
    check: bool = False,
    converts: bool = True,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Recovery:
    """Finish what was left in a folder and in those below it; a second run finds nothing to do.

    check: only say what would be done. converts: whether to convert also, which can take long; a later run does it.
    progress: is told how many sidecars, of how many, were looked at; what it raises ends the run.
    Raises SinkError when the folder cannot be listed. What the system refuses besides is in the report.
    """
    folder = Path(folder)
    try:
        listings = list(list_folders(folder))
    except OSError as error:
        raise SinkError(f"cannot look into {folder}: {error.strerror or error}") from error
    own = RecorderLock(folder)
    claims = Claims(own)
    try:
        work = _Work(own, claims, check, converts)
        total, done = sum(len(listing.sidecars) for listing in listings), 0
        for listing in listings:
            for stem in sorted(listing.sidecars):
                work.take_sidecar(listing, stem)
                done += 1
                progress(done, total)
            work.take_unnamed(listing)
        for listing in listings:
            work.take_temporaries(listing)
        for listing in listings:
            work.take_locks(listing)
        return work.report
    finally:
        claims.close()
        own.release()


class _Work:
    """One run over some folders."""

    def __init__(self, own: RecorderLock, claims: Claims, check: bool, converts: bool) -> None:
        self.report = Recovery()
        self._own, self._claims, self._check, self._converts = own, claims, check, converts

    def take_sidecar(self, listing: Listing, stem: str) -> None:
        """Finish the recording of a sidecar, if it is none that is finished."""
        path = listing.folder / f"{stem}.json"
        try:
            if _is_finished(path):
                return
            found = read_interrupted(path, listing)
            if found is None or not (found.is_incomplete or self._converts):
                return
            if not self._is_left(path, found):
                self.report.note(path, Outcome.UNDER_WAY)
                return
            self._finish(path, found)
        except FileNotFoundError:
            return  # somebody else was faster
        except NotOurs as error:
            self.report.note(path, Outcome.LEFT_ALONE, str(error))
        except OSError as error:
            self.report.note(path, Outcome.FAILED, error.strerror or str(error))

    def take_unnamed(self, listing: Listing) -> None:
        """Give a sidecar to each WAV file that was begun just before its recorder died."""
        names = [name for name in sorted(listing.audio) if name.endswith(".wav")]
        for name in names:
            owner, path = listing.owner_of(name), listing.folder / name
            if owner in listing.sidecars or (f"{owner}.wav" in listing.audio and name != f"{owner}.wav"):
                continue
            sidecar = path.with_suffix(".json")
            try:
                found = read_unnamed(path, listing)
                if not self._claims.is_quiet(listing.folder):
                    self.report.note(path, Outcome.UNDER_WAY)
                elif not sidecar.exists():
                    self._finish(sidecar, found)
            except FileNotFoundError:
                continue
            except NotOurs as error:
                self.report.note(path, Outcome.LEFT_ALONE, str(error))
            except OSError as error:
                self.report.note(path, Outcome.FAILED, error.strerror or str(error))

    def take_temporaries(self, listing: Listing) -> None:
        """Remove temporary files, and end removals that were begun."""
        if not (listing.temporaries or listing.removals) or not self._claims.is_quiet(listing.folder):
            return
        for path in sorted(listing.temporaries):
            self._remove(path, partial(path.unlink, missing_ok=True))
        for path in sorted(listing.removals):
            self._remove(path, partial(end_removal, path))

    def take_locks(self, listing: Listing) -> None:
        """Remove the locks of those who died."""
        for path in sorted(listing.locks):
            if self._claims.is_dead(path):
                self._remove(path, partial(self._claims.remove, path))

    def _is_left(self, path: Path, found: Interrupted) -> bool:
        """Tell whether nobody works at a recording."""
        return self._claims.is_dead(found.lock) if found.lock else self._claims.is_quiet(path.parent)

    def _finish(self, path: Path, found: Interrupted) -> None:
        """Do what is left to do of one recording. Raises OSError."""
        if not self._check:
            self._own.hold()
        if found.is_incomplete:
            if not self._check:
                for part in found.parts:
                    repair_wav(part)
                write_sidecar(path, found.document, mode=found.parts[0].stat().st_mode & 0o777)
            self.report.note(path, Outcome.RECOVERED)
        if found.is_unconverted and self._converts:
            if not self._check:
                self._convert(path, found)
            self.report.note(path, Outcome.CONVERTED)

    def _convert(self, path: Path, found: Interrupted) -> None:
        try:
            convert_recording(path, found.document)
        except FileExistsError:
            target = path.with_suffix(found.container.suffix)
            raise NotOurs(
                f"expected no file {target.name}, found one that is not this recording; it stays WAV"
            ) from None

    def _remove(self, path: Path, act: Callable[[], object]) -> None:
        try:
            if not self._check:
                self._own.hold()
                act()
            self.report.note(path, Outcome.REMOVED)
        except (OSError, NotOurs) as error:
            self.report.note(path, Outcome.FAILED, str(error))


def _is_finished(path: Path) -> bool:
    """Tell by its beginning whether nothing is left to be done of a recording: 100,000 of them take some seconds."""
    with path.open("rb", buffering=0) as file:
        return _FINISHED.match(file.read(_HEAD_BYTES)) is not None
