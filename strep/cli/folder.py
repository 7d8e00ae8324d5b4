"""Leave no empty folder behind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def no_empty_folder(directory: Path) -> Iterator[None]:
    """Take back, at the end, what was made of the way to `directory` meanwhile, if nothing came to lie in it.

    So a command that fails, or that records nothing, leaves no trace. A folder that was there before stays.
    """
    missing = [folder for folder in (directory, *directory.parents) if not folder.exists()]
    try:
        yield
    finally:
        for folder in missing:
            with contextlib.suppress(OSError):  # not empty, or never made
                folder.rmdir()


def fresh_folder(name: str) -> Path:
    """Find a folder name that is not taken: `name`, or `name-2` and so on."""
    number, folder = 1, Path(name)
    while folder.exists():
        number += 1
        folder = Path(f"{name}-{number}")
    return folder
