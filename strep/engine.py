"""Turn datagrams into audio and events: the whole data plane, with no clock, no socket and no file.

    feed(batch)                                 advance(watermark_ns)
      parse_headers      bytes -> columns          release what is a playout delay old:
      KeyIndex.look_up   columns -> source rows      Timeline   goes on from the packet before: columns
      Admission          unknown ones: begin,        Placer     anything else: one by one
                         refuse, or hold back        -> AudioBlocks and Events
      Intake             account; lay payloads
                         into the sources' rings

One datagram's way: recvmmsg writes it into the batch's buffer. Its 36 header bytes are gathered into a row of a table;
its fate is either decided there (not RTP, malformed), or its call_leg_id, L, D, SSRC and sender find the row of its
source; a source that nobody knows yet begins, is refused or waits for a proof (strep.stream.admission).
Intake makes its sequence number and timestamp unbounded, judges it (duplicate, late, wild), takes the jitter, and
copies its payload, still encoded, into the source's ring. When the watermark has passed its arrival by the playout
delay, Timeline takes it out, places it behind what came before, decodes it together with all others that are due, and
puts it out as a row of an AudioBlock; sinks and plugins take it from there.

Everything here is a function of the datagrams, their arrival times and the watermark: the same input in other portions,
or at other times, gives the same output. To that end the engine cuts what it is fed at whole seconds, and does what is
periodic (expiry, clock watching) exactly there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from strep.audio.formats import AudioFormat, PayloadTypeMap
from strep.errors import ConfigError
from strep.stream import compiled
from strep.stream import table as t
from strep.stream.admission import Admission, AdmissionRules
from strep.stream.events import CloseReason, StreamClosed, StreamIdentity, StreamReport
from strep.stream.faults import Faults
from strep.stream.index import UNKNOWN, KeyIndex
from strep.stream.intake import Intake, Packets
from strep.stream.keys import PacketKeys, sender_of
from strep.stream.legs import Legs
from strep.stream.outbox import Outbox, Output
from strep.stream.probation import HeldPacket
from strep.stream.report import report_stream
from strep.stream.state import StreamState
from strep.stream.timeline import SMALL, Timeline
from strep.wire.batch import NOT_STREP, REFUSED_SENDER, SENDER_OVER_LIMIT, DatagramBatch, Endpoint
from strep.wire.fate import Fate
from strep.wire.headers import Headers, parse_headers

if TYPE_CHECKING:
    from strep.stream.compiled.straight import StraightPath

_SECOND_NS = 1_000_000_000
#: After a stall, what waited is taken in parts of this long, so that what is due leaves the rings between them.
_PART_NS = 250_000_000
#: A leg that has sent so few packets, and then nothing for so long, closes before the idle time-out.
_SHORT_PACKETS, _SHORT_IDLE_NS = 5, 5_000_000_000
#: Nothing is due before the next packet: further than any time that 64 bits hold.
_FAR_S = 1 << 40
#: Least delayed packets of this long tell how the sender's clock runs against ours.
_WINDOW_S = 10
#: The longest datagram that is looked at: what the receive slots hold. Audio packets end well below one MTU.
MAX_DATAGRAM_BYTES = 2048
_FATE_BELOW_0 = {
    REFUSED_SENDER: Fate.REJECTED_SENDER,
    SENDER_OVER_LIMIT: Fate.OVER_LIMIT_SENDERS,
    NOT_STREP: Fate.REJECTED_NOT_STREP,
}


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Is what the engine can be told.

    playout_delay_ms: how long a packet waits for one before it that was overtaken. idle_timeout_s: how long both
    directions of a leg may be silent before it is closed. max_streams: directions of legs at one time.
    payload_types: what payload types mean; payload_types_of may answer for one stream, by its identity and endpoint.
    admits: is asked about each leg before it begins, by the identity and endpoint of its first packet; what comes of
    one that it does not admit is counted as rejected_leg, until `Engine.ask_again`. Neither of them may raise.
    probation: whether a leg begins only with two packets in sequence, see strep.stream.probation. max_calls: legs at
    one time. senders_may_move: whether a stream may go on from another address at once, see strep.stream.source_lock.
    compiled: whether to take the compiled path (numba, `pip install strep[fast]`); None: where it is installed.
    """

    playout_delay_ms: int = 100
    idle_timeout_s: int = 60
    max_streams: int = 20_000
    max_calls: int = 20_000
    probation: bool = True
    senders_may_move: bool = False
    payload_types: PayloadTypeMap = field(default_factory=PayloadTypeMap)
    payload_types_of: Callable[[StreamIdentity, Endpoint], PayloadTypeMap | None] | None = None
    admits: Callable[[StreamIdentity, Endpoint], bool] | None = None
    compiled: bool | None = None

    def __post_init__(self) -> None:
        # Beyond half a second, 10 ms packets would no longer fit a source's ring of 64 while they wait.
        for name, low, high in (
            ("playout_delay_ms", 0, 500),
            ("idle_timeout_s", 1, 86_400),
            ("max_streams", 1, 65_536),
            ("max_calls", 1, 65_536),
        ):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"{name} must be {low} to {high}, got {getattr(self, name)}")
        if self.compiled and not compiled.is_available():
            raise ConfigError("compiled needs numba (pip install strep[fast]), found none that can be imported")

    def with_payload_types(self, told: Mapping[int, AudioFormat]) -> EngineConfig:
        """Copy this configuration with some payload types meaning what the caller says."""
        return replace(self, payload_types=self.payload_types.with_overrides(told))


class Engine:
    """Holds all streams. `fates` counts every datagram fed, by Fate."""

    def __init__(self, config: EngineConfig | None = None) -> None:
        self.config = config or EngineConfig()
        streams = self.config.max_streams
        capacity = streams + max(64, streams // 4)  # a quarter of all streams may have changed their SSRC
        delay_ns = self.config.playout_delay_ms * 1_000_000
        self.fates = np.zeros(len(Fate), np.int64)
        self._sources, self._streams = t.Sources(capacity), t.Streams(streams)
        self._first = np.zeros(streams, np.int64)
        self._endpoints: Sequence[Endpoint] = ()
        self._keys = PacketKeys()
        self._outbox = Outbox()
        index = KeyIndex(4 * capacity)  # sources, and those that are left out, see strep.stream.admission
        self._legs = Legs(self._sources, self._streams, self._outbox, self._payload_types_of, index)
        self._admission = self._admit()
        self._straight_path = self._compile()
        self._faults = Faults()
        tables = self._sources, self._streams, self._legs.state
        self._timeline = Timeline(*tables, self._outbox, delay_ns, self._faults, self._straight_path)
        make_room = self._timeline.make_room
        self._intake = Intake(self._sources, self.fates, delay_ns, self._map_of, make_room, self._note_fault)
        self._second: int | None = None
        self._watermark_ns = 0

    def _admit(self) -> Admission:
        config = self.config
        rules = AdmissionRules(config.probation, config.max_calls, config.senders_may_move, config.admits)
        return Admission(self._legs, self._sources, self.fates, rules)

    def _compile(self) -> StraightPath | None:
        if self.config.compiled is False or not compiled.is_available():
            return None
        from strep.stream.compiled.straight import StraightPath

        return StraightPath(self._sources, self._streams, self._keys, self._legs.index, self.fates)

    @property
    def open_streams(self) -> int:
        """Count the streams that are open."""
        return self._legs.open_streams

    @property
    def open_calls(self) -> int:
        """Count the legs that are open."""
        return self._legs.open_calls

    @property
    def left_out_calls(self) -> int:
        """Count the legs that are left out because of the load."""
        return self._admission.left_out_calls

    @property
    def refused_calls(self) -> int:
        """Count the legs that were not admitted, as far as they are remembered: the oldest make room for new ones."""
        return self._admission.refused_calls

    def forget_senders(self, numbers: NDArray[np.int64]) -> None:
        """Forget senders that are not in use: from the next batch on, these numbers are others'."""
        self._keys.forget(numbers)

    @property
    def is_waiting(self) -> bool:
        """Tell whether packets wait for their playout delay to pass."""
        return self._timeline.is_waiting

    @property
    def faults(self) -> int:
        """Count how often a rule of ours failed: each time is a bug, was logged, and cost one stream at most."""
        return self._faults.count

    def counts(self) -> dict[str, int]:
        """Give the fates by name; they add up to the datagrams fed."""
        return {fate.label: int(self.fates[fate]) for fate in Fate}

    def senders_in_use(self) -> set[int]:
        """Give the numbers of all senders (DatagramBatch.source) that anything here still refers to."""
        return self._admission.senders_in_use()

    def recorded_bytes(self, call: str) -> int:
        """Say how many bytes an open leg's streams come to as 16-bit samples, by StreamIdentity.call."""
        slots = [state.slot for state in self._legs.of_call(call)]
        return 2 * int(self._streams.release[slots, t.END_POSITION].sum())

    def reports(self) -> list[StreamReport]:
        """Report all open streams so far."""
        streams = self._legs.streams()
        return [report_stream(self._sources, self._streams, state, self._endpoints) for state in streams]

    def feed(self, batch: DatagramBatch) -> list[Output]:
        """Take datagrams in order of arrival, none before those of an earlier call. No bytes make it raise."""
        self._endpoints = batch.endpoints
        self._admission.begin_batch()
        start = 0
        while start < len(batch):
            first_ns = int(batch.arrival_ns[start])
            part_ends_ns = (first_ns // _PART_NS + 1) * _PART_NS
            stop = max(start + 1, int(np.searchsorted(batch.arrival_ns, part_ends_ns)))
            self._pass_seconds(first_ns // _SECOND_NS)
            self._timeline.advance(first_ns)
            self._take_contained(batch[start:stop] if (start, stop) != (0, len(batch)) else batch)
            self._close_failed(first_ns)
            start = stop
        return self._outbox.take()

    def advance(self, watermark_ns: int) -> list[Output]:
        """Hand on what is due: every datagram that arrived before `watermark_ns` must have been fed."""
        self._pass_seconds(watermark_ns // _SECOND_NS)
        if watermark_ns > self._watermark_ns:
            self._watermark_ns = watermark_ns
            self._timeline.advance(watermark_ns)
            self._close_failed(watermark_ns)
        return self._outbox.take()

    def end_call(self, call: str, reason: CloseReason = CloseReason.ENDED) -> list[Output]:
        """Close both directions of one leg, by its StreamIdentity.call."""
        self._close(self._legs.of_call(call), self._watermark_ns, reason)
        return self._outbox.take()

    def leave_out(self, calls: int) -> list[Output]:
        """Close the youngest legs, and take nothing of them, nor of new ones, until `take_back`: there is too much."""
        if calls <= 0:
            return []
        states = self._legs.youngest(calls)
        keys = self._legs.keys_of(states)
        self._close(states, self._watermark_ns, CloseReason.OVERLOADED)
        self._admission.leave_out(keys)
        return self._outbox.take()

    def take_back(self, calls: int) -> None:
        """Take new legs again, and so many of those that were left out, those first that were left out first."""
        self._admission.take_back(calls)

    def ask_again(self) -> None:
        """Forget which legs were not admitted: with its next packet, each is asked about anew."""
        self._admission.ask_again()

    def close(self) -> list[Output]:
        """Hand on everything and close every stream."""
        self._settle(self._watermark_ns)
        self._close(self._legs.streams(), self._watermark_ns, CloseReason.STOPPED)
        return self._outbox.take()

    def _take_contained(self, batch: DatagramBatch) -> None:
        """Take datagrams; should a fault of ours keep that from some of them, they have a fate all the same."""
        counted = int(self.fates.sum())
        try:
            self._take(batch)
        except Exception:
            self._faults.note_many("taking datagrams")
        self.fates[Fate.REJECTED_FAULT] += counted + len(batch) - int(self.fates.sum())

    def _note_fault(self, row: int, packet: bytes) -> None:
        stream = self._legs.stream_of(row)
        self._faults.note(stream.slot, stream.identity.call, packet)

    def _close_failed(self, now_ns: int) -> None:
        """Close the streams at which a rule of ours failed."""
        states = [state for slot in self._faults.slots if (state := self._legs.state[slot]) is not None]
        self._close(states, now_ns, CloseReason.FAULT)
        self._faults.forget()

    def _take(self, batch: DatagramBatch) -> None:
        if int(batch.source.min()) < 0:
            batch = self._without_refused(batch)
        if len(batch) and int(batch.length.max()) > MAX_DATAGRAM_BYTES:
            large = batch.length > MAX_DATAGRAM_BYTES
            self.fates[Fate.OVER_LIMIT_SIZE] += np.count_nonzero(large)
            batch = batch[np.flatnonzero(~large)]
        if not len(batch):
            return
        self._timeline.begin_batch()
        if self._straight_path is not None:
            batch = self._take_straight(self._straight_path, batch)
        if len(batch):
            self._take_columns(batch)

    def _without_refused(self, batch: DatagramBatch) -> DatagramBatch:
        """Count the datagrams whose senders were refused before, and select the others."""
        for number, fate in _FATE_BELOW_0.items():
            self.fates[fate] += np.count_nonzero(batch.source == number)
        return batch[np.flatnonzero(batch.source >= 0)]

    def _take_straight(self, straight_path: StraightPath, batch: DatagramBatch) -> DatagramBatch:
        """Identify and account in one go, up to a packet that is not straight to identify; give what is left."""
        accepted, packets, end, rest = straight_path.take(batch)
        self._timeline.hold(accepted)
        if len(rest):
            self._account(packets.select(rest))
        return batch[end:]

    def _take_columns(self, batch: DatagramBatch) -> None:
        if self._straight_path is None:
            _, packets = self._identify(batch)
        else:
            packets = self._identify_straight(self._straight_path, batch)
        if (packets.row >= self._sources.capacity).any():
            packets = packets.select(self._admission.taken(packets.row))
        if not len(packets.row):
            return
        if self._straight_path is not None:
            accepted, rest = self._straight_path.account(batch, packets)
            self._timeline.hold(accepted)
            packets = packets.select(rest)
        self._account(packets)

    def _identify(self, batch: DatagramBatch) -> tuple[NDArray[np.int64], Packets]:
        """Find the RTP packets of sources that there is room for, and their rows in the batch; count all others."""
        headers = parse_headers(batch)
        rows = np.arange(len(batch))
        if headers.fate.any():
            self.fates += np.bincount(headers.fate, minlength=len(Fate))
            rows = np.flatnonzero(headers.fate == Fate.ACCEPTED)
            self.fates[Fate.ACCEPTED] -= len(rows)  # only Intake says that of RTP
        keys = self._keys.of(batch, headers)
        if len(rows) != len(batch):
            keys = keys[rows]
        source = self._legs.index.look_up(keys)
        if (source == UNKNOWN).any():
            self._take_held(self._admission.admit(batch, headers, keys, rows, source))
            known = source != UNKNOWN
            rows, source = rows[known], source[known]
        return rows, _packets(batch, headers, rows, source)

    def _take_held(self, held: list[HeldPacket]) -> None:
        """Take packets that were held back; their sources are known by now."""
        if held:
            arrival_ns, senders = [packet.arrival_ns for packet in held], [sender_of(packet.key) for packet in held]
            datagrams = [packet.datagram for packet in held]
            self._take_columns(DatagramBatch.from_datagrams(datagrams, arrival_ns, senders, self._endpoints))

    def _identify_straight(self, straight_path: StraightPath, batch: DatagramBatch) -> Packets:
        """Do the same, but for what the compiled path leaves."""
        packets, missed = straight_path.identify(batch)
        if not missed:
            return packets
        left = np.flatnonzero(packets.row == UNKNOWN)
        rows, odd = self._identify(batch[left])
        packets.put(left[rows], odd)
        return packets.select(np.flatnonzero(packets.row != UNKNOWN))

    def _account(self, rest: Packets) -> None:
        """Account in rounds in which each stream occurs once: columns are written once a row, in order of arrival."""
        while len(rest.row):
            number, slot = np.arange(len(rest.row)), self._sources.release[rest.row, t.STREAM]
            self._first[slot[::-1]] = number[::-1]  # of equal slots the last write wins: the first packet
            first = self._first[slot] == number
            if first.all():
                self._hold(rest)
                return
            if np.count_nonzero(first) < SMALL:
                self._account_singly(rest)
                return
            self._hold(rest.select(np.flatnonzero(first)))
            rest = rest.select(np.flatnonzero(~first))

    def _hold(self, packets: Packets) -> None:
        try:
            taken = self._intake.columns(packets)
        except Exception:
            self._faults.note_many("accounting for packets")
            self._account_singly(packets)
            return
        for accepted in taken:
            self._timeline.hold(accepted)

    def _account_singly(self, packets: Packets) -> None:
        for n in range(len(packets.row)):
            sequence = self._intake.packet(packets, n)
            if sequence is not None:
                self._timeline.hold_one(int(packets.row[n]), sequence, int(packets.arrival_ns[n]))

    def _payload_types_of(self, identity: StreamIdentity, endpoint: Endpoint) -> PayloadTypeMap:
        of_stream = self.config.payload_types_of
        return (of_stream and of_stream(identity, endpoint)) or self.config.payload_types

    def _map_of(self, row: int) -> PayloadTypeMap:
        return self._legs.stream_of(row).payload_types

    def _pass_seconds(self, second: int) -> None:
        """Do at each whole second up to `second` what is periodic."""
        if self._second is None:
            self._second = second
        while self._second < second and (self.open_streams or self._admission.is_waiting):
            self._second = min(second, self._next_second())
            now_ns = self._second * _SECOND_NS
            self._timeline.advance(now_ns, exactly=True)
            if self._second % _WINDOW_S == 0:
                self._watch_clocks(now_ns)
            self._expire(now_ns)
            self._settle(now_ns)
        self._second = max(self._second, second)

    def _next_second(self) -> int:
        """Give the next whole second at which there is something to do, when nothing more is fed until then.

        So it takes no time to pass the hours that a capture's clock may jump.
        """
        assert self._second is not None
        if self._timeline.is_waiting or self._admission.is_waiting:
            return self._second + 1
        heard_ns = self._legs.heard_ns()
        ends_ns = np.concatenate((heard_ns + self.config.idle_timeout_s * _SECOND_NS, heard_ns + _SHORT_IDLE_NS))
        future_ns = ends_ns[ends_ns > self._second * _SECOND_NS]
        seconds = [-(-int(future_ns.min()) // _SECOND_NS)] if len(future_ns) else []
        if (self._streams.release[:, t.WINDOW_ANCHOR_NS] != t.NEVER).any():
            seconds.append((self._second // _WINDOW_S + 1) * _WINDOW_S)
        return min(seconds, default=self._second + _FAR_S)

    def _settle(self, now_ns: int) -> None:
        """Let admission do what it does at whole seconds."""
        held, making_way = self._admission.pass_second(now_ns)
        self._close(making_way, now_ns, CloseReason.DISPLACED)
        self._timeline.begin_batch()
        self._take_held(held)

    def _watch_clocks(self, now_ns: int) -> None:
        window = self._streams.release[:, t.WINDOW_ANCHOR_NS]
        for state in self._legs.streams():
            anchor_ns = int(window[state.slot])
            if anchor_ns != t.NEVER:
                state.last_window = (anchor_ns, now_ns)
                state.first_window = state.first_window or state.last_window
        window[:] = t.NEVER

    def _expire(self, now_ns: int) -> None:
        """Close the legs of which no direction was heard for the idle time-out; those that hardly began, sooner."""
        idle_ns = self.config.idle_timeout_s * _SECOND_NS
        self._close(self._legs.silent_since(now_ns - idle_ns), now_ns, CloseReason.IDLE)
        short = self._legs.silent_since(now_ns - min(idle_ns, _SHORT_IDLE_NS), _SHORT_PACKETS)
        self._close(short, now_ns, CloseReason.IDLE)

    def _close(self, states: list[StreamState], now_ns: int, reason: CloseReason) -> None:
        if not states:
            return
        rows = {row for state in states for row in state.rows}
        self._timeline.drain(rows)
        for state in states:
            self._timeline.placer.finish(state)
        self._outbox.settle()
        for state in states:
            report = report_stream(self._sources, self._streams, state, self._endpoints)
            self._outbox.event(StreamClosed(now_ns, state.slot, reason, report))
        self._legs.close(states)


def _packets(batch: DatagramBatch, headers: Headers, rows: NDArray[np.int64], source: NDArray[np.int64]) -> Packets:
    columns = (
        batch.arrival_ns,
        headers.payload_type,
        headers.marker,
        headers.sequence_number,
        headers.timestamp,
        headers.rtp_start,
        headers.payload_start,
        headers.payload_length,
        headers.claim,
    )
    if len(rows) != len(batch):
        columns = tuple(column[rows] for column in columns)  # type: ignore[assignment]
    return Packets(source, *columns, batch.flat)
