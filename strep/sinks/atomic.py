"""Make files appear whole: under its own name a file is complete, or it does not exist.

Everything is written under a hidden temporary name in the same folder first. A kill in between leaves at most that.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

#: What link() says on file systems without hard links (FAT, some network shares).
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def temporary_path(target: Path) -> Path:
    """Name a hidden file beside `target` that nobody else uses."""
    return target.with_name(f".strep-{os.urandom(8).hex()}.tmp")


def publish(temporary: Path, target: Path) -> None:
    """Give the whole file `temporary` its real name, without ever replacing another file.

    Raises FileExistsError when `target` exists; `temporary` is then still there. Where hard links are missing, another
    process could slip in between the check and the rename; there is no better means on such file systems.
    """
    try:
        os.link(temporary, target)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        temporary.rename(target)
    else:
        temporary.unlink()


def create_file(path: Path, mode: int) -> None:
    """Make an empty file with exactly these permissions, whatever the umask. Raises OSError (FileExistsError)."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        set_mode(descriptor, mode)
    finally:
        os.close(descriptor)


def set_mode(descriptor: int, mode: int) -> None:
    """Give a file that was created with `mode` what the umask took away, where the file system knows permissions."""
    if os.fstat(descriptor).st_mode & 0o777 != mode:
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, mode)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(target: Path, content: bytes, *, mode: int = 0o600, fsync: bool = False) -> None:
    """Write `content` to `target`, so that a reader sees either the old content or the new, whole.

    mode: its permissions. fsync: wait until it is on the disk, and its name too.
    Raises OSError when it cannot be written; the old content is then untouched.
    """
    temporary = temporary_path(target)
    try:
        create_file(temporary, mode)
        temporary.write_bytes(content)
        if fsync:
            _fsync(temporary)
        temporary.replace(target)
        if fsync:
            _fsync(target.parent)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
