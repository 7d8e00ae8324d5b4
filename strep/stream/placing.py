"""Place a source's packets one by one: every packet that does not simply go on from the one before.

This is the scalar twin of strep.stream.timeline's columns, and does all that they do not: gaps and their labels,
concealment, changes of format and source, telephone events, comfort noise, and codecs that have a past.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.audio.block import SampleState
from strep.audio.conceal import CONCEAL_LIMIT_MS, conceal, history_samples
from strep.audio.decoders import is_decodable, is_stateless, new_decoder, packet_samples
from strep.audio.formats import AudioFormat
from strep.errors import WireError
from strep.stream import table as t
from strep.stream.clock import NS, TELL_ANCHOR_NS, is_believed, position_by_arrival
from strep.stream.events import AnchorMoved, FormatChanged, Gap, SourceChanged
from strep.stream.faults import Faults
from strep.stream.intake import EVENT, NOISE, REDUNDANT
from strep.stream.outbox import Outbox, Piece
from strep.stream.placed import LAWS
from strep.stream.state import StreamState
from strep.wire.telephone_event import TelephoneEventPayload

#: Encodings that the columns of the timeline decode: one byte a sample.
_COLUMNAR = {law.value: number for number, law in enumerate(LAWS)}


class Packet(NamedTuple):
    """Is one packet out of its cell."""

    sequence: int
    timestamp: int
    arrival_ns: int
    payload_type: int
    payload: bytes


class Placer:
    """Hands packets on one by one. `streams_state` is by slot."""

    def __init__(
        self,
        sources: t.Sources,
        streams: t.Streams,
        streams_state: list[StreamState | None],
        outbox: Outbox,
        playout_delay_ns: int,
        faults: Faults,
    ) -> None:
        self._faults = faults
        self._sources = sources
        self._streams = streams
        self._state = streams_state
        self._outbox = outbox
        self._delay_ns = playout_delay_ns

    def walk(self, row: int, target: int) -> None:
        """Hand on all packets of a source from its cursor up to the unbounded sequence number `target`."""
        source = self._sources.state[row]
        assert source is not None
        stream = self._state[source.slot]
        assert stream is not None
        if stream.slot in self._faults:
            return
        try:
            self._walk(row, target, source, stream)
        except Exception:
            _, payload = self._sources.read_sequence(row, target)
            self._faults.note(stream.slot, stream.identity.call, payload)

    def _walk(self, row: int, target: int, source: t.SourceState, stream: StreamState) -> None:
        release = self._sources.release[row]
        cursor = int(release[t.CURSOR])
        if target < cursor:
            return
        cells = self._sources.cells[row * t.CELLS : (row + 1) * t.CELLS]
        self._catch_up(stream)
        sequences = cells[:, t.CELL_SEQUENCE]
        there = (sequences >= cursor) & (sequences <= target) & (cells[:, t.CELL_LENGTH_AND_TYPE] != t.LATE_CELL)
        order = np.flatnonzero(there)
        for cell in order[np.argsort(sequences[order])].tolist():
            packet = self._packet(row, *cells[cell].tolist())
            while source.runs and packet.sequence >= source.runs[0]:
                cursor, source.missing = source.runs.popleft(), 0
            self._miss(source, stream, cursor, packet.sequence)
            cursor = packet.sequence + 1
            source.released = True
            self._place(source, stream, packet)
        self._miss(source, stream, cursor, target + 1)
        release[t.CURSOR] = target + 1

    def _catch_up(self, stream: StreamState) -> None:
        """Take over from the columns the length of the packet that they placed last."""
        if stream.active_row is None:
            return
        last = int(self._sources.release[stream.active_row, t.CURSOR]) - 1
        payload_type, payload = self._sources.read_sequence(stream.active_row, last)
        of_columns = (
            self._streams.release[stream.slot, t.COLUMNAR_TYPE],
            self._streams.coding[stream.slot, t.CODED_TYPE],
        )
        if payload and stream.format is not None and payload_type in of_columns:
            stream.last_frame_samples = packet_samples(stream.format, payload)

    def _packet(self, row: int, sequence: int, timestamp: int, arrival_ns: int, *_: int) -> Packet:
        return Packet(sequence, timestamp, arrival_ns, *self._sources.read_sequence(row, sequence))

    def _place(self, source: t.SourceState, stream: StreamState, packet: Packet) -> None:
        meaning = stream.payload_types[packet.payload_type]
        if meaning is not None and meaning.encoding == EVENT:
            self._place_event(source, stream, packet, meaning)
        elif meaning is not None and meaning.encoding == NOISE:
            stream.filling = SampleState.SILENCE
        elif meaning is not None and meaning.encoding == REDUNDANT:  # what could be unpacked has another type by now
            source.undecoded += 1
            stream.filling = SampleState.UNDECODED
        elif packet.payload:
            if packet.payload_type != stream.payload_type:
                self._change_format(stream, packet, meaning)
            self._place_audio(source, stream, packet)
        self._allow_columns(source, stream)

    def _place_audio(self, source: t.SourceState, stream: StreamState, packet: Packet) -> None:
        for event in stream.digits.audio(packet.arrival_ns):
            self._outbox.event(event)
        position, by_timestamp = self._locate(source, stream, packet)
        goes_on = by_timestamp or (source.located and position == self._streams.release[stream.slot, t.END_POSITION])
        if source.row != stream.active_row or (stream.format is not None and not goes_on):
            self._change_source(source, stream, packet, position)
        samples = stream.decoder.decode(packet.payload) if stream.decoder else np.zeros(0, np.int16)
        columns = self._streams.release[stream.slot]
        end = int(columns[t.END_POSITION])
        if position > end:
            self._fill(source, stream, packet, end, position)
        source.missing = 0
        columns[t.END_POSITION] = max(end, position + len(samples))
        self._move_anchor(stream, packet.arrival_ns - position * NS // stream.sample_rate_hz)
        if stream.format is not None:
            release = self._sources.release[source.row]
            release[t.NEXT_TIMESTAMP] = packet.timestamp + len(samples) // self._samples_per_tick(stream)
            release[t.NEXT_POSITION] = position + len(samples)
            source.located = True
        if not len(samples):
            source.undecoded += 1
            stream.filling = SampleState.UNDECODED
            return
        stream.filling = SampleState.SILENCE
        stream.last_frame_samples = len(samples)
        assert stream.format is not None
        if is_stateless(stream.format):
            stream.history = b""  # the ring has what comes after it
        else:
            stream.remember(samples)
        overlap = min(max(0, end - position), len(samples))
        stream.overlapped_samples += overlap
        if overlap < len(samples):
            self._emit(stream, position + overlap, samples[overlap:], SampleState.RECEIVED, packet.arrival_ns)

    def _locate(self, source: t.SourceState, stream: StreamState, packet: Packet) -> tuple[int, bool]:
        """Give the packet's sample position by the rules of strep.stream.clock, and whether its timestamp says so."""
        next_timestamp, next_position = self._sources.release[source.row, [t.NEXT_TIMESTAMP, t.NEXT_POSITION]].tolist()
        end, anchor_ns = self._streams.release[stream.slot, [t.END_POSITION, t.ANCHOR_NS]].tolist()
        per_tick = self._samples_per_tick(stream)
        lost = source.missing * stream.last_frame_samples
        moved = (packet.timestamp - next_timestamp) * per_tick
        position: int = next_position + moved
        jumped = moved not in (0, lost)
        since_ns = packet.arrival_ns - anchor_ns
        delay_ns = since_ns - position * NS // stream.sample_rate_hz
        is_known = source.located and stream.format is not None
        stands_still = is_known and moved <= -max(stream.last_frame_samples, 1)
        if stands_still or (not is_known and since_ns <= 0):  # or the first of all, which no later one can move
            return position_by_arrival(since_ns, end + lost, stream.sample_rate_hz), False
        is_known &= position <= max(end, stream.latest_position(packet.arrival_ns, end))
        if is_known and is_believed(delay_ns, jumped=jumped):
            return position, True
        ahead_ns, overflows = self._least_delayed(source, packet, per_tick, stream.sample_rate_hz)
        if is_known and (is_believed(delay_ns - ahead_ns, jumped=jumped) or (overflows and not jumped)):
            return position, True
        return position_by_arrival(since_ns - ahead_ns, end + lost, stream.sample_rate_hz), False

    def _least_delayed(
        self, source: t.SourceState, packet: Packet, per_tick: int, sample_rate_hz: int
    ) -> tuple[int, bool]:
        """Give by how many ns this packet came later, by its timestamp, than the best of those that came soon after.

        And whether those fill the ring, so that there may have been more of them.
        """
        cells = self._sources.cells[source.row * t.CELLS : (source.row + 1) * t.CELLS]
        later = cells[cells[:, t.CELL_SEQUENCE] >= packet.sequence]
        if source.runs:
            later = later[later[:, t.CELL_SEQUENCE] < source.runs[0]]
        later = later[later[:, t.CELL_LENGTH_AND_TYPE] != t.LATE_CELL]
        # What came at the very end of the delay may or may not be here already: the watermark does not say.
        soon = later[later[:, t.CELL_ARRIVAL_NS] < later[:, t.CELL_ARRIVAL_NS].min() + self._delay_ns]
        overflows = len(soon) and soon[:, t.CELL_SEQUENCE].max() - packet.sequence >= t.CELLS - t.HISTORY_CELLS - 1
        soon = soon[soon[:, t.CELL_LENGTH_AND_TYPE] >> t.TYPE_SHIFT == packet.payload_type]
        samples = (soon[:, t.CELL_TIMESTAMP] - packet.timestamp) * per_tick
        lead_ns = samples * NS // sample_rate_hz - (soon[:, t.CELL_ARRIVAL_NS] - packet.arrival_ns)
        return max(0, int(lead_ns.max(initial=0))), bool(overflows)

    def _samples_per_tick(self, stream: StreamState) -> int:
        return stream.format.sample_rate_hz // stream.format.rtp_clock_hz if stream.format else 1

    def _fill(self, source: t.SourceState, stream: StreamState, packet: Packet, start: int, stop: int) -> None:
        """Give every sample between `start` and `stop` a cause: first the loss, then what was silence."""
        lost = 0
        if source.missing:
            lost = min(stop - start, source.missing * stream.last_frame_samples)
        if lost:
            limit = CONCEAL_LIMIT_MS * stream.sample_rate_hz // 1000
            history = np.frombuffer(stream.history, np.int16)
            made_up = conceal(history, min(lost, limit), sample_rate_hz=stream.sample_rate_hz)
            state = SampleState.CONCEALED if lost <= limit else SampleState.LOST
            self._report_gap(stream, packet, start, lost, source.missing, state)
            self._emit(stream, start, made_up, SampleState.CONCEALED, packet.arrival_ns)
            self._emit_zeros(stream, start + len(made_up), start + lost, SampleState.LOST, packet.arrival_ns)
        if start + lost < stop:
            if stream.filling is SampleState.SILENCE:
                self._report_gap(stream, packet, start + lost, stop - start - lost, 0, stream.filling)
            self._emit_zeros(stream, start + lost, stop, stream.filling, packet.arrival_ns)

    def _miss(self, source: t.SourceState, stream: StreamState, begin: int, end: int) -> None:
        """Take note that packets are missing, and of what was heard before them: the ring keeps it only for so long."""
        if end > begin and not source.missing and source.row == stream.active_row:
            self._recall(source, stream, begin - 1)
        source.missing += end - begin

    def _recall(self, source: t.SourceState, stream: StreamState, sequence: int) -> None:
        """Take the samples up to the packet `sequence` from the ring, which has them where the columns keep none."""
        if stream.format is None or stream.decoder is None or not is_stateless(stream.format):
            return
        needed, frames = history_samples(stream.sample_rate_hz), list[NDArray[np.int16]]()
        for earlier in range(sequence, sequence - t.HISTORY_CELLS, -1):
            payload_type, payload = self._sources.read_sequence(source.row, earlier)
            if needed <= 0 or payload_type != stream.payload_type:
                break
            frames.insert(0, stream.decoder.decode(payload))
            needed -= len(frames[0])
        if frames:
            stream.history = np.concatenate(frames).tobytes()

    def _report_gap(
        self, stream: StreamState, packet: Packet, start: int, length: int, lost_packets: int, state: SampleState
    ) -> None:
        rate = stream.sample_rate_hz
        self._outbox.event(Gap(packet.arrival_ns, stream.slot, start, length, rate, lost_packets, state))

    def _emit_zeros(self, stream: StreamState, start: int, stop: int, state: SampleState, arrival_ns: int) -> None:
        """Emit silence in one piece, which takes no memory, however long it is."""
        self._emit(stream, start, np.broadcast_to(np.int16(0), max(0, stop - start)), state, arrival_ns)

    def _emit(
        self, stream: StreamState, position: int, samples: NDArray[np.int16], state: SampleState, arrival_ns: int
    ) -> None:
        if len(samples):
            if state is not SampleState.RECEIVED:
                stream.samples_by_state[state] += len(samples)
            self._outbox.piece(Piece(stream.sample_rate_hz, stream.slot, position, samples, state, arrival_ns))

    def _move_anchor(self, stream: StreamState, anchor_ns: int) -> None:
        columns = self._streams.release[stream.slot]
        columns[t.ANCHOR_NS] = min(int(columns[t.ANCHOR_NS]), anchor_ns)
        columns[t.WINDOW_ANCHOR_NS] = min(int(columns[t.WINDOW_ANCHOR_NS]), anchor_ns)
        if columns[t.ANCHOR_NS] < columns[t.PUBLISHED_ANCHOR_NS] - TELL_ANCHOR_NS:
            self.tell_anchor(stream.slot)

    def tell_anchor(self, slot: int) -> None:
        """Say that a less delayed packet moved a stream's anchor."""
        columns, stream = self._streams.release[slot], self._state[slot]
        assert stream is not None
        anchor_ns = columns[t.PUBLISHED_ANCHOR_NS] = int(columns[t.ANCHOR_NS])
        end_ns = anchor_ns + int(columns[t.END_POSITION]) * NS // stream.sample_rate_hz
        self._outbox.event(AnchorMoved(end_ns, slot, anchor_ns))

    def _change_source(self, source: t.SourceState, stream: StreamState, packet: Packet, position: int) -> None:
        if stream.active_row is not None:
            self._outbox.event(SourceChanged(packet.arrival_ns, stream.slot, position, source.ssrc))
            if stream.decoder and source.row != stream.active_row:
                stream.decoder.reset()
        stream.active_row = source.row
        self._streams.release[stream.slot, t.ACTIVE_ROW] = source.row

    def _change_format(self, stream: StreamState, packet: Packet, meaning: AudioFormat | None) -> None:
        rate = meaning.sample_rate_hz if meaning else stream.sample_rate_hz
        columns = self._streams.release[stream.slot]
        if rate != stream.sample_rate_hz:
            # Positions go on in the new rate from the same instant, rounded up so that nothing overlaps.
            columns[t.END_POSITION] = -(-int(columns[t.END_POSITION]) * rate // stream.sample_rate_hz)
            for row in stream.rows:
                release = self._sources.release[row]
                release[t.NEXT_POSITION] = -(-int(release[t.NEXT_POSITION]) * rate // stream.sample_rate_hz)
            stream.last_frame_samples = stream.last_frame_samples * rate // stream.sample_rate_hz
            for state, samples in stream.samples_by_state.items():
                stream.samples_by_state[state] = samples * rate // stream.sample_rate_hz
            stream.overlapped_samples = stream.overlapped_samples * rate // stream.sample_rate_hz
            stream.history = b""
            stream.sample_rate_hz = rate
        stream.payload_type, stream.format = packet.payload_type, meaning
        stream.decoder = new_decoder(meaning) if meaning is not None and is_decodable(meaning) else None
        position = int(columns[t.END_POSITION])
        self._outbox.settle(stream.slot)  # what came in the old format goes out before it
        self._outbox.event(FormatChanged(packet.arrival_ns, stream.slot, position, packet.payload_type, meaning))

    def _place_event(self, source: t.SourceState, stream: StreamState, packet: Packet, meaning: AudioFormat) -> None:
        try:
            payload = TelephoneEventPayload.parse(packet.payload)
        except WireError:
            source.undecoded += 1
            return
        position, _ = self._locate(source, stream, packet)
        for event in stream.digits.packet(
            payload,
            timestamp=packet.timestamp,
            arrival_ns=packet.arrival_ns,
            position=max(0, position),
            clock_hz=meaning.rtp_clock_hz,
        ):
            self._outbox.event(event)

    def _allow_columns(self, source: t.SourceState, stream: StreamState) -> None:
        """Say whether the next packet may take the columns, which it may while nothing is open.

        They have one way for G.711 at whole nanoseconds a sample, and one for all else that decodes.
        """
        columns, coding = self._streams.release[stream.slot], self._streams.coding[stream.slot]
        law = _COLUMNAR.get(stream.format.encoding) if stream.format and stream.decoder else None
        settled = not stream.digits.is_waiting and not source.missing
        plain = law is not None and NS % stream.sample_rate_hz == 0 and settled
        columns[t.COLUMNAR_TYPE] = stream.payload_type if plain else -1
        columns[t.NS_PER_SAMPLE] = NS // stream.sample_rate_hz
        columns[t.LAW] = law or 0
        coding[t.CODED_TYPE] = -1
        if stream.format is not None and stream.decoder is not None and not plain:
            coded = settled and stream.filling is SampleState.SILENCE
            coding[t.CODED_TYPE] = stream.payload_type if coded else -1
            coding[t.FORMAT] = self._streams.number_of(stream.format)

    def finish(self, stream: StreamState) -> None:
        """Report what still waits for a packet that will not come."""
        for event in stream.digits.finish():
            self._outbox.event(event)
