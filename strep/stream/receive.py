"""Receive datagrams, one after the other: read their headers, find their sources, judge them, and lay them down.

What came a playout delay before is played out between them. What rules cannot decide is left to Python: `receive` stops
there, and says why.
"""

from __future__ import annotations

import enum

import numpy as np

from strep.compiler import rule
from strep.stream.claims import settle_claim
from strep.stream.formats import Kind
from strep.stream.index import UNKNOWN, find_row
from strep.stream.jitter import measure
from strep.stream.jitter_buffer import has_place, lay, lay_late
from strep.stream.keys import PLAIN, SENDER_SHIFT, SSRC_BITS, UNLEARNT
from strep.stream.playout import has_room, play_out_due
from strep.stream.records import AHEAD, CELLS, Datagrams, Record, Records, Tables
from strep.stream.sequence import judge
from strep.wire.batch import HELD_BACK, NOT_STREP, REFUSED_SENDER, SENDER_OVER_LIMIT
from strep.wire.fate import Fate
from strep.wire.headers import parse_headers
from strep.wire.red import find_primary

#: The longest datagram that is looked at: what the receive slots hold. Audio packets end well below one MTU.
MAX_DATAGRAM_BYTES = 2048
#: How much of each datagram is asked for ahead: 20 ms of G.711 in STREP.
_TOUCHED_BYTES = 256
#: Datagrams between which nothing is played out: the one and the other in turns would each find the caches cold.
_AT_A_TIME = 512
_ACCEPTED, _LATE, _REJECTED = int(Fate.ACCEPTED), int(Fate.LATE), int(Fate.REJECTED_SEQUENCE)
_TOO_LARGE = int(Fate.OVER_LIMIT_SIZE)
_BAD_SENDER, _MANY_SENDERS = int(Fate.REJECTED_SENDER), int(Fate.OVER_LIMIT_SENDERS)
_BARE = int(Fate.REJECTED_NOT_STREP)
_REDUNDANT = int(Kind.REDUNDANT)
_PLAIN, _SSRC_BITS, _SENDER_SHIFT = np.uint64(PLAIN), np.uint64(SSRC_BITS), np.uint64(SENDER_SHIFT)


class Stop(enum.IntEnum):
    """Why `receive` stopped before a datagram."""

    END = 0  #: there are no more
    SECOND = 1  #: a whole second has passed: there is something to do at those
    UNKNOWN = 2  #: nobody knows its source
    CONVERSATION = 3  #: it is plain RTP, and nobody knows which call its sender's is
    OUTPUT = 4  #: there is no room for what might be put out
    PLACE = 5  #: the rings of packets and payloads are full
    UNMEASURED = 6  #: packets must be measured first


_END, _SECOND, _UNKNOWN, _CONVERSATION = int(Stop.END), int(Stop.SECOND), int(Stop.UNKNOWN), int(Stop.CONVERSATION)
_OUTPUT, _PLACE, _UNMEASURED = int(Stop.OUTPUT), int(Stop.PLACE), int(Stop.UNMEASURED)


@rule
def receive(tables: Tables, datagrams: Datagrams, first: int, end: int, second_ends_ns: int) -> tuple[int, int]:
    """Receive datagrams from `first` to before `end`; gives the number of the one before which it stopped, and why."""
    for n in range(first, end):
        tables.control[0].reached = n
        if (n - first) % AHEAD == 0:
            _look_ahead(tables, datagrams, n, min(n + AHEAD, end))
        if datagrams.arrival_ns[n] >= second_ends_ns:
            return n, _SECOND
        stop = _END
        if (n - first) % _AT_A_TIME == 0:
            tables.control[0].datagram = -1
            stop = _play_out_before(tables, datagrams.arrival_ns[n])
        if stop == _END:
            tables.control[0].datagram, tables.control[0].source = n, -1
            stop = _receive_one(tables, datagrams, n, tables.found[(n - first) % AHEAD].row)
        if stop != _END:
            return n, stop
    return end, _END


@rule
def _look_ahead(tables: Tables, datagrams: Datagrams, first: int, end: int) -> None:
    """Find the sources of some datagrams, and read a byte of each line of memory that they will need.

    To fetch so many lines at a time takes hardly longer than to fetch one.
    """
    touched = np.int64(0)
    for n in range(first, end):
        for line in range(0, _TOUCHED_BYTES, 64):
            touched ^= datagrams.flat[datagrams.offset[n] + line]
    for n in range(first, end):
        found, tables.control[0].ahead = tables.found[n - first], n
        found.row = UNKNOWN
        if _parse(tables, datagrams, n) == _ACCEPTED and _has_key(tables, datagrams.source[n]):
            found.row = _row_of(tables, _key_of(tables, tables.header[0], datagrams.source[n]))
            found.cell = tables.header[0].sequence_number & (CELLS - 1)
    for n in range(end - first):
        found = tables.found[n]
        if UNKNOWN < found.row < len(tables.sources):
            source = tables.sources[found.row]
            touched ^= source.highest_sequence ^ source.payload_bytes ^ source.cursor
            touched ^= tables.cells[found.row * CELLS + found.cell].sequence
    tables.control[0].touched, tables.control[0].ahead = touched, -1


@rule
def _parse(tables: Tables, datagrams: Datagrams, n: int) -> int:
    """Read a datagram's headers; gives its fate so far."""
    length = datagrams.length[n]
    if datagrams.source[n] < 0 or length > MAX_DATAGRAM_BYTES:
        return _refusal_of(datagrams.source[n])
    return parse_headers(datagrams.flat, datagrams.offset[n], length, tables.header[0])


@rule
def _has_key(tables: Tables, sender: int) -> bool:
    """Tell whether a packet that was read has a key: one of plain RTP has none before Python names its call."""
    return tables.header[0].is_strep != 0 or tables.conversation[sender, 0] != UNLEARNT


@rule
def find_unknown(tables: Tables, datagrams: Datagrams, first: int, second_ends_ns: int, unknown: Records) -> int:
    """List the datagrams from `first` on whose sources nobody knows, as UNKNOWN records.

    Stops at a whole second, when sources may end, and before a sender whose conversation is not known. Gives how many.
    """
    found = 0
    for n in range(first, len(datagrams.offset)):
        if datagrams.arrival_ns[n] >= second_ends_ns:
            break
        if _parse(tables, datagrams, n) != _ACCEPTED:
            continue
        header = tables.header[0]
        if not _has_key(tables, datagrams.source[n]):
            break
        words = _key_of(tables, header, datagrams.source[n])
        if _row_of(tables, words) == UNKNOWN:
            one = unknown[found]
            one.number, one.sequence_number, one.timestamp = n, header.sequence_number, header.timestamp
            for k in range(3):
                one.key[k] = words[k]
            found += 1
    return found


@rule
def _play_out_before(tables: Tables, arrival_ns: int) -> int:
    """Play out what is due when a datagram arrives; gives what is in the way of that.

    Not before each datagram: a packet that is due is given up for by its arrival time, played out or not.
    """
    control = tables.control[0]
    until_ns = arrival_ns - control.delay_ns
    oldest = tables.packets[control.first_packet & (len(tables.packets) - 1)]
    if control.first_packet < control.next_packet and oldest.arrival_ns <= until_ns:
        if control.unmeasured > 0:
            return _UNMEASURED
        if not play_out_due(tables, until_ns):
            return _OUTPUT
    return _END


@rule
def _receive_one(tables: Tables, datagrams: Datagrams, n: int, row: int) -> int:
    """Receive one datagram, whose source has this row; gives what is in the way of that."""
    fate = _parse(tables, datagrams, n)
    if fate != _ACCEPTED:
        tables.fates[fate] += datagrams.source[n] != HELD_BACK
        return _END
    if row == UNKNOWN:
        return _UNKNOWN if _has_key(tables, datagrams.source[n]) else _CONVERSATION
    if row >= len(tables.sources):  # it is left out, see strep.stream.admission
        tables.fates[tables.fate_of_row[row]] += 1
        tables.refused[row] += 1
        return _END
    if not has_room(tables):
        return _OUTPUT
    if not has_place(tables, MAX_DATAGRAM_BYTES):
        return _PLACE
    tables.control[0].source = row
    if tables.control[0].unmeasured > 0 and not _fits(tables.sources[row], tables.header[0].sequence_number):
        return _UNMEASURED
    _account(tables, datagrams, row, datagrams.arrival_ns[n])
    return _END


@rule
def _refusal_of(sender: int) -> int:
    """Give the fate of a datagram that is not looked at."""
    if sender == REFUSED_SENDER:
        return _BAD_SENDER
    if sender == SENDER_OVER_LIMIT:
        return _MANY_SENDERS
    return _BARE if sender == NOT_STREP else _TOO_LARGE


@rule
def _key_of(tables: Tables, header: Record, sender: int) -> tuple[np.uint64, np.uint64, np.uint64]:
    """Give the key of a packet's source: see strep.stream.keys."""
    tail = np.uint64(header.ssrc) | np.uint64(sender) << _SENDER_SHIFT
    if header.is_strep:
        return header.id_high, header.id_low, tail | np.uint64(header.leg_direction) << _SSRC_BITS
    conversation = tables.conversation[sender]
    tail |= np.uint64(tables.direction[sender]) << _SSRC_BITS | _PLAIN
    return conversation[0], conversation[1], tail


@rule
def _row_of(tables: Tables, words: tuple[np.uint64, np.uint64, np.uint64]) -> int:
    return find_row(tables.keys, tables.places, tables.multipliers, tables.control[0].index_shift, words)


@rule
def _fits(source: Record, sequence_number: int) -> bool:
    """Tell whether a packet goes on from the one before and needs no cell of one that waits."""
    step = (sequence_number - source.highest_sequence) & 0xFFFF
    return step > 0 and source.highest_sequence + step - source.cursor < CELLS


@rule
def _account(tables: Tables, datagrams: Datagrams, row: int, arrival_ns: int) -> None:
    """Account for the packet whose header is in `tables`, of a known source, and lay it down if it is accepted."""
    source, header = tables.sources[row], tables.header[0]
    meanings = tables.meanings[source.meanings]
    sequence, fate = judge(tables, row, source, header, arrival_ns)
    settle_claim(source, header, tables.formats[meanings[header.payload_type]].bytes_per_10_ms)
    source.latest_arrival_ns = arrival_ns
    source.packets += 1
    source.payload_bytes += header.payload_bytes
    if tables.formats[meanings[header.payload_type]].kind == _REDUNDANT:
        _unwrap(datagrams, header)
    number = meanings[header.payload_type]
    format = tables.formats[number]
    if header.payload_bytes > format.longest_bytes:
        source.undecoded += 1
        header.payload_bytes = format.longest_bytes
    if fate != _REJECTED:
        is_newest = fate == _ACCEPTED and sequence == source.highest_sequence
        measure(tables, row, source, header, format, is_newest)
    if fate == _ACCEPTED:
        lay(tables, datagrams, row, sequence, number)
    elif fate == _LATE:
        lay_late(tables, row, sequence)
    tables.fates[fate] += 1


@rule
def _unwrap(datagrams: Datagrams, header: Record) -> None:
    """Let a packet of redundant audio be that of its own audio, with its payload type (RFC 2198)."""
    stop = header.payload_start + header.payload_bytes
    payload_type, start = find_primary(datagrams.flat, header.payload_start, stop)
    if payload_type >= 0:
        header.payload_type, header.payload_start, header.payload_bytes = payload_type, start, stop - start
