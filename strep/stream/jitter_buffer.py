"""Lay packets down until they are played out (strep.stream.playout).

Payloads lie behind each other, still encoded, in one ring of bytes in order of arrival; packets in another; and each
source's own ring of cells says, by sequence number, which packet is which. So laying one down writes where the last one
was written, and both rings are as long as a playout delay.
"""

from __future__ import annotations

from strep.compiler import rule
from strep.stream.formats import Kind
from strep.stream.playout import make_room
from strep.stream.records import CELLS, LATE, UNMEASURED, Datagrams, Tables
from strep.stream.sequence import extend_timestamp, is_waiting

_MU_LAW, _A_LAW, _DECODER = int(Kind.MU_LAW), int(Kind.A_LAW), int(Kind.DECODER)


@rule
def has_place(tables: Tables, most_bytes: int) -> bool:
    """Tell whether another packet of so many bytes fits into the rings."""
    control = tables.control[0]
    waiting = control.next_packet - control.first_packet
    held = control.next_payload - control.first_payload
    return waiting < len(tables.packets) and held + 2 * most_bytes <= len(tables.payloads)


@rule
def lay(tables: Tables, datagrams: Datagrams, row: int, sequence: int, format: int) -> None:
    """Lay down the packet whose header is in `tables`."""
    control, header, source = tables.control[0], tables.header[0], tables.sources[row]
    number = control.next_packet
    if sequence - source.cursor >= CELLS:
        _vacate(tables, row, sequence)
    cell = tables.cells[row * CELLS + (sequence & (CELLS - 1))]
    cell.sequence, cell.arrival_ns, cell.number = sequence, source.latest_arrival_ns, number
    packet = tables.packets[number & (len(tables.packets) - 1)]
    packet.source, packet.generation = row, source.generation
    packet.sequence = sequence
    packet.timestamp = extend_timestamp(header.timestamp, source.last_timestamp)
    packet.arrival_ns = source.latest_arrival_ns
    packet.run, packet.run_begin = source.run, source.run_begin
    packet.payload_type, packet.format = header.payload_type, format
    packet.payload_bytes = header.payload_bytes
    packet.payload_at = _keep_payload(tables, datagrams, header.payload_start, header.payload_bytes)
    packet.samples = 0
    kind = tables.formats[format].kind
    if kind in (_MU_LAW, _A_LAW):
        packet.samples = header.payload_bytes
    elif kind == _DECODER:
        packet.samples = UNMEASURED
        control.unmeasured += 1
    control.next_packet = number + 1


@rule
def lay_late(tables: Tables, row: int, sequence: int) -> None:
    """Remember a packet that came too late, so that its own duplicates are known."""
    _vacate(tables, row, sequence)
    cell = tables.cells[row * CELLS + (sequence & (CELLS - 1))]
    cell.sequence, cell.arrival_ns, cell.number = sequence, tables.sources[row].latest_arrival_ns, LATE


@rule
def _vacate(tables: Tables, row: int, sequence: int) -> None:
    """Play out what the cell of a packet still holds, because it is to hold this packet."""
    source, cell = tables.sources[row], tables.cells[row * CELLS + (sequence & (CELLS - 1))]
    if is_waiting(cell, source.cursor, source.highest_sequence):
        make_room(tables, row, cell.sequence)


@rule
def _keep_payload(tables: Tables, datagrams: Datagrams, start: int, length: int) -> int:
    """Copy a payload behind those before it, in one piece; gives where it is."""
    control, size = tables.control[0], len(tables.payloads)
    at = control.next_payload
    begin = at & (size - 1)
    if begin + length > size:
        at += size - begin
        begin = 0
    control.next_payload = at + length
    payload, kept = datagrams.flat[start : start + length], tables.payloads[begin : begin + length]
    for k in range(len(kept)):
        kept[k] = payload[k]
    return at
