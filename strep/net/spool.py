"""Keep every datagram as it was received, so that `strep decode` can do again what the receiver did.

A spool is a folder of pcapng files, the parts of a series: one series is what one receiver took from its beginning to
its end. The rules:

1. What the engine is fed is kept, but for datagrams of refused senders: strangers must not push calls out of it.
2. A turn of the receiver (what was read at once, and the watermark after it) is one chunk: its packets, each with its
   time of arrival, and an interface statistics block with the watermark. Who reads it feeds and advances an engine in
   the very same steps, as strep.net.capture.description says what the engine was told.
3. Chunks go to a thread through a queue of QUEUED_BYTES. When the disk is slower than that, whole chunks are left out,
   and their datagrams counted: reception never waits.
4. A part ends at a size or an age. When all parts in the folder, of other series too, would exceed the bound, those go
   first that were written to least lately. A part that could not be written to its end is cut behind its last chunk,
   and another one is begun, once a second.
5. Parts are appended to, never changed: a killed program leaves at most one that ends in a chunk cut short.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Condition, Thread
from typing import NamedTuple

import numpy as np

from strep.errors import CaptureFileError, ConfigError, SinkError
from strep.net.address import UdpAddress
from strep.net.capture.description import SpoolDescription
from strep.net.capture.pcapng_writer import Words, begin_section, packet_blocks, statistics
from strep.wire.batch import DatagramBatch

#: A G.711 datagram takes 256 bytes here, so these are 9 minutes of 600 calls (60,000 a second), or 18 hours of 5.
SPOOL_BYTES = 8 << 30
LEAST_SPOOL_BYTES = 16 << 20
#: To remove the oldest part costs a 64th of what is kept.
_PARTS = 64
_LARGEST_PART_BYTES = 256 << 20
_PART_NS = 600 * 10**9
#: 10 s of 1,000 calls: as long as a disk stalls that is not broken.
QUEUED_BYTES = 256 << 20
_TRY_AGAIN_S = 1.0
#: Recordings may be private, and so is what they are made of.
_FILE_MODE = 0o600
_PART_NAME = re.compile(r"(?P<series>spool-\d{8}T\d{6}\.\d{6}Z(?:-\w+)?)-(?P<number>\d{6,})\.pcapng", re.ASCII)
_SUFFIXES = frozenset({".pcap", ".pcapng"})
_log = logging.getLogger(__name__)


def series_of(path: Path) -> str | None:
    """Tell which series a file is a part of, by its name; None when it is no part of a spool."""
    match = _PART_NAME.fullmatch(path.name)
    return match and match["series"]


def captures_in(paths: Sequence[Path]) -> list[list[Path]]:
    """Put the files of each capture together; a folder stands for the capture files in it.

    Each series of a spool is a capture, its parts in their order, the earliest first; all other files together are one,
    in the order given. Raises CaptureFileError for a folder without any.
    """
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        found = sorted(one for one in path.iterdir() if one.suffix in _SUFFIXES and one.is_file())
        if not found:
            raise CaptureFileError(f"{path}: expected a folder with pcap or pcapng files, found none in it")
        files += found
    captures: dict[str, list[Path]] = {}
    for file in dict.fromkeys(files):
        captures.setdefault(series_of(file) or "", []).append(file)
    others = captures.pop("", [])
    series = [sorted(captures[name], key=lambda part: (len(part.name), part.name)) for name in sorted(captures)]
    return ([others] if others else []) + series


class Chunk(NamedTuple):
    """A turn, written down."""

    data: bytes
    datagrams: int
    watermark_ns: int


class Spool:
    """A writer of one series; `begin` it, `add` and end each `turn`, `close` it.

    directory: created if need be. total_bytes: of all parts in it. name: tells several receivers apart that begin at
    one instant. spooled, dropped: datagrams, the latter because the disk was too slow or refused them.
    removed_parts: to make room. failure: what the system said last when it refused something, None if it never did.
    Raises ConfigError for a bound that cannot be, SinkError for a folder that cannot be had.
    """

    def __init__(
        self,
        directory: Path,
        total_bytes: int = SPOOL_BYTES,
        *,
        name: str = "",
        queued_bytes: int = QUEUED_BYTES,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        if total_bytes < LEAST_SPOOL_BYTES:
            raise ConfigError(f"expected a spool of {LEAST_SPOOL_BYTES} bytes or more, found {total_bytes}")
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise SinkError(f"cannot spool into {directory}: {error.strerror}") from None
        self.spooled = self.dropped = self.removed_parts = 0
        self.failure: str | None = None
        self._directory, self._name = directory, name
        self._total_bytes, self._queued_most_bytes = total_bytes, queued_bytes
        self._part_bytes = min(total_bytes // _PARTS, _LARGEST_PART_BYTES)
        self._monotonic_s = monotonic_s
        self._turn: list[bytes] = []
        self._turn_datagrams = 0
        self._queue: deque[Chunk] = deque()
        self._queued_bytes = 0
        self._changed = Condition()
        self._thread: Thread | None = None
        self._header = b""
        self._series = ""
        self._part: int | None = None  # its descriptor
        self._numbers = self._part_size = self._part_began_ns = 0
        self._retry_s = float("-inf")
        self._closed = False

    def begin(self, description: SpoolDescription, now_ns: int) -> None:
        """Begin the series of a receiver, as of nanoseconds since the Unix epoch."""
        self._header = begin_section(description.serialize())
        began = datetime.fromtimestamp(now_ns // 1000 / 1e6, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        self._series = f"spool-{began}" + (f"-{self._name}" if self._name else "")
        self._thread = Thread(target=self._run, name="strep spool", daemon=True)
        self._thread.start()

    def add(self, batch: DatagramBatch, names: Words, to: UdpAddress) -> None:
        """Add what one socket gave in this turn; names: uint64[senders, 4], by number (strep.net.endpoints)."""
        if int(batch.source.min()) < 0:
            batch = batch[np.flatnonzero(batch.source >= 0)]
        if len(batch):
            self._turn.append(packet_blocks(batch, names[batch.source], to))
            self._turn_datagrams += len(batch)

    def end_turn(self, watermark_ns: int) -> None:
        """End a turn, of which the engine is told this watermark."""
        chunk = Chunk(b"".join((*self._turn, statistics(watermark_ns))), self._turn_datagrams, watermark_ns)
        self._turn, self._turn_datagrams = [], 0
        with self._changed:
            if self._queued_bytes + len(chunk.data) > self._queued_most_bytes:
                self._drop(chunk, "the disk is too slow")
                return
            self._queue.append(chunk)
            self._queued_bytes += len(chunk.data)
            self._changed.notify()

    def close(self) -> None:
        """Write what is queued, and end. A second call does nothing."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closed:
                    self._changed.wait()
                if not self._queue:
                    break
                chunk = self._queue.popleft()
            self._write(chunk)
            with self._changed:
                self._queued_bytes -= len(chunk.data)
        self._end_part()

    def _write(self, chunk: Chunk) -> None:
        full = self._part_size + len(chunk.data) > self._part_bytes
        old = chunk.watermark_ns - self._part_began_ns >= _PART_NS
        if self._part is not None and (full or old):
            self._end_part()
        try:
            if self._part is None:
                self._begin_part(chunk)
            if self._part is None:
                self._drop(chunk, self.failure or "")
                return
            _write_all(self._part, chunk.data)
        except OSError as error:
            self._drop(chunk, error.strerror or str(error))
            self._retry_s = self._monotonic_s() + _TRY_AGAIN_S
            self._end_part()
        else:
            self._part_size += len(chunk.data)
            self.spooled += chunk.datagrams

    def _begin_part(self, chunk: Chunk) -> None:
        """Begin a part, unless it is too early to try that again. Raises OSError."""
        if self._monotonic_s() < self._retry_s:
            return
        self._make_room(len(chunk.data))
        self._numbers += 1
        path = self._directory / f"{self._series}-{self._numbers:06}.pcapng"
        self._part = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, _FILE_MODE)
        self._part_size, self._part_began_ns = 0, chunk.watermark_ns
        _write_all(self._part, self._header)
        self._part_size = len(self._header)

    def _end_part(self) -> None:
        if self._part is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._part, self._part_size)  # what was written of a chunk that failed
            with contextlib.suppress(OSError):
                os.close(self._part)
            self._part = None

    def _make_room(self, needed_bytes: int) -> None:
        """Remove the oldest parts, so that another one keeps the bound."""
        parts = []
        for entry in os.scandir(self._directory):
            if _PART_NAME.fullmatch(entry.name):
                with contextlib.suppress(FileNotFoundError):  # another receiver removes, too
                    status = entry.stat()
                    parts.append((status.st_mtime_ns, entry.path, status.st_size))
        left = self._total_bytes - max(self._part_bytes, needed_bytes + len(self._header))
        total = sum(size for *_, size in parts)
        for _, path, size in sorted(parts):
            if total <= left:
                return
            with contextlib.suppress(FileNotFoundError):
                Path(path).unlink()
            total -= size
            if not self.removed_parts:
                _log.warning("the spool in %s is full: from now on, its oldest parts are removed", self._directory)
            self.removed_parts += 1

    def _drop(self, chunk: Chunk, reason: str) -> None:
        if not self.dropped:
            _log.warning("not all that is received comes into the spool in %s: %s", self._directory, reason)
        self.dropped += chunk.datagrams
        self.failure = reason


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
