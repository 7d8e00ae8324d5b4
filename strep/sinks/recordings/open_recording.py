"""Record one leg (or one direction) while it goes on.

The rules:

- Nothing is written for the first 0.8 s. Then the first flush (`schedule` says when) fixes the file: its rate is the
  highest that was heard, its frame 0 the earliest sample 0 of the streams that are open. A stream that opens later is
  placed in the same way, at the first flush that finds it open for half a second. Where a stream lies never changes
  after that.
- A flush writes all that the rings hold, so the file lacks only what came since. It *settles* the file up to where
  the slowest stream is, but no more than 1 s behind the fastest: what is not settled is still in the rings, and the
  next flush that has anything new simply writes it again. What comes for a settled place is written over it in the
  file, in its own channel only.
- Silence that takes no memory (strep.audio.block.silence) takes no time here either, however long it is. What is beyond
  the ring is jumped over but for its last second, which settles the file up to there: a hole. In a settled place, it is
  written over what was heard there in its channel, and nothing is written where nothing was.
- When the system refuses to write, the rings keep what they have room for until the next flush, which tries again.
  What they must let go of is lost: silent, and listed in `unwritten`. The recording goes on.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from strep.audio.block import is_silence
from strep.audio.formats import AudioFormat
from strep.sinks.recordings.about import CallAbout
from strep.sinks.recordings.dropped import Missing
from strep.sinks.recordings.intervals import Intervals
from strep.sinks.recordings.naming import create_recording, safe_stem
from strep.sinks.recordings.recording import Failure, Layout
from strep.sinks.recordings.rings import RING_MS, Rings
from strep.sinks.recordings.settings import RecordingSettings
from strep.sinks.recordings.track import Track
from strep.sinks.recordings.upkeep import Upkeep
from strep.sinks.sidecar import MAX_LISTED
from strep.sinks.wav_file import Encoding, WavFormat, WavParts
from strep.stream.events import StreamClosed, StreamOpened

#: By now the least delayed of 45 packets has told where the stream lies, and a file that may lack the last second may
#: still be missing altogether.
FIRST_FLUSH_NS = 800_000_000
#: A stream that opened shortly before a flush is not judged by a handful of packets; the next one comes in time.
_ALIGN_AFTER_NS = 500_000_000
#: A ring holds RING_MS; a stream that has filled it to here before its first flush is aligned at once.
_HELD_MOST_MS = RING_MS - 100
#: What the rings keep when it cannot be written; the rest is for what comes until the next flush, which is within 1 s,
#: and 100 ms for a tick that is late. So a disk that is full for this long costs nothing.
_KEPT_MS = RING_MS - 1100
#: Sound cannot arrive before it was made. A sender's clock that is wrong by 1000 ppm gains 90 s a day; a wild timestamp
#: claims up to 74 hours, and would make a file of gigabytes.
_AHEAD_MOST_NS = 600 * 10**9
#: A second direction that opens a day after the last sound is not the same conversation.
_SILENT_MOST_NS = 24 * 3600 * 10**9
#: Streams of one recording, one after the other; each leaves an entry in the sidecar.
_MOST_TRACKS = 100
#: Silence is written over sound in pieces of this many samples, so that it takes little memory.
_PIECE_SAMPLES = 65_536
_G711 = frozenset({"PCMU", "PCMA"})


class OpenRecording:
    """One recording under way. Nothing that the system refuses raises: it goes to `settings.failed`.

    on_change: called when there is a file, and again when another stream has found its place in it: time for a sidecar.
    unwritten: the frames of the file that the system refused. described_ns: when its sidecar was written.
    ended_ns: when the last stream ended that did. about: what was last said of its call.
    """

    def __init__(
        self,
        name: str,
        call: str,
        opened_ns: int,
        settings: RecordingSettings,
        on_change: Callable[[OpenRecording], object],
    ) -> None:
        self.name = name
        self.call = call
        self.opened_ns = self.origin_ns = self.described_ns = self.ended_ns = opened_ns
        self.format: WavFormat | None = None
        self.file: WavParts | None = None
        self.length = 0
        self.tracks: list[Track] = []
        self.finished = False
        self.write_errors = 0
        self.unwritten = Intervals(MAX_LISTED)
        self.first_error: str | None = None
        self.about: CallAbout | None = None
        self._settings = settings
        self._on_change = on_change
        self._channels: list[Track | None] = [None] * (2 if settings.layout is Layout.STEREO else 1)
        self._rings: Rings | None = None
        self._heard_until = [0] * len(self._channels)
        self._settled = 0
        self._written = 0  # up to here, the file has what the rings hold
        self._changed = False
        self._upkeep = Upkeep(settings.files.fsync_s, opened_ns, settings.lock, self._lose, self.fail)
        self._ended: list[tuple[Track, StreamClosed | None, int]] = []

    @property
    def has_ended_tracks(self) -> bool:
        """Tell whether a stream has ended that `close_ended` has not closed yet."""
        return bool(self._ended)

    @property
    def is_open(self) -> bool:
        """Tell whether any of its streams is still open."""
        return any(track is not None for track in self._channels)

    def accepts(self, opened: StreamOpened) -> bool:
        """Tell whether a stream of this call belongs here, or needs a recording of its own."""
        rate_hz = self._rings.sample_rate_hz if self._rings else 1
        silent_ns = opened.time_ns - max(self.origin_ns + self._settled * 10**9 // rate_hz, self.opened_ns)
        free = self._channels[self._channel(opened)] is None and len(self.tracks) < _MOST_TRACKS
        return free and not self.finished and silent_ns < _SILENT_MOST_NS

    def open_track(self, opened: StreamOpened) -> Track:
        """Take in a stream."""
        track = Track(opened, self._channel(opened), self._settings.max_gaps)
        self._channels[track.channel] = track
        self.tracks.append(track)
        return track

    def open_ring(self, track: Track, rate_hz: int) -> None:
        """Make room for a stream's first samples, at `rate_hz` or at the rate of the file."""
        track.open_ring(self._rings or self._settings.rings_for(rate_hz))
        if track.offset is not None and track.rings:
            track.rings.advance(track.row, self._settled - track.offset)

    def write(self, track: Track, position: int, samples: NDArray[np.int16], rate_hz: int, now_ns: int) -> None:
        """Take one row, int16[m] at `rate_hz`, exactly and slowly: whatever `Rings.place` left."""
        ahead = (now_ns + _AHEAD_MOST_NS - track.anchor_ns) * rate_hz // 10**9 - position
        if ahead < 0 or (ahead < len(samples) and is_silence(samples)):
            track.refused_samples += len(samples) - max(ahead, 0)
            samples = samples[: max(ahead, 0)]
        if not len(samples):
            return
        if track.rings is None:
            self.open_ring(track, rate_hz)
        if track.offset is None and (position + len(samples)) * 1000 > _HELD_MOST_MS * rate_hz:
            self._align_all(now_ns, hurry=True)
        assert track.rings is not None
        if rate_hz > track.rings.sample_rate_hz and self._rings is None:
            self._move(track, self._settings.rings_for(rate_hz))
        for piece in track.adapt(position, samples, rate_hz):
            self._place(track, *piece)

    def miss(self, track: Track, missing: Missing, now_ns: int) -> None:
        """Take note of samples that were left out before they came here: they are unwritten, wherever they belong."""
        limit = (now_ns + _AHEAD_MOST_NS - track.anchor_ns) * missing.sample_rate_hz // 10**9
        missing = missing._replace(end=min(missing.end, limit))
        if track.offset is None:
            track.missing.append(missing)
        else:
            self._note_missing(track.offset, missing)

    def _note_missing(self, offset: int, missing: Missing) -> None:
        assert self._rings is not None
        rate_hz = self._rings.sample_rate_hz
        begin = missing.begin * rate_hz // missing.sample_rate_hz
        end = -(-missing.end * rate_hz // missing.sample_rate_hz)
        self.unwritten.add(max(offset + begin, 0), offset + end)

    def change_format(self, track: Track, format: AudioFormat | None) -> None:
        """Bring what is being resampled to its place, if the stream goes on at another rate."""
        for piece in track.change_format(format):
            self._place(track, *piece)

    def flush(self, now_ns: int) -> None:
        """Write what came since the last flush. The first one waits until a sample came."""
        if self.file and self._upkeep.look(self.file, now_ns):
            self._changed = True
        self._align_all(now_ns)
        if self._rings:
            self._flush()
        if self.file:
            self._upkeep.sync(self.file, now_ns)
        if self._changed and self.file:
            self._changed = False
            self._on_change(self)

    def end_track(self, track: Track, closed: StreamClosed | None, now_ns: int) -> None:
        """Take note that a stream has ended: its slot is free from now on, its samples go to disk like any others."""
        track.detach()
        self.ended_ns = max(self.ended_ns, closed.time_ns if closed else now_ns)
        self._ended.append((track, closed, now_ns))

    def close_ended(self) -> None:
        """Write the rest of the streams that have ended, and let go of them and their rings."""
        ended, self._ended = self._ended, []
        for track, closed, now_ns in ended:
            self._close_track(track, closed, now_ns)

    def _close_track(self, track: Track, closed: StreamClosed | None, now_ns: int) -> None:
        self._align_all(now_ns, hurry=True)  # which may be what brings it to another rate
        for piece in track.finish_adapter():
            self._place(track, *piece)
        assert self._rings is not None
        assert track.offset is not None
        end = track.offset + track.head
        if closed:
            report, rate_hz = closed.report, self._rings.sample_rate_hz
            told = track.offset + round(report.length_samples * rate_hz / max(report.sample_rate_hz, 1))
            end = max(end, min(told, self._frames(now_ns - self.origin_ns + _AHEAD_MOST_NS)))
        self.length = max(self.length, end)
        self._flush(settle=self._end())
        track.close_ring()
        self._channels[track.channel] = None

    def finish(self) -> None:
        """Make the file as long as the call, and close it. There is none if it was deleted or moved away meanwhile."""
        assert self.format is not None
        self.finished = True
        if self.file and self.file.is_gone:
            self.fail(FileNotFoundError(f"{self.file.paths[0]} was deleted, moved or replaced: nothing is left of it"))
            self.file.close()
            self.file = None
            return
        try:
            file = self.file or self._create_file(self.format)
            self._upkeep.renew(file)
            file.extend(self.length)
            if self._settings.files.fsync_s is not None:
                file.sync()
            file.close()
        except OSError as error:
            self.fail(error)
            self.unwritten.add(self.file.frames if self.file else 0, self.length)

    def ask(self) -> CallAbout | None:
        """Ask what is known of the call now; what was said before holds where nothing is, and where asking fails."""
        if self._settings.about:
            try:
                self.about = self._settings.about(self.tracks[0].identity) or self.about
            except Exception as error:  # the fault of whoever was asked must cost no recording
                self._settings.failed(Failure(self.call, f"what it is about could not be asked: {error!r}"))
        return self.about

    def fail(self, error: OSError) -> None:
        """Count what the system refused."""
        self.write_errors += 1
        self.first_error = self.first_error or str(error)
        self._settings.failed(Failure(self.call, str(error)))

    def _lose(self, begin: int, end: int) -> None:
        """Take note that frames went with their file; what the rings still hold is written again."""
        self.unwritten.add(begin, min(end, self._settled))
        self._written = 0

    def _channel(self, opened: StreamOpened) -> int:
        return int(opened.identity.direction) if self._settings.layout is Layout.STEREO else 0

    def _frames(self, duration_ns: int) -> int:
        """Count the frames of a duration, to the nearest."""
        assert self._rings is not None
        return (duration_ns * self._rings.sample_rate_hz + 500_000_000) // 10**9

    # Deciding where streams lie

    def _align_all(self, now_ns: int, *, hurry: bool = False) -> None:
        waiting = [track for track in self._channels if track and track.offset is None]
        if not waiting or (self._rings is None and not self._decide(hurry)):
            return
        for track in sorted(waiting, key=lambda track: track.anchor_ns):
            if hurry or now_ns - track.opened_ns >= _ALIGN_AFTER_NS:
                self._align(track)

    def _decide(self, hurry: bool) -> bool:
        """Fix the rate, the encoding and frame 0 of the file, from what is known now."""
        open_tracks = [track for track in self._channels if track]
        rates = [track.rings.sample_rate_hz for track in open_tracks if track.rings]
        if not rates:
            if not hurry:
                return False
            rates = [track.notes.closed.report.sample_rate_hz for track in open_tracks if track.notes.closed] or [8000]
        rate_hz = self._settings.container.sample_rate_hz(max(max(rates), 1))
        self._rings = self._settings.rings_for(rate_hz)
        for track in open_tracks:
            if track.rings and track.rings is not self._rings:
                self._move(track, self._rings)
        self.origin_ns = min(track.anchor_ns for track in open_tracks)
        heard = set[str]().union(*(track.notes.encodings for track in open_tracks))
        plain = rate_hz == 8000 and heard and heard <= _G711
        encoding = self._settings.encoding if plain else Encoding.PCM16
        self.format = WavFormat(encoding, rate_hz, len(self._channels), self._settings.files.large_files)
        return True

    def _align(self, track: Track) -> None:
        """Fix where a stream lies. What is before it is settled first, so that its ring covers what is not."""
        offset = self._frames(track.anchor_ns - self.origin_ns)
        if offset > self._settled:
            self._write_rings(min(self._end(), offset), offset, offset)
        track.align(offset)
        self._changed = True
        while track.missing:
            self._note_missing(offset, track.missing.popleft())
        if track.rings:
            start = self._settled - offset
            self._overlay(track, 0, track.held(0, min(start, track.head)))
            track.rings.advance(track.row, start)

    def _move(self, track: Track, rings: Rings) -> None:
        for piece in track.move_to(rings):
            self._place(track, *piece)

    # Placing and writing

    def _place(self, track: Track, position: int, samples: NDArray[np.int16]) -> None:
        """Put samples at the file's rate where they belong: the ring, or a place in the file that is settled."""
        is_silent = is_silence(samples)
        while len(samples):
            start, end = track.window
            if is_silent and position + len(samples) > end and position >= max(start, track.head):
                position, samples = self._jump(track, position, samples)
            elif position >= end:
                self._make_room(track, position)
            start, end = track.window
            count = min(len(samples), (end if position >= start else start) - position)
            if position >= start:
                assert track.rings is not None
                track.rings.write(track.row, position, samples[:count])
            elif is_silent:
                self._overlay_silence(track, position, count)
            else:
                self._overlay(track, position, samples[:count])
            position, samples = position + count, samples[count:]

    def _jump(self, track: Track, position: int, silence: NDArray[np.int16]) -> tuple[int, NDArray[np.int16]]:
        """Move on to the last second of a silence for which the ring has no room; gives what is left of it."""
        assert track.offset is not None
        assert track.rings is not None
        rate_hz, ends = track.rings.sample_rate_hz, position + len(silence) + track.offset
        self._flush(settle=ends - rate_hz, least=ends - track.rings.capacity)
        skipped = max(len(silence) - rate_hz, 0)
        return position + skipped, silence[skipped:]

    def _make_room(self, track: Track, position: int) -> None:
        """Move on until the stream's ring covers a position: a stalled loop catches up, or a stream has jumped."""
        assert track.offset is not None
        assert track.rings is not None
        frame = position + track.offset
        if frame < self._final()[1] + track.rings.capacity:
            self._flush()
        if position >= track.window[1]:
            self._flush(settle=frame)

    def _overlay(self, track: Track, position: int, samples: NDArray[np.int16]) -> None:
        """Write samples over their settled place in the file."""
        cut = min(max(-position - (track.offset or 0), 0), len(samples))
        track.clipped_samples += cut
        samples = samples[cut:]
        if not len(samples) or track.offset is None:
            track.clipped_samples += len(samples)
            return
        try:
            assert self.format is not None
            file = self.file or self._create_file(self.format)
            begin = position + cut + track.offset
            file.overlay(begin, track.channel, samples)
            self._heard(track, begin + len(samples))
            track.rewritten_samples += len(samples)
        except OSError as error:
            self.fail(error)
            begin = position + cut + track.offset
            self.unwritten.add(begin, begin + len(samples))

    def _overlay_silence(self, track: Track, position: int, count: int) -> None:
        """Make a settled place silent, as far as anything was heard in its channel there."""
        offset = track.offset or 0
        clipped = min(max(-position - offset, 0), count)
        track.clipped_samples += clipped
        end = min(position + count, self._heard_until[track.channel] - offset)
        for begin in range(position + clipped, end, _PIECE_SAMPLES):
            self._overlay(track, begin, np.zeros(min(_PIECE_SAMPLES, end - begin), np.int16))

    def _end(self) -> int:
        """Give the frame where the longest of the aligned streams ends so far."""
        ends = [t.offset + t.head for t in self._channels if t and t.rings and t.offset is not None]
        return max([self._settled, *ends])

    def _flush(self, settle: int = 0, least: int | None = None) -> None:
        """Write all that the rings hold, and settle what is final, and all up to frame `settle`.

        least: up to where even if the system refuses to write; `settle` unless given.
        """
        end, final = self._final()
        self._write_rings(end, max(final, settle), settle if least is None else least)

    def _final(self) -> tuple[int, int]:
        """Tell up to which frame the rings hold anything, and up to which nothing in time comes any more."""
        assert self._rings is not None
        end = self._settled
        slowest = None
        for track in self._channels:
            if track is None:
                continue
            if track.offset is None:
                reached = self._frames(track.anchor_ns - self.origin_ns)
            else:
                reached = track.offset + track.head
                if track.rings:
                    end = max(end, reached)
            slowest = reached if slowest is None else min(slowest, reached)
        final = end if slowest is None else min(end, max(slowest, end - self._rings.sample_rate_hz))
        return end, max(self._settled, final)

    def _write_rings(self, end: int, settle: int, least: int) -> None:
        """Write what the rings hold up to frame `end`, and let them forget what lies before frame `settle`.

        When the system refuses, they forget what lies before frame `least`, and what they have no room for.
        """
        rings = self._rings
        assert rings is not None
        begin = self._settled
        sources: list[tuple[int, int] | None] = [None] * len(self._channels)
        for track in self._channels:
            if track and track.rings and track.offset is not None:
                sources[track.channel] = (track.row, begin - track.offset)
                self._heard(track, track.offset + track.head)
                if rings.has_news[track.row]:
                    rings.has_news[track.row] = False
                    self._written = 0
        if end > max(begin, self._written):
            if self._write(begin, rings.interleave(sources, end - begin)):
                self._written = end
            else:
                settle = max(begin, least, end - rings.sample_rate_hz * _KEPT_MS // 1000)
                self.unwritten.add(begin, min(settle, end))
        self._settled = settle
        for source in sources:
            if source:
                row, position = source
                rings.advance(row, position + settle - begin)

    def _heard(self, track: Track, frame: int) -> None:
        """Take note that nothing but silence lies behind `frame` in a stream's channel, or behind what did before."""
        self._heard_until[track.channel] = max(self._heard_until[track.channel], frame)

    def _write(self, frame: int, frames: NDArray[np.int16]) -> bool:
        assert self.format is not None
        try:
            file = self.file or self._create_file(self.format)
            file.write(frame, self.format.encode(frames))
        except OSError as error:
            self.fail(error)
            return False
        return True

    def _create_file(self, wav_format: WavFormat) -> WavParts:
        settings = self._settings
        settings.lock.hold()
        about = self.ask()
        directory = settings.directory
        if about and about.subfolder:
            directory /= about.subfolder
        directory.mkdir(parents=True, exist_ok=True)
        first = create_recording(directory, safe_stem(self.name), wav_format, settings.descriptors)
        self.file = WavParts(first, settings.max_part_bytes)
        return self.file
