"""Make samples of the pieces of a block: received audio of its payload, what is made up of the stream's history.

A stream's history is what was received of it last without a break, as much as concealment looks at.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.audio.conceal import conceal, history_samples
from strep.audio.g711 import decode_codes
from strep.compiler import rule
from strep.stream.formats import Kind
from strep.stream.records import AHEAD, FORMAT_CONCEALED, FORMAT_ZERO, MOST_HISTORY, TELEPHONE_HISTORY, Record, Tables

_SAMPLES_A_LINE = 32
_MU_LAW, _A_LAW = int(Kind.MU_LAW), int(Kind.A_LAW)


class Columns(NamedTuple):
    """The columns of a block, as strep.audio.block.AudioBlock has them; number: int64[n], of the piece of each row."""

    number: NDArray[np.int64]
    slots: NDArray[np.int64]
    position: NDArray[np.int64]
    arrival_ns: NDArray[np.int64]
    state: NDArray[np.uint8]


@rule
def render(tables: Tables, first: int, end: int, columns: Columns, samples: NDArray[np.int16]) -> None:
    """Fill in the columns of blocks from `first` to before `end`, one behind the other, and so their samples.

    Samples that are all zero have no place in `samples`; those that a decoder has to make are left to it.
    """
    row, begin = 0, 0
    for number in range(first, end):
        block = tables.blocks[number]
        at = block.first
        for n in range(block.rows):
            if n % AHEAD == 0:
                _look_ahead(tables, at, block.sample_rate_hz)
            piece = tables.pieces[at]
            columns.number[row], columns.slots[row], columns.position[row] = at, piece.stream, piece.position
            columns.arrival_ns[row], columns.state[row] = piece.arrival_ns, piece.state
            if block.format != FORMAT_ZERO:
                _make_samples(tables, piece, block, samples[begin : begin + block.length])
                begin += block.length
            row += 1
            at = piece.next


@rule
def _make_samples(tables: Tables, piece: Record, block: Record, samples: NDArray[np.int16]) -> None:
    if block.format == FORMAT_CONCEALED:
        _make_up(tables, piece.stream, block.sample_rate_hz, samples)
        return
    kind = tables.formats[block.format].kind
    if kind in (_MU_LAW, _A_LAW):
        begin = (piece.payload_at & (len(tables.payloads) - 1)) + piece.skipped
        decode_codes(tables.payloads[begin : begin + len(samples)], kind == _MU_LAW, samples)
        hear(tables, piece, block.sample_rate_hz, samples)


@rule
def _look_ahead(tables: Tables, at: int, sample_rate_hz: int) -> None:
    """Read a sample of each line of memory that the next pieces' history is in: see strep.stream.receive."""
    touched, size, number = np.int64(0), _kept_samples(sample_rate_hz), at
    for _ in range(AHEAD):
        if number < 0:
            break
        piece = tables.pieces[number]
        history = _history_of(tables, piece.stream, sample_rate_hz)
        for line in range(0, size, _SAMPLES_A_LINE):
            touched ^= history[line]
        touched ^= tables.streams[piece.stream].history_samples
        number = piece.next
    tables.control[0].touched = touched


@rule
def hear_rows(tables: Tables, columns: Columns, sample_rate_hz: int, samples: NDArray[np.int16]) -> None:
    """Take what decoders made of a block, int16[rows, length], into the history of its streams."""
    for n in range(len(columns.number)):
        hear(tables, tables.pieces[columns.number[n]], sample_rate_hz, samples[n])


@rule
def hear(tables: Tables, piece: Record, sample_rate_hz: int, samples: NDArray[np.int16]) -> None:
    """Take received samples into their stream's history."""
    stream, history = tables.streams[piece.stream], _history_of(tables, piece.stream, sample_rate_hz)
    if piece.breaks != 0 or stream.history_rate_hz != sample_rate_hz:
        stream.history_samples, stream.history_rate_hz = 0, sample_rate_hz
    size = _kept_samples(sample_rate_hz)
    done = max(0, len(samples) - size)
    stream.history_samples += done
    while done < len(samples):
        begin = stream.history_samples % size
        count = min(size - begin, len(samples) - done)
        heard, kept = samples[done : done + count], history[begin : begin + count]
        for k in range(len(kept)):
            kept[k] = heard[k]
        done += count
        stream.history_samples += count


@rule
def _kept_samples(sample_rate_hz: int) -> int:
    return min(history_samples(sample_rate_hz), MOST_HISTORY)


@rule
def _history_of(tables: Tables, slot: int, sample_rate_hz: int) -> NDArray[np.int16]:
    """Give the ring that a stream's history at a sample rate is in."""
    if _kept_samples(sample_rate_hz) <= TELEPHONE_HISTORY:
        return tables.history[slot]
    return tables.wide_history[slot]


@rule
def _make_up(tables: Tables, slot: int, sample_rate_hz: int, samples: NDArray[np.int16]) -> None:
    stream, history = tables.streams[slot], _history_of(tables, slot, sample_rate_hz)
    size = _kept_samples(sample_rate_hz)
    count = min(size, stream.history_samples) if stream.history_rate_hz == sample_rate_hz else 0
    in_order = np.empty(count, np.int16)
    for k in range(count):
        in_order[k] = history[(stream.history_samples - count + k) % size]
    conceal(in_order, sample_rate_hz, samples)
