"""Record every leg to a file of its own, aligned, with a sidecar that says what happened to it."""

from __future__ import annotations

import tempfile
from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from strep.audio.block import AudioBlock
from strep.errors import ConfigError, SinkError
from strep.sinks.descriptors import DescriptorCache
from strep.sinks.file_policy import FilePolicy
from strep.sinks.locks import RecorderLock
from strep.sinks.recordings.about import CallAbout
from strep.sinks.recordings.document import conclude, describe, listed_count, sidecar_path
from strep.sinks.recordings.dropped import Missing
from strep.sinks.recordings.finishing import Finishing
from strep.sinks.recordings.open_recording import OpenRecording
from strep.sinks.recordings.recording import Failure, Layout, Recording
from strep.sinks.recordings.rings import Rings
from strep.sinks.recordings.schedule import FlushSchedule
from strep.sinks.recordings.settings import RecordingSettings
from strep.sinks.recordings.track import Track
from strep.sinks.sidecar import Document, write_sidecar
from strep.sinks.sndfile import Container
from strep.sinks.wav_file import MAX_PART_BYTES, Encoding
from strep.stream.allowance import Allowance
from strep.stream.events import Event, FormatChanged, StreamClosed, StreamIdentity, StreamOpened

#: With the engine's own delay and a late tick, this keeps what a kill can cost below 1 s; the ring bounds it above.
FLUSH_INTERVAL_MS = 600
_FLUSH_LIMITS_MS = (50, 1000)
#: A second and at once. The sidecar of a recording that has begun takes 0.13 ms, finishing a recording 0.2 to 0.4 ms.
_SIDECARS = (1500, 30)
_ENDINGS = (1500, 30)
#: A recording under way has its sidecar written anew this often, so that one of a killed program is not older.
_DESCRIBE_AGAIN_NS = 60 * 10**9
#: A second and at once, in units of a sidecar or of 40 entries of its lists: 0.3 to 0.6 ms, as replacing a file takes
#: longer than creating one. 4,000 calls need 67 a second, 2 to 4 % of the time.
_DESCRIPTIONS = (100, 10)
_ENTRIES_A_UNIT = 40
#: Recordings that wait to be finished hold their rings, 77 KB at 8 kHz. When more wait, the oldest is finished at once.
_MOST_ENDING = 16_384
_LEAST_PART_BYTES = 1024


class RecordingSink:
    """A sink that records calls into a folder: `{call}.wav` with two channels, or `{call}-in.wav` and `{call}-out.wav`.

    directory: created if need be, with its parents. Nothing in it is ever overwritten: a name that is taken gets `-2`.
    layout, container: see there. FLAC and Ogg Opus are made of the WAV file when the call is over; a killed program
    leaves the WAV, and `close` waits for conversions.
    encoding: G.711 (only in WAV) is for calls in which only G.711 was heard until the file was begun, about 1 s into
    the call; other calls become pcm16, as their sidecar says.
    flush_interval_ms: how often each recording goes to disk. max_part_bytes: where a WAV file goes on in `-part2`.
    files: permissions, what becomes of large files, and when to wait for the disk.
    max_gaps: how many gaps a sidecar lists per stream. keep: how many finished `recordings` and `failures` to remember.
    about: is asked what is known of the call that a leg belongs to, when its file is begun (which fixes the subfolder)
    and whenever its sidecar is written. None says nothing: what it said before holds. What it raises is in `failures`.

    What is much work when thousands of calls begin or end at once (creating files, sidecars, finishing recordings) is
    spread over the calls of `flush`, in order; see `strep.sinks.recordings.schedule`. A recording that waits to be
    finished goes to disk like any other meanwhile. `ending_count` says how many wait, `close` finishes all of them.
    A recording under way has its sidecar written anew once a minute.

    Raises ConfigError for what cannot work, and SinkError when the folder cannot be made or written to. After that it
    raises nothing. What the system refuses (disk full) is in `failures`, is tried again as long as the rings hold it,
    1.3 s, and then costs that recording what could not be written; its sidecar says where. The other recordings go on,
    and so does this one when there is room again. A sidecar that cannot be written stays as it was; the last one of a
    recording, and its conversion, are tried again until they work (strep.sinks.recordings.retries), at last by `close`.
    A file that is deleted, moved or replaced while its call goes on is begun again within 3 s, and what it held is
    `unwritten`; if nothing is left of it at the end, it is a failure and no recording.
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
        files: FilePolicy | None = None,
        max_gaps: int = 10_000,
        keep: int = 1000,
        about: Callable[[StreamIdentity], CallAbout | None] | None = None,
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
        self._rings: dict[int, Rings] = {}
        self._files = files or FilePolicy()
        self._settings = RecordingSettings(
            directory=_writable(Path(directory)),
            layout=layout,
            encoding=encoding,
            container=container,
            max_part_bytes=max_part_bytes,
            max_gaps=max_gaps,
            files=self._files,
            descriptors=DescriptorCache(file_mode=self._files.file_mode),
            lock=RecorderLock(Path(directory)),
            rings_for=self._rings_for,
            failed=self._note_failure,
            about=about,
        )
        self._finishing = Finishing(container, self._files, self._note_recording, self._note_failure)
        self._by_name: dict[str, OpenRecording] = {}
        self._tracks: dict[int, tuple[OpenRecording, Track]] = {}
        self._schedule = FlushSchedule(flush_interval_ms * 1_000_000)
        self._changed: OrderedDict[OpenRecording, None] = OrderedDict()  # in order, each once
        self._sidecars = Allowance(*_SIDECARS)
        self._descriptions = Allowance(*_DESCRIPTIONS)
        self._ending: deque[OpenRecording] = deque()
        self._endings = Allowance(*_ENDINGS)
        self._now_ns = 0

    @property
    def ending_count(self) -> int:
        """Count the recordings whose streams have ended and that wait to be finished."""
        return len(self._ending)

    def event(self, event: Event) -> None:
        """Take one event."""
        self._now_ns = max(self._now_ns, event.time_ns)
        if isinstance(event, StreamOpened):
            self._open(event)
            return
        recording, track = self._tracks.get(event.slot, (None, None))
        if recording is None or track is None:
            return
        track.note(event)
        if isinstance(event, FormatChanged):
            recording.change_format(track, event.format)
        elif isinstance(event, StreamClosed):
            self._close(event.slot, event)

    def block(self, block: AudioBlock) -> None:
        """Take decoded audio of many streams: one copy for all whose place is plain, the others row by row."""
        rings = self._rings_for(block.sample_rate_hz)
        left = rings.place(block.slots, block.position, block.samples)
        if len(left) and self._open_rings(block.slots[left], block.sample_rate_hz):
            left = left[rings.place(block.slots[left], block.position[left], block.samples[left])]
        for row in left.tolist():
            recording, track = self._tracks.get(int(block.slots[row]), (None, None))
            if recording is None or track is None:
                self.orphan_rows += 1
                continue
            self._now_ns = max(self._now_ns, int(block.arrival_ns[row]))
            recording.write(track, int(block.position[row]), block.samples[row], block.sample_rate_hz, self._now_ns)

    def miss(self, slot: int, missing: Missing) -> None:
        """Take note that samples of a stream do not come here though they were received: they are `unwritten`."""
        recording, track = self._tracks.get(slot, (None, None))
        if recording and track:
            recording.miss(track, missing, self._now_ns)

    def tell_about(self, slot: int, about: CallAbout) -> None:
        """Take what is known of the call of a stream now, where nobody can be asked."""
        recording, _ = self._tracks.get(slot, (None, None))
        if recording:
            recording.about = about

    def flush(self, now_ns: int) -> bool:
        """Write the recordings whose turn it is; each has one every `flush_interval_ms`. True: more wait for theirs."""
        self._now_ns = max(self._now_ns, now_ns)
        self._descriptions.refill(now_ns)
        for recording in self._schedule.due(now_ns):
            recording.flush(now_ns)
            if recording.file and now_ns - recording.described_ns >= _DESCRIBE_AGAIN_NS:
                self._describe_again(recording)
        self._sidecars.refill(now_ns)
        while self._changed and self._sidecars.use():
            self._write_sidecar(next(iter(self._changed)))
        self._endings.refill(now_ns)
        self._end_some()
        self._finishing.advance(now_ns)
        return bool(self._changed or self._ending)

    def close(self) -> None:
        """Finish every recording, also those whose streams have not closed, and wait for their conversion."""
        for slot in list(self._tracks):
            self._close(slot, None)
        while self._ending:
            self._end(self._ending.popleft())
        self._finishing.close()
        self._settings.descriptors.close_all()
        self._settings.lock.release()

    def _open(self, opened: StreamOpened) -> None:
        assert opened.slot not in self._tracks, f"stream {opened.slot} opened twice"
        name = call = opened.identity.call
        if self._settings.layout is Layout.MONO:
            name += ("-in", "-out")[opened.identity.direction]
        recording = self._by_name.get(name)
        if recording and recording.has_ended_tracks:  # whether it goes on here must not depend on how busy we are
            self._end(recording)
            recording = self._by_name.get(name)
        if recording is None or not recording.accepts(opened):
            recording = self._by_name[name] = OpenRecording(
                name, call, opened.time_ns, self._settings, self._note_change
            )
            self.open_count += 1
            self._schedule.add(recording)
        self._tracks[opened.slot] = recording, recording.open_track(opened)

    def _open_rings(self, slots: NDArray[np.int64], rate_hz: int) -> bool:
        """Open the rings of those streams whose first samples these are; tell whether there were any."""
        found = False
        for slot in slots.tolist():
            recording, track = self._tracks.get(slot, (None, None))
            if recording and track and track.rings is None:
                recording.open_ring(track, rate_hz)
                found = True
        return found

    def _close(self, slot: int, closed: StreamClosed | None) -> None:
        recording, track = self._tracks.pop(slot)
        if not recording.has_ended_tracks:
            self._ending.append(recording)
        recording.end_track(track, closed, self._now_ns)
        self._end_some()

    def _end_some(self) -> None:
        """Finish what has ended, in order, as far as that is allowed now."""
        while self._ending and (len(self._ending) > _MOST_ENDING or self._endings.use()):
            self._end(self._ending.popleft())

    def _end(self, recording: OpenRecording) -> None:
        """Close the streams of a recording that have ended, and the recording if these were all."""
        recording.close_ended()
        if recording.is_open or recording.finished:
            return
        recording.finish()
        self.open_count -= 1
        if self._by_name.get(recording.name) is recording:
            del self._by_name[recording.name]
        self._changed.pop(recording, None)
        if recording.file is None or recording.format is None:
            return
        recording.ask()
        self._finishing.take(
            conclude(recording, recording.file, recording.format), self._describe(recording), self._now_ns
        )

    def _describe_again(self, recording: OpenRecording) -> None:
        """Write the sidecar of a recording under way anew if that is allowed now, or else at one of its next turns."""
        if self._descriptions.use(1 + listed_count(recording) // _ENTRIES_A_UNIT):
            self._write_sidecar(recording)

    def _write_sidecar(self, recording: OpenRecording) -> None:
        self._changed.pop(recording, None)
        recording.described_ns = self._now_ns
        recording.ask()
        assert recording.file is not None
        try:
            write_sidecar(sidecar_path(recording.file.paths[0]), self._describe(recording), mode=self._files.file_mode)
        except OSError as error:
            recording.fail(error)

    def _describe(self, recording: OpenRecording) -> Document:
        assert recording.file is not None
        assert recording.format is not None
        return describe(recording, recording.file, recording.format, self._settings, self._now_ns)

    def _rings_for(self, sample_rate_hz: int) -> Rings:
        """Give the rings of one rate. Formats name the rates, and AudioFormat bounds them; a call has few."""
        rings = self._rings.get(sample_rate_hz)
        if rings is None:
            rings = self._rings[sample_rate_hz] = Rings(sample_rate_hz)
        return rings

    def _note_change(self, recording: OpenRecording) -> None:
        self._changed[recording] = None

    def _note_recording(self, recording: Recording) -> None:
        self.recordings.append(recording)
        self.recording_count += 1

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
