"""Let other programs know for certain whether a recorder still lives: by a lock that the system drops when it dies.

The rules:

- Who records into a folder holds a file `.strep-<16 hex digits>.lock` there, locked by flock(2), from before its first
  file until after its last. The lock stands for that folder and all below it. A program that ends well removes it.
- The sidecar of a recording that is not finished names the lock of its program.
- A lock file that nobody has locked is that of a program that died. One that is gone is so too: nobody else removes it
  but who finished what that program had left, and who does that has taken the lock first, so that no two do it.
- Who finds that its lock file was deleted while it records makes it again, by the same name, for sidecars name it.
- Where the file system has no locks nobody can tell, and so whoever is asked says that the recorder lives.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

_LOCK_NAME = re.compile(r"\.strep-[0-9a-f]{16}\.lock")
#: As a sidecar may name it: in its own folder or in one above.
_RELATIVE_LOCK = re.compile(r"(?:\.\./)*\.strep-[0-9a-f]{16}\.lock")
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR})
_HELD_BY_ANOTHER = frozenset({errno.EWOULDBLOCK, errno.EACCES})
#: What flock() says on file systems without locks (some network shares and FUSE).
_NO_LOCKS = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL})


def is_lock_name(name: str) -> bool:
    """Tell whether a file is named as the lock of a recorder."""
    return _LOCK_NAME.fullmatch(name) is not None


def lock_named(folder: Path, relative: object) -> Path | None:
    """Give the lock that a sidecar in `folder` names; None where it names none, or what cannot be one."""
    if not isinstance(relative, str) or _RELATIVE_LOCK.fullmatch(relative) is None:
        return None
    return folder / relative


class FileLock:
    """A file that one program has locked, and that is removed when that program lets go of it.

    Neither a thread nor a process that is forked may share it: a lock lives as long as any copy of its descriptor.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """Tell whether we have it."""
        return self._descriptor is not None

    def acquire(self) -> bool:
        """Take the lock, without waiting; tell whether we have it. Raises OSError when there can be no file."""
        while self._descriptor is None:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    os.close(descriptor)
                    if error.errno in _HELD_BY_ANOTHER:
                        return False
                    raise
            if os.fstat(descriptor).st_nlink:
                self._descriptor = descriptor
            else:  # who had it before removed it in between: what we have locked is no longer that file
                os.close(descriptor)
        return True

    def is_there(self) -> bool:
        """Tell whether the file that is locked still has its name. Where the system cannot tell, it has."""
        assert self._descriptor is not None
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except OSError as error:
            return error.errno not in _GONE

    def release(self) -> None:
        """Remove the file, and let go of the lock."""
        if self._descriptor is None:
            return
        if self.is_there():
            with contextlib.suppress(OSError):  # its folder may be gone
                self.path.unlink()
        os.close(self._descriptor)
        self._descriptor = None


class RecorderLock:
    """The lock of one recorder on its folder, taken when it is needed first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: FileLock | None = None

    @property
    def path(self) -> Path | None:
        """Give its file, None while it is not held."""
        return self._lock.path if self._lock else None

    def hold(self) -> None:
        """Take it, unless that was done; make its folder and its file again where they are gone.

        Raises OSError when the system refuses: then nothing may be recorded yet.
        """
        before = self._lock
        if before and before.is_there():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(before.path if before else self._new_path())
        while not lock.acquire():
            lock = FileLock(self._new_path())
        self._lock = lock
        if before:
            before.release()

    def release(self) -> None:
        """Let go of it, when all is finished."""
        if self._lock:
            self._lock.release()
        self._lock = None

    def _new_path(self) -> Path:
        return self._folder / f".strep-{os.urandom(8).hex()}.lock"

    def relative_to(self, folder: Path) -> str | None:
        """Give its name as a sidecar in `folder` has it; None while it is not held."""
        return os.path.relpath(self._lock.path, folder) if self._lock else None


class Claims:
    """What is found out about the locks of others, and those locks of the dead that were taken.

    own: the lock of whoever asks, which says nothing of others. Locks that were taken are kept until `close`.
    """

    def __init__(self, own: RecorderLock) -> None:
        self._own = own
        self._taken: dict[Path, int | None] = {}
        self._alive: set[Path] = set()
        self._quiet: dict[Path, bool] = {}

    def is_dead(self, lock: Path) -> bool:
        """Tell whether the program of a lock has died, and take its lock."""
        lock = _absolute(lock)
        if lock in self._taken:
            return True
        if lock in self._alive:
            return False
        try:
            descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._taken[lock] = None
            return True
        except OSError:  # not ours to read: whose it is, may live
            self._alive.add(lock)
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            self._alive.add(lock)
            return False
        self._taken[lock] = descriptor
        return True

    def is_quiet(self, folder: Path) -> bool:
        """Tell whether no other program recorded into a folder when that was asked first.

        That is seen by the locks in it and in those above it.
        """
        folder = folder.resolve()
        if folder not in self._quiet:
            own = self._own.path and _absolute(self._own.path)
            locks = (lock for place in (folder, *folder.parents) for lock in _locks_in(place))
            self._quiet[folder] = all(lock == own or self.is_dead(lock) for lock in locks)
        return self._quiet[folder]

    def remove(self, lock: Path) -> None:
        """Remove the lock of a program that died, when nothing is left of it to be finished. Raises OSError."""
        assert self.is_dead(lock)
        lock.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of what was taken."""
        for descriptor in self._taken.values():
            if descriptor is not None:
                os.close(descriptor)
        self._taken.clear()


def _locks_in(folder: Path) -> Iterator[Path]:
    """Find the locks in one folder. One that cannot be listed has none that we know of."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if is_lock_name(entry.name):
                yield folder / entry.name


def _absolute(path: Path) -> Path:
    """Name a file in one way only: links on the way to its folder are followed, `..` is gone."""
    return path.parent.resolve() / path.name
