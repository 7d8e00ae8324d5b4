"""Write a WAV file that opens at every instant, whatever kills us.

The rules: the file appears with its header; samples are written before the header that counts them; a header never
counts more than the file holds; no size field can overflow, since `WavParts` goes on in another file before.

The layout is Microsoft's "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, WAVE): a 44-byte header
for PCM; for G.711 the format chunk has its extension size and a `fact` chunk follows ("New Multimedia Data Types").
"""

from __future__ import annotations

import enum
import errno
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strep.audio import g711
from strep.sinks.atomic import publish, temporary_path
from strep.sinks.descriptors import DescriptorCache

_UINT32 = struct.Struct("<I")
#: RIFF counts bytes in 32 bits; the rest is for the header and the padding byte.
MAX_PART_BYTES = 2**32 - 2**16
#: Silence is written in pieces of this many frames, so that a long hold needs no memory.
_FILL_FRAMES = 65_536

#: Samples as they lie in the file: little-endian int16, or uint8.
Encoded = NDArray[Any]


class Encoding(enum.StrEnum):
    """Is how a WAV file keeps its samples."""

    PCM16 = "pcm16"
    ULAW = "ulaw"
    ALAW = "alaw"


_FORMAT_TAG = {Encoding.PCM16: 1, Encoding.ALAW: 6, Encoding.ULAW: 7}
_LAW = {Encoding.ULAW: g711.Law.MU, Encoding.ALAW: g711.Law.A}


class WavFormat:
    """Says what is in a WAV file.

    dtype: of one sample as it lies in the file, little-endian int16 or a byte of G.711. frame_bytes: one sample of
    every channel. header_bytes: where the samples begin.
    """

    def __init__(self, encoding: Encoding, sample_rate_hz: int, channels: int) -> None:
        self.encoding = encoding
        self.sample_rate_hz = sample_rate_hz
        self.channels = channels
        self.dtype: np.dtype[Any] = np.dtype("<i2" if encoding is Encoding.PCM16 else "u1")
        self.frame_bytes = self.dtype.itemsize * channels
        self.header_bytes = 44 if encoding is Encoding.PCM16 else 58
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
        if self.encoding is not Encoding.PCM16:
            chunks += struct.pack("<H4sII", 0, b"fact", 4, frames)  # no extension; samples of each channel
        riff_bytes = self.header_bytes - 8 + data_bytes + data_bytes % 2
        return b"RIFF%sWAVE%sdata%s" % (_UINT32.pack(riff_bytes), chunks, _UINT32.pack(data_bytes))


class WavFile:
    """Is one WAV file under way; `frames` is what its header counts.

    Its methods raise OSError when the system refuses; what was in the file before is then still valid.
    """

    def __init__(self, path: Path, wav_format: WavFormat, descriptors: DescriptorCache) -> None:
        self.path = path
        self.format = wav_format
        self.frames = 0
        self._descriptors = descriptors
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
        descriptors.keep(file._key, descriptor)
        return file

    def write(self, frame: int, data: Encoded) -> None:
        """Put encoded samples [n, channels] at a frame, be it inside the file, at its end, or beyond."""
        descriptor = self._descriptors.get(self._key)
        if frame > self.frames:
            self._fill(descriptor, frame)
        _pwrite_all(descriptor, data.data, self.format.header_bytes + frame * self.format.frame_bytes)
        if frame + len(data) > self.frames:
            self._count(descriptor, frame + len(data))

    def read(self, frame: int, count: int) -> Encoded:
        """Read encoded samples [n, channels] back; fewer than `count` at the end of the file."""
        count = max(min(count, self.frames - frame), 0)
        position = self.format.header_bytes + frame * self.format.frame_bytes
        content = os.pread(self._descriptors.get(self._key), count * self.format.frame_bytes, position)
        return np.frombuffer(content, self.format.dtype).reshape(-1, self.format.channels)

    def extend(self, frames: int) -> None:
        """Append silence until the file has this many frames."""
        if frames > self.frames:
            descriptor = self._descriptors.get(self._key)
            self._fill(descriptor, frames)
            self._count(descriptor, frames)

    def close(self) -> None:
        """Close the file; it was valid all along."""
        self._descriptors.close(self._key)

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
        for begin in range(self.frames, frames, _FILL_FRAMES):
            silence = self.format.silence(min(_FILL_FRAMES, frames - begin))
            _pwrite_all(descriptor, silence.data, header_bytes + begin * frame_bytes)

    def _count(self, descriptor: int, frames: int) -> None:
        """Let the header count this many frames, which the file holds by now."""
        if frames * self.format.frame_bytes % 2:  # a chunk of odd size has a padding byte that nobody counts
            _pwrite_all(descriptor, b"\0", self.format.header_bytes + frames * self.format.frame_bytes)
        _pwrite_all(descriptor, self.format.header(frames), 0)
        self.frames = frames


class WavParts:
    """Is a recording in as many WAV files as its length needs; frames count through all of them.

    max_part_bytes: what one file may grow to, header and all. The second file of `x.wav` is `x-part2.wav`.
    """

    def __init__(self, first: WavFile, max_part_bytes: int = MAX_PART_BYTES) -> None:
        self.format = first.format
        self._descriptors = first._descriptors
        self._parts = [first]
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
        taken = 1
        while True:
            ending = f"-part{number}" if taken == 1 else f"-part{number}-{taken}"
            try:
                path = first.with_name(first.stem + ending + first.suffix)
                return WavFile.create(path, self.format, self._descriptors)
            except FileExistsError:
                taken += 1


def _pwrite_all(descriptor: int, content: bytes | memoryview, position: int) -> None:
    """Write all of it: the system may take less than it is given."""
    rest = memoryview(content)
    written = os.pwrite(descriptor, rest, position)
    while written < rest.nbytes:
        position, rest = position + written, rest.cast("B")[written:]
        written = os.pwrite(descriptor, rest, position)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
