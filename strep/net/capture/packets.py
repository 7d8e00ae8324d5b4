"""Hold a run of captured packets as columns, and name what can become of one."""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

#: Packets that are taken apart in one go: enough to spread numpy's cost per call thin (a few nanoseconds a packet),
#: few enough that their columns (about 2 MB) stay in the cache.
CHUNK_PACKETS = 16_384


class LinkType(enum.IntEnum):
    """The layer that packets of an interface begin with (the LINKTYPE_ numbers of tcpdump.org)."""

    NULL = 0  #: BSD loopback: the address family, in the byte order of the machine that captured
    ETHERNET = 1
    RAW_BSD = 12  #: raw IP, as DLT_RAW is numbered on most systems
    RAW_OPENBSD = 14  #: raw IP, as DLT_RAW is numbered on OpenBSD
    RAW = 101  #: raw IP; the first nibble tells its version
    LOOP = 108  #: OpenBSD loopback: the address family, big-endian
    LINUX_SLL = 113  #: Linux "any" device
    IPV4 = 228
    IPV6 = 229
    LINUX_SLL2 = 276  #: Linux "any" device, with the interface index


#: Stands for the link type of a packet whose interface the file never described.
NO_INTERFACE = -1


class PacketFate(enum.IntEnum):
    """What became of a captured packet: exactly one of these, so that they add up to the packets in the file."""

    DATAGRAM = 0  #: it held a UDP datagram, or the fragment that made one whole
    JOINED_FRAGMENT = 1  #: its bytes are in a datagram that a later fragment made whole
    UNUSED_FRAGMENT = 2  #: its datagram never became whole, or it came twice
    NOT_IP = 3  #: ARP, LLDP, ...
    NOT_UDP = 4  #: IP, but TCP, ICMP, ...
    CUT = 5  #: the capture kept fewer bytes than the headers say there are (snaplen)
    MALFORMED = 6  #: headers that contradict themselves
    UNSUPPORTED_LINK = 7  #: its link type is none of LinkType
    NO_INTERFACE = 8  #: it names an interface that the file never described
    OVER_LIMIT_FLOWS = 9  #: one flow more than we hold


@dataclass(frozen=True, slots=True)
class CaptureCounts:
    """How many packets a capture file holds, and what became of them; the other fields add up to `packets`.

    Each field but `packets` is the PacketFate of its name; `datagram` is also the number of UDP datagrams given out.
    """

    packets: int
    datagram: int
    joined_fragment: int
    unused_fragment: int
    not_ip: int
    not_udp: int
    cut: int
    malformed: int
    unsupported_link: int
    no_interface: int
    over_limit_flows: int

    def by_fate(self) -> dict[str, int]:
        """List the fates by name, without the total."""
        return {field.name: getattr(self, field.name) for field in fields(self)[1:]}


@dataclass(frozen=True, slots=True)
class PacketColumns:
    """N packets of a capture file, in file order; positions are bytes from the start of the file.

    start, end: int64[n], the captured bytes. arrival_ns: int64[n], nanoseconds since the Unix epoch.
    link_type: int64[n]. consumed: bytes of the file that have been read up to and with these.
    turns: of a spool, (how many of these come before it, watermark in nanoseconds) for each end of a turn among them.
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    arrival_ns: NDArray[np.int64]
    link_type: NDArray[np.int64]
    consumed: int
    turns: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return len(self.start)


def rows_at(flat: NDArray[np.uint8], start: NDArray[np.int64], width: int) -> NDArray[np.uint8]:
    """Copy `width` bytes from each of n positions: uint8[n, width]. The caller sees to it that they lie in `flat`."""
    if not len(start):
        return np.empty((0, width), np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(flat, width)
    return windows[start]
