"""Put audio out, as pieces of one cause each, which strep.stream.render makes samples of.

Pieces of one length, rate and way to make samples join a block. A stream's pieces are in blocks that follow each other,
so that blocks in order give every stream's pieces in order.
"""

from __future__ import annotations

from strep.audio.block import SampleState
from strep.compiler import rule
from strep.stream.records import FORMAT_CONCEALED, FORMAT_ZERO, Record, Tables

#: Blocks that a piece may join: of those that a stream's pieces make now, the youngest. Who sends packets of ever new
#: lengths makes blocks of one row each.
_BLOCKS_LOOKED_AT = 32
_RECEIVED, _CONCEALED = int(SampleState.RECEIVED), int(SampleState.CONCEALED)


@rule
def put_silence(tables: Tables, slot: int, start: int, stop: int, state: int, arrival_ns: int) -> None:
    """Put out samples that are zero, up to a position: they take no memory, however many."""
    if start < stop:
        tables.streams[slot].samples_by_state[state] += stop - start
        _put(tables, slot, start, stop - start, state, FORMAT_ZERO, arrival_ns)


@rule
def put_concealment(tables: Tables, slot: int, start: int, length: int, arrival_ns: int) -> None:
    """Put out samples that are made up from the stream's history."""
    tables.streams[slot].samples_by_state[_CONCEALED] += length
    _put(tables, slot, start, length, _CONCEALED, FORMAT_CONCEALED, arrival_ns)


@rule
def put_received(tables: Tables, slot: int, packet: Record, position: int, skipped: int) -> None:
    """Put out a packet's samples but for the first `skipped`."""
    samples = packet.samples - skipped
    piece = _put(tables, slot, position + skipped, samples, _RECEIVED, packet.format, packet.arrival_ns)
    piece.payload_at, piece.payload_bytes, piece.skipped = packet.payload_at, packet.payload_bytes, skipped
    stream = tables.streams[slot]
    piece.breaks, piece.resets = stream.breaks, stream.resets
    stream.breaks = stream.resets = 0


@rule
def _put(tables: Tables, slot: int, position: int, length: int, state: int, format: int, arrival_ns: int) -> Record:
    control, stream = tables.control[0], tables.streams[slot]
    number = control.pieces
    control.pieces += 1
    piece = tables.pieces[number]
    piece.stream, piece.position, piece.arrival_ns = slot, position, arrival_ns
    piece.state, piece.next = state, -1
    piece.skipped = piece.breaks = piece.resets = 0
    first = stream.block if stream.segment == control.segment else control.first_block
    stream.segment = control.segment
    stream.block = _find_block(tables, first, length, stream.sample_rate_hz, format)
    block = tables.blocks[stream.block]
    if block.rows == 0:
        block.first = number
    else:
        tables.pieces[block.last].next = number
    block.last = number
    block.rows += 1
    return piece


@rule
def _find_block(tables: Tables, first: int, length: int, sample_rate_hz: int, format: int) -> int:
    """Find a block from `first` on that such a piece may join, or begin one; gives its number."""
    control = tables.control[0]
    first = max(first, control.blocks - _BLOCKS_LOOKED_AT)
    for number in range(first, control.blocks):
        block = tables.blocks[number]
        if block.length == length and block.format == format and block.sample_rate_hz == sample_rate_hz:
            return number
    block = tables.blocks[control.blocks]
    block.length, block.sample_rate_hz, block.format, block.rows = length, sample_rate_hz, format, 0
    control.blocks += 1
    return control.blocks - 1
