"""Read what strep.sinks.sidecar wrote, or somebody else in its form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from strep.errors import AudioFileError

_LARGEST_BYTES = 64 << 20
#: A month: no call is longer.
_LONGEST_S = 31 * 86_400


@contextmanager
def sidecar_of(recording: Path) -> Iterator[dict[str, Any]]:
    """Give the document beside a recording, empty where there is none.

    What does not have the form that it should, as whoever looks into it finds out, becomes a AudioFileError.
    """
    path = recording.with_suffix(".json")
    try:
        yield _read(path)
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        found = f"{type(error).__name__} {error}"
        raise AudioFileError(f"{path}: expected what was written with a recording, found {found}") from None


def listed(stream: dict[str, Any], what: str) -> list[tuple[float, dict[str, Any]]]:
    """Give what has a place in the recording, and where, in s: gaps, telephone_events, formats, source_changes."""
    entries = stream.get(what, {}).get("listed", ())
    return [(seconds(entry["at_s"]), entry) for entry in entries if entry["at_s"] is not None]


def seconds(value: float) -> float:
    """Refuse what no call lasts. Raises ValueError."""
    if not abs(value) < _LONGEST_S:
        raise ValueError(f"{value} s")
    return float(value)


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            return {}
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) and "sidecar_version" in document else {}
