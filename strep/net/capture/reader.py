"""Read captured datagrams as batches, so that a file drives the same engine as a socket does.

- Datagrams come in order of arrival. Where the file's times step back (merged captures, several queues of a network
  card), they are sorted; those of one instant keep the order of the file.
- A batch's buffer is the file itself, mapped into memory; only a batch that has a reassembled datagram in it, or lies
  so near the end of the file that there is no slack behind it, is copied.
- A file that grows meanwhile is read up to the length that it had. It must not be shortened: the system ends a
  process that reads mapped bytes which are no more.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from strep.errors import CaptureFileError, ConfigError
from strep.net.capture.description import SpoolDescription
from strep.net.capture.index import CaptureIndex, Progress, index_capture
from strep.net.capture.packets import CaptureCounts
from strep.wire.batch import SLACK_BYTES, DatagramBatch, Endpoint


def open_capture(*paths: str | PathLike[str], progress: Progress | None = None) -> CaptureReader:
    """Map and index the files of one capture, pcap or pcapng. Raises CaptureFileError when one cannot be read as that.

    paths: one, or several in the order of their writing (as a capture that was rotated has them).
    progress: is called with bytes done and bytes in all while the files are being indexed, and at the end.
    """
    flats = [_map(path) for path in paths]
    return CaptureReader(flats, index_capture(flats, [str(path) for path in paths], progress))


def _map(path: str | PathLike[str]) -> NDArray[np.uint8]:
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            raise CaptureFileError(f"{path}: expected a regular file, which can be mapped into memory, found none")
        if not status.st_size:
            raise CaptureFileError(f"{path}: expected a pcap or pcapng capture, found an empty file")
        return np.asarray(np.memmap(path, np.uint8, mode="r"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CaptureFileError(f"{path}: expected a readable capture file, found: {reason}") from None


class CaptureReader:
    """A capture reader that gives out the UDP datagrams of a capture; `len()` is their number. Made by open_capture."""

    def __init__(self, flats: Sequence[NDArray[np.uint8]], index: CaptureIndex) -> None:
        self._flats = flats
        self._begin = np.cumsum([0, *map(len, flats)])  # of each file, as the index counts; and where the last one ends
        self._index = index

    def __len__(self) -> int:
        return len(self._index.offset)

    @property
    def counts(self) -> CaptureCounts:
        """Tell what became of every packet in the file."""
        return self._index.counts

    @property
    def endpoints(self) -> list[Endpoint]:
        """List the flows in the order in which they were first heard; batches' `source` indexes them."""
        return self._index.endpoints

    @property
    def truncated(self) -> bool:
        """Tell whether the file ends in the middle of a packet, or makes no sense from some point on."""
        return self._index.consumed_bytes < sum(map(len, self._flats))

    @property
    def spool(self) -> SpoolDescription | None:
        """Tell what a spool says of its receiver; None for any other capture."""
        return self._index.spool

    @property
    def stepped_back(self) -> int:
        """Count how often time steps back in the file from one datagram to the next; all have been sorted."""
        return self._index.stepped_back

    @property
    def time_span_ns(self) -> tuple[int, int] | None:
        """Give the arrival of the first and the last datagram, nanoseconds since the Unix epoch; None without any."""
        arrival_ns = self._index.arrival_ns
        return (int(arrival_ns[0]), int(arrival_ns[-1])) if len(arrival_ns) else None

    @property
    def duration_ns(self) -> int:
        """Give the time from the first datagram to the last; 0 without any."""
        first_ns, last_ns = self.time_span_ns or (0, 0)
        return last_ns - first_ns

    def batches(self, max_span_ns: int = 20_000_000, max_datagrams: int = 1024) -> Iterator[DatagramBatch]:
        """Give out all datagrams in order of arrival, in batches as a socket would: small in time and number.

        Raises ConfigError when a batch could hold nothing.
        """
        if max_span_ns < 0 or max_datagrams < 1:
            raise ConfigError(
                "expected batches of a span of 0 ns or more and of 1 datagram or more, "
                f"found {max_span_ns} ns and {max_datagrams}"
            )
        return self._batches(max_span_ns, max_datagrams)

    def _batches(self, max_span_ns: int, max_datagrams: int) -> Iterator[DatagramBatch]:
        arrival_ns, first = self._index.arrival_ns, 0
        while first < len(arrival_ns):
            full = arrival_ns[first : first + max_datagrams]
            until_ns = min(int(full[0]) + max_span_ns, int(full[-1]))
            last = first + int(np.searchsorted(full, until_ns, side="right"))
            yield self._batch(slice(first, last))
            first = last

    def turns(self) -> Iterator[tuple[DatagramBatch | None, int]]:
        """Give out a spool as its receiver fed it to an engine: what it read in a turn, if anything, and the watermark.

        What is behind the last end of a turn comes as one more, with the arrival of the last datagram.
        """
        first = 0
        for last, watermark_ns in self._index.turns.tolist():
            yield self._turn(first, last), watermark_ns
            first = last
        if first < len(self):
            yield self._turn(first, len(self)), int(self._index.arrival_ns[-1])

    def _turn(self, first: int, last: int) -> DatagramBatch | None:
        if first == last:
            return None
        place = self._index.place
        batch = self._batch(slice(first, last) if place is None else place[first:last])
        if len({batch.endpoints[source].destination for source in np.unique(batch.source).tolist()}) > 1:
            batch = batch[np.argsort(batch.arrival_ns, kind="stable")]  # as a receiver does with several sockets
        return batch

    def _batch(self, rows: slice | NDArray[np.int64]) -> DatagramBatch:
        index = self._index
        offset, length = index.offset[rows], index.length[rows].astype(np.int64)
        arrival_ns, source = index.arrival_ns[rows], index.source[rows].astype(np.int64)
        file = self._file_at(int(offset[0]))
        if offset.min() >= max(0, self._begin[file]) and offset.max() + SLACK_BYTES <= self._begin[file + 1]:
            flat = self._flats[file]
            return DatagramBatch(flat, offset - self._begin[file], length, arrival_ns, source, index.endpoints)
        datagrams = [self._payload(*place) for place in zip(offset.tolist(), length.tolist(), strict=True)]
        return DatagramBatch.from_datagrams(datagrams, arrival_ns.tolist(), source.tolist(), index.endpoints)

    def _payload(self, offset: int, length: int) -> bytes:
        if offset < 0:
            file, whole = self._index.wholes[~offset]
            return whole.read(self._flats[file].data)
        file = self._file_at(offset)
        offset -= int(self._begin[file])
        return bytes(self._flats[file].data[offset : offset + length])

    def _file_at(self, offset: int) -> int:
        """Tell which file a place is in; the end of the last one is in that."""
        return min(int(np.searchsorted(self._begin, offset, side="right")), len(self._flats)) - 1
