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


def replace_file(target: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Write `content` to `target`, so that a reader sees either the old content or the new, whole.

    mode: its permissions, of which the umask takes some away. Raises OSError when it cannot be written; the old content
    is then untouched.
    """
    temporary = temporary_path(target)
    try:
        temporary.touch(mode, exist_ok=False)
        temporary.write_bytes(content)
        temporary.replace(target)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
