"""Folders as a kill leaves them: copies of what lies in a folder at one instant, whose locks nobody holds."""

import functools
import os
import shutil
from pathlib import Path
from typing import Any

from strep.sinks.recordings import CallAbout, RecordingSink
from tests.sinks.recordings.calls import SECOND, T0, block, closed, format_changed, opened, tone

Tree = dict[str, bytes]


def copy_tree(source: Path, target: Path) -> Path:
    """Copy a folder with its hard links and times."""
    copies: dict[int, Path] = {}
    for folder, _, names in os.walk(source):
        here = target / Path(folder).relative_to(source)
        here.mkdir(parents=True, exist_ok=True)
        for name in names:
            path = Path(folder, name)
            inode = path.stat().st_ino
            if inode in copies:
                os.link(copies[inode], here / name)
            else:
                shutil.copy2(path, here / name)
                copies[inode] = here / name
    return target


def tree(folder: Path) -> Tree:
    """Read every file of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def record(sink: RecordingSink, call: int = 1, *, seconds: int = 3) -> None:
    """Record a call of two directions, which does not end."""
    for slot, direction in ((2 * call, 0), (2 * call + 1, 1)):
        sink.event(opened(slot, direction, call=call))
        sink.event(format_changed(slot))
    for position in range(0, seconds * 8000, 160):
        rows = [(2 * call + side, position, spoken(call, side)[position : position + 160]) for side in (0, 1)]
        sink.block(block(rows, at_ns=position * 125_000))
        sink.flush(T0 + position * 125_000)


def end(sink: RecordingSink, call: int = 1, *, seconds: int = 3) -> None:
    """End it."""
    for slot, direction in ((2 * call, 0), (2 * call + 1, 1)):
        sink.event(closed(slot, direction, call=call, length=seconds * 8000, at_ns=seconds * SECOND))


@functools.cache
def spoken(call: int, side: int) -> Any:
    return tone(400_000, 10 * call + side)


def left_behind(tmp_path: Path, *, calls: int = 1, ended: int = 0, about: CallAbout | None = None, **how: Any) -> Path:
    """Let a recorder record so many calls, of which so many end, and kill it."""
    sink = RecordingSink(tmp_path / "live", about=lambda _: about, **how)
    for call in range(1, calls + 1):
        record(sink, call)
    if ended and sink._finishing._converter:  # a kill that comes before the converter
        sink._finishing._converter.submit = lambda *_: True  # type: ignore[method-assign]
    for call in range(1, ended + 1):
        end(sink, call)
    left = copy_tree(tmp_path / "live", tmp_path / "left")
    sink.close()
    shutil.rmtree(tmp_path / "live")
    return left
