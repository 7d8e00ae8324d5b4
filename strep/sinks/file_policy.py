"""Say how files of recordings are kept: who may read them, how large they grow, when they are safe on the disk."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from strep.errors import ConfigError

_LONGEST_FSYNC_S = 3600


class LargeFiles(enum.StrEnum):
    """What becomes of a WAV file that outgrows the 32 bits in which RIFF counts bytes."""

    PARTS = "parts"  #: it goes on in another file
    RF64 = "rf64"  #: it becomes RF64 (EBU Tech 3306), which not every program reads; smaller ones stay plain WAV


@dataclass(frozen=True, slots=True)
class FilePolicy:
    """A choice of how recordings and their sidecars are kept.

    file_mode: their permissions, from their first byte on, whatever the umask: calls are nobody else's business.
    large_files: see there. fsync_s: None leaves it to the system when what was written reaches the disk (Linux: within
    30 s or so), 0 waits for that at the end of each recording, a number of seconds also so often while it goes on. Each
    wait takes as long as the disk does, and holds up all other recordings; a killed program needs none of them, a
    machine that loses its power does.
    Raises ConfigError for what cannot be.
    """

    file_mode: int = 0o600
    large_files: LargeFiles = LargeFiles.PARTS
    fsync_s: float | None = None

    def __post_init__(self) -> None:
        if self.file_mode & ~0o777 or self.file_mode & 0o600 != 0o600:
            raise ConfigError(f"file_mode must be octal, and let its owner read and write, got {self.file_mode:#o}")
        if self.fsync_s is not None and not (self.fsync_s == 0 or 1 <= self.fsync_s <= _LONGEST_FSYNC_S):
            raise ConfigError(f"fsync_s must be none, 0, or 1 to {_LONGEST_FSYNC_S} s, got {self.fsync_s}")


def parse_file_mode(text: str) -> int:
    """Read permissions as chmod takes them, such as 640. Raises ConfigError."""
    try:
        return int(text.removeprefix("0o"), 8)
    except ValueError:
        raise ConfigError(f"expected permissions in octal, as in 600 or 640, found {text!r}") from None


def parse_fsync(text: str) -> float | None:
    """Read when to wait for the disk: never, end, or a number of seconds. Raises ConfigError."""
    if text in ("never", "end"):
        return None if text == "never" else 0
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if seconds <= 0:
        raise ConfigError(f"expected never, end, or a number of seconds, found {text!r}")
    return seconds
