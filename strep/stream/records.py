"""Hold the state of the packet path as records: one for each source, stream, packet, and piece of audio put out.

A stream is one direction of one leg of a call; a source (an SSRC of one sender) is one of those that follow each other
in it. A record is a row of a structured array, which is memory for compiled code and an object for Python. Each says
who writes it: `receive` (a datagram came: strep.stream.receive and what it calls), `play out` (a packet is due:
strep.stream.playout and what it calls), or what opens and closes streams (strep.stream.legs).

Times are nanoseconds since the Unix epoch (`_ns`); positions count samples since the stream began; sequence numbers
and timestamps are unbounded (strep.stream.sequence).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: One row of an array of the types below: what annotations call it, as numpy's own type says nothing of its fields.
Record = Any
Records = Any

#: Packets a source remembers: 1.28 s at 20 ms, more than the RFC 3550 A.1 MAX_MISORDER needs at telephone rates.
CELLS = 64
#: Sources (SSRCs) of one stream: a call on hold changes its SSRC now and then, an attacker all the time.
MAX_SOURCES_PER_STREAM = 64
#: In Source.last_arrival_ns: no packet yet to hold the next one against; in latest_arrival_ns: it is not in use.
LONG_AGO_NS = -(1 << 62)
#: In Cell.sequence: nothing since its source began. Sequence numbers may go below 0, but not so far.
EMPTY = -(1 << 62)
#: In Cell.number: a packet that came too late to be played out, kept to know its duplicates.
LATE = -1
NEVER = int(np.iinfo(np.int64).max)
#: Values of Source.claims: whether the CC and X bits of a source are to be believed (strep.stream.claims).
UNDECIDED, BELIEVED, DISBELIEVED = 0, 1, 2
#: The most samples of history that concealment looks at: 30 ms at 48 kHz, and at the telephone rate.
MOST_HISTORY, TELEPHONE_HISTORY = 1440, 240
_LINE_BYTES = 64
#: Packets whose memory is asked for together, before the first of them is looked at.
AHEAD = 32
#: Samples by cause: as many as strep.audio.block.SampleState has.
STATES = 5

#: What every packet needs comes first, in lines of the processor's cache (64 bytes).
SOURCE = np.dtype(
    [
        # Set when the source begins.
        ("stream", "i8"),
        ("meanings", "i8"),  # its row of Tables.meanings
        ("generation", "i8"),  # how often this row served
        # Written by receive.
        ("highest_sequence", "i8"),
        ("last_timestamp", "i8"),
        ("last_arrival_ns", "i8"),  # of the packet that jitter is measured against
        ("latest_arrival_ns", "i8"),  # of any packet
        ("packets", "i8"),
        # The second line.
        ("payload_bytes", "i8"),
        ("jitter_ns", "f8"),
        ("jitter_sum_ns", "f8"),
        ("jitter_max_ns", "f8"),
        ("jitter_count", "i8"),
        ("delta_max_ns", "i8"),
        ("types_heard", "u8", 2),  # a bit for each payload type
        # The third line; from cursor on written by play out.
        ("rtp_clock_hz", "i4"),  # of the last payload type
        ("after_pause", "i1"),  # the last packet was comfort noise or a telephone event
        ("has_known_type", "i1"),
        ("has_played", "i1"),
        ("is_located", "i1"),  # next_timestamp and next_position say something
        ("run", "i8"),  # restarts so far, and where the run since the last one begins
        ("run_begin", "i8"),
        ("cursor", "i8"),  # the sequence number that is played out next
        ("next_timestamp", "i8"),  # what would go on from the packet before
        ("next_position", "i8"),
        ("missing", "i8"),  # packets missed since the last audio
        ("played_run", "i8"),
        # Written by receive, seldom; next_source, of the same stream, when another source begins (-1: none).
        ("claims", "i8"),
        ("base_sequence", "i8"),
        ("expected_before", "i8"),  # packets expected of the runs before the last restart
        ("wild_successor", "i8"),  # the sequence number that would confirm a restart; -1: none is awaited
        ("duplicates", "i8"),
        ("late", "i8"),
        ("reordered", "i8"),
        ("rejected", "i8"),
        ("undecoded", "i8"),
        ("next_source", "i8"),
        ("reserved", "i8", 6),  # to the end of a line
    ],
    align=True,
)

#: Written by play out. What every packet needs comes first, as above.
STREAM = np.dtype(
    [
        ("end_position", "i8"),
        ("anchor_ns", "i8"),  # the wall time of sample 0, by the least delayed packet
        ("told_anchor_ns", "i8"),
        ("window_anchor_ns", "i8"),  # the same, of the current interval of clock watching
        ("active_source", "i8"),  # which placed audio last; -1: none yet
        ("payload_type", "i8"),  # of the audio; -1 before any
        ("format", "i8"),
        ("sample_rate_hz", "i8"),
        # The second line.
        ("frame_samples", "i8"),  # of the last packet that decoded
        ("pause_state", "i8"),  # the cause of the next gap without loss
        ("event_state", "i8"),  # of a telephone event: 0 none, 1 running, 2 told
        ("segment", "i8"),  # of the output that its last piece is in, and which block
        ("block", "i8"),
        ("breaks", "i4"),  # the next audio does not go on from what was heard before
        ("resets", "i4"),  # nor does its decoder
        ("history_samples", "i8"),  # received without a break; render writes it, see Tables.history
        ("history_rate_hz", "i8"),
        # What is needed seldom.
        ("start_ns", "i8"),
        ("first_source", "i8"),
        ("samples_by_state", "i8", STATES),  # all but received, which is what is left
        ("overlapped_samples", "i8"),
        ("event", "i8"),
        ("event_timestamp", "i8"),
        ("event_time_ns", "i8"),
        ("event_last_ns", "i8"),
        ("event_position", "i8"),
        ("event_clock_hz", "i8"),
        ("event_volume_dbm0", "i8"),
        ("event_duration", "i8"),
    ],
    align=True,
)

#: A packet that waits to be played out, by its number: they count on for ever, in order of arrival. Receive writes it.
PACKET = np.dtype(
    [
        ("source", "i8"),
        ("generation", "i8"),
        ("sequence", "i8"),
        ("timestamp", "i8"),
        ("arrival_ns", "i8"),
        ("run", "i8"),
        ("run_begin", "i8"),
        ("payload_at", "i8"),  # in Tables.payloads, counted on for ever
        ("payload_bytes", "i4"),
        ("payload_type", "i4"),
        ("format", "i4"),
        ("samples", "i4"),  # as it decodes; UNMEASURED until strep.audio has measured it
    ],
    align=True,
)
UNMEASURED = -1

#: What a source remembers of a packet, at its sequence number modulo CELLS. Receive writes it.
CELL = np.dtype([("sequence", "i8"), ("arrival_ns", "i8"), ("number", "i8")], align=True)

#: What a datagram's headers say (strep.wire.headers), of the one that is being received.
HEADER = np.dtype(
    [
        ("is_strep", "i8"),
        ("id_high", "u8"),
        ("id_low", "u8"),
        ("leg_direction", "i8"),
        ("payload_type", "i8"),
        ("marker", "i8"),
        ("sequence_number", "i8"),
        ("timestamp", "i8"),
        ("ssrc", "i8"),
        ("rtp_start", "i8"),
        ("payload_start", "i8"),
        ("payload_bytes", "i8"),
        ("claim", "i8"),
    ],
    align=True,
)

#: A datagram of a source that nobody knows: its number in its batch, and its source's key (strep.stream.index).
UNKNOWN_SOURCE = np.dtype(
    [("number", "i8"), ("sequence_number", "i8"), ("timestamp", "i8"), ("key", "u8", 3)], align=True
)

#: What was found ahead of a datagram: its source's row, and which of the source's cells it will need.
FOUND = np.dtype([("row", "i8"), ("cell", "i8")], align=True)

#: What rules need to know of an audio format (strep.stream.formats). kind: one of the Kinds there.
FORMAT = np.dtype(
    [
        ("kind", "i8"),
        ("rtp_clock_hz", "i8"),
        ("sample_rate_hz", "i8"),
        ("samples_per_tick", "i8"),
        ("longest_bytes", "i8"),
        ("bytes_per_10_ms", "i8"),  # of codecs of which every packet holds a whole number of those; else 0
    ],
    align=True,
)

#: Audio of one stream that is put out: samples of one cause. Play out writes it; strep.stream.render makes samples.
PIECE = np.dtype(
    [
        ("stream", "i8"),
        ("position", "i8"),
        ("arrival_ns", "i8"),
        ("payload_at", "i8"),
        ("skipped", "i8"),  # samples at its beginning that overlap what was put out before
        ("next", "i8"),  # of the same block; -1: none
        ("payload_bytes", "i4"),
        ("state", "i4"),
        ("breaks", "i4"),  # as in STREAM
        ("resets", "i4"),
    ],
    align=True,
)

#: Pieces of one length, rate and way to make samples, in order; a stream's are in blocks that follow each other.
BLOCK = np.dtype(
    [
        ("length", "i8"),
        ("sample_rate_hz", "i8"),
        ("format", "i8"),  # of received audio; made up or silent: FORMAT_CONCEALED, FORMAT_ZERO
        ("rows", "i8"),
        ("first", "i8"),
        ("last", "i8"),
    ],
    align=True,
)
FORMAT_CONCEALED, FORMAT_ZERO = -1, -2

#: What is told of a stream besides its audio: see strep.stream.notes for what the values mean, by kind.
NOTE = np.dtype(
    [
        ("kind", "i8"),
        ("time_ns", "i8"),
        ("stream", "i8"),
        ("source", "i8"),
        ("position", "i8"),
        ("length", "i8"),
        ("rate_hz", "i8"),
        ("value", "i8"),
        ("other", "i8"),
        ("flag", "i8"),
    ],
    align=True,
)

#: Where the rings below stand. Rules write it.
CONTROL = np.dtype(
    [
        ("first_packet", "i8"),  # the number of the oldest packet that is not due yet
        ("next_packet", "i8"),
        ("next_payload", "i8"),  # where the next payload begins, counted on for ever
        ("first_payload", "i8"),  # the oldest that may still be needed
        ("unmeasured", "i8"),  # packets whose samples strep.audio has to count
        ("pieces", "i8"),
        ("blocks", "i8"),
        ("notes", "i8"),
        ("segment", "i8"),  # counts parts of the output on for ever: a stream's format changes between two
        ("first_block", "i8"),  # of the current one
        # For whoever has to say where a rule failed: the datagram that is received (-1: none yet, but before this one
        # packets are played out), and the source whose packet is looked at.
        ("datagram", "i8"),
        ("reached", "i8"),
        ("ahead", "i8"),  # the datagram that is looked at ahead of that; -1: none
        ("source", "i8"),
        ("playing", "i8"),  # the number of the packet that is played out
        ("delay_ns", "i8"),
        ("touched", "i8"),  # or what is only read would not be read
        ("index_shift", "u8"),
    ],
    align=True,
)
FIELDS_OF_CONTROL = tuple(CONTROL.names or ())


class Tables(NamedTuple):
    """All records of an engine, as rules take them.

    cells: CELLS for each source. payloads: uint8, a ring. meanings: int32[n, 128], the format of each payload type.
    history, wide_history: int16[streams, TELEPHONE_HISTORY and MOST_HISTORY], a ring for each stream; it has the first
    one as long as that is enough. fates: int64, by strep.wire.fate.Fate.
    waiting: int64[CELLS * MAX_SOURCES_PER_STREAM], see strep.stream.playout.
    keys, places, multipliers: strep.stream.index. fate_of_row, refused: int64 by row, of sources that are left out and
    how many of their packets were. conversation, direction: of plain RTP by sender, see strep.stream.keys.
    """

    control: Records
    header: Records
    found: Records
    sources: Records
    streams: Records
    cells: Records
    packets: Records
    payloads: NDArray[np.uint8]
    formats: Records
    meanings: NDArray[np.int32]
    history: NDArray[np.int16]
    wide_history: NDArray[np.int16]
    pieces: Records
    blocks: Records
    notes: Records
    waiting: NDArray[np.int64]
    fates: NDArray[np.int64]
    keys: NDArray[np.uint64]
    places: NDArray[np.int32]
    multipliers: NDArray[np.uint64]
    fate_of_row: NDArray[np.int64]
    refused: NDArray[np.int64]
    conversation: NDArray[np.uint64]
    direction: NDArray[np.int64]


class Datagrams(NamedTuple):
    """A batch as rules take it: see strep.wire.batch.DatagramBatch. All arrays are read-only."""

    flat: NDArray[np.uint8]
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    arrival_ns: NDArray[np.int64]
    source: NDArray[np.int64]


def records(count: int, kind: np.dtype[np.void]) -> Records:
    """Make so many records of zeros, from the beginning of a line of the cache on. They take memory when touched."""
    room = np.zeros(count * kind.itemsize + _LINE_BYTES, np.uint8)
    begin = -room.__array_interface__["data"][0] % _LINE_BYTES
    return room[begin : begin + count * kind.itemsize].view(kind).view(np.recarray)


def columns_of(table: Records) -> dict[str, NDArray[Any]]:
    """Give each field of a table as an array: a tenth of the time that it takes by attribute."""
    plain = np.asarray(table)
    return {name: plain[name] for name in plain.dtype.names or ()}


def example_tables() -> Tables:
    """Make tables of a row each: for whoever needs to know their types."""
    words, places, numbers = np.zeros((1, 1), np.uint64), np.zeros((1, 1), np.int32), np.zeros(1, np.int64)
    samples = np.zeros((1, 1), np.int16)
    kinds = CONTROL, HEADER, SOURCE, STREAM, CELL, PACKET, PIECE, BLOCK, NOTE
    control, header, sources, streams, cells, packets, pieces, blocks, notes = (records(1, kind) for kind in kinds)
    return Tables(
        control=control,
        header=header,
        found=records(1, FOUND),
        sources=sources,
        streams=streams,
        cells=cells,
        packets=packets,
        payloads=np.zeros(1, np.uint8),
        formats=records(1, FORMAT),
        meanings=places,
        history=samples,
        wide_history=samples,
        pieces=pieces,
        blocks=blocks,
        notes=notes,
        waiting=numbers,
        fates=numbers,
        keys=words,
        places=places,
        multipliers=words,
        fate_of_row=numbers,
        refused=numbers,
        conversation=words,
        direction=numbers,
    )
