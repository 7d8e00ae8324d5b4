"""Let the rules run over an engine's tables, and see to what they leave: room, measuring, what goes out."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.audio.decoders import measure_payloads
from strep.stream import records as r
from strep.stream.admission import Admission
from strep.stream.faults import RuleFaults
from strep.stream.formats import Formats
from strep.stream.keys import Conversations
from strep.stream.legs import Legs
from strep.stream.outbox import Outbox
from strep.stream.outputs import Outputs
from strep.stream.receive import MAX_DATAGRAM_BYTES, Stop
from strep.stream.rules import Rules
from strep.stream.sources import Sources
from strep.wire.batch import DatagramBatch, gather
from strep.wire.fate import Fate

#: What waits for its playout delay at 300 streams; the rings grow with what there is. Both are powers of two.
_PACKETS, _PAYLOAD_BYTES = 4096, 1 << 20
_PIECES = _BLOCKS = _MOST_NOTES = 65_536
#: Where the fields of the control record are.
_FIRST_PACKET, _NEXT_PACKET, _FIRST_PAYLOAD, _NEXT_PAYLOAD, _UNMEASURED, _NOTES, _BLOCKS_MADE, _SEGMENT = map(
    r.FIELDS_OF_CONTROL.index,
    ("first_packet", "next_packet", "first_payload", "next_payload", "unmeasured", "notes", "blocks", "segment"),
)
_COUNTED_ANEW = tuple(map(r.FIELDS_OF_CONTROL.index, ("pieces", "blocks", "notes", "first_block")))


class State(NamedTuple):
    """What belongs to an engine's streams, and is written by others, too."""

    sources: Sources
    streams: r.Records
    legs: Legs
    formats: Formats
    conversations: Conversations
    admission: Admission
    fates: NDArray[np.int64]
    faults: RuleFaults
    outbox: Outbox


class PacketPath:
    """The rules over one engine's tables. rules: gives those to go on by, each time; the same ones, or faster ones."""

    def __init__(self, state: State, playout_delay_ns: int, rules: Callable[[], Rules]) -> None:
        self._state = state
        self._control_rows, self._header = r.records(1, r.CONTROL), r.records(1, r.HEADER)
        self._found = r.records(r.AHEAD, r.FOUND)
        self.control: r.Record = self._control_rows[0]
        self.control.delay_ns, self.control.ahead = playout_delay_ns, -1
        self._numbers = np.asarray(self._control_rows).view(np.int64).data  # the same, ten times as fast
        self._packets: r.Records = r.records(_PACKETS, r.PACKET)
        self._payload_slack = np.zeros(_PAYLOAD_BYTES + MAX_DATAGRAM_BYTES, np.uint8)  # see _measured_samples
        self._payloads = self._payload_slack[:_PAYLOAD_BYTES]
        self._pieces, self._blocks = r.records(_PIECES, r.PIECE), r.records(_BLOCKS, r.BLOCK)
        self._notes = r.records(_MOST_NOTES, r.NOTE)
        self._waiting = np.zeros(r.CELLS * r.MAX_SOURCES_PER_STREAM, np.int64)
        self._history = np.zeros((len(state.streams), r.TELEPHONE_HISTORY), np.int16)
        self._wide_history = np.zeros((len(state.streams), r.MOST_HISTORY), np.int16)
        self._measured = 0  # the number of the first packet that may have to be measured
        self._rules_now = rules
        self._rules = rules()
        self._tables = self._make_tables()
        self._made_of: tuple[object, ...] = ()
        self._packed: object = None
        self._outputs = Outputs(state.sources, state.legs, state.formats, state.faults)

    def tables(self) -> r.Tables:
        """Give all tables as they are now."""
        state, index = self._state, self._state.legs.index
        conversations, formats = state.conversations, state.formats
        may_grow = (
            self._packets,
            self._payloads,
            formats.records,
            formats.meanings,
            index.places,
            index.multipliers,
            conversations.identity,
        )
        if len(self._made_of) != len(may_grow) or any(map(operator.is_not, may_grow, self._made_of)):
            self._made_of, self._tables, self._packed = may_grow, self._make_tables(), None
        return self._tables

    def _make_tables(self) -> r.Tables:
        state, index = self._state, self._state.legs.index
        self.control.index_shift = index.shift
        return r.Tables(
            control=self._control_rows,
            header=self._header,
            found=self._found,
            sources=state.sources.records,
            streams=state.streams,
            cells=state.sources.cells,
            packets=self._packets,
            payloads=self._payloads,
            formats=state.formats.records,
            meanings=state.formats.meanings,
            history=self._history,
            wide_history=self._wide_history,
            pieces=self._pieces,
            blocks=self._blocks,
            notes=self._notes,
            waiting=self._waiting,
            fates=state.fates,
            keys=index.keys,
            places=index.places,
            multipliers=index.multipliers,
            fate_of_row=state.admission.fate_of_row,
            refused=state.admission.refused,
            conversation=state.conversations.identity,
            direction=state.conversations.direction,
        )

    def _renew_rules(self) -> None:
        rules = self._rules_now()
        if rules is not self._rules:
            self._rules, self._packed = rules, None

    def _pack(self) -> object:
        """Give all tables as rules take them; what was packed before serves again while no table has grown."""
        tables = self.tables()
        if self._packed is None:
            self._packed = self._rules.pack(tables)
        return self._packed

    @property
    def is_waiting(self) -> bool:
        """Tell whether packets wait for their playout delay to pass."""
        return self._numbers[_FIRST_PACKET] < self._numbers[_NEXT_PACKET]

    def receive(self, batch: DatagramBatch, first: int, second_ends_ns: int) -> tuple[int, Stop]:
        """Receive datagrams up to one that somebody else has to decide on; gives its number, and why.

        Should a fault of ours keep a fate from a datagram, it has one all the same.
        """
        self._renew_rules()
        datagrams, end = self._pack_batch(batch), len(batch)
        while True:
            try:
                first, stop = self._rules.receive(self._pack(), datagrams, first, end, second_ends_ns)
            except Exception:
                first, end = self._after_fault(batch, first)
                continue
            if stop == Stop.OUTPUT:
                self.collect()
            elif stop == Stop.PLACE:
                self._make_place()
            elif stop == Stop.END and end < len(batch):
                end = len(batch)
            elif stop != Stop.UNMEASURED:
                return first, Stop(stop)
            self._measure()

    def find_unknown(self, batch: DatagramBatch, first: int, second_ends_ns: int) -> r.Records:
        """List the datagrams of unknown sources from one on, see strep.stream.receive."""
        unknown = r.records(len(batch) - first, r.UNKNOWN_SOURCE)
        datagrams = self._pack_batch(batch)
        found = self._rules.find_unknown(self._pack(), datagrams, first, second_ends_ns, unknown)
        return unknown[:found]

    def play_out(self, until_ns: int) -> None:
        """Play out what came until then."""
        if not self.is_waiting or self._packets[self._oldest].arrival_ns > until_ns:
            return
        self._measure()
        self._renew_rules()
        done = False
        while not done:
            try:
                done = self._rules.play_out_due(self._pack(), until_ns)
            except Exception:
                self._note_fault(self._payload_played())
            self.collect()

    def play_out_all(self, slot: int) -> None:
        """Play out all that a stream holds."""
        self._measure()
        done = slot in self._state.faults
        while not done:
            try:
                done = self._rules.play_out_all(self._pack(), slot)
            except Exception:
                self._note_fault(self._payload_played())
                done = True
            self.collect()

    def _pack_batch(self, batch: DatagramBatch) -> object:
        columns = batch.flat, batch.offset, batch.length, batch.arrival_ns, batch.source
        return self._rules.pack(r.Datagrams._make(map(np.ascontiguousarray, columns)))

    def collect(self) -> None:
        """Make events and audio of what was put out so far."""
        numbers = self._numbers
        if not numbers[_NOTES] and not numbers[_BLOCKS_MADE]:
            return
        self._state.outbox.add(self._outputs.collect(self._rules, self.tables(), self._pack()))
        for number in _COUNTED_ANEW:
            numbers[number] = 0
        numbers[_SEGMENT] += 1
        self._free_payloads()

    def _free_payloads(self) -> None:
        numbers = self._numbers
        is_waiting, oldest = self.is_waiting, self._packets[self._oldest].payload_at
        numbers[_FIRST_PAYLOAD] = int(oldest) if is_waiting else numbers[_NEXT_PAYLOAD]

    @property
    def _oldest(self) -> int:
        """Give where the oldest packet that waits lies in its ring."""
        return self._numbers[_FIRST_PACKET] & (len(self._packets) - 1)

    def _make_place(self) -> None:
        """Let the rings be twice as long, unless what was put out is all that takes place.

        There is an end to that: a source's packets that wait are no more than its cells.
        """
        control, size = self.control, len(self._packets)
        self.collect()
        self._free_payloads()
        if control.next_packet - control.first_packet == size:
            grown = r.records(2 * size, r.PACKET)
            numbers = np.arange(int(control.first_packet), int(control.next_packet))
            grown[numbers & (2 * size - 1)] = self._packets[numbers & (size - 1)]
            self._packets = grown
        size = len(self._payloads)
        if control.next_payload - control.first_payload + 2 * MAX_DATAGRAM_BYTES > size:
            grown_bytes = np.zeros(2 * size + MAX_DATAGRAM_BYTES, np.uint8)
            at, end = int(control.first_payload), int(control.next_payload)
            while at < end:
                part = min(end - at, size - (at & (size - 1)))
                begin, from_ = at & (2 * size - 1), at & (size - 1)
                grown_bytes[begin : begin + part] = self._payloads[from_ : from_ + part]
                at += part
            self._payload_slack, self._payloads = grown_bytes, grown_bytes[: 2 * size]

    def _measure(self) -> None:
        """Count the samples of packets whose codecs only strep.audio knows."""
        numbers = self._numbers
        first, end = max(self._measured, numbers[_FIRST_PACKET]), numbers[_NEXT_PACKET]
        self._measured = end
        if not numbers[_UNMEASURED]:
            return
        numbers[_UNMEASURED] = 0
        packets = np.asarray(self._packets)  # whose columns are arrays at once
        rows = np.arange(first, end) & (len(packets) - 1)
        rows = rows[packets["samples"][rows] == r.UNMEASURED]
        formats = packets["format"][rows]
        for number in set(formats.tolist()):
            mine = rows[formats == number]
            packets["samples"][mine] = self._measured_samples(number, mine)

    def _measured_samples(self, number: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        format, packets = self._state.formats[number], np.asarray(self._packets)[rows]
        length = packets["payload_bytes"].astype(np.int64)
        assert format is not None
        mask = len(self._payloads) - 1
        payload = gather(self._payload_slack, packets["payload_at"] & mask, max(1, int(length.max())))
        try:
            return measure_payloads(format, payload, length)
        except Exception:
            self._state.faults.note_many("measuring payloads")
        samples = np.zeros_like(length)
        for n in range(len(rows)):
            try:
                samples[n] = measure_payloads(format, payload[n : n + 1], length[n : n + 1])[0]
            except Exception:
                self.control.source = self._packets.source[rows[n]]
                self._note_fault(payload[n, : length[n]].tobytes())
        return samples

    def _after_fault(self, batch: DatagramBatch, first: int) -> tuple[int, int]:
        """Take note that a rule failed; gives the datagram to go on with, and that to go on to.

        Whoever failed at a datagram ahead fails again when it is the first: those before it are received until then.
        """
        control = self.control
        number, ahead = int(control.datagram), int(control.ahead)
        control.ahead = -1
        first = max(first, int(control.reached))
        if ahead > first:
            return first, ahead
        if ahead == first:
            number, control.source = ahead, -1
        if number < 0:  # it was in what is played out before one
            self._note_fault(self._payload_played())
            return first, len(batch)
        self._note_fault(batch.datagram(number))
        self._state.fates[Fate.REJECTED_FAULT] += 1
        return number + 1, len(batch)

    def _payload_played(self) -> bytes:
        """Give the payload of the packet that is played out."""
        packet = self._packets[int(self.control.playing) & (len(self._packets) - 1)]
        begin = int(packet.payload_at) & (len(self._payloads) - 1)
        return self._payloads[begin : begin + int(packet.payload_bytes)].tobytes()

    def _note_fault(self, datagram: bytes) -> None:
        """Take note of the exception that is being handled, at the source that was looked at, if it was one."""
        row = int(self.control.source)
        if row < 0:
            self._state.faults.note_nobody(datagram)
        else:
            state = self._state.legs.stream_of(row)
            self._state.faults.note(state.slot, state.identity.call, datagram)
