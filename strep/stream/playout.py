"""Play packets out in order, a playout delay after they came.

Packets wait in the order of their arrival. When the watermark has passed a packet's arrival by the playout delay, all
of its source up to its sequence number is played out: what is there is placed, what is missing is given up. So what is
played out is a function of arrival times and the watermark alone.
"""

from __future__ import annotations

import numpy as np

from strep.compiler import rule
from strep.stream.placing import place
from strep.stream.records import AHEAD, CELLS, MAX_SOURCES_PER_STREAM, Record, Tables
from strep.stream.sequence import is_waiting
from strep.stream.telephone_events import end_event

#: Room that must be left for what one step puts out: a ring that is full of packets that all are behind a loss, of
#: each source that a stream has. A packet makes 3 pieces and 6 notes at most; what is received itself, one note more.
PIECES_ROOM = 3 * CELLS * MAX_SOURCES_PER_STREAM
NOTES_ROOM = 6 * CELLS * MAX_SOURCES_PER_STREAM + 1


@rule
def has_room(tables: Tables) -> bool:
    """Tell whether another step's output fits."""
    control = tables.control[0]
    return control.pieces + PIECES_ROOM <= len(tables.pieces) and control.notes + NOTES_ROOM <= len(tables.notes)


@rule
def play_out_due(tables: Tables, until_ns: int) -> bool:
    """Play out what came until then; False: there is no more room, see `has_room`, and more to do."""
    control, ahead = tables.control[0], 0
    while control.first_packet < control.next_packet:
        if ahead == 0:
            _look_ahead(tables)
        ahead = (ahead + 1) % AHEAD
        packet = tables.packets[control.first_packet & (len(tables.packets) - 1)]
        if packet.arrival_ns > until_ns:
            break
        if not has_room(tables):
            return False
        control.first_packet += 1
        if tables.sources[packet.source].generation == packet.generation:
            play_out(tables, packet.source, packet.sequence)
    return True


@rule
def _look_ahead(tables: Tables) -> None:
    """Read a field of each line of memory that the next packets will need: see strep.stream.receive."""
    control = tables.control[0]
    first, end = control.first_packet, min(control.first_packet + AHEAD, control.next_packet)
    touched = np.int64(0)
    for number in range(first, end):
        source = tables.sources[tables.packets[number & (len(tables.packets) - 1)].source]
        touched ^= source.generation ^ source.cursor
    for number in range(first, end):
        source = tables.sources[tables.packets[number & (len(tables.packets) - 1)].source]
        stream = tables.streams[source.stream]
        touched ^= stream.end_position ^ stream.frame_samples
    control.touched = touched


@rule
def play_out(tables: Tables, row: int, target: int) -> None:
    """Play out all packets of a source up to an unbounded sequence number."""
    source = tables.sources[row]
    while source.cursor <= target:
        number = _find_next(tables, row, source.cursor, target)
        if number < 0:
            source.missing += target + 1 - source.cursor
            source.cursor = target + 1
            return
        packet = tables.packets[number & (len(tables.packets) - 1)]
        if packet.run != source.played_run:
            source.played_run, source.cursor, source.missing = packet.run, packet.run_begin, 0
        source.missing += packet.sequence - source.cursor
        source.cursor = packet.sequence + 1
        source.has_played = 1
        tables.control[0].source, tables.control[0].playing = row, number
        place(tables, packet)


@rule
def _find_next(tables: Tables, row: int, cursor: int, target: int) -> int:
    """Give the number of the next packet that a source's ring holds, in order of sequence; -1: there is none."""
    cell = tables.cells[row * CELLS + (cursor & (CELLS - 1))]
    if cell.sequence == cursor and is_waiting(cell, cursor, target):
        return cell.number
    lowest, number = target + 1, -1
    for k in range(row * CELLS, (row + 1) * CELLS):
        cell = tables.cells[k]
        if is_waiting(cell, cursor, target) and cell.sequence < lowest:
            lowest, number = cell.sequence, cell.number
    return number


@rule
def make_room(tables: Tables, row: int, sequence: int) -> None:
    """Play out a source's packets up to a sequence number before their time, because its ring is full.

    What its stream's other sources hold from before is played out first, as it would be in time.
    """
    source = tables.sources[row]
    only = tables.streams[source.stream].first_source
    if only == row and source.next_source < 0:
        play_out(tables, row, sequence)
        return
    for k in range(_list_waiting(tables, tables.streams[source.stream])):
        if source.cursor > sequence:
            return
        packet = tables.packets[tables.waiting[k] & (len(tables.packets) - 1)]
        play_out(tables, packet.source, packet.sequence)


@rule
def play_out_all(tables: Tables, slot: int) -> bool:
    """Play out all that a stream's sources hold, in order of arrival, as it is closed; False: as `play_out_due`."""
    for k in range(_list_waiting(tables, tables.streams[slot])):
        if not has_room(tables):
            return False
        packet = tables.packets[tables.waiting[k] & (len(tables.packets) - 1)]
        play_out(tables, packet.source, packet.sequence)
    end_event(tables, slot)
    return True


@rule
def _list_waiting(tables: Tables, stream: Record) -> int:
    """List the numbers of the packets of a stream that wait, in order of arrival; gives how many."""
    count, row = 0, stream.first_source
    while row >= 0:
        source = tables.sources[row]
        for k in range(row * CELLS, (row + 1) * CELLS):
            if is_waiting(tables.cells[k], source.cursor, source.highest_sequence):
                tables.waiting[count] = tables.cells[k].number
                count += 1
        row = source.next_source
    tables.waiting[:count].sort()
    return count
