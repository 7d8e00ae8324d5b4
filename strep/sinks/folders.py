"""See what lies in a folder of recordings and below it, by names alone: nothing is opened, links are not followed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from strep.sinks.locks import is_lock_name
from strep.sinks.sndfile import Container

_AUDIO_ENDINGS = tuple(container.suffix for container in Container)
#: What strep.sinks.atomic makes, and what a sink makes when it tries a folder.
_TEMPORARY = re.compile(r"\.strep-(?:[0-9a-f]{16}\.tmp|[a-z0-9_]{8})")
_REMOVAL = re.compile(r"\.strep-[0-9a-f]{16}\.removing")
_PART = re.compile(r"(.+)-part\d+(?:-\d+)?")
#: A folder that is looked at while calls are recorded gives way after so many names: some 1 to 3 ms.
_NAMES_AT_A_TIME = 500


@dataclass(slots=True)
class Listing:
    """The files of one folder. sidecars: by their name without ending. audio: by name. All others are paths."""

    folder: Path
    sidecars: dict[str, os.DirEntry[str]] = field(default_factory=dict)
    audio: dict[str, os.DirEntry[str]] = field(default_factory=dict)
    temporaries: list[Path] = field(default_factory=list)
    removals: list[Path] = field(default_factory=list)
    locks: list[Path] = field(default_factory=list)

    def add(self, entry: os.DirEntry[str]) -> None:
        """Take in one file."""
        name = entry.name
        if name.startswith("."):
            for kind, found in (
                (self.temporaries, _TEMPORARY.fullmatch(name)),
                (self.removals, _REMOVAL.fullmatch(name)),
                (self.locks, is_lock_name(name)),
            ):
                if found:
                    kind.append(self.folder / name)
        elif name.endswith(".json"):
            self.sidecars[name.removesuffix(".json")] = entry
        elif name.endswith(_AUDIO_ENDINGS):
            self.audio[name] = entry

    def owner_of(self, audio_name: str) -> str:
        """Give the name, without ending, of the recording that a file belongs to, if it belongs to one."""
        stem = audio_name.rpartition(".")[0]
        part = _PART.fullmatch(stem) if "-part" in stem else None
        return part[1] if part and stem not in self.sidecars else stem


def list_folders(root: Path, give_way: Callable[[], object] = lambda: None) -> Iterator[Listing]:
    """List a folder and those below it, but for hidden ones. What cannot be listed, or is gone meanwhile, is left out.

    give_way: is called after every some hundred names. Raises OSError when the first folder cannot be listed.
    """
    waiting, seen = [root], 0
    while waiting:
        listing = Listing(waiting.pop())
        try:
            with os.scandir(listing.folder) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        listing.add(entry)
                    elif not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                        waiting.append(listing.folder / entry.name)
                    seen += 1
                    if seen % _NAMES_AT_A_TIME == 0:
                        give_way()
        except OSError:
            if listing.folder == root:
                raise
            continue
        yield listing
