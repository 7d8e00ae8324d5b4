"""Identify and account, some packets at a time, so that what the one has fetched is still near for the other."""

from __future__ import annotations

from strep.stream import table as t
from strep.stream.compiled.account import account
from strep.stream.compiled.compiler import (
    Bools,
    Bytes,
    ByteTable,
    Flag,
    FloatTable,
    Int,
    Int32Table,
    Ints,
    IntTable,
    Pair,
    ReadOnlyBytes,
    ReadOnlyInts,
    Word,
    WordTable,
    compiled,
)
from strep.stream.compiled.identify import identify


@compiled
def take(
    block: Int,
    identified: Flag,
    arrival_ns: ReadOnlyInts,
    claim: Bytes,
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
    rest: Ints,
    flat: ReadOnlyBytes,
    offset: ReadOnlyInts,
    length: ReadOnlyInts,
    sender: ReadOnlyInts,
    conversation: WordTable,
    direction: Ints,
    keys: WordTable,
    tables: Int32Table,
    shift: Word,
    multipliers: WordTable,
    row: Ints,
    payload_type: Bytes,
    marker: Bools,
    sequence_number: Ints,
    timestamp: Ints,
    rtp_start: Ints,
    payload_start: Ints,
    payload_length: Ints,
) -> Pair:
    """Take packets up to a block that has one which is not identified, left out, or too long for accepted_payload.

    block: how many packets at a time. identified: the columns from `row` on, and `claim`, are filled in already.
    rest: those that were not accepted, in order. seen: int64[streams], all 0 before and after.
    Returns how many packets were looked at, and how many of them were accepted.
    """
    end, taken = 0, 0
    for begin in range(0, len(row), block):
        stop = min(begin + block, len(row))
        if not identified:
            missed = identify(
                flat,
                offset[begin:stop],
                length[begin:stop],
                sender[begin:stop],
                conversation,
                direction,
                keys,
                tables,
                shift,
                multipliers,
                row[begin:stop],
                payload_type[begin:stop],
                marker[begin:stop],
                sequence_number[begin:stop],
                timestamp[begin:stop],
                rtp_start[begin:stop],
                payload_start[begin:stop],
                payload_length[begin:stop],
            )
            left_out = row[begin:stop].max() >= len(intake)
            if missed > 0 or left_out or payload_length[begin:stop].max() > accepted_payload.shape[1]:
                break
        taken += account(
            row[begin:stop],
            arrival_ns[begin:stop],
            payload_type[begin:stop],
            marker[begin:stop],
            sequence_number[begin:stop],
            timestamp[begin:stop],
            payload_start[begin:stop],
            payload_length[begin:stop],
            claim[begin:stop],
            flat,
            intake,
            intake_f,
            release,
            cells,
            first_number + taken,
            seen,
            accepted_row[taken:],
            accepted_sequence[taken:],
            accepted_cells[taken:],
            accepted_payload[taken:],
            begin,
            rest[begin - taken :],
        )
        end = stop
    for k in range(end - taken):
        seen[release[row[rest[k]], t.STREAM]] = 0
    return end, taken
