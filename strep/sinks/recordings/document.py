"""Put a recording into words: its sidecar's document (`strep.sinks.sidecar` says what is in it)."""

from __future__ import annotations

from pathlib import Path

from strep.sinks.recordings.intervals import Intervals
from strep.sinks.recordings.open_recording import OpenRecording
from strep.sinks.recordings.recording import Recording
from strep.sinks.recordings.settings import RecordingSettings
from strep.sinks.sidecar import MAX_LISTED, SIDECAR_VERSION, Document
from strep.sinks.sndfile import Container
from strep.sinks.wav_file import WavFormat, WavParts
from strep.stream.events import Direction
from strep.utc import utc_text


def sidecar_path(audio: Path) -> Path:
    """Give where the sidecar of a recording lies."""
    return audio.with_suffix(".json")


def describe(
    recording: OpenRecording, file: WavParts, wav_format: WavFormat, settings: RecordingSettings, now_ns: int
) -> Document:
    """Make the document of a recording, finished or under way.

    That of a finished one is the same whenever it is made. One under way lists no more than MAX_LISTED gaps a stream:
    two streams take 14 ms then, and with 10,000 each they would hold everything up for 140 ms, once a minute.
    """
    rate_hz, identity = wav_format.sample_rate_hz, recording.tracks[0].identity
    most_gaps = None if recording.finished else MAX_LISTED
    is_done = recording.finished and settings.container is Container.WAV
    return {
        "sidecar_version": SIDECAR_VERSION,
        "complete": recording.finished,
        "recorder_lock": None if is_done else settings.lock.relative_to(file.paths[0].parent),
        "recovered": False,
        "written": utc_text(recording.ended_ns if recording.finished else now_ns),
        "files": [path.name for path in file.paths],
        "call": dict(recording.about.document) if recording.about else None,
        "call_leg_id": str(identity.call_leg_id) if identity.call_leg_id else None,
        "leg": identity.leg.name if identity.call_leg_id else None,
        "conversation": identity.conversation,
        "start": utc_text(recording.origin_ns),
        "end": utc_text(recording.origin_ns + file.frames * 10**9 // rate_hz),
        "duration_s": round(file.frames / rate_hz, 6),
        "length_samples": file.frames,
        "layout": settings.layout.value,
        "container": Container.WAV.value,
        "requested_container": settings.container.value,
        "encoding": wav_format.encoding.value,
        "requested_encoding": settings.encoding.value,
        "sample_rate_hz": rate_hz,
        "channels": wav_format.channels,
        "alignment_error_ms": _alignment_error_ms(recording),
        "write_errors": {"count": recording.write_errors, "first": recording.first_error},
        "unwritten_samples": recording.unwritten.frames,
        "unwritten": _describe_unwritten(recording.unwritten, rate_hz),
        "streams": [track.describe(rate_hz, most_gaps) for track in recording.tracks],
    }


def listed_count(recording: OpenRecording) -> int:
    """Count what the lists in the document of a recording under way hold: most of the work of making it."""
    return sum(track.notes.listed_count(MAX_LISTED) for track in recording.tracks)


def conclude(recording: OpenRecording, file: WavParts, wav_format: WavFormat) -> Recording:
    """Make the value of a finished recording."""
    path = file.paths[0]
    return Recording(
        path=path,
        sidecar_path=sidecar_path(path),
        identities=tuple(dict.fromkeys(track.identity for track in recording.tracks)),
        start_ns=recording.origin_ns,
        duration_s=file.frames / wav_format.sample_rate_hz,
        sample_rate_hz=wav_format.sample_rate_hz,
        channels=wav_format.channels,
        parts=tuple(file.paths),
        reports=tuple(track.notes.closed.report for track in recording.tracks if track.notes.closed),
        unwritten_samples=recording.unwritten.frames,
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


def _alignment_error_ms(recording: OpenRecording) -> float | None:
    """Compare the last stream of each direction."""
    errors_ns = {
        track.identity.direction: track.placement_error_ns for track in recording.tracks if track.offset is not None
    }
    if len(errors_ns) < len(Direction):
        return None
    return (errors_ns[Direction.INBOUND] - errors_ns[Direction.OUTBOUND]) / 1e6
