"""Make the header of a WAV file count what the file holds, after whoever wrote it was killed or lost its power.

What is believed is the length of the file; the header says only how samples lie in it. Read are the forms that
strep.sinks.wav_file writes, and RF64 (EBU Tech 3306), whose sizes stand in a `ds64` chunk: that is what a file becomes
here, too, that has grown beyond 4 GiB and has kept room for one (a `JUNK` chunk, as that document proposes).
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from strep.sinks.wav_file import Encoding

#: Ours have 44 or 58 bytes, with room for `ds64` 36 more. It lies in one page of the file, which is written or is not.
_MOST_HEADER_BYTES = 4096
_RIFF_MOST_BYTES = 2**32 - 1
_ENCODINGS = {(1, 16): Encoding.PCM16, (6, 8): Encoding.ALAW, (7, 8): Encoding.ULAW}
#: RIFF size, data size, sample count, each 64 bits; then the number of other chunks that are as large.
_DS64 = struct.Struct("<QQQI")
_UINT32 = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class WavContent:
    """The content of a WAV file, as far as it is counted. is_right: whether its header says so."""

    encoding: Encoding
    sample_rate_hz: int
    channels: int
    frames: int
    is_right: bool

    @property
    def form(self) -> tuple[Encoding, int, int]:
        """Give what all parts of a recording have in common."""
        return self.encoding, self.sample_rate_hz, self.channels


def examine_wav(path: Path) -> WavContent:
    """Look at a WAV file. Raises OSError, and ValueError for what is none that strep could have written."""
    with _opened(path, os.O_RDONLY) as descriptor:
        return _examine(descriptor)[0]


def repair_wav(path: Path) -> WavContent:
    """Make the header of a WAV file right, in one write; give what was found. Raises as `examine_wav` does."""
    with _opened(path, os.O_RDWR) as descriptor:
        content, header = _examine(descriptor)
        if not content.is_right:
            os.pwrite(descriptor, header, 0)
    return content


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """Open a file; anything else is a ValueError, at once: a pipe of that name would be waited for without end."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"expected a file, found something else at {path}")
        yield descriptor
    finally:
        os.close(descriptor)


def _examine(descriptor: int) -> tuple[WavContent, bytes]:
    """Give what a file holds, and the header that it should have."""
    head = os.pread(descriptor, _MOST_HEADER_BYTES, 0)
    file_bytes = os.fstat(descriptor).st_size
    chunks = _chunks(head)
    begin = chunks[b"data"][0]
    encoding, channels, rate_hz = _format(head, *chunks[b"fmt "])
    frame_bytes = channels * (2 if encoding is Encoding.PCM16 else 1)
    data_bytes = (file_bytes - begin) // frame_bytes * frame_bytes
    if frame_bytes == 1 and data_bytes and not data_bytes % 2:
        data_bytes -= _is_padded(descriptor, file_bytes, chunks[b"data"][1] == data_bytes)
    header = _corrected(head[:begin], chunks, data_bytes, data_bytes // frame_bytes)
    content = WavContent(encoding, rate_hz, channels, data_bytes // frame_bytes, header == head[:begin])
    return content, header


def _chunks(head: bytes) -> dict[bytes, tuple[int, int]]:
    """Find where the chunks of a header begin, after their own 8 bytes, and what size they claim."""
    if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
        raise ValueError(f"expected a WAV file, found one that begins with {head[:12]!r}")
    chunks: dict[bytes, tuple[int, int]] = {}
    position = 12
    while b"data" not in chunks:
        if len(head) < position + 8:
            raise ValueError("expected a WAV file with samples, found its header cut short")
        name, size = head[position : position + 4], _UINT32.unpack_from(head, position + 4)[0]
        chunks[name] = position + 8, size
        position += 8 + size + size % 2
    if b"fmt " not in chunks or not set(chunks) <= {b"fmt ", b"fact", b"data", b"ds64", b"JUNK"}:
        raise ValueError(f"expected a WAV file as strep writes it, found the chunks {sorted(chunks)}")
    return chunks


def _format(head: bytes, begin: int, size: int) -> tuple[Encoding, int, int]:
    if size < 16:
        raise ValueError(f"expected a format of 16 bytes or more, found {size}")
    tag, channels, rate_hz, _, _, sample_bits = struct.unpack_from("<HHIIHH", head, begin)
    encoding = _ENCODINGS.get((tag, sample_bits))
    if encoding is None or channels not in (1, 2) or not rate_hz:
        raise ValueError(
            "expected 16-bit PCM or G.711 in one channel or two, "
            f"found format {tag} with {sample_bits} bits in {channels} channels at {rate_hz} Hz"
        )
    return encoding, channels, rate_hz


def _is_padded(descriptor: int, file_bytes: int, counts_all: bool) -> bool:
    """Tell whether the last byte is the one that makes a chunk of odd size even: it is written before the header."""
    return not counts_all and os.pread(descriptor, 1, file_bytes - 1) == b"\0"


def _corrected(head: bytes, chunks: dict[bytes, tuple[int, int]], data_bytes: int, frames: int) -> bytes:
    """Put sizes into a header. Raises ValueError when they do not fit, and there is no room for larger ones."""
    header, begin = bytearray(head), chunks[b"data"][0]
    riff_bytes = begin - 8 + data_bytes + data_bytes % 2
    if b"fact" in chunks:
        _UINT32.pack_into(header, chunks[b"fact"][0], min(frames, _RIFF_MOST_BYTES))
    if header[:4] == b"RIFF" and riff_bytes <= _RIFF_MOST_BYTES:
        _UINT32.pack_into(header, 4, riff_bytes)
        _UINT32.pack_into(header, begin - 4, data_bytes)
        return bytes(header)
    place, size = chunks.get(b"ds64") or chunks.get(b"JUNK") or (0, 0)
    if place != 20 or size < _DS64.size:
        raise ValueError(f"expected at most 4 GiB, or room for larger sizes, found {riff_bytes + 8} bytes")
    header[:4], header[12:16] = b"RF64", b"ds64"
    _UINT32.pack_into(header, 4, _RIFF_MOST_BYTES)
    _UINT32.pack_into(header, begin - 4, _RIFF_MOST_BYTES)
    _DS64.pack_into(header, place, riff_bytes, data_bytes, frames, 0)
    return bytes(header)
