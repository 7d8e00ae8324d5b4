"""Place a packet in its stream: where its audio belongs, and what fills the gap before it.

Where it belongs is said by strep.stream.clock. Every sample has a cause: first what was lost is concealed for as long
as that makes sense, then it is silence; what is left of a gap is a pause of the sender.
"""

from __future__ import annotations

from strep.audio.block import SampleState
from strep.audio.conceal import CONCEAL_LIMIT_MS
from strep.compiler import rule
from strep.stream.clock import (
    TELL_ANCHOR_NS,
    duration_ns,
    is_believed,
    latest_position,
    position_by_arrival,
)
from strep.stream.formats import Kind
from strep.stream.notes import Note, note
from strep.stream.pieces import put_concealment, put_received, put_silence
from strep.stream.records import CELLS, LATE, Record, Tables
from strep.stream.telephone_events import hear_audio, take_event
from strep.wire.telephone_event import EVENT_BYTES

_UNKNOWN, _EVENT, _NOISE, _REDUNDANT = int(Kind.UNKNOWN), int(Kind.EVENT), int(Kind.NOISE), int(Kind.REDUNDANT)
_DECODER = int(Kind.DECODER)
_CONCEALED, _LOST = int(SampleState.CONCEALED), int(SampleState.LOST)
_SILENCE, _UNDECODED = int(SampleState.SILENCE), int(SampleState.UNDECODED)
_ANCHOR_MOVED, _FORMAT_CHANGED = int(Note.ANCHOR_MOVED), int(Note.FORMAT_CHANGED)
_SOURCE_CHANGED, _GAP = int(Note.SOURCE_CHANGED), int(Note.GAP)


@rule
def place(tables: Tables, packet: Record) -> None:
    """Place a packet that is played out."""
    source = tables.sources[packet.source]
    slot, kind = source.stream, tables.formats[packet.format].kind
    stream = tables.streams[slot]
    if kind == _EVENT:
        _place_event(tables, slot, source, packet)
    elif kind == _NOISE:
        stream.pause_state = _SILENCE
    elif kind == _REDUNDANT:  # what could be unpacked has another type by now
        source.undecoded += 1
        stream.pause_state = _UNDECODED
    elif packet.payload_bytes > 0:
        if packet.payload_type != stream.payload_type:
            _change_format(tables, slot, packet)
        _place_audio(tables, slot, source, packet)


@rule
def _place_event(tables: Tables, slot: int, source: Record, packet: Record) -> None:
    if packet.payload_bytes < EVENT_BYTES:
        source.undecoded += 1
        return
    position, _ = _locate(tables, slot, source, packet)
    payload = packet.payload_at & (len(tables.payloads) - 1)
    clock_hz = tables.formats[packet.format].rtp_clock_hz
    take_event(tables, slot, packet, payload, max(0, position), clock_hz)


@rule
def _place_audio(tables: Tables, slot: int, source: Record, packet: Record) -> None:
    stream, format = tables.streams[slot], tables.formats[packet.format]
    hear_audio(tables, slot, packet.arrival_ns)
    position, by_timestamp = _locate(tables, slot, source, packet)
    end = stream.end_position
    goes_on = by_timestamp or (source.is_located != 0 and position == end)
    if stream.active_source != packet.source or (format.kind != _UNKNOWN and not goes_on):
        _change_source(tables, slot, packet, position)
    if position > end:
        _fill(tables, slot, source, packet, position)
    source.missing = 0
    stream.end_position = max(end, position + packet.samples)
    _move_anchor(tables, slot, packet.arrival_ns - duration_ns(position, stream.sample_rate_hz))
    if format.kind != _UNKNOWN:
        source.next_timestamp = packet.timestamp + packet.samples // format.samples_per_tick
        source.next_position = position + packet.samples
        source.is_located = 1
    if packet.samples == 0:
        source.undecoded += 1
        stream.pause_state = _UNDECODED
        return
    stream.pause_state = _SILENCE
    stream.frame_samples = packet.samples
    overlap = min(max(0, end - position), packet.samples)
    if overlap > 0:
        stream.overlapped_samples += overlap
    if overlap < packet.samples or format.kind == _DECODER:  # a decoder hears all
        put_received(tables, slot, packet, position, overlap)


@rule
def _locate(tables: Tables, slot: int, source: Record, packet: Record) -> tuple[int, bool]:
    """Give the packet's sample position by the rules of strep.stream.clock, and whether its timestamp says so."""
    stream = tables.streams[slot]
    rate_hz, per_tick = stream.sample_rate_hz, tables.formats[stream.format].samples_per_tick
    lost = source.missing * stream.frame_samples
    moved = (packet.timestamp - source.next_timestamp) * per_tick
    position = source.next_position + moved
    jumped = moved != 0 and moved != lost
    since_ns = packet.arrival_ns - stream.anchor_ns
    end_after_lost = stream.end_position + lost
    is_known = source.is_located != 0 and stream.format != 0
    stands_still = is_known and moved <= -max(stream.frame_samples, 1)
    if stands_still or (not is_known and since_ns <= 0):  # or the first of all, which no later one can move
        return position_by_arrival(since_ns, end_after_lost, rate_hz), False
    delay_ns = since_ns - duration_ns(position, rate_hz)
    is_known = is_known and (position <= stream.end_position or position <= _latest(stream, packet.arrival_ns))
    if is_known and is_believed(delay_ns, jumped):
        return position, True
    ahead_ns, overflows = _least_delayed(tables, packet, per_tick, rate_hz)
    if is_known and (is_believed(delay_ns - ahead_ns, jumped) or (overflows and not jumped)):
        return position, True
    return position_by_arrival(since_ns - ahead_ns, end_after_lost, rate_hz), False


@rule
def _latest(stream: Record, arrival_ns: int) -> int:
    """Give the sample position that no gap may end beyond."""
    received = stream.end_position
    for state in range(len(stream.samples_by_state)):
        received -= stream.samples_by_state[state]
    return latest_position(arrival_ns - stream.start_ns, received, stream.sample_rate_hz)


@rule
def _least_delayed(tables: Tables, packet: Record, per_tick: int, rate_hz: int) -> tuple[int, bool]:
    """Give by how many ns this packet came later, by its timestamp, than the best of those that came soon after.

    And whether those fill the ring, so that there may have been more of them.
    """
    first_ns, row = packet.arrival_ns, packet.source
    for k in range(row * CELLS, (row + 1) * CELLS):
        if _is_of_run(tables, k, packet):
            first_ns = min(first_ns, tables.cells[k].arrival_ns)
    # What came at the very end of the delay may or may not be here already: the watermark does not say.
    until_ns, ahead_ns, last = first_ns + tables.control[0].delay_ns, 0, packet.sequence - CELLS
    for k in range(row * CELLS, (row + 1) * CELLS):
        cell = tables.cells[k]
        if _is_of_run(tables, k, packet) and cell.arrival_ns < until_ns:
            last = max(last, cell.sequence)
            other = tables.packets[cell.number & (len(tables.packets) - 1)]
            if other.payload_type == packet.payload_type:
                made_later_ns = duration_ns((other.timestamp - packet.timestamp) * per_tick, rate_hz)
                ahead_ns = max(ahead_ns, made_later_ns - (other.arrival_ns - packet.arrival_ns))
    return ahead_ns, last - packet.sequence >= CELLS - 1


@rule
def _is_of_run(tables: Tables, cell: int, packet: Record) -> bool:
    """Tell whether a cell holds a packet from this one on, with sequence numbers that were not restarted between."""
    sequence, number = tables.cells[cell].sequence, tables.cells[cell].number
    if number == LATE or sequence < packet.sequence:
        return False
    return tables.packets[number & (len(tables.packets) - 1)].run == packet.run


@rule
def _fill(tables: Tables, slot: int, source: Record, packet: Record, stop: int) -> None:
    """Give every sample from where a stream ends up to a position a cause: first the loss, then what was silence."""
    stream = tables.streams[slot]
    stream.breaks = 1
    start, rate_hz = stream.end_position, stream.sample_rate_hz
    lost = min(stop - start, source.missing * stream.frame_samples)
    if lost > 0:
        made_up = min(lost, CONCEAL_LIMIT_MS * rate_hz // 1000)
        state = _CONCEALED if made_up == lost else _LOST
        _tell_gap(tables, slot, packet, start, lost, source.missing, state)
        put_concealment(tables, slot, start, made_up, packet.arrival_ns)
        put_silence(tables, slot, start + made_up, start + lost, _LOST, packet.arrival_ns)
    if start + lost < stop:
        if stream.pause_state == _SILENCE:
            _tell_gap(tables, slot, packet, start + lost, stop - start - lost, 0, _SILENCE)
        put_silence(tables, slot, start + lost, stop, stream.pause_state, packet.arrival_ns)


@rule
def _tell_gap(
    tables: Tables, slot: int, packet: Record, start: int, length: int, lost_packets: int, state: int
) -> None:
    told = note(tables, _GAP, packet.arrival_ns, slot)
    told.position, told.length, told.rate_hz = start, length, tables.streams[slot].sample_rate_hz
    told.value, told.other = lost_packets, state


@rule
def _move_anchor(tables: Tables, slot: int, anchor_ns: int) -> None:
    """Take a less delayed packet's word for where the stream's sample 0 lies."""
    stream = tables.streams[slot]
    stream.anchor_ns = min(stream.anchor_ns, anchor_ns)
    stream.window_anchor_ns = min(stream.window_anchor_ns, anchor_ns)
    if stream.anchor_ns < stream.told_anchor_ns - TELL_ANCHOR_NS:
        stream.told_anchor_ns = stream.anchor_ns
        end_ns = stream.anchor_ns + duration_ns(stream.end_position, stream.sample_rate_hz)
        note(tables, _ANCHOR_MOVED, end_ns, slot).value = stream.anchor_ns


@rule
def _change_source(tables: Tables, slot: int, packet: Record, position: int) -> None:
    stream = tables.streams[slot]
    if stream.active_source >= 0:
        told = note(tables, _SOURCE_CHANGED, packet.arrival_ns, slot)
        told.position, told.source = position, packet.source
        if stream.active_source != packet.source:
            stream.breaks = stream.resets = 1
    stream.active_source = packet.source


@rule
def _change_format(tables: Tables, slot: int, packet: Record) -> None:
    """Let a stream go on in another format. Positions go on in a new rate from the same instant, rounded up."""
    stream, control = tables.streams[slot], tables.control[0]
    old_hz, new_hz = stream.sample_rate_hz, tables.formats[packet.format].sample_rate_hz
    if packet.format != 0 and new_hz != old_hz:
        stream.end_position = _up_to_rate(stream.end_position, old_hz, new_hz)
        row = stream.first_source
        while row >= 0:
            source = tables.sources[row]
            source.next_position = _up_to_rate(source.next_position, old_hz, new_hz)
            row = source.next_source
        stream.frame_samples = stream.frame_samples * new_hz // old_hz
        stream.overlapped_samples = stream.overlapped_samples * new_hz // old_hz
        for state in range(len(stream.samples_by_state)):
            stream.samples_by_state[state] = stream.samples_by_state[state] * new_hz // old_hz
        stream.sample_rate_hz = new_hz
    stream.payload_type, stream.format = packet.payload_type, packet.format
    told = note(tables, _FORMAT_CHANGED, packet.arrival_ns, slot)
    told.position, told.value, told.other = stream.end_position, packet.payload_type, packet.format
    if stream.segment == control.segment:  # what came in the old format goes out before this
        control.segment += 1
        control.first_block = control.blocks
    told.length = control.first_block
    stream.breaks = 1


@rule
def _up_to_rate(position: int, old_hz: int, new_hz: int) -> int:
    return -(-position * new_hz // old_hz)
