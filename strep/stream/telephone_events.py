"""Fold the repeated packets of RFC 4733 telephone events into one event each.

An event's packets share a timestamp and grow in duration; the last is sent three times (section 2.5.1.4). All of them,
or all the last ones, may be lost: then the event ends when another begins, when audio has gone on for SETTLE_NS, or
when its stream closes, and is said to be incomplete.
"""

from __future__ import annotations

from strep.compiler import rule
from strep.stream.notes import Note, note
from strep.stream.records import Record, Tables
from strep.wire.headers import read_u16, widen

#: Packets of one event come every 20 to 50 ms (section 2.5.1.2); this is the loss of several in a row.
SETTLE_NS = 200_000_000
_NONE, _RUNNING, _TOLD = 0, 1, 2
_TELEPHONE_EVENT = int(Note.TELEPHONE_EVENT)


@rule
def take_event(tables: Tables, slot: int, packet: Record, payload: int, position: int, clock_hz: int) -> None:
    """Take a packet of an event. payload: where its four bytes are (section 2.3). position: where it would be heard."""
    stream = tables.streams[slot]
    event, flags = widen(tables.payloads[payload]), widen(tables.payloads[payload + 1])
    is_same = stream.event_timestamp == packet.timestamp and stream.event == event
    if stream.event_state == _NONE or not is_same:
        end_event(tables, slot)
        stream.event_state = _RUNNING
        stream.event, stream.event_timestamp = event, packet.timestamp
        stream.event_time_ns, stream.event_position = packet.arrival_ns, position
        stream.event_clock_hz, stream.event_volume_dbm0 = clock_hz, -(flags & 0x3F)
        stream.event_duration = 0
    stream.event_duration = max(stream.event_duration, read_u16(tables.payloads, payload + 2))
    stream.event_last_ns = packet.arrival_ns
    if flags & 0x80 and stream.event_state == _RUNNING:
        _tell(tables, slot, 1)


@rule
def hear_audio(tables: Tables, slot: int, arrival_ns: int) -> None:
    """Take note that audio came; it ends an event whose own end was lost."""
    stream = tables.streams[slot]
    if stream.event_state == _RUNNING and arrival_ns - stream.event_last_ns > SETTLE_NS:
        end_event(tables, slot)


@rule
def end_event(tables: Tables, slot: int) -> None:
    """Tell of the event that waits for its end, if one does."""
    if tables.streams[slot].event_state == _RUNNING:
        _tell(tables, slot, 0)


@rule
def _tell(tables: Tables, slot: int, complete: int) -> None:
    stream = tables.streams[slot]
    stream.event_state = _TOLD
    told = note(tables, _TELEPHONE_EVENT, stream.event_time_ns, slot)
    told.position, told.value, told.other = stream.event_position, stream.event, stream.event_volume_dbm0
    told.length, told.rate_hz, told.flag = stream.event_duration, stream.event_clock_hz, complete
