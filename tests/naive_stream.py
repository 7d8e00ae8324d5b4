"""A naive model of one stream: one packet at a time, dictionaries, unbounded integers, no tricks.

It says what the docstrings of strep.wire.headers, strep.stream.intake, timeline, clock and placing say, and shares no
code with them; decoders, concealment and the parsers of RED and telephone events are ours, which have oracles of their
own. It gives what a stream puts out (samples with their labels, events, the numbers of its report), whatever portions
its packets came in.

One sender, STREP or not, any number of SSRCs; who may send at all is what tests/naive_fates.py says.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from strep.audio.block import SampleState
from strep.audio.conceal import conceal
from strep.audio.decoders import Decoder, is_decodable, new_decoder
from strep.audio.formats import AudioFormat, PayloadTypeMap
from strep.errors import WireError
from strep.stream.events import AnchorMoved, FormatChanged, Gap, SourceChanged, TelephoneEvent
from strep.wire.fate import Fate
from strep.wire.telephone_event import TelephoneEventPayload, event_name
from tests.red import blocks_of

SECOND = 1_000_000_000
MS = 1_000_000
#: Packets that a source remembers.
RING = 64
Told = AnchorMoved | FormatChanged | Gap | SourceChanged | TelephoneEvent


@dataclass
class Packet:
    """A packet that was taken: its unbounded numbers, and what it carries."""

    place: int
    timestamp: int
    arrival_ns: int
    payload_type: int
    payload: bytes
    is_late: bool = False


@dataclass
class Source:
    """What one SSRC sent."""

    ssrc: int
    ring: dict[int, Packet] = field(default_factory=dict)
    taken: dict[int, Packet] = field(default_factory=dict)
    packets: int = 0
    payload_bytes: int = 0
    highest: int = 0
    base: int = 0
    expected_before: int = 0
    wild_next: int = -1
    runs: list[int] = field(default_factory=list)
    claims: str = "undecided"
    counts: Counter[str] = field(default_factory=Counter)
    types: dict[int, bool] = field(default_factory=dict)  # and whether each is known
    # Jitter (RFC 3550 A.8).
    last_timestamp: int = 0
    last_arrival_ns: int | None = None
    clock_hz: int = 8000
    after_pause: bool = False
    jitter_ns: float = 0.0
    jitters_ns: list[float] = field(default_factory=list)
    most_delta_ns: int = 0
    # What was handed on.
    cursor: int = 0
    has_handed_on: bool = False
    missing: int = 0
    follows: tuple[int, int] | None = None  # timestamp and position of what would go on

    @property
    def knows_a_type(self) -> bool:
        return any(self.types.values())

    @property
    def lost(self) -> int:
        expected = self.expected_before + self.highest - self.base + 1
        return expected - (self.packets - self.counts["duplicate"] - self.counts["rejected_sequence"])


@dataclass
class RunningEvent:
    """A telephone event of which packets were seen."""

    payload: TelephoneEventPayload
    timestamp: int
    time_ns: int
    last_ns: int
    position: int
    clock_hz: int
    duration: int = 0
    is_told: bool = False


class NaiveStream:
    """One direction of a leg. `pieces`: (rate, position, samples, state) in order; `events`; `fates`."""

    def __init__(self, payload_types: PayloadTypeMap, start_ns: int, playout_delay_ms: int = 100) -> None:
        self.payload_types, self.start_ns, self.delay_ns = payload_types, start_ns, playout_delay_ms * MS
        self.sources: dict[int, Source] = {}
        self.waiting: list[tuple[Source, Packet]] = []
        self.fates: Counter[Fate] = Counter()
        self.pieces: list[tuple[int, int, NDArray[np.int16], SampleState]] = []
        self.events: list[Told] = []
        self.end, self.rate_hz = 0, 8000
        self.anchor_ns = self.told_anchor_ns = start_ns
        self.speaker: Source | None = None  # whose audio was placed last
        self.payload_type = -1
        self.format: AudioFormat | None = None
        self.decoder: Decoder | None = None
        self.heard = np.zeros(0, np.int16)  # what came last without a break
        self.heard_hz, self.has_broken = 0, False
        self.frame_samples, self.overlapped = 0, 0
        self.pause_is = SampleState.SILENCE
        self.samples: Counter[SampleState] = Counter()  # but for those that were received
        self.running: RunningEvent | None = None

    # Packets come.

    def packet(self, arrival_ns: int, rtp: bytes) -> None:
        """Take one RTP packet whose headers are whole."""
        self.pass_time(arrival_ns)
        first, payload_type, marker = rtp[0], rtp[1] & 127, rtp[1] >= 128
        number, timestamp, ssrc = (int.from_bytes(rtp[a:b]) for a, b in ((2, 4), (4, 8), (8, 12)))
        source = self.sources.setdefault(ssrc, Source(ssrc))
        place, fate = self._judge(source, number, timestamp, arrival_ns)
        payload = self._payload(source, rtp, first, payload_type)
        source.packets += 1
        source.payload_bytes += len(payload)
        payload_type, payload = self._unpack(source, payload_type, payload)
        if fate is not Fate.REJECTED_SEQUENCE:
            self._measure(source, payload_type, timestamp, arrival_ns, marker, place == source.highest)
        self.fates[fate] += 1
        if fate is not Fate.ACCEPTED:
            source.counts[fate.label] += 1
        if place is not None and fate is Fate.ACCEPTED:
            unbounded = _near(timestamp, source.last_timestamp, 32)
            self._lay(source, Packet(place, unbounded, arrival_ns, payload_type, payload))

    def _judge(self, source: Source, number: int, timestamp: int, now_ns: int) -> tuple[int | None, Fate]:
        if not source.packets:
            source.highest = source.base = source.cursor = number
            source.last_timestamp = timestamp
            return number, Fate.ACCEPTED
        place = _near(number, source.highest, 16)
        if not -RING < place - source.highest <= 3000:
            if number != source.wild_next:
                source.wild_next = (number + 1) % 65_536
                return None, Fate.REJECTED_SEQUENCE
            place = source.highest + RING + (number - source.highest - RING) % 65_536
            source.expected_before += source.highest - source.base + 1
            source.base = source.highest = place
            source.runs.append(place - 1)
            source.wild_next = -1
            source.counts["restarts"] += 1
            return place, Fate.ACCEPTED
        if place > source.highest:
            source.highest = place
            return place, Fate.ACCEPTED
        if place % RING in source.ring and source.ring[place % RING].place == place:
            return None, Fate.DUPLICATE
        source.base = min(source.base, place)
        overtaken = any(
            other.place > place and other.arrival_ns + self.delay_ns <= now_ns for other in source.ring.values()
        )
        if overtaken or (source.has_handed_on and place < source.cursor):
            self._make_room(source, place)
            source.ring[place % RING] = Packet(place, 0, now_ns, 0, b"", is_late=True)
            return None, Fate.LATE
        source.counts["reordered"] += 1
        if source.runs and source.runs[-1] - RING < place < source.runs[-1]:
            source.runs[-1] = place
        source.cursor = min(source.cursor, place)
        return place, Fate.ACCEPTED

    def _payload(self, source: Source, rtp: bytes, first: int, payload_type: int) -> bytes:
        """Give what lies behind the header, as far as its claims are to be believed."""
        end = len(rtp) - (rtp[-1] if first & 0x20 else 0)
        if not first & 0x1F:
            return rtp[12:end]
        start = 12 + 4 * (first & 15)
        if first & 0x10:
            start += 4 + 4 * int.from_bytes(rtp[start + 2 : start + 4]) if start + 4 <= len(rtp) else 1 << 20
        meaning = self.payload_types[payload_type]
        unit = {"PCMU": 80, "PCMA": 80, "G722": 80, "G729": 10}.get(meaning.encoding, 0) if meaning else 0
        fits = start <= len(rtp)
        is_uneven = fits and bool(unit) and (end - start) % unit != 0 and (end - 12) % unit == 0
        if not fits or (is_uneven and source.claims != "believed"):
            source.claims = "disbelieved"
        elif source.claims == "undecided" and source.packets >= 8:
            source.claims = "believed"
        return rtp[12 if source.claims == "disbelieved" else start : end]

    def _unpack(self, source: Source, payload_type: int, payload: bytes) -> tuple[int, bytes]:
        meaning = self.payload_types[payload_type]
        if meaning is not None and meaning.encoding == "RED":
            blocks = blocks_of(payload)
            if not blocks:
                return payload_type, payload
            payload_type, payload = blocks[-1].payload_type, blocks[-1].audio
            meaning = self.payload_types[payload_type]
        if meaning is not None and meaning.encoding in ("PCMU", "PCMA", "G722"):
            source.counts["undecoded"] += len(payload) > 1600
            payload = payload[:1600]
        return payload_type, payload

    def _measure(
        self, source: Source, payload_type: int, timestamp: int, now_ns: int, marker: bool, newest: bool
    ) -> None:
        meaning = self.payload_types[payload_type]
        if payload_type not in source.types:
            if meaning and source.types and not source.knows_a_type:
                source.jitter_ns, source.jitters_ns = 0.0, []
            source.types[payload_type] = meaning is not None
        source.clock_hz = meaning.rtp_clock_hz if meaning else 8000
        encoding = meaning.encoding if meaning else ""
        has_no_clock = encoding == "TELEPHONE-EVENT" or (meaning is None and source.knows_a_type)
        is_regular = not (encoding == "CN" or source.after_pause or marker)
        source.after_pause = has_no_clock or encoding == "CN"
        if has_no_clock:
            return
        unbounded = _near(timestamp, source.last_timestamp, 32)
        if source.last_arrival_ns is not None:
            delta_ns, ticks = now_ns - source.last_arrival_ns, unbounded - source.last_timestamp
            difference_ns = abs(delta_ns - ticks * (1e9 / source.clock_hz))
            if difference_ns <= SECOND and (ticks >= 0 or not newest):
                source.jitter_ns += (difference_ns - source.jitter_ns) / 16
                if is_regular:
                    source.jitters_ns.append(source.jitter_ns)
            if is_regular:
                source.most_delta_ns = max(source.most_delta_ns, delta_ns)
        source.last_timestamp, source.last_arrival_ns = unbounded, now_ns

    def _lay(self, source: Source, packet: Packet) -> None:
        if packet.place - source.cursor >= RING:
            self._make_room(source, packet.place)
        source.ring[packet.place % RING] = source.taken[packet.place] = packet
        self.waiting.append((source, packet))

    def _make_room(self, source: Source, place: int) -> None:
        """Hand on what the place of a packet still holds, and before that what the stream's other sources have."""
        old = source.ring.get(place % RING)
        if old is None or old.place < source.cursor:
            return
        if len(self.sources) == 1:
            self._hand_on(source, old.place)
            return
        while self.waiting and source.cursor <= old.place:
            earlier, packet = self.waiting.pop(0)
            self._hand_on(earlier, packet.place)

    # Time passes.

    def pass_time(self, now_ns: int) -> None:
        """Hand on what came a playout delay before."""
        while self.waiting and self.waiting[0][1].arrival_ns + self.delay_ns <= now_ns:
            source, packet = self.waiting.pop(0)
            self._hand_on(source, packet.place)

    def close(self) -> None:
        """Hand on everything."""
        while self.waiting:
            source, packet = self.waiting.pop(0)
            self._hand_on(source, packet.place)
        self._end_event()

    def _hand_on(self, source: Source, target: int) -> None:
        for place in sorted(source.taken):
            if source.cursor <= place <= target:
                while source.runs and place >= source.runs[0]:
                    source.cursor, source.missing = source.runs.pop(0), 0
                source.missing += place - source.cursor
                source.cursor, source.has_handed_on = place + 1, True
                self._place(source, source.taken[place])
        source.cursor = max(source.cursor, target + 1)

    # A packet's place.

    def _place(self, source: Source, packet: Packet) -> None:
        meaning = self.payload_types[packet.payload_type]
        encoding = meaning.encoding if meaning else ""
        if meaning is not None and encoding == "TELEPHONE-EVENT":
            self._place_event(source, packet, meaning)
        elif encoding == "CN":
            self.pause_is = SampleState.SILENCE
        elif encoding == "RED":
            source.counts["undecoded"] += 1
            self.pause_is = SampleState.UNDECODED
        elif packet.payload:
            if packet.payload_type != self.payload_type:
                self._change_format(packet, meaning)
            self._place_audio(source, packet)

    def _place_audio(self, source: Source, packet: Packet) -> None:
        if self.running is not None and packet.arrival_ns - self.running.last_ns > 200 * MS:
            self._end_event()
        position, by_timestamp = self._locate(source, packet)
        goes_on = by_timestamp or (source.follows is not None and position == self.end)
        if source is not self.speaker or (self.format is not None and not goes_on):
            if self.speaker is not None:
                self.events.append(SourceChanged(packet.arrival_ns, 0, position, source.ssrc))
                if source is not self.speaker:
                    self.has_broken = True
                    if self.decoder is not None:
                        self.decoder.reset()
            self.speaker = source
        samples = self.decoder.decode(packet.payload) if self.decoder else np.zeros(0, np.int16)
        end = self.end
        if position > end:
            self._fill(source, packet, position)
            self.has_broken = True
        source.missing = 0
        self.end = max(end, position + len(samples))
        self._move_anchor(packet.arrival_ns - position * SECOND // self.rate_hz)
        if self.format is not None:
            source.follows = packet.timestamp + len(samples) // self._samples_a_tick, position + len(samples)
        if not len(samples):
            source.counts["undecoded"] += 1
            self.pause_is = SampleState.UNDECODED
            return
        self.pause_is, self.frame_samples = SampleState.SILENCE, len(samples)
        assert self.format is not None
        overlap = min(max(0, end - position), len(samples))
        self.overlapped += overlap
        if overlap < len(samples) or self.format.encoding not in ("PCMU", "PCMA"):
            kept = min(2 * round(15 * self.rate_hz / 1000), 1440)
            goes_on = not self.has_broken and self.heard_hz == self.rate_hz
            self.heard = np.append(self.heard if goes_on else [], samples[overlap:]).astype(np.int16)[-kept:]
            self.heard_hz, self.has_broken = self.rate_hz, False
        self._put(position + overlap, samples[overlap:], SampleState.RECEIVED)

    @property
    def _samples_a_tick(self) -> int:
        return self.format.sample_rate_hz // self.format.rtp_clock_hz if self.format else 1

    def _locate(self, source: Source, packet: Packet) -> tuple[int, bool]:
        """Give a packet's position by the rules of strep.stream.clock, and whether its timestamp says so."""
        lost = source.missing * self.frame_samples
        since_ns = packet.arrival_ns - self.anchor_ns
        is_known = source.follows is not None and self.format is not None
        timestamp, position = source.follows or (0, 0)
        moved = (packet.timestamp - timestamp) * self._samples_a_tick
        position, has_jumped = position + moved, moved not in (0, lost)
        if (is_known and moved <= -max(self.frame_samples, 1)) or (not is_known and since_ns <= 0):
            return self._by_arrival(since_ns, lost), False
        elapsed_ns = packet.arrival_ns - self.start_ns
        heard = self.end - self.samples.total()
        furthest = max(elapsed_ns * 1_001_000 // 1_000_000 * self.rate_hz // SECOND, heard + heard // 8)
        is_known &= position <= max(self.end, furthest + 5 * self.rate_hz)
        delay_ns = since_ns - position * SECOND // self.rate_hz
        if is_known and _is_believed(delay_ns, has_jumped):
            return position, True
        ahead_ns, overflows = self._least_delayed(source, packet)
        if is_known and (_is_believed(delay_ns - ahead_ns, has_jumped) or (overflows and not has_jumped)):
            return position, True
        return self._by_arrival(since_ns - ahead_ns, lost), False

    def _by_arrival(self, since_ns: int, lost: int) -> int:
        position = max(0, (2 * since_ns * self.rate_hz // SECOND + 1) // 2)
        is_near = abs(position - (self.end + lost)) * SECOND <= 30 * MS * self.rate_hz
        return self.end + lost if is_near else position

    def _least_delayed(self, source: Source, packet: Packet) -> tuple[int, bool]:
        later = [other for other in source.ring.values() if other.place >= packet.place and not other.is_late]
        if source.runs:
            later = [other for other in later if other.place < source.runs[0]]
        first_ns = min(other.arrival_ns for other in later)
        soon = [other for other in later if other.arrival_ns < first_ns + self.delay_ns]
        overflows = bool(soon) and max(other.place for other in soon) - packet.place >= RING - 1
        leads_ns = [
            (other.timestamp - packet.timestamp) * self._samples_a_tick * SECOND // self.rate_hz
            - (other.arrival_ns - packet.arrival_ns)
            for other in soon
            if other.payload_type == packet.payload_type
        ]
        return max([0, *leads_ns]), overflows

    def _fill(self, source: Source, packet: Packet, stop: int) -> None:
        """Give every sample up to a position a cause."""
        start, lost = self.end, min(stop - self.end, source.missing * self.frame_samples)
        if lost:
            limit = 60 * self.rate_hz // 1000
            made_up = np.zeros(min(lost, limit), np.int16)
            conceal(self.heard[: None if self.heard_hz == self.rate_hz else 0], self.rate_hz, made_up)
            state = SampleState.CONCEALED if lost <= limit else SampleState.LOST
            self._tell_gap(packet, start, lost, source.missing, state)
            self._put(start, made_up, SampleState.CONCEALED)
            self._put(start + len(made_up), np.zeros(lost - len(made_up), np.int16), SampleState.LOST)
        if start + lost < stop:
            if self.pause_is is SampleState.SILENCE:
                self._tell_gap(packet, start + lost, stop - start - lost, 0, self.pause_is)
            self._put(start + lost, np.zeros(stop - start - lost, np.int16), self.pause_is)

    def _tell_gap(self, packet: Packet, start: int, length: int, packets: int, state: SampleState) -> None:
        self.events.append(Gap(packet.arrival_ns, 0, start, length, self.rate_hz, packets, state))

    def _put(self, position: int, samples: NDArray[np.int16], state: SampleState) -> None:
        if len(samples):
            if state is not SampleState.RECEIVED:
                self.samples[state] += len(samples)
            self.pieces.append((self.rate_hz, position, samples, state))

    def _move_anchor(self, anchor_ns: int) -> None:
        self.anchor_ns = min(self.anchor_ns, anchor_ns)
        if self.anchor_ns < self.told_anchor_ns - MS // 2:
            self.told_anchor_ns = self.anchor_ns
            end_ns = self.anchor_ns + self.end * SECOND // self.rate_hz
            self.events.append(AnchorMoved(end_ns, 0, self.anchor_ns))

    def _change_format(self, packet: Packet, meaning: AudioFormat | None) -> None:
        rate_hz = meaning.sample_rate_hz if meaning else self.rate_hz
        if rate_hz != self.rate_hz:
            self.end = -(-self.end * rate_hz // self.rate_hz)
            for source in self.sources.values():
                if source.follows is not None:
                    source.follows = source.follows[0], -(-source.follows[1] * rate_hz // self.rate_hz)
            self.frame_samples = self.frame_samples * rate_hz // self.rate_hz
            self.samples = Counter({state: n * rate_hz // self.rate_hz for state, n in self.samples.items()})
            self.overlapped = self.overlapped * rate_hz // self.rate_hz
            self.rate_hz = rate_hz
        self.payload_type, self.format = packet.payload_type, meaning
        self.has_broken = True
        self.decoder = new_decoder(meaning) if meaning is not None and is_decodable(meaning) else None
        self.events.append(FormatChanged(packet.arrival_ns, 0, self.end, packet.payload_type, meaning))

    # Telephone events (RFC 4733).

    def _place_event(self, source: Source, packet: Packet, meaning: AudioFormat) -> None:
        try:
            payload = TelephoneEventPayload.parse(packet.payload)
        except WireError:
            source.counts["undecoded"] += 1
            return
        position = max(0, self._locate(source, packet)[0])
        running = self.running
        if running is None or (running.timestamp, running.payload.event) != (packet.timestamp, payload.event):
            self._end_event()
            running = self.running = RunningEvent(
                payload, packet.timestamp, packet.arrival_ns, packet.arrival_ns, position, meaning.rtp_clock_hz
            )
        running.duration, running.last_ns = max(running.duration, payload.duration), packet.arrival_ns
        if payload.end and not running.is_told:
            self._tell_event(running, complete=True)

    def _end_event(self) -> None:
        if self.running is not None and not self.running.is_told:
            self._tell_event(self.running, complete=False)

    def _tell_event(self, running: RunningEvent, *, complete: bool) -> None:
        running.is_told = True
        number, name = running.payload.event, event_name(running.payload.event)
        duration_ms = running.duration * 1000 / running.clock_hz
        told = TelephoneEvent(
            running.time_ns, 0, running.position, number, name, duration_ms, running.payload.volume_dbm0, complete
        )
        self.events.append(told)


def _near(number: int, reference: int, bits: int) -> int:
    """Give the unbounded number nearest to a reference that has these low bits."""
    half = 1 << (bits - 1)
    return reference + (number - reference + half) % (2 * half) - half


def _is_believed(delay_ns: int, has_jumped: bool) -> bool:
    return abs(delay_ns) <= 250 * MS if has_jumped else delay_ns <= SECOND
