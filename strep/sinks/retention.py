"""Keep a folder of recordings within limits: the oldest finished ones go first.

The rules:

- A recording goes when it ended longer ago than `keep_days`; and while all recordings together take more than
  `keep_bytes`, or the file system has less than `min_free_bytes` left, the oldest goes, be it ever so young.
- It is as old as the last write to its audio; it takes what the file system says, in which silence may take nothing.
- Only what has our sidecar with `complete: true` goes, audio and sidecar together. What is under way or being
  converted counts as taking room, and stays. What is not ours does neither.
- Names, sizes and times are listed; a sidecar is read when its recording is to go. Of one that had to stay this is
  remembered until its sidecar changes.
- One process at a time does this in a folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from strep.errors import ConfigError, SinkError
from strep.sinks.folders import Listing, list_folders
from strep.sinks.interrupted import NotOurs
from strep.sinks.locks import Claims, FileLock, RecorderLock
from strep.sinks.removal import end_removal, read_finished, remove_recording
from strep.sinks.sidecar import Document

LOCK_NAME = ".strep-retention.lock"
_DAY_NS = 86_400 * 10**9
_BLOCK_BYTES = 512  # what st_blocks counts, whatever the file system's own are


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    """The limits of a folder; None is no limit. Raises ConfigError for one below 0."""

    keep_days: float | None = None
    keep_bytes: int | None = None
    min_free_bytes: int | None = None

    def __post_init__(self) -> None:
        for name in ("keep_days", "keep_bytes", "min_free_bytes"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ConfigError(f"{name} must be 0 or more, got {value}")

    def __bool__(self) -> bool:
        return any(limit is not None for limit in (self.keep_days, self.keep_bytes, self.min_free_bytes))


@dataclass(frozen=True, slots=True)
class Stored:
    """One recording as it lies in a folder. size_bytes: of all its files. ended_ns: wall time of its last write.

    sidecar_ns: when its sidecar was written.
    """

    sidecar: str
    size_bytes: int
    ended_ns: int
    sidecar_ns: int = 0


@dataclass(frozen=True, slots=True)
class Removed:
    """One recording that was removed, or would be."""

    sidecar: Path
    files: tuple[str, ...]
    size_bytes: int
    ended_ns: int
    call: Document | None

    def describe(self) -> Document:
        """Make a document of it."""
        return {
            "sidecar": str(self.sidecar),
            "files": [str(self.sidecar.parent / name) for name in self.files],
            "size_bytes": self.size_bytes,
        }


def select_for_removal(
    recordings: Iterable[Stored],
    limits: RetentionLimits,
    free_bytes: int,
    now_ns: int,
    may_go: Callable[[Stored], bool],
) -> Iterator[Stored]:
    """Give, the oldest first, what is to be removed; each is believed to be gone when the next one is asked for.

    free_bytes: what the file system has left before. may_go: is asked of each recording that is about to be given.
    """
    oldest_first = sorted(recordings, key=lambda stored: (stored.ended_ns, stored.sidecar))
    taken_bytes = sum(stored.size_bytes for stored in oldest_first)
    for stored in oldest_first:
        if not (
            (limits.keep_days is not None and now_ns - stored.ended_ns > limits.keep_days * _DAY_NS)
            or (limits.keep_bytes is not None and taken_bytes > limits.keep_bytes)
            or (limits.min_free_bytes is not None and free_bytes < limits.min_free_bytes)
        ):
            return
        if may_go(stored):
            taken_bytes -= stored.size_bytes
            free_bytes += stored.size_bytes
            yield stored


def stored_in(listing: Listing) -> Iterator[Stored]:
    """Give the recordings that a folder seems to hold: what has a JSON file beside it, or did, is looked at later."""
    sizes = dict.fromkeys(listing.sidecars, 0)
    ended_ns: dict[str, int] = {}
    for name, entry in listing.audio.items():
        owner = listing.owner_of(name)
        if owner in sizes and (found := _stat(entry)):
            sizes[owner] += found.st_blocks * _BLOCK_BYTES
            ended_ns[owner] = max(ended_ns.get(owner, 0), found.st_mtime_ns)
    for stem, entry in listing.sidecars.items():
        if found := _stat(entry):
            size_bytes = sizes[stem] + found.st_blocks * _BLOCK_BYTES
            yield Stored(entry.path, size_bytes, ended_ns.get(stem, found.st_mtime_ns), found.st_mtime_ns)


class Retention:
    """A keeper of one folder's limits. It has no thread and no clock: see `strep.sinks.retention_thread`.

    free_bytes: asks how much the file system has left for us. unmet: whether there was nothing left that could go, when
    it went over the folder last, and yet a limit was not kept.
    """

    def __init__(self, folder: Path, limits: RetentionLimits, free_bytes: Callable[[Path], int] | None = None) -> None:
        self.folder, self.limits = folder, limits
        self._free_bytes = free_bytes or _free_bytes
        self._stays: dict[str, int] = {}

    @property
    def is_short(self) -> bool:
        """Tell whether the file system has less left than it should: costs a system call. Raises SinkError."""
        least = self.limits.min_free_bytes
        try:
            return least is not None and self._free_bytes(self.folder) < least
        except OSError as error:
            raise _cannot(self.folder, error) from error

    def go_over(
        self, now_ns: int, *, dry_run: bool = False, give_way: Callable[[], object] = lambda: None
    ) -> Iterator[Removed]:
        """Go over the folder once; give each recording when it has been removed.

        dry_run: only say which would be. give_way: is called after every some hundred names and every removal.
        Raises SinkError when the folder cannot be listed, or another process goes over it.
        """
        lock = FileLock(self.folder / LOCK_NAME)
        claims = Claims(RecorderLock(self.folder))
        try:
            if not dry_run and not lock.acquire():
                raise SinkError(f"another process removes recordings from {self.folder}")
            listings = list(list_folders(self.folder, give_way))
            if not dry_run:
                for mark in (mark for listing in listings for mark in listing.removals):
                    end_removal(mark)
            yield from self._go_over(listings, now_ns, claims, dry_run=dry_run, give_way=give_way)
        except SinkError:
            raise
        except OSError as error:
            raise _cannot(self.folder, error) from error
        finally:
            claims.close()
            lock.release()

    def _go_over(
        self, listings: list[Listing], now_ns: int, claims: Claims, *, dry_run: bool, give_way: Callable[[], object]
    ) -> Iterator[Removed]:
        recordings: list[Stored] = []
        for listing in listings:
            recordings += stored_in(listing)
            give_way()
        here = {stored.sidecar for stored in recordings}
        self._stays = {sidecar: written for sidecar, written in self._stays.items() if sidecar in here}
        documents: dict[str, Document] = {}

        def may_go(stored: Stored) -> bool:
            if self._stays.get(stored.sidecar) == stored.sidecar_ns:
                return False
            try:
                document = read_finished(Path(stored.sidecar), claims)
                if not dry_run:
                    remove_recording(Path(stored.sidecar), document)
            except (OSError, NotOurs):
                self._stays[stored.sidecar] = stored.sidecar_ns
                return False
            documents[stored.sidecar] = document
            return True

        free_bytes = self._free_bytes(self.folder)
        for stored in select_for_removal(recordings, self.limits, free_bytes, now_ns, may_go):
            document = documents.pop(stored.sidecar)
            call = document.get("call")
            yield Removed(
                Path(stored.sidecar),
                tuple(document["files"]),
                stored.size_bytes,
                stored.ended_ns,
                call if isinstance(call, dict) else None,
            )
            give_way()


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except OSError:  # gone meanwhile
        return None


def _free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _cannot(folder: Path, error: OSError) -> SinkError:
    return SinkError(f"cannot remove old recordings from {folder}: {error.strerror or error}")
