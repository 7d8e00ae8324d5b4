"""Turn wire counters into unbounded ones, and judge them. This is the only place where that is done (RFC 3550 A.1).

The 16-bit sequence number and the 32-bit timestamp wrap; an unbounded counter is the one nearest to a reference. Then,
packet by packet in order of arrival:

1. A step of more than MAX_DROPOUT ahead or CELLS back is wild: refused, unless it goes on from the wild one before it;
   then the source has restarted its numbers and a new run begins.
2. A packet that its cell already holds is a duplicate. One is late when a later packet arrived more than the playout
   delay before it: its place had been given up by then. Both are functions of arrival times alone.
"""

from __future__ import annotations

from strep.compiler import rule
from strep.stream.records import CELLS, LATE, Record, Records, Tables
from strep.wire.fate import Fate

#: RFC 3550 A.1: a jump ahead of more than this is a restart rather than a loss. One minute at 20 ms.
MAX_DROPOUT = 3000
_ACCEPTED, _DUPLICATE, _LATE = int(Fate.ACCEPTED), int(Fate.DUPLICATE), int(Fate.LATE)
_REJECTED = int(Fate.REJECTED_SEQUENCE)


@rule
def extend_sequence(sequence_number: int, reference: int) -> int:
    """Give the unbounded number nearest to `reference` whose low 16 bits are `sequence_number`."""
    return reference + ((sequence_number - reference + 0x8000) & 0xFFFF) - 0x8000


@rule
def extend_timestamp(timestamp: int, reference: int) -> int:
    """Give the unbounded timestamp nearest to `reference` whose low 32 bits are `timestamp`."""
    return reference + ((timestamp - reference + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000


@rule
def judge(tables: Tables, row: int, source: Record, header: Record, arrival_ns: int) -> tuple[int, int]:
    """Give the unbounded sequence number of a source's packet, and its fate."""
    number = header.sequence_number
    if source.packets == 0:
        source.last_timestamp = header.timestamp
        source.highest_sequence = source.base_sequence = source.cursor = number
        return number, _ACCEPTED
    sequence = extend_sequence(number, source.highest_sequence)
    step = sequence - source.highest_sequence
    if 0 < step <= MAX_DROPOUT:
        source.highest_sequence = sequence
        return sequence, _ACCEPTED
    if not -CELLS < step <= 0:
        return _judge_wild(source, number)
    if tables.cells[row * CELLS + (sequence & (CELLS - 1))].sequence == sequence:
        source.duplicates += 1
        return sequence, _DUPLICATE
    source.base_sequence = min(source.base_sequence, sequence)
    overdue = _was_given_up(tables.cells, row, sequence, arrival_ns - tables.control[0].delay_ns)
    if overdue or (source.has_played and sequence < source.cursor):
        source.late += 1
        return sequence, _LATE
    source.reordered += 1
    if source.run_begin - CELLS < sequence < source.run_begin:
        source.run_begin = sequence  # overtaken by the packet that showed the restart
    source.cursor = min(source.cursor, sequence)
    return sequence, _ACCEPTED


@rule
def _judge_wild(source: Record, number: int) -> tuple[int, int]:
    if number != source.wild_successor:
        source.wild_successor = (number + 1) & 0xFFFF
        source.rejected += 1
        return 0, _REJECTED
    # The new run gets numbers above all old cells, so that the ring and the order of play out need no special case.
    above = source.highest_sequence + CELLS
    sequence = above + ((number - above) & 0xFFFF)
    source.expected_before += source.highest_sequence - source.base_sequence + 1
    source.highest_sequence = source.base_sequence = sequence
    source.run += 1
    source.run_begin = sequence - 1  # the refused one began it
    source.wild_successor = -1
    return sequence, _ACCEPTED


@rule
def _was_given_up(cells: Records, row: int, sequence: int, before_ns: int) -> bool:
    """Tell whether a later packet of a source came before that time, and is remembered."""
    for k in range(row * CELLS, (row + 1) * CELLS):
        cell = cells[k]
        if cell.sequence > sequence and cell.arrival_ns <= before_ns:
            return True
    return False


@rule
def is_waiting(cell: Record, cursor: int, target: int) -> bool:
    """Tell whether a cell holds a packet that is not played out yet, up to a sequence number."""
    return cell.number != LATE and cursor <= cell.sequence <= target
