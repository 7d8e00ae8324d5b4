"""Account for each packet as it arrives, and lay it into a cell of its source's ring.

Per packet, in order of arrival (RFC 3550 A.1 and A.8):

1. Its sequence number and timestamp become unbounded.
2. A step of more than MAX_DROPOUT ahead or CELLS back is wild: refused, unless it goes on from the wild one before it;
   then the source has restarted its numbers and a new run begins.
3. A packet that its cell already holds is a duplicate. One is late when a later packet arrived more than the playout
   delay before it: its place had been given up by then. Both are functions of arrival times alone.
4. Jitter is the RFC's running mean over packets in order of arrival, duplicates and overtaken ones included. Packets
   with the marker bit (a pause before them), comfort noise, and what follows noise or a telephone event stay out of its
   mean and maximum, as in tshark. An event's timestamp stands still, so it is neither a measurement nor what the next
   packet is held against. A difference beyond STALL_NS is no jitter but another clock (a hold, a new offset), and so is
   a timestamp that steps back while the sequence number goes on: the next packet is held against it, no more. A wild
   packet leaves no trace, and so does one of unknown type (and clock) in a source that has known ones.

5. Redundant audio (RED) is unpacked, so that behind this it is the audio of its own packet with that one's payload
   type. Its copies of earlier packets are not used. What cannot be unpacked stays as it is, and is not decoded.

`Intake.columns` does this for a batch in which each source occurs once and nothing is odd; `Intake.packet` is its
scalar twin, and takes the odd ones too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.audio.formats import LONGEST_PACKET_MS, AudioFormat, PayloadTypeMap
from strep.errors import WireError
from strep.stream import table as t
from strep.stream.clock import STALL_NS
from strep.stream.payloads import LOOSE
from strep.stream.sequence import (
    MAX_DROPOUT,
    extend_sequence,
    extend_sequence_columns,
    extend_timestamp,
    extend_timestamp_columns,
)
from strep.wire.batch import gather, scatter
from strep.wire.fate import Fate
from strep.wire.headers import Claim
from strep.wire.red import parse_red
from strep.wire.rtp import RTP_BYTES

#: Packets with a header claim that must fit before the claim is taken for granted.
CLAIM_PROOFS = 8
#: Payload bytes of 10 ms, for codecs of which every packet holds a whole number of those.
_BYTES_OF_8_KHZ = 80
_BYTES_PER_10_MS = {"PCMU": _BYTES_OF_8_KHZ, "PCMA": _BYTES_OF_8_KHZ, "G722": _BYTES_OF_8_KHZ, "G729": 10}
_LONGEST_BYTES = LONGEST_PACKET_MS // 10 * _BYTES_OF_8_KHZ
#: RFC 3551 table 4 with 4.5: these carry no audio of their own and no measure of jitter.
EVENT, NOISE = "TELEPHONE-EVENT", "CN"
#: RFC 2198: this one wraps payloads of other types.
REDUNDANT = "RED"
#: What an unknown payload type is taken to count by; a report does not give a jitter measured so.
UNKNOWN_CLOCK_HZ = 8000


class Packets(NamedTuple):
    """Is n packets that belong to known sources: `row` int64[n]; the rest as in strep.wire.headers.Headers."""

    row: NDArray[np.int64]
    arrival_ns: NDArray[np.int64]
    payload_type: NDArray[np.uint8]
    marker: NDArray[np.bool_]
    sequence_number: NDArray[np.int64]
    timestamp: NDArray[np.int64]
    rtp_start: NDArray[np.int64]
    payload_start: NDArray[np.int64]
    payload_length: NDArray[np.int64]
    claim: NDArray[np.uint8]
    flat: NDArray[np.uint8]

    def select(self, some: NDArray[np.int64]) -> Packets:
        """Copy some of the packets' columns."""
        return Packets._make([*(column[some] for column in self[:-1]), self.flat])

    def put(self, some: NDArray[np.int64], packets: Packets) -> None:
        """Replace some of the packets' columns."""
        for name in self._fields[:-1]:
            getattr(self, name)[some] = getattr(packets, name)


class Accepted(NamedTuple):
    """Is what was laid into cells: for each packet its source's row and its unbounded sequence number.

    cells, payload: what was laid, as strep.stream.table has it, where that was done by columns: then it need not be
    gathered again when it is handed on. None for packets that were taken one by one, and are handed on one by one.
    """

    row: NDArray[np.int64]
    sequence: NDArray[np.int64]
    arrival_ns: NDArray[np.int64]
    cells: NDArray[np.int64] | None = None
    payload: NDArray[np.uint8] | None = None

    def select(self, some: NDArray[np.bool_] | NDArray[np.int64]) -> Accepted:
        """Copy some of the packets."""
        cells, payload = self.cells, self.payload
        return Accepted(
            self.row[some],
            self.sequence[some],
            self.arrival_ns[some],
            None if cells is None else cells[some],
            None if payload is None else payload[some],
        )


def _longest_bytes(meaning: AudioFormat | None) -> int:
    """Say how much of a payload is audio at most; codecs that have frames count those (strep.audio)."""
    is_limited = meaning is not None and _BYTES_PER_10_MS.get(meaning.encoding) == _BYTES_OF_8_KHZ
    return _LONGEST_BYTES if is_limited else 0xFFFF


def _gather_payloads(packets: Packets) -> NDArray[np.uint8]:
    """Copy all payloads at the length of the longest, uint8[n, longest]: what lies behind a shorter one is harmless."""
    width = max(1, int(packets.payload_length.max()))
    flat, start = packets.flat, packets.payload_start
    if int(start.max()) + width > len(flat):  # a short one at the very end, in a batch with long ones
        flat = np.concatenate((flat, np.zeros(width, np.uint8)))
    return gather(flat, start, width)


def _apply_claims(packets: Packets, mode: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Move the payload of sources known to claim falsely; tell where nothing is left to decide."""
    claims = packets.claim != Claim.NONE
    false = np.flatnonzero(claims & (mode == t.DISBELIEVED))
    bare_start = packets.rtp_start[false] + RTP_BYTES
    packets.payload_length[false] += packets.payload_start[false] - bare_start
    packets.payload_start[false] = bare_start
    packets.claim[false] = Claim.NONE
    decided: NDArray[np.bool_] = ~claims | (mode == t.DISBELIEVED)
    decided |= (packets.claim == Claim.FITS) & (mode == t.BELIEVED)
    return decided


class Intake:
    """Accounts for packets. `make_room(row, sequence)` must hand on what a source holds up to that sequence number.

    failed: is told of an exception, while it is being handled, at a packet of a source.
    """

    def __init__(
        self,
        sources: t.Sources,
        fates: NDArray[np.int64],
        playout_delay_ns: int,
        payload_types_of: Callable[[int], PayloadTypeMap],
        make_room: Callable[[int, int], None],
        failed: Callable[[int, bytes], None],
    ) -> None:
        self._sources = sources
        self._fates = fates
        self._delay_ns = playout_delay_ns
        self._payload_types_of = payload_types_of
        self._make_room = make_room
        self._failed = failed

    def columns(self, packets: Packets) -> list[Accepted]:
        """Account for packets of which each source occurs once; odd ones go through `packet`."""
        before = self._sources.intake.take(packets.row, axis=0)
        straight = before[:, t.STRAIGHT_PAYLOAD_TYPE] == packets.payload_type
        sequence, step = extend_sequence_columns(packets.sequence_number, before[:, t.HIGHEST_SEQUENCE])
        timestamp, ticks = extend_timestamp_columns(packets.timestamp, before[:, t.LAST_TIMESTAMP])
        straight &= step > 0
        straight &= step <= MAX_DROPOUT
        straight &= ticks >= 0
        delta_ns = packets.arrival_ns - before[:, t.LAST_ARRIVAL_NS]
        difference_ns = np.abs(delta_ns - ticks * before.view(np.float64)[:, t.NS_PER_TICK])
        straight &= difference_ns <= STALL_NS
        straight &= packets.payload_length <= before[:, t.LONGEST_BYTES]
        if packets.claim.any():
            straight &= _apply_claims(packets, before[:, t.CLAIM_MODE])
        if straight.all():
            return [self._straight(packets, before, sequence, timestamp, delta_ns, difference_ns)]
        accepted = [self._odd(packets.select(np.flatnonzero(~straight)))]
        if straight.any():
            some = np.flatnonzero(straight)
            accepted.append(
                self._straight(
                    packets.select(some),
                    before[some],
                    sequence[some],
                    timestamp[some],
                    delta_ns[some],
                    difference_ns[some],
                )
            )
        return accepted

    def _odd(self, packets: Packets) -> Accepted:
        """Account for packets one by one."""
        places = [self.packet(packets, n) for n in range(len(packets.row))]
        taken = np.array([place is not None for place in places])
        sequence = np.array([place for place in places if place is not None], np.int64)
        return Accepted(packets.row[taken], sequence, packets.arrival_ns[taken])

    def _straight(
        self,
        packets: Packets,
        before: NDArray[np.int64],
        sequence: NDArray[np.int64],
        timestamp: NDArray[np.int64],
        delta_ns: NDArray[np.int64],
        difference_ns: NDArray[np.float64],
    ) -> Accepted:
        """Update `before` (the sources' intake rows) in place, write it back, and fill the cells."""
        before_f = before.view(np.float64)
        arrival_ns = packets.arrival_ns
        regular = ~packets.marker
        jitter_ns = before_f[:, t.JITTER_NS]
        jitter_ns += (difference_ns - jitter_ns) / 16
        measured_ns = jitter_ns * regular
        before_f[:, t.JITTER_SUM_NS] += measured_ns
        before[:, t.JITTER_COUNT] += regular
        np.maximum(before_f[:, t.JITTER_MAX_NS], measured_ns, out=before_f[:, t.JITTER_MAX_NS])
        np.maximum(before[:, t.DELTA_MAX_NS], delta_ns * regular, out=before[:, t.DELTA_MAX_NS])
        before[:, t.HIGHEST_SEQUENCE] = sequence
        before[:, t.LAST_TIMESTAMP] = timestamp
        before[:, t.LAST_ARRIVAL_NS] = arrival_ns
        before[:, t.LATEST_ARRIVAL_NS] = arrival_ns
        before[:, t.PACKETS] += 1
        before[:, t.PAYLOAD_BYTES] += packets.payload_length
        scatter(self._sources.intake, packets.row, before)
        self._fates[Fate.ACCEPTED] += len(arrival_ns)
        return self._fill(packets, sequence, timestamp)

    def _fill(self, packets: Packets, sequence: NDArray[np.int64], timestamp: NDArray[np.int64]) -> Accepted:
        sources = self._sources
        cell = t.cell_rows(packets.row, sequence)
        full = sequence - sources.release[packets.row, t.CURSOR] >= t.CELLS - t.HISTORY_CELLS
        if full.any():
            for row, number in zip(packets.row[full].tolist(), cell[full].tolist(), strict=True):
                self._vacate(row, number)
        cells = np.empty((len(cell), t.CELL_COLUMNS), np.int64)
        cells[:, t.CELL_SEQUENCE] = sequence
        cells[:, t.CELL_TIMESTAMP] = timestamp
        cells[:, t.CELL_ARRIVAL_NS] = packets.arrival_ns
        cells[:, t.CELL_LENGTH_AND_TYPE] = packets.payload_type
        cells[:, t.CELL_LENGTH_AND_TYPE] <<= t.TYPE_SHIFT
        cells[:, t.CELL_LENGTH_AND_TYPE] |= packets.payload_length
        cells[:, t.CELL_PAYLOAD] = sources.payloads.next_number + np.arange(len(cell))
        scatter(sources.cells, cell, cells)
        payload = _gather_payloads(packets)
        sources.payloads.append(packets.row, sequence, payload, int(packets.arrival_ns[-1]))
        # Not packets.arrival_ns: a receiver reuses its batches' arrays, and these packets wait.
        return Accepted(packets.row, sequence, cells[:, t.CELL_ARRIVAL_NS], cells, payload)

    def _vacate(self, row: int, cell: int) -> None:
        """Save what a cell still holds for later: a packet not handed on yet, or one that concealment may look at."""
        sequence = int(self._sources.cells[cell, t.CELL_SEQUENCE])
        if sequence >= self._sources.release[row, t.CURSOR] - t.HISTORY_CELLS:
            self._sources.keep(row, sequence)
            self._make_room(row, sequence)

    def packet(self, packets: Packets, n: int) -> int | None:
        """Account for one packet; give its unbounded sequence number, or None when it was refused."""
        try:
            return self._take(packets, n)
        except Exception:
            self._fates[Fate.REJECTED_FAULT] += 1
            start, end = int(packets.rtp_start[n]), int(packets.payload_start[n] + packets.payload_length[n])
            self._failed(int(packets.row[n]), packets.flat[start:end].tobytes())
            return None

    def _take(self, packets: Packets, n: int) -> int | None:
        row = int(packets.row[n])
        state = self._sources.state[row]
        assert state is not None
        place, fate = self._judge(state, packets, n)
        start, length = self._payload_of(state, packets, n)
        self._count(row, int(packets.arrival_ns[n]), length)
        start, length = self._unpack(state, packets, n, start, length)
        if fate is not Fate.REJECTED_SEQUENCE:
            self._measure(state, packets, n, newest=place == self._sources.intake[row, t.HIGHEST_SEQUENCE])
        if place is not None:
            self._lay(state, packets, n, place, start, length)
        self._fates[fate] += 1
        return place

    def _count(self, row: int, arrival_ns: int, payload_bytes: int) -> None:
        intake = self._sources.intake[row]
        intake[t.LATEST_ARRIVAL_NS] = arrival_ns
        intake[t.PACKETS] += 1
        intake[t.PAYLOAD_BYTES] += payload_bytes

    def _unpack(self, state: t.SourceState, packets: Packets, n: int, start: int, length: int) -> tuple[int, int]:
        """Give where the audio lies: of redundant audio that of its own packet, whose type it has then."""
        payload_types = self._payload_types_of(state.row)
        meaning = payload_types[int(packets.payload_type[n])]
        if meaning is not None and meaning.encoding == REDUNDANT:
            try:
                audio = parse_red(packets.flat[start : start + length].tobytes())[-1]
            except WireError:
                return start, length
            packets.payload_type[n], meaning = audio.payload_type, payload_types[audio.payload_type]
            start, length = start + audio.start, audio.length
        longest = _longest_bytes(meaning)
        state.undecoded += length > longest
        return start, min(length, longest)

    def _judge(self, state: t.SourceState, packets: Packets, n: int) -> tuple[int | None, Fate]:
        sources, row = self._sources, state.row
        sequence_number, arrival_ns = int(packets.sequence_number[n]), int(packets.arrival_ns[n])
        highest = int(sources.intake[row, t.HIGHEST_SEQUENCE])
        if not sources.intake[row, t.PACKETS]:
            sources.intake[row, t.LAST_TIMESTAMP] = packets.timestamp[n]
            sources.intake[row, t.HIGHEST_SEQUENCE] = state.base_sequence = sequence_number
            sources.release[row, t.CURSOR] = sequence_number
            return sequence_number, Fate.ACCEPTED
        place = extend_sequence(sequence_number, highest)
        if not -t.CELLS < place - highest <= MAX_DROPOUT:
            return self._judge_wild(state, sequence_number, highest)
        if place > highest:
            sources.intake[row, t.HIGHEST_SEQUENCE] = place
            return place, Fate.ACCEPTED
        cells = sources.cells[row * t.CELLS : (row + 1) * t.CELLS]
        if cells[place % t.CELLS, t.CELL_SEQUENCE] == place:
            state.duplicates += 1
            return None, Fate.DUPLICATE
        state.base_sequence = min(state.base_sequence, place)
        later = (cells[:, t.CELL_SEQUENCE] > place) & (cells[:, t.CELL_ARRIVAL_NS] + self._delay_ns <= arrival_ns)
        if later.any() or (state.released and place < sources.release[row, t.CURSOR]):
            state.late += 1
            self._vacate(row, row * t.CELLS + place % t.CELLS)
            cells[place % t.CELLS] = (place, 0, arrival_ns, t.LATE_CELL, LOOSE)  # so that its own duplicate is known
            return None, Fate.LATE
        state.reordered += 1
        if state.runs and state.runs[-1] - t.CELLS < place < state.runs[-1]:
            state.runs[-1] = place  # overtaken by the packet that showed the restart
        sources.release[row, t.CURSOR] = min(int(sources.release[row, t.CURSOR]), place)
        return place, Fate.ACCEPTED

    def _judge_wild(self, state: t.SourceState, sequence_number: int, highest: int) -> tuple[int | None, Fate]:
        if sequence_number != state.bad_sequence:
            state.bad_sequence = (sequence_number + 1) & 0xFFFF
            state.rejected += 1
            return None, Fate.REJECTED_SEQUENCE
        # The new run gets numbers above all old cells, so that the ring and the order of release need no special case.
        place = highest + t.CELLS + ((sequence_number - highest - t.CELLS) & 0xFFFF)
        state.expected_before += highest - state.base_sequence + 1
        state.base_sequence = place
        state.runs.append(place - 1)  # the refused one began it
        state.bad_sequence = -1
        state.restarts += 1
        self._sources.intake[state.row, t.HIGHEST_SEQUENCE] = place
        return place, Fate.ACCEPTED

    def _measure(self, state: t.SourceState, packets: Packets, n: int, *, newest: bool) -> None:
        """Take the jitter (A.8) if the packet is one to measure by; `newest`: its sequence number is the highest."""
        row, payload_type, arrival_ns = state.row, int(packets.payload_type[n]), int(packets.arrival_ns[n])
        intake, intake_f = self._sources.intake[row], self._sources.intake_f[row]
        meaning = self._payload_types_of(row)[payload_type]
        self._note_type(state, payload_type, meaning)
        encoding = meaning.encoding if meaning else ""
        has_no_clock = encoding == EVENT or (meaning is None and state.has_known_type)
        regular = not (encoding == NOISE or state.after_pause or packets.marker[n])
        state.after_pause = has_no_clock or encoding == NOISE
        if has_no_clock:
            return
        timestamp = extend_timestamp(int(packets.timestamp[n]), int(intake[t.LAST_TIMESTAMP]))
        ticks = timestamp - int(intake[t.LAST_TIMESTAMP])
        delta_ns = arrival_ns - int(intake[t.LAST_ARRIVAL_NS])
        difference_ns = abs(delta_ns - ticks * float(intake_f[t.NS_PER_TICK]))
        first = intake[t.LAST_ARRIVAL_NS] == t.LONG_AGO_NS
        if not first and difference_ns <= STALL_NS and (ticks >= 0 or not newest):
            jitter_ns = float(intake_f[t.JITTER_NS])
            jitter_ns += (difference_ns - jitter_ns) / 16
            intake_f[t.JITTER_NS] = jitter_ns
            if regular:
                intake_f[t.JITTER_SUM_NS] += jitter_ns
                intake[t.JITTER_COUNT] += 1
                intake_f[t.JITTER_MAX_NS] = max(float(intake_f[t.JITTER_MAX_NS]), jitter_ns)
        if not first and regular:
            intake[t.DELTA_MAX_NS] = max(int(intake[t.DELTA_MAX_NS]), delta_ns)
        intake[t.LAST_TIMESTAMP], intake[t.LAST_ARRIVAL_NS] = timestamp, arrival_ns

    def _note_type(self, state: t.SourceState, payload_type: int, meaning: AudioFormat | None) -> None:
        intake = self._sources.intake[state.row]
        if payload_type not in state.payload_types:
            if meaning and state.payload_types and not state.has_known_type:  # what was measured so far is a guess
                intake[[t.JITTER_NS, t.JITTER_SUM_NS, t.JITTER_COUNT, t.JITTER_MAX_NS]] = 0
            state.payload_types[payload_type] = str(meaning) if meaning else t.UNKNOWN_TYPE
        odd = (EVENT, NOISE, REDUNDANT)
        straight = meaning.encoding not in odd if meaning else not state.has_known_type
        intake[t.STRAIGHT_PAYLOAD_TYPE] = payload_type if straight else -1
        clock_hz = meaning.rtp_clock_hz if meaning else UNKNOWN_CLOCK_HZ
        self._sources.intake_f[state.row, t.NS_PER_TICK] = 1e9 / clock_hz
        intake[t.LONGEST_BYTES] = _longest_bytes(meaning)

    def _lay(self, state: t.SourceState, packets: Packets, n: int, place: int, start: int, length: int) -> None:
        """Put one accepted packet into its cell."""
        row, arrival_ns, payload_type = state.row, int(packets.arrival_ns[n]), int(packets.payload_type[n])
        sources = self._sources
        timestamp = extend_timestamp(int(packets.timestamp[n]), int(sources.intake[row, t.LAST_TIMESTAMP]))
        cell = row * t.CELLS + place % t.CELLS
        if place - int(sources.release[row, t.CURSOR]) >= t.CELLS - t.HISTORY_CELLS:
            self._vacate(row, cell)
        sources.cells[cell] = (place, timestamp, arrival_ns, payload_type << t.TYPE_SHIFT | length, LOOSE)
        sources.lay_loose(row, place, payload_type, packets.flat[start : start + length].tobytes())

    def _payload_of(self, state: t.SourceState, packets: Packets, n: int) -> tuple[int, int]:
        """Give a packet's payload as (start, length), after deciding whether its header claims too much.

        Forked packets can keep the X and CC bits of what was cut out. A claim that does not fit gives its source away;
        so does one that leaves no whole number of 10 ms where ignoring it would.
        """
        start, length, claim = int(packets.payload_start[n]), int(packets.payload_length[n]), int(packets.claim[n])
        intake = self._sources.intake[state.row]
        if claim == Claim.NONE:
            return start, length
        bare_start = int(packets.rtp_start[n]) + RTP_BYTES
        bare_length = start + length - bare_start
        meaning = self._payload_types_of(state.row)[int(packets.payload_type[n])]
        frame_bytes = _BYTES_PER_10_MS.get(meaning.encoding, 0) if meaning else 0
        uneven = bool(frame_bytes) and length % frame_bytes != 0 and bare_length % frame_bytes == 0
        if claim == Claim.FALSE or (uneven and intake[t.CLAIM_MODE] != t.BELIEVED):
            intake[t.CLAIM_MODE] = t.DISBELIEVED
        elif intake[t.CLAIM_MODE] == t.UNDECIDED and intake[t.PACKETS] >= CLAIM_PROOFS:
            intake[t.CLAIM_MODE] = t.BELIEVED
        if intake[t.CLAIM_MODE] == t.DISBELIEVED:
            return bare_start, bare_length
        return start, length
