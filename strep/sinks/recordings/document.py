"""Put a recording into words: its sidecar's document (`strep.sinks.sidecar` says what is in it)."""

from __future__ import annotations

from pathlib import Path

from strep.sinks.recordings.intervals import Intervals
from strep.sinks.recordings.recording import Recording
from strep.sinks.recordings.studio import Studio
from strep.sinks.recordings.take import Take
from strep.sinks.sidecar import MAX_LISTED, SIDECAR_VERSION, Document
from strep.sinks.sndfile import Container
from strep.sinks.wav_file import WavFormat, WavParts
from strep.stream.events import Direction
from strep.utc import utc_text


def sidecar_path(audio: Path) -> Path:
    """Give where the sidecar of a recording lies."""
    return audio.with_suffix(".json")


def describe(take: Take, file: WavParts, wav_format: WavFormat, studio: Studio, now_ns: int) -> Document:
    """Make the document of a recording, finished or under way.

    That of a finished one is the same whenever it is made. One under way lists no more than MAX_LISTED gaps a stream:
    two streams take 14 ms then, and with 10,000 each they would hold everything up for 140 ms, once a minute.
    """
    rate_hz, identity = wav_format.sample_rate_hz, take.tracks[0].identity
    most_gaps = None if take.finished else MAX_LISTED
    is_done = take.finished and studio.container is Container.WAV
    return {
        "sidecar_version": SIDECAR_VERSION,
        "complete": take.finished,
        "recorder_lock": None if is_done else studio.lock.relative_to(file.paths[0].parent),
        "recovered": False,
        "written": utc_text(take.ended_ns if take.finished else now_ns),
        "files": [path.name for path in file.paths],
        "call": dict(take.about.document) if take.about else None,
        "call_leg_id": str(identity.call_leg_id) if identity.call_leg_id else None,
        "leg": identity.leg.name if identity.call_leg_id else None,
        "conversation": identity.conversation,
        "start": utc_text(take.origin_ns),
        "end": utc_text(take.origin_ns + file.frames * 10**9 // rate_hz),
        "duration_s": round(file.frames / rate_hz, 6),
        "length_samples": file.frames,
        "layout": studio.layout.value,
        "container": Container.WAV.value,
        "requested_container": studio.container.value,
        "encoding": wav_format.encoding.value,
        "requested_encoding": studio.encoding.value,
        "sample_rate_hz": rate_hz,
        "channels": wav_format.channels,
        "alignment_error_ms": _alignment_error_ms(take),
        "write_errors": {"count": take.write_errors, "first": take.first_error},
        "unwritten_samples": take.unwritten.frames,
        "unwritten": _describe_unwritten(take.unwritten, rate_hz),
        "streams": [track.describe(rate_hz, most_gaps) for track in take.tracks],
    }


def listed_count(take: Take) -> int:
    """Count what the lists in the document of a recording under way hold: most of the work of making it."""
    return sum(track.notes.listed_count(MAX_LISTED) for track in take.tracks)


def conclude(take: Take, file: WavParts, wav_format: WavFormat) -> Recording:
    """Make the value of a finished recording."""
    path = file.paths[0]
    return Recording(
        path=path,
        sidecar_path=sidecar_path(path),
        identities=tuple(dict.fromkeys(track.identity for track in take.tracks)),
        start_ns=take.origin_ns,
        duration_s=file.frames / wav_format.sample_rate_hz,
        sample_rate_hz=wav_format.sample_rate_hz,
        channels=wav_format.channels,
        parts=tuple(file.paths),
        reports=tuple(track.notes.closed.report for track in take.tracks if track.notes.closed),
        unwritten_samples=take.unwritten.frames,
    )


def _describe_unwritten(unwritten: Intervals, rate_hz: int) -> Document:
    listed = [
        {
            "at_s": round(begin / rate_hz, 6),
            "duration_s": round((end - begin) / rate_hz, 6),
            "position": begin,
            "length_samples": end - begin,
        }
        for begin, end in unwritten
    ]
    return {"count": unwritten.count, "samples": unwritten.frames, "listed": listed}


def _alignment_error_ms(take: Take) -> float | None:
    """Compare the last stream of each direction."""
    errors_ns = {
        track.identity.direction: track.placement_error_ns for track in take.tracks if track.offset is not None
    }
    if len(errors_ns) < len(Direction):
        return None
    return (errors_ns[Direction.INBOUND] - errors_ns[Direction.OUTBOUND]) / 1e6
