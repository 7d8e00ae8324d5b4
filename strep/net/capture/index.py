"""Index the UDP datagrams of a capture: where each lies, when it came, which flow it belongs to.

A capture may have several files, which are numbered as if they lay one behind the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from strep.errors import CaptureFileError
from strep.net.capture.columns import UNDECIDED, DatagramColumns, dissect_columns
from strep.net.capture.description import SpoolDescription
from strep.net.capture.dissect import Datagram, Fragment, dissect
from strep.net.capture.flows import FlowTable, endpoints_of, spool_endpoints
from strep.net.capture.fragments import Reassembly, WholeDatagram
from strep.net.capture.packets import CaptureCounts, PacketColumns, PacketFate
from strep.net.capture.pcap import FILE_HEADER_BYTES, MAGICS, walk_pcap
from strep.net.capture.pcapng import SECTION_HEADER_BYTES, SECTION_MAGIC, read_description, walk_pcapng
from strep.wire.batch import Endpoint

Progress = Callable[[int, int], None]

_KNOWN_STRANGERS: Final = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zX": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


#: Beyond it, a time in a spool is damage: in steps of seconds, an engine would go on to wherever it says.
_LONGEST_TURN_NS: Final = 60 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class CaptureIndex:
    """N datagrams in order of arrival; 20 bytes each, for a file can hold hundreds of millions.

    offset: int64[n], bytes from the start of the first file; below 0 it is ~k for a datagram that lies in pieces,
    `wholes[k]`, in the file of that number. length: uint16[n]. arrival_ns: int64[n], never decreasing.
    source: uint16[n], index into `endpoints`, which are in the order in which they were first heard.
    stepped_back: how often time steps back in the files, from one datagram to the next. consumed_bytes: how far they
    could be read.
    spool: what a spool says of its receiver; None for what is none, or has times that cannot be. turns int64[m, 2]:
    for each turn of a spool, how many datagrams of the files come before its end, and its watermark.
    place: int64[n], of the datagrams in the order of the files, which rows they
    are here; None where that is the same.
    """

    offset: NDArray[np.int64]
    length: NDArray[np.uint16]
    arrival_ns: NDArray[np.int64]
    source: NDArray[np.uint16]
    endpoints: list[Endpoint]
    wholes: list[tuple[int, WholeDatagram]]
    counts: CaptureCounts
    stepped_back: int
    consumed_bytes: int
    spool: SpoolDescription | None
    turns: NDArray[np.int64]
    place: NDArray[np.int64] | None


def index_capture(
    flats: Sequence[NDArray[np.uint8]], names: Sequence[str], progress: Progress | None = None
) -> CaptureIndex:
    """Read all files of a capture once. Raises CaptureFileError, with a name in its message, when one is none.

    flats: uint8[bytes], the files. progress: is told bytes done and bytes in all, now and then and at the end.
    """
    building, total = _Index(read_description(flats[0])), sum(map(len, flats))
    before = 0
    for flat, name in zip(flats, names, strict=True):
        building.begin_file(flat, before)
        for packets in _walk(flat, name):
            building.add(packets)
            if progress is not None:
                progress(before + packets.consumed, total)
        before += len(flat)
        if not building.end_file():
            raise CaptureFileError(f"{name}: expected a whole pcapng section header, found one cut short or damaged")
    if progress is not None:
        progress(total, total)
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
    def __init__(self, spool: SpoolDescription | None) -> None:
        self._spool = spool
        self._flows = FlowTable()
        self._wholes: list[tuple[int, WholeDatagram]] = []
        self._fates = np.zeros(UNDECIDED + 1, np.int64)
        self._packets = 0
        self._columns: list[tuple[NDArray[np.int64], NDArray[np.uint16], NDArray[np.int64], NDArray[np.uint16]]] = []
        self._turns: list[tuple[int, int]] = []
        self._datagrams = 0
        self._file = -1
        self._joined = self._unused = 0
        self._consumed_bytes = 0

    def begin_file(self, flat: NDArray[np.uint8], before_bytes: int) -> None:
        """Go on with another file, behind so many bytes of others. No fragment has its parts in two."""
        self._flat, self._data, self._before_bytes = flat, flat.data, before_bytes
        self._reassembly = Reassembly(self._data)
        self._file += 1
        self._consumed = 0

    def end_file(self) -> int:
        """Tell how many bytes of the file could be read."""
        self._reassembly.close()
        self._joined += self._reassembly.joined
        self._unused += self._reassembly.unused
        self._consumed_bytes += self._consumed
        return self._consumed

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
        offset = np.where(found.offset[rows] < 0, found.offset[rows], found.offset[rows] + self._before_bytes)
        self._columns.append((offset, length, packets.arrival_ns[rows], source.astype(np.uint16)))
        for packets_before, watermark_ns in packets.turns:
            self._turns.append((self._datagrams + int(np.searchsorted(rows, packets_before)), watermark_ns))
        self._datagrams += len(rows)
        self._fates += np.bincount(found.fate, minlength=len(self._fates))
        self._packets += len(packets)
        self._consumed = packets.consumed

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
            self._wholes.append((self._file, whole))
        elif whole is not None:
            found.fate[row] = whole

    def finish(self) -> CaptureIndex:
        """Put the columns together, in order of arrival."""
        offset, length, arrival_ns, source = (np.concatenate(parts) for parts in zip(*self._columns, strict=True))
        stepped_back = int(np.count_nonzero(np.diff(arrival_ns) < 0))
        turns = np.array(self._turns, np.int64).reshape(-1, 2)
        if not _can_be(turns, arrival_ns):
            self._spool = None
        place = None
        if stepped_back:
            order = np.argsort(arrival_ns, kind="stable")
            place = np.argsort(order)
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
            self._consumed_bytes,
            self._spool,
            turns,
            place,
        )

    def _endpoints(self, source: NDArray[np.uint16]) -> tuple[NDArray[np.uint16], list[Endpoint]]:
        """Number the flows anew by who was heard first in time, for that decides on directions."""
        flows, first = np.unique(source, return_index=True)
        heard = flows[np.argsort(first)].tolist()
        renumbered = np.zeros(len(self._flows), np.uint16)
        renumbered[heard] = np.arange(len(heard))
        keys = self._flows.keys()
        heard_keys = [keys[flow] for flow in heard]
        return renumbered[source], spool_endpoints(heard_keys, self._spool) if self._spool else endpoints_of(heard_keys)

    def _counts(self) -> CaptureCounts:
        fates = {fate.name.lower(): int(self._fates[fate]) for fate in PacketFate}
        fates["joined_fragment"] += self._joined
        fates["unused_fragment"] += self._unused
        return CaptureCounts(packets=self._packets, **fates)


def _can_be(turns: NDArray[np.int64], arrival_ns: NDArray[np.int64]) -> bool:
    """Tell whether watermarks ascend, and no datagram came much later than its turn began, or after the last turn."""
    if not len(turns) or not len(arrival_ns):
        return True
    last = len(turns) - 1
    turn = np.minimum(np.searchsorted(turns[:, 0], np.arange(len(arrival_ns)), side="right"), last)
    early = arrival_ns <= turns[turn, 1] + _LONGEST_TURN_NS
    return bool(early.all() and (np.diff(turns[:, 1]) >= 0).all())
