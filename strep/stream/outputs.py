"""Make events and audio blocks of what the rules put out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.audio.block import AudioBlock, SampleState
from strep.audio.decoders import is_decodable, new_decoder
from strep.audio.decoding import Decoding
from strep.stream import records as r
from strep.stream.events import AnchorMoved, Event, FormatChanged, Gap, SourceChanged, TelephoneEvent
from strep.stream.faults import RuleFaults
from strep.stream.formats import Formats
from strep.stream.legs import Legs
from strep.stream.notes import Note
from strep.stream.outbox import Output
from strep.stream.render import Columns
from strep.stream.rules import Rules, new_columns
from strep.stream.sources import UNKNOWN_TYPE, Sources
from strep.stream.state import StreamState
from strep.wire.telephone_event import event_name

_TYPE_HEARD, _FORMAT_CHANGED, _GAP = int(Note.TYPE_HEARD), int(Note.FORMAT_CHANGED), int(Note.GAP)
_ANCHOR_MOVED, _SOURCE_CHANGED = int(Note.ANCHOR_MOVED), int(Note.SOURCE_CHANGED)
_TELEPHONE_EVENT = int(Note.TELEPHONE_EVENT)


class _Told(NamedTuple):
    """A note, out of its record: the fields of strep.stream.records.NOTE."""

    kind: int
    time_ns: int
    stream: int
    source: int
    position: int
    length: int
    rate_hz: int
    value: int
    other: int
    flag: int


class _Block(NamedTuple):
    """A block, out of its record: the fields of strep.stream.records.BLOCK."""

    length: int
    sample_rate_hz: int
    format: int
    rows: int
    first: int
    last: int

    @property
    def samples(self) -> int:
        """Count the samples that take place."""
        return 0 if self.format == r.FORMAT_ZERO else self.rows * self.length


def _cut(blocks: list[_Block], columns: Columns, samples: NDArray[np.int16]) -> Iterator[AudioBlock]:
    """Make blocks of what was filled in for several."""
    row = begin = 0
    for block in blocks:
        mine, shape = slice(row, row + block.rows), (block.rows, block.length)
        if block.format == r.FORMAT_ZERO:
            made = np.broadcast_to(np.int16(0), shape)
        else:
            made = samples[begin : begin + block.samples].reshape(shape)
        row, begin = row + block.rows, begin + block.samples
        if block.length:
            of_rows = columns.slots[mine], columns.position[mine], made, columns.state[mine], columns.arrival_ns[mine]
            yield AudioBlock(block.sample_rate_hz, *of_rows)


class Outputs:
    """What turns one engine's notes and pieces into events and audio."""

    def __init__(self, sources: Sources, legs: Legs, formats: Formats, faults: RuleFaults) -> None:
        self._sources, self._legs = sources, legs
        self._formats, self._faults = formats, faults
        self._decoding = Decoding()

    def collect(self, rules: Rules, tables: r.Tables, packed: object) -> Iterator[Output]:
        """Give what is in the tables (packed: as rules take them): each event before the audio that it speaks of."""
        control, done = tables.control[0], 0
        parts = self._parts(rules, tables, packed, int(control.blocks))
        for told in map(_Told._make, tables.notes[: int(control.notes)].tolist()):
            if told.kind == _TYPE_HEARD:
                self._hear_type(tables, told.source, told.value)
                continue
            if told.kind == _FORMAT_CHANGED and told.length > done:
                yield from parts(done, told.length)
                done = told.length
            yield self._event(told)
        yield from parts(done, int(control.blocks))

    def _parts(
        self, rules: Rules, tables: r.Tables, packed: object, count: int
    ) -> Callable[[int, int], Iterable[AudioBlock]]:
        """Give what gives the audio of some blocks: all is rendered at once, unless a decoder changes in between."""
        if self._formats.for_decoders.isdisjoint(tables.blocks.format[:count].tolist()):
            audio = list(self._audio(rules, tables, packed, 0, count))
            return lambda first, end: audio[first:end]
        return lambda first, end: self._audio(rules, tables, packed, first, end)

    def _hear_type(self, tables: r.Tables, row: int, payload_type: int) -> None:
        state = self._sources.state[row]
        assert state is not None
        format = self._formats[int(tables.meanings[self._sources.columns["meanings"][row], payload_type])]
        state.payload_types[payload_type] = str(format) if format else UNKNOWN_TYPE

    def _event(self, told: _Told) -> Event:
        """Make an event of a note; see strep.stream.notes for what its values mean."""
        time_ns, slot, position = told.time_ns, told.stream, told.position
        if told.kind == _GAP:
            return Gap(time_ns, slot, position, told.length, told.rate_hz, told.value, SampleState(told.other))
        if told.kind == _ANCHOR_MOVED:
            return AnchorMoved(time_ns, slot, told.value)
        if told.kind == _SOURCE_CHANGED:
            state = self._sources.state[told.source]
            assert state is not None
            return SourceChanged(time_ns, slot, position, state.ssrc)
        if told.kind == _TELEPHONE_EVENT:
            number, duration_ms = told.value, told.length * 1000 / told.rate_hz
            name, complete = event_name(number), bool(told.flag)
            return TelephoneEvent(time_ns, slot, position, number, name, duration_ms, told.other, complete)
        stream, format = self._stream(slot), self._formats[told.other]
        stream.decoder = new_decoder(format) if format is not None and is_decodable(format) else None
        return FormatChanged(time_ns, slot, position, told.value, format)

    def _stream(self, slot: int) -> StreamState:
        state = self._legs.state[slot]
        assert state is not None
        return state

    def _audio(self, rules: Rules, tables: r.Tables, packed: object, first: int, end: int) -> Iterator[AudioBlock]:
        """Give blocks: runs of those that rules make the samples of, and by itself each one that is for decoders."""
        for for_decoders, run in self._runs(tables.blocks[first:end].tolist()):
            columns = new_columns(sum(block.rows for block in run))
            samples = np.empty(sum(block.samples for block in run), np.int16)
            packed_columns = rules.pack(columns)
            rules.render(packed, first, first + len(run), packed_columns, samples)
            if for_decoders:
                rows = samples.reshape(run[0].rows, run[0].length)
                self._decode_contained(tables, columns, rows)
                rules.hear_rows(packed, packed_columns, run[0].sample_rate_hz, rows)
            first += len(run)
            yield from _cut(run, columns, samples)

    def _runs(self, blocks: list[tuple[int, ...]]) -> Iterator[tuple[bool, list[_Block]]]:
        """Give blocks that can be rendered together, and whether their samples are for decoders to make."""
        by_way = itertools.groupby(map(_Block._make, blocks), lambda block: block.format in self._formats.for_decoders)
        for for_decoders, run in by_way:
            if for_decoders:
                yield from ((True, [block]) for block in run)
            else:
                yield False, list(run)

    def _decode_contained(self, tables: r.Tables, columns: Columns, samples: NDArray[np.int16]) -> None:
        """Decode the rows of a block; should that fail, it costs the streams at which it does."""
        try:
            self._decode(tables, columns, samples)
        except Exception:
            self._faults.note_many("decoding")
            for n, slot in enumerate(columns.slots.tolist()):
                try:
                    self._decode_once(tables, columns, samples, np.array([n]))
                except Exception:
                    samples[n] = 0
                    self._faults.note(slot, self._stream(slot).identity.call, b"")

    def _decode(self, tables: r.Tables, columns: Columns, samples: NDArray[np.int16]) -> None:
        """Decode the rows of a block, those of one stream one after the other."""
        rows = np.arange(len(samples))
        while len(rows):
            _, first = np.unique(columns.slots[rows], return_index=True)
            self._decode_once(tables, columns, samples, rows[np.sort(first)])
            rows = np.delete(rows, first)

    def _decode_once(
        self, tables: r.Tables, columns: Columns, samples: NDArray[np.int16], rows: NDArray[np.int64]
    ) -> None:
        """Decode rows of which no two are of one stream."""
        pieces = np.asarray(tables.pieces)[columns.number[rows]]
        decoders, payloads, skipped = [], [], pieces["skipped"]
        begins = pieces["payload_at"] & (len(tables.payloads) - 1)
        ends = begins + pieces["payload_bytes"]
        described = (column.tolist() for column in (pieces["stream"], begins, ends, pieces["resets"]))
        for slot, begin, end, resets in zip(*described, strict=True):
            decoder = self._stream(slot).decoder
            assert decoder is not None
            if resets:
                decoder.reset()
            decoders.append(decoder)
            payloads.append(tables.payloads[begin:end].tobytes())
        for count in np.unique(skipped).tolist():
            mine = np.flatnonzero(skipped == count).tolist()
            some = [decoders[n] for n in mine], [payloads[n] for n in mine]
            samples[rows[mine]] = self._decoding.decode(*some, samples.shape[1] + count)[:, count:]
