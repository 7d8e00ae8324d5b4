"""Fill a sheet from a capture file, by the engine that records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from strep.audio.block import AudioBlock, SampleState
from strep.audio.formats import AudioFormat
from strep.errors import CaptureFileError, ConfigError
from strep.live.offline import read_capture
from strep.pictures.event_text import event_text
from strep.pictures.sheet import Arrivals, Interval, Mark, Sheet, Side, Trouble
from strep.stream.events import Event, FormatChanged, SourceChanged, StreamClosed, StreamOpened, TelephoneEvent
from strep.utc import utc_text

_NS = 1_000_000_000
_CAME = (SampleState.RECEIVED, SampleState.UNDECODED)
_TROUBLES = {
    SampleState.LOST: Trouble.LOST,
    SampleState.CONCEALED: Trouble.CONCEALED,
    SampleState.SILENCE: Trouble.SILENCE,
    SampleState.UNDECODED: Trouble.UNDECODED,
}


@dataclass(slots=True)
class _Track:
    """What the engine put out of one stream."""

    opened: StreamOpened
    pieces: list[tuple[int, NDArray[np.int16], int, int]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    closed: StreamClosed | None = None
    sample_rate_hz: int = 8000

    @property
    def anchor_ns(self) -> int:
        assert self.closed is not None
        return self.closed.report.anchor_ns


class _Collector:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.tracks: list[_Track] = []
        self._open: dict[int, _Track] = {}

    def event(self, event: Event) -> None:
        if isinstance(event, StreamOpened):
            self._open[event.slot] = track = _Track(event)
            self.tracks.append(track)
        elif isinstance(event, StreamClosed):
            self._open.pop(event.slot).closed = event
        else:
            self._open[event.slot].events.append(event)

    def block(self, block: AudioBlock) -> None:
        for row, slot in enumerate(block.slots.tolist()):
            track = self._open[slot]
            track.sample_rate_hz = block.sample_rate_hz
            piece = block.samples[row].copy() if block.state[row] != SampleState.LOST else block.samples[row]
            track.pieces.append((int(block.position[row]), piece, int(block.state[row]), int(block.arrival_ns[row])))

    def flush(self, now_ns: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def sheet_of_capture(
    path: Path,
    *,
    call: str | None = None,
    payload_types: Mapping[int, AudioFormat] | None = None,
    indexed: Callable[[int, int], None] | None = None,
    fed: Callable[[int, int], None] | None = None,
) -> Sheet:
    """Read a call of a capture; the longest one when none is named.

    Raises CaptureFileError when the file is no capture or has no call, ConfigError when there is no such call in it.
    """
    collector = _Collector()
    read_capture(path, sinks=[collector], payload_types=payload_types, indexed=indexed, fed=fed)
    calls: dict[str, list[_Track]] = {}
    for track in collector.tracks:
        calls.setdefault(track.opened.identity.call, []).append(track)
    if not calls:
        raise CaptureFileError(f"{path}: expected a call, found none")
    name = call or max(calls, key=lambda one: max(_length_s(track) for track in calls[one]))
    if name not in calls:
        raise ConfigError(f"--call: expected one of {', '.join(sorted(calls))}, found {name}")
    tracks = sorted(calls[name], key=lambda track: track.opened.identity.direction)
    begin_ns = min(track.anchor_ns for track in tracks)
    return Sheet(name, f"{path.name}, from {utc_text(begin_ns)}", [_side(track, begin_ns) for track in tracks])


def _length_s(track: _Track) -> float:
    return sum(len(samples) for _, samples, _, _ in track.pieces) / track.sample_rate_hz


def _side(track: _Track, begin_ns: int) -> Side:
    rate, start_s = track.sample_rate_hz, (track.anchor_ns - begin_ns) / _NS
    end = max((position + len(samples) for position, samples, _, _ in track.pieces), default=0)
    whole = np.zeros(end, np.int16)
    for position, samples, _, _ in track.pieces:
        whole[position : position + len(samples)] = samples
    marks = [mark for event in track.events if (mark := _mark(event, start_s, rate))]
    return Side(
        track.opened.identity.direction.name.lower(),
        start_s,
        rate,
        whole,
        _intervals(track, start_s, rate),
        marks,
        _arrivals(track, start_s, rate),
    )


def _intervals(track: _Track, start_s: float, rate: int) -> list[Interval]:
    """Join neighbours that are troubled alike."""
    found: list[Interval] = []
    for position, samples, state, _ in track.pieces:
        if state == SampleState.RECEIVED:
            continue
        trouble = _TROUBLES[SampleState(state)]
        begin_s, end_s = start_s + position / rate, start_s + (position + len(samples)) / rate
        if found and found[-1].trouble is trouble and abs(found[-1].end_s - begin_s) < 1e-6:
            begin_s = found.pop().start_s
        found.append(Interval(begin_s, end_s, trouble))
    return found


def _mark(event: Event, start_s: float, rate: int) -> Mark | None:
    match event:
        case TelephoneEvent():
            return Mark(start_s + event.position / rate, event_text(event.event, event.name), is_event=True)
        case FormatChanged():
            return Mark(start_s + event.position / rate, str(event.format or f"payload type {event.payload_type}"))
        case SourceChanged():
            return Mark(start_s + event.position / rate, "new source")
    return None


def _arrivals(track: _Track, start_s: float, rate: int) -> Arrivals:
    came = [(position, arrival_ns) for position, _, state, arrival_ns in track.pieces if state in _CAME]
    position, arrival_ns = np.array(came, np.int64).reshape(-1, 2).T
    delay_ms = (arrival_ns - track.anchor_ns) / 1e6 - position / rate * 1e3
    return Arrivals(start_s + position / rate, delay_ms, _jitter(delay_ms))


def _jitter(delay_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Follow RFC 3550 section A.8: each change of delay moves the estimate by a sixteenth."""
    jitter, found = 0.0, []
    for change in np.abs(np.diff(delay_ms, prepend=delay_ms[:1])).tolist():
        jitter += (change - jitter) / 16
        found.append(jitter)
    return np.array(found)
