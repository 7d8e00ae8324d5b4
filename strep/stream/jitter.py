"""Measure the jitter of a source (RFC 3550 A.8), and take note of the payload types that it sends.

Jitter is the RFC's running mean over packets in order of arrival, duplicates and overtaken ones included. Packets with
the marker bit (a pause before them), comfort noise, and what follows noise or a telephone event stay out of its mean
and maximum, as in tshark. An event's timestamp stands still, so it is neither a measurement nor what the next packet
is held against. A difference beyond STALL_NS is no jitter but another clock (a hold, a new offset), and so is a
timestamp that steps back while the sequence number goes on: the next packet is held against it, no more. A wild packet
leaves no trace, and so does one of unknown type (and clock) in a source that has known ones.
"""

from __future__ import annotations

import numpy as np

from strep.compiler import rule
from strep.stream.clock import NS, STALL_NS
from strep.stream.formats import Kind
from strep.stream.notes import Note, note
from strep.stream.records import LONG_AGO_NS, Record, Tables
from strep.stream.sequence import extend_timestamp

_UNKNOWN, _EVENT, _NOISE = int(Kind.UNKNOWN), int(Kind.EVENT), int(Kind.NOISE)
_TYPE_HEARD = int(Note.TYPE_HEARD)


@rule
def measure(tables: Tables, row: int, source: Record, header: Record, format: Record, is_newest: bool) -> None:
    """Take the jitter if a packet is one to measure by. is_newest: its sequence number is the highest so far."""
    _hear_type(tables, row, source, header.payload_type, format.kind)
    source.rtp_clock_hz = format.rtp_clock_hz
    arrival_ns = source.latest_arrival_ns
    has_no_clock = format.kind == _EVENT or (format.kind == _UNKNOWN and source.has_known_type != 0)
    is_regular = format.kind != _NOISE and source.after_pause == 0 and header.marker == 0
    source.after_pause = has_no_clock or format.kind == _NOISE
    if has_no_clock:
        return
    timestamp = extend_timestamp(header.timestamp, source.last_timestamp)
    ticks = timestamp - source.last_timestamp
    if source.last_arrival_ns != LONG_AGO_NS:
        delta_ns = arrival_ns - source.last_arrival_ns
        difference_ns = abs(delta_ns - ticks * (NS / format.rtp_clock_hz))
        if difference_ns <= STALL_NS and (ticks >= 0 or not is_newest):
            source.jitter_ns += (difference_ns - source.jitter_ns) / 16
            if is_regular:
                source.jitter_sum_ns += source.jitter_ns
                source.jitter_count += 1
                source.jitter_max_ns = max(source.jitter_max_ns, source.jitter_ns)
        if is_regular:
            source.delta_max_ns = max(source.delta_max_ns, delta_ns)
    source.last_timestamp, source.last_arrival_ns = timestamp, arrival_ns


@rule
def _hear_type(tables: Tables, row: int, source: Record, payload_type: int, kind: int) -> None:
    """Take note of a payload type that is new to its source. What was measured by an unknown clock was a guess."""
    word, bit = payload_type >> 6, np.uint64(1) << np.uint64(payload_type & 63)
    if source.types_heard[word] & bit:
        return
    if kind != _UNKNOWN and not source.has_known_type:
        source.jitter_ns = source.jitter_sum_ns = source.jitter_max_ns = 0.0
        source.jitter_count = 0
    source.types_heard[word] |= bit
    if kind != _UNKNOWN:
        source.has_known_type = 1
    heard = note(tables, _TYPE_HEARD, source.latest_arrival_ns, source.stream)
    heard.source, heard.value = row, payload_type
