"""Keep thousands of files open without running out of file descriptors."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
from collections import OrderedDict

from strep.sinks.atomic import set_mode

#: More than this many recordings per process is beyond what a core carries, whatever the system would allow.
_MOST_OPEN = 16_384
_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one where the system lets us; give the limit that now holds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # macOS refuses "unlimited", though it is its hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return _MOST_OPEN * 2 if soft == resource.RLIM_INFINITY else soft


class DescriptorCache:
    """A descriptor cache that keeps the descriptors of the most recently used files open, and opens the others again
    when they are needed.

    `limit` bounds how many; the default is half of what the system allows, so that sockets have room too.
    file_mode: the permissions of files that are created here, whatever the umask.
    """

    def __init__(self, limit: int | None = None, *, file_mode: int = 0o600) -> None:
        self.file_mode = file_mode
        self.limit = limit or max(min(raise_descriptor_limit() // 2, _MOST_OPEN), 1)
        self.reopened = 0
        self._open: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def get(self, path: str) -> int:
        """Give a descriptor of an existing file, open for reading and writing. Raises OSError when it is gone."""
        descriptor = self._open.get(path)
        if descriptor is None:
            descriptor = self.open(path, os.O_RDWR)
            self.reopened += 1
            self.keep(path, descriptor)
        else:
            self._open.move_to_end(path)
        return descriptor

    def peek(self, path: str) -> int | None:
        """Give the descriptor of a file if it is open; what is used least stays what it was."""
        return self._open.get(path)

    def open(self, path: str, flags: int) -> int:
        """Open a file that is not in the cache, closing others when the system has no descriptor left."""
        while True:
            try:
                descriptor = os.open(path, flags | os.O_CLOEXEC, self.file_mode)
            except OSError as error:
                if error.errno not in _OUT_OF_DESCRIPTORS or not self._open:
                    raise
                self.limit = max(len(self._open) - 1, 1)
                self._shrink()
            else:
                if flags & os.O_CREAT:
                    set_mode(descriptor, self.file_mode)
                return descriptor

    def keep(self, path: str, descriptor: int) -> None:
        """Take over an open descriptor under the name that the file has."""
        self._open[path] = descriptor
        self._shrink()

    def close(self, path: str) -> None:
        """Close a file if it is open."""
        descriptor = self._open.pop(path, None)
        if descriptor is not None:
            os.close(descriptor)

    def close_all(self) -> None:
        """Close every file."""
        for path in list(self._open):
            self.close(path)

    def _shrink(self) -> None:
        while len(self._open) > self.limit:
            _, descriptor = self._open.popitem(last=False)
            os.close(descriptor)
