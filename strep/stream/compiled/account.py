"""Account for packets and lay them into cells: Intake.columns in one pass."""

from __future__ import annotations

import numpy as np

from strep.stream import table as t
from strep.stream.clock import STALL_NS
from strep.stream.compiled.compiler import (
    Bools,
    Bytes,
    ByteTable,
    FloatTable,
    Int,
    Ints,
    IntTable,
    ReadOnlyBytes,
    ReadOnlyInts,
    compiled,
)
from strep.stream.sequence import MAX_DROPOUT

#: In `seen`.
_LEFT_ALONE = -1
_STEP_HALF, _TICKS_HALF = 0x8000, 0x8000_0000


@compiled
def account(
    row: Ints,
    arrival_ns: ReadOnlyInts,
    payload_type: Bytes,
    marker: Bools,
    sequence_number: Ints,
    timestamp: Ints,
    payload_start: Ints,
    payload_length: Ints,
    claim: Bytes,
    flat: ReadOnlyBytes,
    intake: IntTable,
    intake_f: FloatTable,
    release: IntTable,
    cells: IntTable,
    first_number: Int,
    seen: Ints,
    accepted_row: Ints,
    accepted_sequence: Ints,
    accepted_cells: IntTable,
    accepted_payload: ByteTable,
    first: Int,
    rest: Ints,
) -> Int:
    """Take the straight packets, of each stream up to the first that is not; returns how many those are.

    seen: int64[streams], not 0 for a stream that has packets among the rest. rest: the numbers of the packets that are
    left, counted from `first`, in order.
    """
    # The cells have left the caches. Stores would wait for one after the other; loads wait for many at a time.
    touched = 0
    for n in range(len(row)):
        cell = cells[row[n] * t.CELLS + (sequence_number[n] & (t.CELLS - 1))]
        touched ^= cell[0] ^ cell[t.CELL_COLUMNS - 1]
    rest[0] = touched  # or they would be optimised away
    taken = 0
    for n in range(len(row)):
        source, stream = row[n], release[row[n], t.STREAM]
        before, before_f = intake[source], intake_f[source]
        highest, last_timestamp = before[t.HIGHEST_SEQUENCE], before[t.LAST_TIMESTAMP]
        step = ((sequence_number[n] - highest + _STEP_HALF) & 0xFFFF) - _STEP_HALF
        ticks = ((timestamp[n] - last_timestamp + _TICKS_HALF) & 0xFFFF_FFFF) - _TICKS_HALF
        delta_ns = arrival_ns[n] - before[t.LAST_ARRIVAL_NS]
        difference_ns = abs(delta_ns - ticks * before_f[t.NS_PER_TICK])
        sequence = highest + step
        if (
            seen[stream] != 0
            or before[t.STRAIGHT_PAYLOAD_TYPE] != payload_type[n]
            or claim[n]
            or not 0 < step <= MAX_DROPOUT
            or ticks < 0
            or difference_ns > STALL_NS
            or payload_length[n] > before[t.LONGEST_BYTES]
            or sequence - release[source, t.CURSOR] >= t.CELLS - t.HISTORY_CELLS
        ):
            seen[stream] = _LEFT_ALONE
            rest[n - taken] = first + n
            continue
        jitter_ns = before_f[t.JITTER_NS] + (difference_ns - before_f[t.JITTER_NS]) / 16
        before_f[t.JITTER_NS] = jitter_ns
        if not marker[n]:
            before_f[t.JITTER_SUM_NS] += jitter_ns
            before[t.JITTER_COUNT] += 1
            before_f[t.JITTER_MAX_NS] = max(before_f[t.JITTER_MAX_NS], jitter_ns)
            before[t.DELTA_MAX_NS] = max(before[t.DELTA_MAX_NS], delta_ns)
        before[t.HIGHEST_SEQUENCE] = sequence
        before[t.LAST_TIMESTAMP] = last_timestamp + ticks
        before[t.LAST_ARRIVAL_NS] = before[t.LATEST_ARRIVAL_NS] = arrival_ns[n]
        before[t.PACKETS] += 1
        before[t.PAYLOAD_BYTES] += payload_length[n]
        accepted_row[taken], accepted_sequence[taken] = source, sequence
        accepted = accepted_cells[taken]
        accepted[t.CELL_SEQUENCE] = sequence
        accepted[t.CELL_TIMESTAMP] = last_timestamp + ticks
        accepted[t.CELL_ARRIVAL_NS] = arrival_ns[n]
        accepted[t.CELL_LENGTH_AND_TYPE] = np.int64(payload_type[n]) << t.TYPE_SHIFT | payload_length[n]
        accepted[t.CELL_PAYLOAD] = first_number + taken
        cells[source * t.CELLS + (sequence & (t.CELLS - 1))] = accepted
        payload, out = flat[payload_start[n] : payload_start[n] + payload_length[n]], accepted_payload[taken]
        for k in range(len(payload)):
            out[k] = payload[k]
        taken += 1
    return taken
