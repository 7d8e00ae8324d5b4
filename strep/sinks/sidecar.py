"""Tell what a recording cannot: who spoke, what arrived and what did not, where and why. One JSON file beside each.

The form is stable; keys may be added, and `sidecar_version` goes up when one changes its meaning. Times are UTC, ISO
8601 with microseconds; `_s` is seconds, and `at_s` seconds from the beginning of the recording; `position` counts
samples of the stream at the `sample_rate_hz` beside it. What is not known is null.

    sidecar_version     2
    complete            false while the recording goes on (or when its program was killed), true when it was finished
    recorder_lock       the lock of the program that records (strep.sinks.locks), as seen from this folder, until the
                        recording is complete and in the container that was asked for; then null
    recovered           true: its program was killed, and strep.sinks.recovery finished it. What is counted at the end
                        stays null then, and gaps are those that were known when this was written last
    written             when all this was so; of a complete one, when its last stream ended. While a recording goes on
                        this is written when its file is begun and then once a minute (less often with more than 6,000
                        calls, or with many long lists). Until it is complete, what is counted at the end is null;
                        length_samples, duration_s and end are those of that moment (the file that a killed program
                        leaves is longer); and no more than 1000 gaps a stream are listed.
    files               the audio, in order; more than one only when a WAV file would have grown too large
    call                what the program that records knows of the platform's call (strep.sinks.recordings.CallAbout):
                        call_control_id, from, to and so on; null where it knows nothing
    call_leg_id, leg, conversation           whose recording it is; call_leg_id and leg are null for plain RTP
    start, end, duration_s, length_samples   of the audio; `start` is the wall time of its first sample
    layout              "stereo": inbound is left, outbound is right; "mono": one direction
    container, encoding "wav", "flac", "ogg_opus"; "pcm16", "ulaw", "alaw", "opus"
    requested_container differs from container until a recording has been converted; null where nobody knows
    superseded          only while a conversion ends: the files that it replaced, which are being removed
    requested_encoding  differs from encoding where G.711 was asked for and the call was something else
    sample_rate_hz, channels
    alignment_error_ms  how much later, by the last estimates, inbound should lie relative to outbound; null for one
                        direction. It was fixed about 1 s into the call, since a file cannot be shifted afterwards.
    write_errors        {count, first}: what the system refused
    unwritten_samples   frames that were lost by that, by a disk that stalled longer than audio may wait for it, or
                        with a file that was deleted or moved during its call; as in `unwritten`
    unwritten           {count, samples, listed[]}: where they are, be it in one channel or in all: at_s, duration_s,
                        position (here it counts frames of the recording) and length_samples. They are silent, but for
                        what had been written there before; beyond the end, the file could not be made longer.
    streams[]           one for each stream, mostly one a direction:
      direction, channel          "inbound" or "outbound"; 0 is left
      start_s                     where sample 0 of the stream lies in the recording; negative if that was cut off
      anchor                      wall time of sample 0 by the last estimate
      placement_error_ms          how much later that is than where it was placed
      clipped_samples             lay before the beginning of the recording and are not in it
      rewritten_samples           came after their place had been written as silence, and were written over it
      refused_samples             claimed to lie more than ten minutes in the future, and are not in it
      ssrc, source, destination   of its first packet; an SSRC is text, "0x1a2b3c4d", here and below
      opened, closed, close_reason
      sample_rate_hz, length_samples, skew_ppm, samples_by_state, fates, overlapped_samples, start, end
                                  as in strep.stream.events.StreamReport; null until the stream has closed
      packets, expected_packets, lost_packets, loss_percent, mean_jitter_ms, max_jitter_ms
                                  all its sources together; mean jitter is weighted by packets, and jitter is null
                                  where nobody knows the clock of a payload type that was heard
      sources[]                   strep.stream.events.SourceReport of every SSRC, with first_arrival and last_arrival
      refused_senders             how many packets other addresses sent to this stream, by address (8 are named): none
                                  of these packets is in the recording, see strep.stream.source_lock
      formats, source_changes, gaps, telephone_events
                                  {count, listed[]}; each has at_s, position, sample_rate_hz, and
        formats                   payload_type, format (null: unknown)
        source_changes            ssrc
        gaps                      duration_s, length_samples, lost_packets, state
        telephone_events          event, name, duration_ms, volume_dbm0, complete

Lists have a bound; where `count` is more than what is listed, the later ones were left out.
"""

from __future__ import annotations

import dataclasses
import json
import math
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

from strep.audio.block import SampleState
from strep.sinks.atomic import replace_file
from strep.stream.events import (
    Event,
    FormatChanged,
    Gap,
    SourceChanged,
    SourceReport,
    StreamClosed,
    StreamOpened,
    StreamReport,
    TelephoneEvent,
)
from strep.utc import utc_text

SIDECAR_VERSION = 2
#: Of format changes, source changes and telephone events: nobody presses more keys in a call, and a peer that changes
#: its source with every packet must not fill our memory.
MAX_LISTED = 1000
_GAP_COLUMNS = 5
#: Payload types with these encodings say nothing of the rate that positions count at.
_NO_AUDIO = frozenset({"TELEPHONE-EVENT", "CN"})

#: One entry a line. This form is written by the C part of `json`; with an indent, it would take six times as long.
_encode = json.JSONEncoder(allow_nan=False, separators=(",\n ", ": ")).encode

_SOURCE_FIELDS = [field.name for field in dataclasses.fields(SourceReport)]

Document = dict[str, Any]
#: Turns a position and its sample rate into seconds of the recording.
Place = Callable[[int, int], float]


class StreamNotes:
    """Notes of what the sidecar will say of one stream, within bounds.

    max_gaps: how many gaps to list; each takes 40 bytes.
    """

    def __init__(self, opened: StreamOpened, max_gaps: int) -> None:
        self.opened = opened
        self.closed: StreamClosed | None = None
        self.encodings: set[str] = set()
        self.sample_rate_hz = 8000  # of positions that come without one: the last known format's
        self._max_gaps = max_gaps
        self._gap_count = 0
        self._gaps = array("q")
        self._formats: list[Document] = []
        self._sources: list[Document] = []
        self._telephone_events: list[Document] = []
        self._counts = {"formats": 0, "source_changes": 0, "telephone_events": 0}

    def note(self, event: Event) -> None:
        """Take one event of the stream."""
        match event:
            case Gap():
                self._note_gap(event)
            case FormatChanged():
                self._note_format(event)
            case SourceChanged():
                self._keep("source_changes", self._sources, event.position, ssrc=ssrc_text(event.ssrc))
            case TelephoneEvent():
                self._keep(
                    "telephone_events",
                    self._telephone_events,
                    event.position,
                    event=event.event,
                    name=event.name,
                    duration_ms=event.duration_ms,
                    volume_dbm0=event.volume_dbm0,
                    complete=event.complete,
                )
            case StreamClosed():
                self.closed = event

    def listed_count(self, most_gaps: int) -> int:
        """Count the entries of all lists together."""
        lists = (self._formats, self._sources, self._telephone_events)
        return min(len(self._gaps) // _GAP_COLUMNS, most_gaps) + sum(map(len, lists))

    def describe(self, place: Place | None, most_gaps: int | None = None) -> Document:
        """Give the part of a stream's entry that comes from its events; `at_s` is null without a `place`.

        most_gaps: how many of the gaps to list, if not all that are known.
        """
        closed = self.closed
        document: Document = {
            "direction": self.opened.identity.direction.name.lower(),
            "ssrc": ssrc_text(self.opened.ssrc),
            "source": self.opened.source,
            "destination": self.opened.destination,
            "opened": utc_text(self.opened.time_ns),
            "closed": utc_text(closed.time_ns) if closed else None,
            "close_reason": closed.reason.value if closed else None,
        }
        document |= _describe_report(closed.report if closed else None)
        return document | {
            "formats": self._listed("formats", self._formats, place),
            "source_changes": self._listed("source_changes", self._sources, place),
            "gaps": self._listed_gaps(place, most_gaps),
            "telephone_events": self._listed("telephone_events", self._telephone_events, place),
        }

    def _note_gap(self, gap: Gap) -> None:
        self._gap_count += 1
        if len(self._gaps) < self._max_gaps * _GAP_COLUMNS:
            self._gaps.extend((gap.position, gap.length_samples, gap.sample_rate_hz, gap.lost_packets, gap.state))

    def _note_format(self, event: FormatChanged) -> None:
        if event.format is None:
            self.encodings.add("")
        elif event.format.encoding not in _NO_AUDIO:
            self.encodings.add(event.format.encoding)
            self.sample_rate_hz = event.format.sample_rate_hz
        name = str(event.format) if event.format else None
        self._keep("formats", self._formats, event.position, payload_type=event.payload_type, format=name)

    def _keep(self, kind: str, where: list[Document], position: int, **facts: object) -> None:
        self._counts[kind] += 1
        if len(where) < MAX_LISTED:
            where.append({"position": position, "sample_rate_hz": self.sample_rate_hz, **facts})

    def _listed(self, kind: str, entries: list[Document], place: Place | None) -> Document:
        placed = [{"at_s": _at_s(place, e["position"], e["sample_rate_hz"]), **e} for e in entries]
        return {"count": self._counts[kind], "listed": placed}

    def _listed_gaps(self, place: Place | None, most: int | None) -> Document:
        known = self._gaps if most is None else self._gaps[: most * _GAP_COLUMNS]
        rows = zip(*[iter(known)] * _GAP_COLUMNS, strict=True)
        listed = [
            {
                "at_s": _at_s(place, position, rate),
                "duration_s": round(length / rate, 6),
                "position": position,
                "length_samples": length,
                "sample_rate_hz": rate,
                "lost_packets": lost,
                "state": SampleState(state).name.lower(),
            }
            for position, length, rate, lost, state in rows
        ]
        return {"count": self._gap_count, "listed": listed}


def write_sidecar(path: Path, document: Document, *, mode: int | None = None, fsync: bool = False) -> None:
    """Write the JSON file so that there is always a whole one. Raises OSError when the system refuses.

    mode: its permissions; None: those that it has, 0600 for a new one. fsync: wait until it is on the disk.
    """
    if mode is None:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    try:
        text = _encode(document)
    except ValueError:
        text = _encode(_without_nan(document))
    replace_file(path, text.encode() + b"\n", mode=mode, fsync=fsync)


def ssrc_text(ssrc: int) -> str:
    """Write an SSRC as it is usually written."""
    return f"0x{ssrc:08x}"


def _describe_report(report: StreamReport | None) -> Document:
    """Give the totals of a stream; all null before it has closed."""
    if report is None:
        names = "sample_rate_hz length_samples skew_ppm samples_by_state fates overlapped_samples start end packets"
        names += " expected_packets lost_packets loss_percent mean_jitter_ms max_jitter_ms sources refused_senders"
        return dict.fromkeys(names.split())
    packets = sum(source.packets for source in report.sources)
    expected = sum(source.expected for source in report.sources)
    lost = sum(source.lost for source in report.sources)
    clocked = [source for source in report.sources if source.mean_jitter_ms is not None]
    jitter_packets = sum(source.packets for source in clocked)
    jitter = sum((source.mean_jitter_ms or 0) * source.packets for source in clocked)
    return {
        "sample_rate_hz": report.sample_rate_hz,
        "length_samples": report.length_samples,
        "skew_ppm": report.skew_ppm,
        "samples_by_state": dict(report.samples_by_state),
        "fates": dict(report.fates),
        "overlapped_samples": report.overlapped_samples,
        "start": utc_text(report.start_ns),
        "end": utc_text(report.end_ns),
        "packets": packets,
        "expected_packets": expected,
        "lost_packets": lost,
        "loss_percent": round(100 * lost / expected, 3) if expected else None,
        "mean_jitter_ms": round(jitter / jitter_packets, 3) if jitter_packets else None,
        "max_jitter_ms": max((source.max_jitter_ms or 0 for source in clocked), default=None),
        "sources": [_describe_source(source) for source in report.sources],
        "refused_senders": dict(report.refused_senders),
    }


def _describe_source(source: SourceReport) -> Document:
    document = {name: getattr(source, name) for name in _SOURCE_FIELDS}
    document["ssrc"] = ssrc_text(source.ssrc)
    document["earlier_sources"] = list(source.earlier_sources)
    document["first_arrival"] = utc_text(document.pop("first_arrival_ns"))
    document["last_arrival"] = utc_text(document.pop("last_arrival_ns"))
    return document


def _at_s(place: Place | None, position: int, sample_rate_hz: int) -> float | None:
    return None if place is None else round(place(position, sample_rate_hz), 6)


def _without_nan(value: Any) -> Any:
    """Put null where a float is no number: JSON has no word for it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return [_without_nan(item) for item in value] if isinstance(value, list) else value
