"""Find out what is left to be done of a recording, by its sidecar and its files; nothing is changed here."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from strep.sinks.folders import Listing
from strep.sinks.locks import lock_named
from strep.sinks.sidecar import SIDECAR_VERSION, Document
from strep.sinks.sndfile import Container
from strep.sinks.wav_repair import WavContent, examine_wav

#: One with all its lists full has some megabytes.
LARGEST_SIDECAR_BYTES = 64 << 20
_LEG = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-([AB])(?:-in|-out)?(?:-\d+)?")
_HIDDEN_OR_ELSEWHERE = re.compile(r"\..*|.*[/\\\0].*|", re.DOTALL)


class NotOurs(Exception):  # noqa: N818 -- it is what was found, and nobody's fault
    """An error that says why a file is left alone."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A recording of which something is left to be done.

    document: of its sidecar, as it will be before it is converted. lock: what the sidecar names now. parts: its files.
    is_incomplete: whether these, and the sidecar, are to be made right first.
    """

    document: Document
    lock: Path | None
    parts: tuple[Path, ...]
    is_incomplete: bool

    @property
    def container(self) -> Container:
        """Give the container that was asked for; the one that it has where nobody knows."""
        return Container(self.document.get("requested_container") or self.document["container"])

    @property
    def is_unconverted(self) -> bool:
        """Tell whether a conversion is to be made, or ended."""
        return self.document["container"] != self.container.value or "superseded" in self.document


def read_interrupted(sidecar: Path, listing: Listing) -> Interrupted | None:
    """Read a sidecar and look at its files; None: nothing is left to be done, or it has nothing to do with us.

    Raises OSError, and NotOurs for what is broken.
    """
    document = read_sidecar(sidecar)
    if document is None:
        stem = sidecar.name.removesuffix(".json")
        if not any(listing.owner_of(name) == stem for name in listing.audio):
            return None  # a JSON file as any other
        if sidecar.stat().st_size == 0 and f"{stem}.wav" in listing.audio:  # what a power cut leaves of a new file
            return read_unnamed(sidecar.with_suffix(".wav"), listing)
        raise NotOurs("expected what was written with a recording, found something else")
    try:
        lock = lock_named(sidecar.parent, document.get("recorder_lock"))
        if document["complete"] is True:
            found = Interrupted(document, lock, (), is_incomplete=False)
            return found if found.is_unconverted else None
        parts = _parts([sidecar.parent / _plain(name) for name in document["files"]], listing)
        return Interrupted(_ended(document, parts), lock, tuple(parts), is_incomplete=True)
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise NotOurs(f"expected what was written with a recording, found {type(error).__name__}: {error}") from None


def read_unnamed(path: Path, listing: Listing) -> Interrupted:
    """Look at a WAV file without a sidecar. Raises OSError, and NotOurs unless it is one that a recorder has begun."""
    leg = _LEG.fullmatch(path.stem)
    if leg is None:
        raise NotOurs("no sidecar, and not named after a leg of a call")
    parts = _parts([path], listing)
    encoding, rate_hz, channels = next(iter(parts.values())).form
    document: Document = {
        "sidecar_version": SIDECAR_VERSION,
        "complete": False,
        "recorder_lock": None,
        "recovered": True,
        "written": None,
        "files": [],
        "call": None,
        "call_leg_id": leg[1],
        "leg": leg[2],
        "conversation": "",
        "start": None,
        "end": None,
        "duration_s": None,
        "length_samples": None,
        "layout": "stereo" if channels == 2 else "mono",
        "container": Container.WAV.value,
        "requested_container": None,
        "encoding": encoding.value,
        "requested_encoding": None,
        "sample_rate_hz": rate_hz,
        "channels": channels,
        "alignment_error_ms": None,
        "write_errors": {"count": 0, "first": None},
        "unwritten_samples": 0,
        "unwritten": {"count": 0, "samples": 0, "listed": []},
        "streams": [],
    }
    return Interrupted(_ended(document, parts), None, tuple(parts), is_incomplete=True)


def read_sidecar(path: Path) -> Document | None:
    """Read a sidecar; None where it is none. Raises OSError."""
    if path.stat().st_size > LARGEST_SIDECAR_BYTES:
        return None
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and "sidecar_version" in document else None


def files_of(document: Document) -> list[str]:
    """List the audio files of a sidecar, those that a conversion replaces included. Raises as `_plain` does."""
    return [_plain(name) for name in (*document["files"], *document.get("superseded", ()))]


def _plain(name: Any) -> str:
    """Give a file name that cannot lead elsewhere. Raises ValueError for any other."""
    if not isinstance(name, str) or _HIDDEN_OR_ELSEWHERE.fullmatch(name):
        raise ValueError(f"no name of a file in this folder: {name!r}")
    return name


def _parts(known: Sequence[Path], listing: Listing) -> dict[Path, WavContent]:
    """Look at the files of a recording, and at those that came after its sidecar was written. Raises NotOurs."""
    parts: dict[Path, WavContent] = {}
    for path in known:
        try:
            parts[path] = examine_wav(path)
        except FileNotFoundError:
            raise NotOurs(f"{path.name} is not there") from None
        except ValueError as error:
            raise NotOurs(f"{path.name}: {error}") from None
    first = known[0]
    form = parts[first].form
    while (later := _later_part(first, len(parts) + 1, listing)) is not None:
        try:
            content = examine_wav(later)
        except (OSError, ValueError):
            break
        if content.form != form or later in parts:
            break
        parts[later] = content
    return parts


def _later_part(first: Path, number: int, listing: Listing) -> Path | None:
    """Find the file that a recording goes on in: the last of those so named, for it was made last."""
    pattern = re.compile(rf"{re.escape(first.stem)}-part{number}(?:-(\d+))?\.wav")
    found = [(int(match[1] or 1), name) for name in listing.audio if (match := pattern.fullmatch(name))]
    free = [entry for entry in found if entry[1].removesuffix(".wav") not in listing.sidecars]
    return first.with_name(max(free)[1]) if free else None


def _ended(document: Document, parts: dict[Path, WavContent]) -> Document:
    """Say of a recording how long it became."""
    rate_hz = next(iter(parts.values())).sample_rate_hz
    frames = sum(content.frames for content in parts.values())
    container = document.get("requested_container") or Container.WAV.value
    is_done = Container(container) is Container.WAV
    return document | {
        "complete": True,
        "recorder_lock": None if is_done else document.get("recorder_lock"),
        "recovered": True,
        "files": [path.name for path in parts],
        "end": _end(document["start"], frames, rate_hz),
        "duration_s": round(frames / rate_hz, 6),
        "length_samples": frames,
    }


def _end(start: str | None, frames: int, rate_hz: int) -> str | None:
    if start is None:
        return None
    try:
        end = datetime.fromisoformat(start) + timedelta(microseconds=frames * 10**6 // rate_hz)
    except (ValueError, OverflowError):  # a capture file can claim any year
        return None
    return end.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
