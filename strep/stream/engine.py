"""Turn datagrams into audio and events: the whole data plane, with no clock, no socket and no file.

One datagram's way, from the buffer that it was received into to a row of audio:

     1. receive              whole seconds pass, and what came a playout delay before is played out first
     2.   parse_headers      its bytes become a header record, or its fate is decided
     3.   find_row           call_leg_id, L, D, SSRC and sender find the record of its source;
                             a source that nobody knows begins, is refused or waits for a proof: Admission
     4.   judge              its numbers become unbounded; it is accepted, duplicate, late or wild
     5.   measure            jitter
     6.   lay                its payload, still encoded, waits in the jitter buffer
     7. play_out             it is due: what is before it in sequence is there, or given up
     8.   place              where its audio belongs, and what fills the gap before it: a piece of audio, and notes
     9. render               a block of many streams' pieces is decoded
    10. collect              blocks and notes become AudioBlocks and Events, for sinks and plugins

1 to 9 are rules over records, which run compiled (strep.compiler); Python is called for what is rare: a stream begins
or ends, an event, a codec of libavcodec.

Everything here is a function of the datagrams, their arrival times and the watermark: the same input in other portions,
or at other times, gives the same output. What is periodic (expiry, clock watching) is done exactly at whole seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from strep.audio.formats import AudioFormat, PayloadTypeMap
from strep.compiler import is_available
from strep.errors import ConfigError
from strep.stream.admission import Admission, AdmissionRules
from strep.stream.choice import rules_by
from strep.stream.events import CloseReason, StreamClosed, StreamIdentity, StreamReport
from strep.stream.faults import RuleFaults
from strep.stream.formats import Formats
from strep.stream.index import KeyIndex
from strep.stream.keys import Conversations, sender_of
from strep.stream.legs import Legs
from strep.stream.outbox import Outbox, Output
from strep.stream.path import PacketPath, State
from strep.stream.probation import HeldPacket
from strep.stream.receive import MAX_DATAGRAM_BYTES, Stop
from strep.stream.records import NEVER, STREAM, records
from strep.stream.report import report_stream
from strep.stream.sources import Sources
from strep.stream.state import StreamState
from strep.wire.batch import HELD_BACK, DatagramBatch, Endpoint
from strep.wire.fate import Fate

__all__ = ["MAX_DATAGRAM_BYTES", "Engine", "EngineConfig"]

_SECOND_NS = 1_000_000_000
#: A leg that has sent so few packets, and then nothing for so long, closes before the idle time-out.
_SHORT_PACKETS, _SHORT_IDLE_NS = 5, 5_000_000_000
#: Nothing is due before the next packet: further than any time that 64 bits hold.
_FAR_S = 1 << 40
#: Least delayed packets of this long tell how the sender's clock runs against ours.
_WINDOW_S = 10


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What the engine can be told.

    playout_delay_ms: how long a packet waits for one before it that was overtaken. idle_timeout_s: how long both
    directions of a leg may be silent before it is closed. max_streams: directions of legs at one time.
    payload_types: what payload types mean; payload_types_of may answer for one stream, by its identity and endpoint.
    admits: is asked about each leg before it begins, by the identity and endpoint of its first packet; what comes of
    one that it does not admit is counted as rejected_leg, until `Engine.ask_again`. Neither of them may raise.
    probation: whether a leg begins only with two packets in sequence, see strep.stream.probation. max_calls: legs at
    one time. senders_may_move: whether a stream may go on from another address at once, see strep.stream.source_lock.
    compiled: None: rules run as they stand until they are compiled, which is done meanwhile. True: they are waited for.
    False: they run as they stand, 100 times as slow, to be stepped through.
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
        if self.compiled and not is_available():
            raise ConfigError("compiled needs a numba that can be imported, found none")

    def with_payload_types(self, told: Mapping[int, AudioFormat]) -> EngineConfig:
        """Copy this configuration with some payload types meaning what the caller says."""
        return replace(self, payload_types=self.payload_types.with_overrides(told))


class Engine:
    """All streams of a receiver or a capture. `fates` counts every datagram fed, by Fate."""

    def __init__(self, config: EngineConfig | None = None) -> None:
        self.config = config or EngineConfig()
        streams = self.config.max_streams
        capacity = streams + max(64, streams // 4)  # a quarter of all streams may have changed their SSRC
        self.fates = np.zeros(len(Fate), np.int64)
        self._sources, self._streams = Sources(capacity), records(streams, STREAM)
        self._endpoints: Sequence[Endpoint] = ()
        self._conversations = Conversations()
        self._outbox, self._formats, self._faults = Outbox(), Formats(), RuleFaults()
        index = KeyIndex(4 * capacity)  # sources, and those that are left out, see strep.stream.admission
        tables = self._sources, self._streams, self._outbox
        self._legs = Legs(*tables, self._payload_types_of, index, self._formats)
        self._admission = self._admit()
        state = State(
            sources=self._sources,
            streams=self._streams,
            legs=self._legs,
            formats=self._formats,
            conversations=self._conversations,
            admission=self._admission,
            fates=self.fates,
            faults=self._faults,
            outbox=self._outbox,
        )
        self._delay_ns = self.config.playout_delay_ms * 1_000_000
        self._path = PacketPath(state, self._delay_ns, rules_by(self.config.compiled))
        self._second: int | None = None
        self._watermark_ns = self._latest_ns = 0

    def _admit(self) -> Admission:
        config = self.config
        rules = AdmissionRules(config.probation, config.max_calls, config.senders_may_move, config.admits)
        return Admission(self._legs, self._sources, self.fates, rules)

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
        self._conversations.forget(numbers)

    @property
    def is_waiting(self) -> bool:
        """Tell whether packets wait for their playout delay to pass."""
        return self._path.is_waiting

    @property
    def faults(self) -> int:
        """Count how often a rule of ours failed: each time is a bug, was logged, and cost one stream at most."""
        return self._faults.count

    def counts(self) -> dict[str, int]:
        """Give the fates by name; they add up to the datagrams fed."""
        return {fate.label: int(self.fates[fate]) for fate in Fate}

    @property
    def unproven_packets(self) -> int:
        """Count the packets that wait for their sender's proof (strep.stream.probation): fates have them as refused."""
        return self._admission.unproven_packets

    def senders_in_use(self) -> set[int]:
        """Give the numbers of all senders (DatagramBatch.source) that anything here still refers to."""
        return self._admission.senders_in_use()

    def recorded_bytes(self, call: str) -> int:
        """Say how many bytes an open leg's streams come to as 16-bit samples, by StreamIdentity.call."""
        slots = [state.slot for state in self._legs.of_call(call)]
        return 2 * int(self._streams.end_position[slots].sum())

    def reports(self) -> list[StreamReport]:
        """Report all open streams so far."""
        self._admission.count_refused()
        streams = self._legs.streams()
        return [report_stream(self._sources, self._streams, state, self._endpoints) for state in streams]

    def feed(self, batch: DatagramBatch) -> list[Output]:
        """Take datagrams in order of arrival, none before those of an earlier call. No bytes make it raise."""
        self._endpoints = batch.endpoints
        self._conversations.make_room(len(batch.endpoints))
        self._admission.begin_batch()
        if len(batch):
            self._second = int(batch.arrival_ns[0]) // _SECOND_NS if self._second is None else self._second
            self._receive(batch, self._second + 1)
            self._latest_ns = max(self._latest_ns, int(batch.arrival_ns[-1]))
            self._close_failed(int(batch.arrival_ns[-1]))
        return self._take()

    def advance(self, watermark_ns: int) -> list[Output]:
        """Hand on what is due: every datagram that arrived before `watermark_ns` must have been fed."""
        self._pass_seconds(watermark_ns // _SECOND_NS)
        if watermark_ns > self._watermark_ns:
            self._watermark_ns = watermark_ns
            self._latest_ns = max(self._latest_ns, watermark_ns)
            self._path.play_out(watermark_ns - self._delay_ns)
            self._close_failed(watermark_ns)
        return self._take()

    def end_call(self, call: str, reason: CloseReason = CloseReason.ENDED) -> list[Output]:
        """Close both directions of one leg, by its StreamIdentity.call."""
        self._close(self._legs.of_call(call), self._latest_ns, reason)
        return self._take()

    def leave_out(self, calls: int) -> list[Output]:
        """Close the youngest legs, and take nothing of them, nor of new ones, until `take_back`: there is too much."""
        if calls <= 0:
            return []
        states = self._legs.youngest(calls)
        keys = self._legs.keys_of(states)
        self._close(states, self._latest_ns, CloseReason.OVERLOADED)
        self._admission.leave_out(keys)
        return self._take()

    def take_back(self, calls: int) -> None:
        """Take new legs again, and so many of those that were left out, those first that were left out first."""
        self._admission.take_back(calls)

    def ask_again(self) -> None:
        """Forget which legs were not admitted: with its next packet, each is asked about anew."""
        self._admission.ask_again()

    def close(self) -> list[Output]:
        """Hand on everything and close every stream."""
        self._settle(self._watermark_ns)
        self._close(self._legs.streams(), self._latest_ns, CloseReason.STOPPED)
        return self._take()

    def _take(self) -> list[Output]:
        self._path.collect()
        return self._outbox.take()

    def _receive(self, batch: DatagramBatch, next_second: int | None) -> None:
        """Receive datagrams, and decide on those that rules cannot. next_second: None for packets of before."""
        batch, n, stop = replace(batch, source=batch.source.copy()), 0, None
        while stop is not Stop.END:
            ends_ns = NEVER if next_second is None else next_second * _SECOND_NS
            n, stop = self._path.receive(batch, n, ends_ns)
            if stop is Stop.SECOND:
                second = int(batch.arrival_ns[n]) // _SECOND_NS
                self._pass_seconds(second)
                next_second = second + 1
            elif stop is Stop.CONVERSATION:
                sender = int(batch.source[n])
                self._conversations.learn(sender, batch.endpoints[sender])
            elif stop is Stop.UNKNOWN:
                self._take_held(self._admit_contained(batch, n, ends_ns))

    def _admit_contained(self, batch: DatagramBatch, first: int, ends_ns: int) -> list[HeldPacket]:
        """Decide on all unknown sources from a datagram on; should that fail, it costs that datagram."""
        try:
            return self._admission.admit(batch, self._path.find_unknown(batch, first, ends_ns))
        except Exception:
            self._faults.note_nobody(batch.datagram(first))
            self.fates[Fate.REJECTED_FAULT] += batch.source[first] != HELD_BACK
            batch.source[first] = HELD_BACK
            return []

    def _take_held(self, held: list[HeldPacket]) -> None:
        """Take packets that were held back; their sources are known by now."""
        if held:
            arrival_ns, senders = [packet.arrival_ns for packet in held], [sender_of(packet.key) for packet in held]
            datagrams = [packet.datagram for packet in held]
            self._receive(DatagramBatch.from_datagrams(datagrams, arrival_ns, senders, self._endpoints), None)

    def _close_failed(self, now_ns: int) -> None:
        """Close the streams at which a rule of ours failed."""
        states = [state for slot in self._faults.slots if (state := self._legs.state[slot]) is not None]
        self._close(states, now_ns, CloseReason.FAULT)
        self._faults.forget()

    def _payload_types_of(self, identity: StreamIdentity, endpoint: Endpoint) -> PayloadTypeMap:
        of_stream = self.config.payload_types_of
        return (of_stream and of_stream(identity, endpoint)) or self.config.payload_types

    def _pass_seconds(self, second: int) -> None:
        """Do at each whole second up to `second` what is periodic."""
        if self._second is None:
            self._second = second
        while self._second < second and (self.open_streams or self._admission.is_waiting):
            self._second = min(second, self._next_second())
            now_ns = self._second * _SECOND_NS
            self._path.play_out(now_ns - self._delay_ns)
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
        if self._path.is_waiting or self._admission.is_waiting:
            return self._second + 1
        heard_ns = self._legs.heard_ns()
        ends_ns = np.concatenate((heard_ns + self.config.idle_timeout_s * _SECOND_NS, heard_ns + _SHORT_IDLE_NS))
        future_ns = ends_ns[ends_ns > self._second * _SECOND_NS]
        seconds = [-(-int(future_ns.min()) // _SECOND_NS)] if len(future_ns) else []
        if (self._streams.window_anchor_ns != NEVER).any():
            seconds.append((self._second // _WINDOW_S + 1) * _WINDOW_S)
        return min(seconds, default=self._second + _FAR_S)

    def _settle(self, now_ns: int) -> None:
        """Let admission do what it does at whole seconds."""
        held, making_way = self._admission.pass_second(now_ns)
        self._close(making_way, now_ns, CloseReason.DISPLACED)
        self._take_held(held)

    def _watch_clocks(self, now_ns: int) -> None:
        window = self._streams.window_anchor_ns
        for state in self._legs.streams():
            anchor_ns = int(window[state.slot])
            if anchor_ns != NEVER:
                state.last_window = (anchor_ns, now_ns)
                state.first_window = state.first_window or state.last_window
        window[:] = NEVER

    def _expire(self, now_ns: int) -> None:
        """Close the legs of which no direction was heard for the idle time-out; those that hardly began, sooner."""
        idle_ns = self.config.idle_timeout_s * _SECOND_NS
        self._close(self._legs.silent_since(now_ns - idle_ns), now_ns, CloseReason.IDLE)
        short = self._legs.silent_since(now_ns - min(idle_ns, _SHORT_IDLE_NS), _SHORT_PACKETS)
        self._close(short, now_ns, CloseReason.IDLE)

    def _close(self, states: list[StreamState], now_ns: int, reason: CloseReason) -> None:
        if not states:
            return
        for state in states:
            self._path.play_out_all(state.slot)
        self._path.collect()
        self._admission.count_refused()
        for state in states:
            report = report_stream(self._sources, self._streams, state, self._endpoints)
            self._outbox.event(StreamClosed(now_ns, state.slot, reason, report))
        self._legs.close(states)
