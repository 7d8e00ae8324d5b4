"""Record every leg to a file of its own, aligned, with a sidecar that says what happened to it."""

from __future__ import annotations

import heapq
import tempfile
from collections import deque
from pathlib import Path

import numpy as np

from strep.audio.block import AudioBlock
from strep.errors import ConfigError, SinkError
from strep.sinks.descriptors import DescriptorCache
from strep.sinks.recordings.conversion import MOST_PENDING, Converted, Converter
from strep.sinks.recordings.document import conclude, describe, sidecar_path
from strep.sinks.recordings.recording import Failure, Layout, Recording
from strep.sinks.recordings.rings import Rings
from strep.sinks.recordings.take import FIRST_FLUSH_NS, Studio, Take
from strep.sinks.recordings.track import Track
from strep.sinks.sidecar import Document, write_sidecar
from strep.sinks.sndfile import Container
from strep.sinks.wav_file import MAX_PART_BYTES, Encoding
from strep.stream.events import Event, FormatChanged, StreamClosed, StreamOpened

#: With the engine's own delay and a late tick, this keeps what a kill can cost below 1 s; the ring bounds it above.
FLUSH_INTERVAL_MS = 750
_FLUSH_LIMITS_MS = (50, 1000)
_LEAST_PART_BYTES = 1024
#: The golden section spreads any number of consecutive recordings evenly over the interval.
_GOLDEN = 0.6180339887498949


class RecordingSink:
    """Records calls into a folder: `{call}.wav` with two channels, or `{call}-in.wav` and `{call}-out.wav`.

    directory: created if need be, with its parents. Nothing in it is ever overwritten: a name that is taken gets `-2`.
    layout, container: see there. FLAC and Ogg Opus are made of the WAV file when the call is over; a killed program
    leaves the WAV, and `close` waits for conversions.
    encoding: G.711 (only in WAV) is for calls in which only G.711 was heard until the file was begun, about 1 s into
    the call; other calls become pcm16, as their sidecar says.
    flush_interval_ms: how often each recording goes to disk. max_part_bytes: where a WAV file goes on in `-part2`.
    max_gaps: how many gaps a sidecar lists per stream. keep: how many finished `recordings` and `failures` to remember.

    Raises ConfigError for what cannot work, and SinkError when the folder cannot be made or written to. After that it
    raises nothing: what the system refuses (disk full) costs that recording what could not be written, is in its
    sidecar and in `failures`, and the other recordings go on, and so does this one when there is room again.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        layout: Layout = Layout.STEREO,
        encoding: Encoding = Encoding.PCM16,
        container: Container = Container.WAV,
        flush_interval_ms: int = FLUSH_INTERVAL_MS,
        max_part_bytes: int = MAX_PART_BYTES,
        max_gaps: int = 10_000,
        keep: int = 1000,
    ) -> None:
        if encoding is not Encoding.PCM16 and container is not Container.WAV:
            raise ConfigError(f"{encoding.value} needs a WAV file, got {container.value}")
        _require("flush_interval_ms", flush_interval_ms, *_FLUSH_LIMITS_MS)
        _require("max_part_bytes", max_part_bytes, _LEAST_PART_BYTES, MAX_PART_BYTES)
        self.recordings: deque[Recording] = deque(maxlen=keep)
        self.failures: deque[Failure] = deque(maxlen=keep)
        self.recording_count = self.failure_count = 0
        self.open_count = 0  #: recordings under way
        self.orphan_rows = 0  #: rows of streams whose StreamOpened never came here
        self._interval_ns = flush_interval_ms * 1_000_000
        self._rings: dict[int, Rings] = {}
        self._studio = Studio(
            directory=_writable(Path(directory)),
            layout=layout,
            encoding=encoding,
            container=container,
            max_part_bytes=max_part_bytes,
            max_gaps=max_gaps,
            descriptors=DescriptorCache(),
            rings_for=self._rings_for,
            failed=self._note_failure,
        )
        self._converter = None if container is Container.WAV else Converter(container)
        self._takes: dict[str, Take] = {}
        self._tracks: dict[int, tuple[Take, Track]] = {}
        self._due: list[tuple[int, int, Take]] = []
        self._opened = 0
        self._now_ns = 0

    def event(self, event: Event) -> None:
        """Take one event."""
        self._now_ns = max(self._now_ns, event.time_ns)
        if isinstance(event, StreamOpened):
            self._open(event)
            return
        take, track = self._tracks.get(event.slot, (None, None))
        if take is None or track is None:
            return
        track.note(event)
        if isinstance(event, FormatChanged):
            take.finish_adapter(track)
        elif isinstance(event, StreamClosed):
            self._close(event.slot, event)

    def block(self, block: AudioBlock) -> None:
        """Take decoded audio of many streams: one copy for all whose place is plain, the others row by row."""
        rings = self._rings.get(block.sample_rate_hz)
        left = rings.place(block.slots, block.position, block.samples) if rings else np.arange(len(block))
        for row in left.tolist():
            take, track = self._tracks.get(int(block.slots[row]), (None, None))
            if take is None or track is None:
                self.orphan_rows += 1
                continue
            self._now_ns = max(self._now_ns, int(block.arrival_ns[row]))
            take.write(track, int(block.position[row]), block.samples[row], block.sample_rate_hz, self._now_ns)

    def flush(self, now_ns: int) -> None:
        """Write the recordings whose turn it is; each has one every `flush_interval_ms`."""
        self._now_ns = max(self._now_ns, now_ns)
        while self._due and self._due[0][0] <= now_ns:
            due_ns, number, take = self._due[0]
            if take.finished:
                heapq.heappop(self._due)
                continue
            take.flush(now_ns)
            if due_ns == take.opened_ns + FIRST_FLUSH_NS:  # calls that began together go to disk at different times
                next_ns = due_ns + 1 + int(self._interval_ns * (number * _GOLDEN % 1))
            else:
                next_ns = due_ns + self._interval_ns
            if next_ns <= now_ns:
                next_ns += ((now_ns - next_ns) // self._interval_ns + 1) * self._interval_ns
            heapq.heapreplace(self._due, (next_ns, number, take))
        if self._converter:
            self._conclude(*self._converter.done())

    def close(self) -> None:
        """Finish every recording, also those whose streams have not closed, and wait for their conversion."""
        for slot in list(self._tracks):
            self._close(slot, None)
        if self._converter:
            self._conclude(*self._converter.close())
        self._studio.descriptors.close_all()

    def _open(self, opened: StreamOpened) -> None:
        assert opened.slot not in self._tracks, f"stream {opened.slot} opened twice"
        identity = opened.identity
        name = identity.call
        if self._studio.layout is Layout.MONO:
            name += ("-in", "-out")[identity.direction]
        take = self._takes.get(name)
        if take is None or not take.accepts(opened):
            take = self._takes[name] = Take(name, opened, self._studio, self._write_sidecar)
            self.open_count += 1
            self._opened += 1
            heapq.heappush(self._due, (opened.time_ns + FIRST_FLUSH_NS, self._opened, take))
        self._tracks[opened.slot] = take, take.open_track(opened)

    def _close(self, slot: int, closed: StreamClosed | None) -> None:
        take, track = self._tracks.pop(slot)
        take.close_track(track, closed, self._now_ns)
        if not take.is_open:
            self._finish(take)

    def _finish(self, take: Take) -> None:
        take.finish()
        self.open_count -= 1
        if self._takes.get(take.name) is take:
            del self._takes[take.name]
        if take.file is None or take.format is None:
            return
        document = self._write_sidecar(take)
        recording = conclude(take, take.file, take.format)
        if not self._converter:
            self._conclude(Converted(recording))
        elif not self._converter.submit(recording, document):
            self._conclude(Converted(recording, OSError(f"{MOST_PENDING} conversions are waiting; it stays WAV")))

    def _conclude(self, *converted: Converted) -> None:
        for result in converted:
            if result.error:
                self._note_failure(Failure(result.recording.path.stem, str(result.error)))
            self.recordings.append(result.recording)
            self.recording_count += 1

    def _write_sidecar(self, take: Take) -> Document:
        assert take.file is not None
        assert take.format is not None
        document = describe(take, take.file, take.format, self._studio.layout, self._studio.encoding)
        try:
            write_sidecar(sidecar_path(take.file.paths[0]), document)
        except OSError as error:
            take.fail(error)
        return document

    def _rings_for(self, sample_rate_hz: int) -> Rings:
        """Give the rings of one rate. Formats name the rates, and AudioFormat bounds them; a call has few."""
        rings = self._rings.get(sample_rate_hz)
        if rings is None:
            rings = self._rings[sample_rate_hz] = Rings(sample_rate_hz)
        return rings

    def _note_failure(self, failure: Failure) -> None:
        self.failures.append(failure)
        self.failure_count += 1


def _require(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name} must be {low} to {high}, got {value}")


def _writable(directory: Path) -> Path:
    """Make the folder, and try it. Raises SinkError when one of the two cannot be done."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".strep-"):
            pass
    except OSError as error:
        raise SinkError(f"cannot record into {directory}: {error.strerror or error}") from error
    return directory
