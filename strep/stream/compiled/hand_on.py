"""Place and decode packets that go on from the one before: Timeline.release in one pass."""

from __future__ import annotations

import numpy as np

from strep.audio import g711
from strep.stream import table as t
from strep.stream.clock import STALL_NS, TELL_ANCHOR_NS
from strep.stream.compiled.compiler import ByteTable, Ints, IntTable, Pair, ShortTable, compiled
from strep.stream.placed import LAWS

_MU = LAWS.index(g711.Law.MU)
#: In `seen`; no kind is negative.
_LEFT_ALONE = -1


@compiled
def hand_on(
    row: Ints,
    sequence: Ints,
    cells: IntTable,
    payload: ByteTable,
    sources: IntTable,
    streams: IntTable,
    seen: Ints,
    slots: Ints,
    position: Ints,
    arrival_ns: Ints,
    kind: Ints,
    samples: ShortTable,
    moved: Ints,
    rest: Ints,
) -> Pair:
    """Hand on the straight packets, of each stream up to the first that is not; returns their number, and of `moved`.

    seen: int64[streams], all 0 before and after. kind: what the packets
    of one block have in common, see strep.stream.timeline; a stream's other kinds are left. moved: slots of streams
    whose anchor moved far enough to tell; what comes after that is left, so that the columns say where it did.
    rest: which packets are left, in order.
    """
    taken = told = 0
    for n in range(len(row)):
        source = sources[row[n]]
        slot = source[t.STREAM]
        stream = streams[slot]
        length_and_type = cells[n, t.CELL_LENGTH_AND_TYPE]
        length = length_and_type & t.LENGTH_MASK
        end = stream[t.END_POSITION]
        anchor_ns = cells[n, t.CELL_ARRIVAL_NS] - end * stream[t.NS_PER_SAMPLE]
        of_kind = length | stream[t.LAW] << t.TYPE_SHIFT | stream[t.NS_PER_SAMPLE] << (t.TYPE_SHIFT + 1)
        if (
            (seen[slot] != 0 and seen[slot] != of_kind)
            or source[t.CURSOR] != sequence[n]
            or source[t.NEXT_TIMESTAMP] != cells[n, t.CELL_TIMESTAMP]
            or source[t.NEXT_POSITION] != end
            or stream[t.ACTIVE_ROW] != row[n]
            or stream[t.COLUMNAR_TYPE] != length_and_type >> t.TYPE_SHIFT
            or length == 0
            or anchor_ns - stream[t.ANCHOR_NS] > STALL_NS
        ):
            seen[slot] = _LEFT_ALONE
            rest[n - taken] = n
            continue
        seen[slot] = of_kind
        source[t.CURSOR] += 1
        source[t.NEXT_TIMESTAMP] += length
        source[t.NEXT_POSITION] += length
        stream[t.END_POSITION] += length
        stream[t.ANCHOR_NS] = min(stream[t.ANCHOR_NS], anchor_ns)
        stream[t.WINDOW_ANCHOR_NS] = min(stream[t.WINDOW_ANCHOR_NS], anchor_ns)
        if stream[t.ANCHOR_NS] < stream[t.PUBLISHED_ANCHOR_NS] - TELL_ANCHOR_NS:
            seen[slot] = _LEFT_ALONE
            moved[told] = slot
            told += 1
        slots[taken], position[taken], arrival_ns[taken] = slot, end, cells[n, t.CELL_ARRIVAL_NS]
        kind[taken] = of_kind
        codes, out = payload[n, :length], samples[taken, :length]
        # Arithmetic on many codes at a time is several times as fast as a table: strep.audio.g711.decode_code.
        if stream[t.LAW] == _MU:
            for k in range(len(out)):
                bits = np.int32(codes[k]) ^ np.int32(0xFF)
                magnitude = (((((bits & 15) << 1) + 33) << (bits >> 4 & 7)) - 33) << 2
                out[k] = -magnitude if bits & 0x80 else magnitude
        else:
            for k in range(len(out)):
                bits = np.int32(codes[k]) ^ np.int32(0x55)
                segment = bits >> 4 & 7
                step = ((bits & 15) << 4) + 8
                magnitude = step if segment == 0 else (step + 256) << (segment - 1)
                out[k] = magnitude if bits & 0x80 else -magnitude
        taken += 1
    for n in range(len(row)):
        seen[sources[row[n], t.STREAM]] = 0
    return taken, told
