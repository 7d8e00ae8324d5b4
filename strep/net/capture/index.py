"""Index the UDP datagrams of a capture file: where each lies, when it came, which flow it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from strep.errors import CaptureFileError
from strep.net.capture.columns import UNDECIDED, DatagramColumns, dissect_columns
from strep.net.capture.dissect import Datagram, Fragment, dissect
from strep.net.capture.flows import FlowTable, endpoints_of
from strep.net.capture.fragments import Reassembly, WholeDatagram
from strep.net.capture.packets import CaptureCounts, PacketColumns, PacketFate
from strep.net.capture.pcap import FILE_HEADER_BYTES, MAGICS, walk_pcap
from strep.net.capture.pcapng import SECTION_HEADER_BYTES, SECTION_MAGIC, walk_pcapng
from strep.wire.batch import Endpoint

Progress = Callable[[int, int], None]

_KNOWN_STRANGERS: Final = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zX": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


@dataclass(frozen=True, slots=True)
class CaptureIndex:
    """Is n datagrams in order of arrival; 20 bytes each, for a file can hold hundreds of millions.

    offset: int64[n], bytes from the start of the file; below 0 it is ~k for a datagram that lies in pieces,
    `wholes[k]`. length: uint16[n]. arrival_ns: int64[n], never decreasing. source: uint16[n], index into `endpoints`,
    which are in the order in which they were first heard. stepped_back: how often time steps back in the file,
    from one datagram to the next. consumed_bytes: how far the file could be read.
    """

    offset: NDArray[np.int64]
    length: NDArray[np.uint16]
    arrival_ns: NDArray[np.int64]
    source: NDArray[np.uint16]
    endpoints: list[Endpoint]
    wholes: list[WholeDatagram]
    counts: CaptureCounts
    stepped_back: int
    consumed_bytes: int


def index_capture(flat: NDArray[np.uint8], name: str, progress: Progress | None = None) -> CaptureIndex:
    """Read a whole capture file once. Raises CaptureFileError, with `name` in its message, when it is none.

    flat: uint8[bytes], the file. progress: is told bytes done and bytes in all, now and then and at the end.
    """
    building = _Index(flat)
    for packets in _walk(flat, name):
        building.add(packets)
        if progress is not None:
            progress(packets.consumed, len(flat))
    if not building.consumed_bytes:
        raise CaptureFileError(f"{name}: expected a whole pcapng section header, found one cut short or damaged")
    if progress is not None:
        progress(len(flat), len(flat))
    return building.finish()


def _walk(flat: NDArray[np.uint8], name: str) -> Iterator[PacketColumns]:
    """Tell the file format by its first bytes."""
    magic = flat[:4].tobytes()
    if magic not in (*MAGICS, SECTION_MAGIC):
        packed = next((kind for start, kind in _KNOWN_STRANGERS.items() if magic.startswith(start)), None)
        found = (
            f"{packed} data (unpack it first)" if packed else f"a file that begins with {magic.hex(' ') or 'nothing'}"
        )
        raise CaptureFileError(f"{name}: expected a pcap or pcapng capture, found {found}")
    form, header_bytes = ("pcapng", SECTION_HEADER_BYTES) if magic == SECTION_MAGIC else ("pcap", FILE_HEADER_BYTES)
    if len(flat) < header_bytes:
        raise CaptureFileError(f"{name}: expected a {form} header of {header_bytes} bytes, found {len(flat)}")
    return walk_pcapng(flat) if magic == SECTION_MAGIC else walk_pcap(flat)


class _Index:
    def __init__(self, flat: NDArray[np.uint8]) -> None:
        self._flat, self._data = flat, flat.data
        self._flows = FlowTable()
        self._reassembly = Reassembly(self._data)
        self._wholes: list[WholeDatagram] = []
        self._fates = np.zeros(UNDECIDED + 1, np.int64)
        self._packets = 0
        self._columns: list[tuple[NDArray[np.int64], NDArray[np.uint16], NDArray[np.int64], NDArray[np.uint16]]] = []
        self.consumed_bytes = 0

    def add(self, packets: PacketColumns) -> None:
        """Take the next packets of the file."""
        found = dissect_columns(self._flat, packets)
        for row in np.flatnonzero(found.fate == UNDECIDED).tolist():
            self._judge(row, packets, found)
        rows = np.flatnonzero(found.fate == PacketFate.DATAGRAM)
        source = self._flows.number(found.flow[rows])
        found.fate[rows[source < 0]] = PacketFate.OVER_LIMIT_FLOWS
        rows, source = rows[source >= 0], source[source >= 0]
        # UDP has 16 bits of length, and the flow table is no larger than 16 bits either.
        length = found.length[rows].astype(np.uint16)
        self._columns.append((found.offset[rows], length, packets.arrival_ns[rows], source.astype(np.uint16)))
        self._fates += np.bincount(found.fate, minlength=len(self._fates))
        self._packets += len(packets)
        self.consumed_bytes = packets.consumed

    def _judge(self, row: int, packets: PacketColumns, found: DatagramColumns) -> None:
        """Take the scalar path; a fragment that is now counted by the reassembly stays UNDECIDED."""
        start, end = int(packets.start[row]), int(packets.end[row])
        what = dissect(self._data, int(packets.link_type[row]), start, end)
        if isinstance(what, Datagram):
            found.put(row, what.offset, what.length, what.flow)
        elif isinstance(what, Fragment):
            self._join(row, what, int(packets.arrival_ns[row]), found)
        else:
            found.fate[row] = what

    def _join(self, row: int, fragment: Fragment, arrival_ns: int, found: DatagramColumns) -> None:
        whole = self._reassembly.add(fragment, arrival_ns)
        if isinstance(whole, WholeDatagram):
            found.put(row, ~len(self._wholes), whole.length, whole.flow)
            self._wholes.append(whole)
        elif whole is not None:
            found.fate[row] = whole

    def finish(self) -> CaptureIndex:
        """Put the columns together, in order of arrival."""
        offset, length, arrival_ns, source = (np.concatenate(parts) for parts in zip(*self._columns, strict=True))
        stepped_back = int(np.count_nonzero(np.diff(arrival_ns) < 0))
        if stepped_back:
            order = np.argsort(arrival_ns, kind="stable")
            offset, length, arrival_ns, source = offset[order], length[order], arrival_ns[order], source[order]
        source, endpoints = self._endpoints(source)
        return CaptureIndex(
            offset,
            length,
            arrival_ns,
            source,
            endpoints,
            self._wholes,
            self._counts(),
            stepped_back,
            self.consumed_bytes,
        )

    def _endpoints(self, source: NDArray[np.uint16]) -> tuple[NDArray[np.uint16], list[Endpoint]]:
        """Number the flows anew by who was heard first in time, for that decides on directions."""
        flows, first = np.unique(source, return_index=True)
        heard = flows[np.argsort(first)].tolist()
        renumbered = np.zeros(len(self._flows), np.uint16)
        renumbered[heard] = np.arange(len(heard))
        keys = self._flows.keys()
        return renumbered[source], endpoints_of([keys[flow] for flow in heard])

    def _counts(self) -> CaptureCounts:
        self._reassembly.close()
        fates = {fate.name.lower(): int(self._fates[fate]) for fate in PacketFate}
        fates["joined_fragment"] += self._reassembly.joined
        fates["unused_fragment"] += self._reassembly.unused
        return CaptureCounts(packets=self._packets, **fates)
