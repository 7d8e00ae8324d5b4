"""Show recordings: what a sink made, as a table and as a document."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from strep.cli.output import Column, Document, counted, duration, print_table
from strep.cli.streams import describe_streams
from strep.sinks.recordings import Failure, Recording
from strep.stream.events import Direction
from strep.utc import utc_text

T = TypeVar("T")
_DIRECTIONS = {Direction.INBOUND: "in", Direction.OUTBOUND: "out"}
_NO_AUDIO = ("CN", "TELEPHONE-EVENT")


class Recorded(Protocol):
    """What came of recording: a RecordingSink has it, and a WriterThread."""

    recordings: deque[Recording]
    failures: deque[Failure]
    recording_count: int
    failure_count: int


def describe_recording(recording: Recording) -> Document:
    """Make a document of a recording; its sidecar says more."""
    streams = describe_streams(sorted(recording.reports, key=lambda report: report.identity.direction))
    directions = sorted(identity.direction for identity in recording.identities)
    return {
        "path": str(recording.path),
        "sidecar": str(recording.sidecar_path),
        "parts": [str(part) for part in recording.parts],
        "call": recording.identities[0].call,
        "directions": [_DIRECTIONS[direction] for direction in directions],
        "start": utc_text(recording.start_ns),
        "duration_s": round(recording.duration_s, 6),
        "sample_rate_hz": recording.sample_rate_hz,
        "channels": recording.channels,
        "formats": list(dict.fromkeys(name for stream in streams for name in stream["payload_types"].values())),
        "packets": sum(stream["packets"] for stream in streams),
        "lost_packets": sum(stream["lost"] for stream in streams),
        "gap_s": round(_gap_s(recording), 6),
        "unwritten_s": round(recording.unwritten_samples / recording.sample_rate_hz, 6),
        "streams": streams,
    }


def describe_failure(failure: Failure) -> Document:
    """Make a document of a failure."""
    return {"call": failure.call, "reason": failure.reason}


def describe_sink(sink: Recorded) -> Document:
    """Make a document of all that a sink did."""
    return {
        "recordings": [
            describe_recording(recording) for recording in sorted(sink.recordings, key=lambda made: made.start_ns)
        ],
        "recording_count": sink.recording_count,
        "failures": [describe_failure(failure) for failure in sink.failures],
        "failure_count": sink.failure_count,
    }


def print_recordings(recordings: Sequence[Document], count: int, directory: Path) -> None:
    """Print a table of recordings; `count` is how many there were, for only the last ones are remembered."""
    title = f"{counted(count, 'recording')} in {directory}"
    if count > len(recordings):
        title += f"; the last {len(recordings)} of them"
    print_table(recordings, _WIDE, _NARROW, title=title)


def newest(remembered: deque[T], count: int) -> Iterator[T]:
    """Give the last `count` of what a sink remembers, or as many of them as it does."""
    return islice(remembered, max(len(remembered) - count, 0), None) if count else iter(())


def _gap_s(recording: Recording) -> float:
    """Add up, over the directions, the time in which audio was lost, made up or not."""
    return sum(
        (report.samples_by_state["lost"] + report.samples_by_state["concealed"]) / report.sample_rate_hz
        for report in recording.reports
    )


def _formats(recording: Document) -> str:
    """List encodings, those of the inbound direction first."""
    encodings = dict.fromkeys(name.partition("/")[0] for name in recording["formats"])
    return ", ".join([name for name in encodings if name not in _NO_AUDIO] or encodings)


def _gaps(recording: Document) -> str:
    """Say how long audio is missing; below that, of how many packets we made no sound, and what the disk refused."""
    undecoded = sum(stream["undecoded"] for stream in recording["streams"])
    lines = [duration(recording["gap_s"])] if recording["gap_s"] else []
    lines += [f"{undecoded} undecoded"] if undecoded else []
    lines += [f"{duration(recording['unwritten_s'])} unwritten"] if recording["unwritten_s"] else []
    return "\n".join(lines) or "none"


_NARROW: Sequence[Column[Document]] = (
    Column("file", lambda r: Path(r["path"]).name),
    Column("duration", lambda r: duration(r["duration_s"]), is_number=True),
    Column("format", _formats),
    Column("lost", lambda r: str(r["lost_packets"]), is_number=True),
    Column("gaps", _gaps, is_number=True),
)
_WIDE: Sequence[Column[Document]] = (
    _NARROW[0],
    Column("call", lambda r: f"{r['call']} {'+'.join(r['directions'])}"),
    _NARROW[1],
    Column("rate", lambda r: f"{r['sample_rate_hz']} Hz", is_number=True),
    *_NARROW[2:],
)
