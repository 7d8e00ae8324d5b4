"""Write a WAV file that opens at every instant, whatever kills us.

The rules: the file appears with its header; samples are written before the header that counts them; a header never
counts more than the file holds; no size field can overflow, since `WavParts` goes on in another file before, or since
the file becomes RF64 before. Silence in PCM is a hole in the file: it takes no time and no space. In G.711 a hole would
be the loudest sample there is, so silence is written, 8 KB a second and channel: some 20 ms for an hour.

The layout is Microsoft's "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, WAVE): a 44-byte header
for PCM; for G.711 the format chunk has its extension size and a `fact` chunk follows ("New Multimedia Data Types").
A file that may become RF64 (EBU Tech 3306) keeps the place of its `ds64` chunk as `JUNK` until it must.
"""

from __future__ import annotations

import enum
import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.audio import g711
from strep.sinks.atomic import publish, temporary_path
from strep.sinks.descriptors import DescriptorCache
from strep.sinks.file_policy import LargeFiles

_UINT32 = struct.Struct("<I")
#: RIFF counts bytes in 32 bits; the rest is for the header and the padding byte.
MAX_PART_BYTES = 2**32 - 2**16
#: Silence is written in pieces of this many frames, so that a long hold needs no memory.
_FILL_FRAMES = 524_288
#: `ds64`: sizes of RIFF and data, count of samples, each 64 bits; and the length of a table that we have no use for.
_DS64 = struct.Struct("<4sIQQQI")
_MOST_UINT32 = 2**32 - 1
_BEYOND_ANY_FILE_BYTES = 2**62
#: What file systems keep a file in: a page of it takes room as a whole or not at all.
_PAGE_BYTES = 4096

#: Samples as they lie in the file: little-endian int16, or uint8.
Encoded = NDArray[Any]


class Encoding(enum.StrEnum):
    """How a WAV file keeps its samples."""

    PCM16 = "pcm16"
    ULAW = "ulaw"
    ALAW = "alaw"


#: What the system says of a name that leads nowhere: no such file, no such folder, a server that has it no more.
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})
_FORMAT_TAG = {Encoding.PCM16: 1, Encoding.ALAW: 6, Encoding.ULAW: 7}
_LAW = {Encoding.ULAW: g711.Law.MU, Encoding.ALAW: g711.Law.A}


class WavFormat:
    """A wav format that says what is in a WAV file.

    dtype: of one sample as it lies in the file, little-endian int16 or a byte of G.711. frame_bytes: one sample of
    every channel. header_bytes: where the samples begin. large_files: whether it may become RF64.
    """

    def __init__(
        self, encoding: Encoding, sample_rate_hz: int, channels: int, large_files: LargeFiles = LargeFiles.PARTS
    ) -> None:
        self.encoding = encoding
        self.large_files = large_files
        self.sample_rate_hz = sample_rate_hz
        self.channels = channels
        self.dtype: np.dtype[Any] = np.dtype("<i2" if encoding is Encoding.PCM16 else "u1")
        self.frame_bytes = self.dtype.itemsize * channels
        self.header_bytes = 44 if encoding is Encoding.PCM16 else 58
        if large_files is LargeFiles.RF64:
            self.header_bytes += _DS64.size
        bytes_a_second, sample_bits = sample_rate_hz * self.frame_bytes, self.dtype.itemsize * 8
        self._format_chunk = struct.pack(
            "<4sIHHIIHH",
            b"fmt ",
            16 if encoding is Encoding.PCM16 else 18,
            _FORMAT_TAG[encoding],
            channels,
            sample_rate_hz,
            bytes_a_second,
            self.frame_bytes,
            sample_bits,
        )

    def encode(self, samples: NDArray[np.int16]) -> Encoded:
        """Turn int16 samples of any shape into samples as they lie in the file."""
        if self.encoding is Encoding.PCM16:
            return samples.astype("<i2", copy=False)
        return g711.encode(samples, _LAW[self.encoding])

    def silence(self, frames: int) -> Encoded:
        """Make encoded silence of shape [frames, channels]."""
        return self.encode(np.zeros((frames, self.channels), np.int16))

    def header(self, frames: int) -> bytes:
        """Make the header of a file with so many frames."""
        data_bytes = frames * self.frame_bytes
        chunks = self._format_chunk
        if self.encoding is not Encoding.PCM16:  # no extension; samples of each channel
            chunks += struct.pack("<H4sII", 0, b"fact", 4, min(frames, _MOST_UINT32))
        riff_bytes = self.header_bytes - 8 + data_bytes + data_bytes % 2
        if riff_bytes > _MOST_UINT32:
            sizes = _DS64.pack(b"ds64", _DS64.size - 8, riff_bytes, data_bytes, frames, 0)
            unknown = _UINT32.pack(_MOST_UINT32)
            return b"RF64%sWAVE%s%sdata%s" % (unknown, sizes, chunks, unknown)
        if self.large_files is LargeFiles.RF64:
            chunks = _DS64.pack(b"JUNK", _DS64.size - 8, 0, 0, 0, 0) + chunks
        return b"RIFF%sWAVE%sdata%s" % (_UINT32.pack(riff_bytes), chunks, _UINT32.pack(data_bytes))


class WavFile:
    """One WAV file under way; `frames` is what its header counts.

    Its methods raise OSError when the system refuses; what was in the file before is then still valid.
    """

    def __init__(self, path: Path, wav_format: WavFormat, descriptors: DescriptorCache) -> None:
        self.path = path
        self.format = wav_format
        self.frames = 0
        self._descriptors = descriptors
        self._identity = (0, 0)
        self._key = str(path)  # what is looked up with each write; a Path takes several times as long

    @classmethod
    def create(cls, path: Path, wav_format: WavFormat, descriptors: DescriptorCache) -> WavFile:
        """Create an empty file, header and all at once. Raises FileExistsError rather than touch another file."""
        temporary = temporary_path(path)
        descriptor = descriptors.open(str(temporary), os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            _pwrite_all(descriptor, wav_format.header(0), 0)
            publish(temporary, path)
        except OSError:
            os.close(descriptor)
            temporary.unlink(missing_ok=True)
            raise
        file = cls(path, wav_format, descriptors)
        file._identity = _identity_of(os.fstat(descriptor))
        descriptors.keep(file._key, descriptor)
        return file

    def write(self, frame: int, data: Encoded) -> None:
        """Put encoded samples [n, channels] at a frame, be it inside the file, at its end, or beyond."""
        descriptor = self._descriptor()
        if frame > self.frames:
            self._fill(descriptor, frame)
        position = self.format.header_bytes + frame * self.format.frame_bytes
        runs = _runs(data, position) if self.format.encoding is Encoding.PCM16 else []
        if runs:
            self._write_sound(descriptor, frame, data, runs)
        else:
            _pwrite_all(descriptor, data.data, position)
        if frame + len(data) > self.frames:
            self._count(descriptor, frame + len(data))

    def read(self, frame: int, count: int) -> Encoded:
        """Read encoded samples [n, channels] back; fewer than `count` at the end of the file."""
        count = max(min(count, self.frames - frame), 0)
        position = self.format.header_bytes + frame * self.format.frame_bytes
        content = os.pread(self._descriptor(), count * self.format.frame_bytes, position)
        return np.frombuffer(content, self.format.dtype).reshape(-1, self.format.channels)

    def extend(self, frames: int) -> None:
        """Append silence until the file has this many frames."""
        if frames > self.frames:
            descriptor = self._descriptor()
            self._fill(descriptor, frames)
            self._count(descriptor, frames)

    def sync(self) -> None:
        """Wait until all of it is on the disk."""
        os.fsync(self._descriptor())

    def is_there(self) -> bool:
        """Tell whether the file still has its name: whether it was not deleted, renamed or replaced.

        Where the system cannot tell, such as a server that is away, it is.
        """
        descriptor = self._descriptors.peek(self._key)
        try:
            found = self.path.stat()
            ours = self._identity if descriptor is None else _identity_of(os.fstat(descriptor))
        except OSError as error:
            return error.errno not in _GONE
        return _identity_of(found) == ours

    def close(self) -> None:
        """Close the file; it was valid all along."""
        self._descriptors.close(self._key)

    def _descriptor(self) -> int:
        """Give the descriptor of the file. Raises OSError when it is gone, also when another one has its name."""
        was_open = self._descriptors.peek(self._key) is not None
        descriptor = self._descriptors.get(self._key)
        if not was_open and _identity_of(os.fstat(descriptor)) != self._identity:
            self._descriptors.close(self._key)
            raise FileNotFoundError(errno.ENOENT, "another file has its name", self._key)
        return descriptor

    def _write_sound(self, descriptor: int, frame: int, data: Encoded, runs: list[_Run]) -> None:
        """Write all but silence over what is silent already: that may be a hole of the file, and stays one."""
        content = data.data.cast("B")
        position = self.format.header_bytes + frame * self.format.frame_bytes
        counted_bytes = (self.frames - frame) * self.format.frame_bytes
        if frame + len(data) > self.frames:
            self._fill(descriptor, frame + len(data))
        for begin, end, sounds in runs:
            old_bytes = 0 if sounds else max(min(end, counted_bytes) - begin, 0)
            if sounds or os.pread(descriptor, old_bytes, position + begin) != bytes(old_bytes):
                _pwrite_all(descriptor, content[begin:end], position + begin)

    def _fill(self, descriptor: int, frames: int) -> None:
        """Make silence up to a frame. In PCM a hole of the file is silence, and takes no space on disk.

        What a write that failed left behind the last frame is no silence, and goes.
        """
        header_bytes, frame_bytes = self.format.header_bytes, self.format.frame_bytes
        if self.format.encoding is Encoding.PCM16:
            counted_bytes = header_bytes + self.frames * frame_bytes
            if os.fstat(descriptor).st_size > counted_bytes:
                os.ftruncate(descriptor, counted_bytes)
            os.ftruncate(descriptor, header_bytes + frames * frame_bytes)
            return
        silence = self.format.silence(min(_FILL_FRAMES, frames - self.frames))
        for begin in range(self.frames, frames, _FILL_FRAMES):
            _pwrite_all(descriptor, silence[: frames - begin].data, header_bytes + begin * frame_bytes)

    def _count(self, descriptor: int, frames: int) -> None:
        """Let the header count this many frames, which the file holds by now."""
        if frames * self.format.frame_bytes % 2:  # a chunk of odd size has a padding byte that nobody counts
            _pwrite_all(descriptor, b"\0", self.format.header_bytes + frames * self.format.frame_bytes)
        _pwrite_all(descriptor, self.format.header(frames), 0)
        self.frames = frames


class WavParts:
    """A recording in as many WAV files as its length needs; frames count through all of them.

    max_part_bytes: what one file may grow to, header and all; one that may become RF64 has no bound. The second file of
    `x.wav` is `x-part2.wav`.
    """

    def __init__(self, first: WavFile, max_part_bytes: int = MAX_PART_BYTES) -> None:
        self.format = first.format
        self._descriptors = first._descriptors
        self._parts = [first]
        if self.format.large_files is LargeFiles.RF64:
            max_part_bytes = _BEYOND_ANY_FILE_BYTES
        self._part_frames = (max_part_bytes - self.format.header_bytes) // self.format.frame_bytes

    @property
    def paths(self) -> list[Path]:
        """List the files, in order."""
        return [part.path for part in self._parts]

    @property
    def frames(self) -> int:
        """Count the frames of all files."""
        return (len(self._parts) - 1) * self._part_frames + self._parts[-1].frames

    def write(self, frame: int, data: Encoded) -> None:
        """Put encoded samples [n, channels] at a frame. Raises OSError when the system refuses."""
        while True:
            number, begin = divmod(frame, self._part_frames)
            count = min(len(data), self._part_frames - begin)
            self._part(number).write(begin, data[:count])
            if count == len(data):
                return
            frame, data = frame + count, data[count:]

    def overlay(self, frame: int, channel: int, samples: NDArray[np.int16]) -> None:
        """Replace int16 samples [n] of one channel, and leave the others as they are. Raises OSError."""
        frames = self.format.silence(len(samples))
        kept = self._read(frame, len(samples))
        frames[: len(kept)] = kept
        frames[:, channel] = self.format.encode(samples)
        self.write(frame, frames)

    def extend(self, frames: int) -> None:
        """Append silence until there are this many frames. Raises OSError when the system refuses."""
        number = max(frames - 1, 0) // self._part_frames
        self._part(number).extend(frames - number * self._part_frames)

    def sync(self) -> None:
        """Wait until all of it is on the disk. Raises OSError when the system cannot say that."""
        for part in self._parts:
            part.sync()

    @property
    def is_gone(self) -> bool:
        """Tell whether none of the files is there any more."""
        return not any(part.is_there() for part in self._parts)

    def renew(self) -> Iterator[tuple[Path, int, int]]:
        """Begin files again that were deleted, renamed or replaced; give which they were, and the frames lost by that.

        Frames are from, and up to but without. They are silent as far as they are not written anew. Raises OSError.
        """
        for number, part in enumerate(self._parts):
            if part.is_there():
                continue
            part.close()
            part.path.parent.mkdir(parents=True, exist_ok=True)
            renewed = self._create(part.path)
            begin = number * self._part_frames
            self._parts[number] = renewed
            yield part.path, begin, begin + part.frames
            if number < len(self._parts) - 1:
                renewed.extend(self._part_frames)

    def close(self) -> None:
        """Close every file."""
        for part in self._parts:
            part.close()

    def _read(self, frame: int, count: int) -> Encoded:
        pieces = []
        while count > 0 and frame < self.frames:
            number, begin = divmod(frame, self._part_frames)
            pieces.append(self._parts[number].read(begin, min(count, self._part_frames - begin)))
            frame, count = frame + len(pieces[-1]), count - len(pieces[-1])
        return np.concatenate(pieces) if pieces else self.format.silence(0)

    def _part(self, number: int) -> WavFile:
        """Give one part, after filling up those before it."""
        while number >= len(self._parts):
            self._parts[-1].extend(self._part_frames)
            self._parts.append(self._create_part(len(self._parts) + 1))
        return self._parts[number]

    def _create_part(self, number: int) -> WavFile:
        first = self._parts[0].path
        return self._create(first.with_name(f"{first.stem}-part{number}{first.suffix}"))

    def _create(self, path: Path) -> WavFile:
        """Create a file of this name, or, where it is taken, of the first that is not with -2 and so on behind it."""
        number = 1
        while True:
            numbered = path if number == 1 else path.with_stem(f"{path.stem}-{number}")
            try:
                return WavFile.create(numbered, self.format, self._descriptors)
            except FileExistsError:
                number += 1


def _identity_of(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


class _Run(NamedTuple):
    """Some pages of what is written: from which byte of it, up to but without, and whether they are heard."""

    begin: int
    end: int
    sounds: bool


def _runs(data: Encoded, position: int) -> list[_Run]:
    """Cut int16 samples, for a position of the file, where pages that are silent begin and end; no run: none is."""
    samples, item_bytes = data.reshape(-1), data.itemsize
    page = _PAGE_BYTES // item_bytes
    head = -position % _PAGE_BYTES // item_bytes
    starts = np.arange(head, len(samples), page)
    if len(starts) and np.bitwise_or.reduceat(samples, starts).all():  # nearly always: a page is 128 ms of telephony
        return []
    starts = np.concatenate((np.zeros(min(head, len(samples), 1), np.int64), starts))
    if not len(starts):
        return []
    sounds = np.bitwise_or.reduceat(samples, starts) != 0
    first = np.flatnonzero(np.diff(sounds, prepend=~sounds[0]))
    begins = (starts[first] * item_bytes).tolist()
    return list(map(_Run, begins, [*begins[1:], data.nbytes], sounds[first].tolist()))


def _pwrite_all(descriptor: int, content: bytes | memoryview, position: int) -> None:
    """Write all of it: the system may take less than it is given."""
    rest = memoryview(content)
    written = os.pwrite(descriptor, rest, position)
    while written < rest.nbytes:
        position, rest = position + written, rest.cast("B")[written:]
        written = os.pwrite(descriptor, rest, position)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
