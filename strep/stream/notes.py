"""Take down what happens to streams besides their samples: records that strep.stream.outbox makes events of."""

from __future__ import annotations

import enum

from strep.compiler import rule
from strep.stream.records import Record, Tables


class Note(enum.IntEnum):
    """What a record tells, and what its values mean."""

    ANCHOR_MOVED = 0  #: value: the anchor, nanoseconds
    FORMAT_CHANGED = 1  #: value: the payload type; other: the format's number; length: the block that it comes before
    SOURCE_CHANGED = 2  #: source: its row
    GAP = 3  #: length, rate_hz; value: packets that were lost; other: the SampleState
    TELEPHONE_EVENT = 4  #: length, rate_hz: its duration; value: the event; other: its volume; flag: it is complete
    TYPE_HEARD = 5  #: source: its row; value: the payload type


@rule
def note(tables: Tables, kind: int, time_ns: int, stream: int) -> Record:
    """Begin to tell something; gives the record, whose other values are for the caller to fill in."""
    control = tables.control[0]
    told = tables.notes[control.notes]
    control.notes += 1
    told.kind, told.time_ns, told.stream = kind, time_ns, stream
    told.source = told.position = told.length = told.rate_hz = told.value = told.other = told.flag = 0
    return told
