"""A naive model of what becomes of each datagram: one at a time, dictionaries, unbounded integers, no tricks.

It says what the docstrings of strep.wire.headers, strep.stream.admission, probation, source_lock and sequence say, and
shares no code with them. Where they leave something open (which of two equal legs makes way), or a bound of memory is
reached, it raises Unspecified: from there on nothing can be compared.
"""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field

from strep.stream.engine import EngineConfig
from strep.stream.events import Direction, Leg, StreamIdentity
from strep.wire.batch import Endpoint
from strep.wire.fate import Fate

SECOND = 1_000_000_000
#: Sources, or refusals of a kind, that any engine has room for.
_ROOM = 60
_BELOW_0 = {-1: Fate.REJECTED_SENDER, -2: Fate.OVER_LIMIT_SENDERS, -3: Fate.REJECTED_NOT_STREP}


class Unspecified(Exception):  # noqa: N818 -- it says that the model ends
    """Says that the rules do not say what happens."""


@dataclass(frozen=True)
class Key:
    """Is whose a packet is: `call` with the leg, direction, SSRC, and the number of the sender."""

    call: str
    direction: int
    ssrc: int
    sender: int
    is_strep: bool


@dataclass
class Packet:
    """Is one RTP packet."""

    key: Key
    sequence_number: int
    timestamp: int
    arrival_ns: int
    fate: Fate = Fate.REJECTED_PROBATION


@dataclass
class Source:
    """Is what one SSRC from one address sent: when each unbounded number came first."""

    key: Key
    latest_ns: int
    packets: int = 0
    highest: int = 0
    wild_next: int = -1
    came_ns: dict[int, int] = field(default_factory=dict)

    def judge(self, packet: Packet, delay_ns: int) -> Fate:
        """Judge a packet by the rules 1 to 3 of strep.stream.sequence."""
        number, now_ns = packet.sequence_number, packet.arrival_ns
        self.latest_ns, first = now_ns, not self.packets
        self.packets += 1
        place = number if first else self.highest + (number - self.highest + 32_768) % 65_536 - 32_768
        if not first and not -64 < place - self.highest <= 3000:
            if number != self.wild_next:
                self.wild_next = (number + 1) % 65_536
                return Fate.REJECTED_SEQUENCE
            self.wild_next = -1
            place = self.highest + 64 + (number - self.highest - 64) % 65_536
        elif place in self.came_ns:
            return Fate.DUPLICATE
        is_late = any(other > place and came_ns + delay_ns <= now_ns for other, came_ns in self.came_ns.items())
        self.came_ns[place] = now_ns
        self.highest = max(self.highest, place) if not first else place
        return Fate.LATE if is_late else Fate.ACCEPTED


@dataclass
class Stream:
    """Is one direction of a leg: `known` are the sources whose packets are taken, the others were of owners before."""

    owner: int
    sources: list[Source] = field(default_factory=list)
    known: dict[Key, Source] = field(default_factory=dict)
    earlier_owners: list[int] = field(default_factory=list)

    @property
    def heard_ns(self) -> int:
        return max(source.latest_ns for source in self.sources)


@dataclass
class Held:
    """Is what one sender sent to one leg and was held back."""

    packets: list[Packet] = field(default_factory=list)
    following: dict[Key, int] = field(default_factory=dict)
    is_proven: bool = False


class NaiveFates:
    """Counts what becomes of datagrams."""

    def __init__(self, config: EngineConfig, endpoints: tuple[Endpoint, ...]) -> None:
        self.config, self.endpoints = config, endpoints
        self.counts: Counter[Fate] = Counter()
        self.legs: dict[str, dict[int, Stream]] = {}
        self.held: dict[tuple[str, int], Held] = {}
        self.waiting: dict[tuple[str, int], Packet] = {}  # who is to have a stream
        self.refused_sources: set[Key] = set()
        self.refused_legs: dict[str, None] = {}
        self.left_out: dict[str, None] = {}
        self.takes_new, self.asks_again = True, False
        self.short: set[str] = set()
        self.second: int | None = None

    # What happens.

    def datagram(self, arrival_ns: int, data: bytes, sender: int) -> None:
        """Take one datagram."""
        self.pass_time(arrival_ns)
        if self.asks_again:
            self.asks_again = False
            self.refused_legs.clear()
        if sender < 0:
            self.counts[_BELOW_0[sender]] += 1
        elif len(data) > 2048:
            self.counts[Fate.OVER_LIMIT_SIZE] += 1
        else:
            read = self._read(arrival_ns, data, sender)
            if isinstance(read, Packet):
                self._take(read)
            else:
                self.counts[read] += 1

    def pass_time(self, now_ns: int) -> None:
        """Do at each whole second up to a time what is done there."""
        second = now_ns // SECOND
        if self.second is None:
            self.second = second
        while self.second < second:
            self.second = min(second, self._next_second())
            self._whole_second(self.second * SECOND)

    def end_call(self, call: str) -> None:
        self.legs.pop(call, None)

    def leave_out(self, calls: int) -> None:
        if calls > 0:
            self.takes_new = False
            for call in list(self.legs)[-calls:]:
                del self.legs[call]
                self.left_out[call] = None

    def take_back(self, calls: int) -> None:
        self.takes_new = True
        for call in list(self.left_out)[:calls]:
            del self.left_out[call]

    def ask_again(self) -> None:
        self.asks_again = True

    # What a datagram is (strep.wire.headers).

    def _read(self, arrival_ns: int, data: bytes, sender: int) -> Packet | Fate:
        if not data:
            return Fate.MALFORMED_EMPTY
        kind = data[0] >> 6
        if kind == 0:
            return Fate.NOT_AUDIO_STUN if len(data) >= 20 and data[4:8] == b"\x21\x12\xa4\x42" else Fate.NOT_AUDIO_T38
        if kind == 1:
            return Fate.NOT_AUDIO_SIP
        rtp = data
        if kind == 3:
            if data[0] >> 2 & 15 != 1:
                return Fate.REJECTED_STREP_VERSION
            if len(data) < 24 or not 24 <= data[1] <= len(data):
                return Fate.MALFORMED_STREP
            rtp = data[data[1] :]
        if len(rtp) >= 2 and rtp[0] >> 6 == 2 and 192 <= rtp[1] < 224:
            return Fate.NOT_AUDIO_RTCP
        if len(rtp) < 12 or rtp[0] >> 6 != 2 or not _padding_can_be(rtp):
            return Fate.MALFORMED_RTP
        sequence_number, timestamp, ssrc = (int.from_bytes(rtp[a:b]) for a, b in ((2, 4), (4, 8), (8, 12)))
        if kind == 3:
            call, direction = f"{uuid.UUID(bytes=data[8:24])}-{'AB'[data[0] >> 1 & 1]}", data[0] & 1
        else:
            call, direction = self.endpoints[sender].conversation, self.endpoints[sender].direction
        return Packet(Key(call, direction, ssrc, sender, kind == 3), sequence_number, timestamp, arrival_ns)

    # Whose it is (strep.stream.admission).

    def _take(self, packet: Packet) -> None:
        key = packet.key
        leg = self.legs.get(key.call)
        source = leg[key.direction].known.get(key) if leg and key.direction in leg else None
        if source is not None:
            self.counts[source.judge(packet, self.config.playout_delay_ms * 1_000_000)] += 1
            return
        if key in self.refused_sources:  # until the next whole second, also when the leg closes before
            self.counts[Fate.REJECTED_SOURCE] += 1
            return
        fate = self._of_open_leg(packet, leg) if leg else self._of_new_leg(packet)
        if fate is None:
            held = self._release(key)
            for one in (*held, packet):
                self._begin(one.key, one.arrival_ns)
            for one in (*held, packet):
                self._take(one)
        elif fate in (Fate.REJECTED_SOURCE, Fate.REJECTED_LEG, Fate.OVER_LIMIT_LOAD):
            self.counts[fate] += 1 + len(self._release(key))
            if fate is Fate.REJECTED_SOURCE:
                self.refused_sources.add(key)
            else:
                (self.refused_legs if fate is Fate.REJECTED_LEG else self.left_out)[key.call] = None
            if max(map(len, (self.refused_sources, self.refused_legs, self.left_out))) > _ROOM // 4:
                raise Unspecified("more refusals than are remembered")
        else:
            self.counts[fate] += 1
            packet.fate = fate
            self._hold(packet)

    def _of_open_leg(self, packet: Packet, leg: dict[int, Stream]) -> Fate | None:
        key, stream = packet.key, leg.get(packet.key.direction)
        if not self._may_send(packet, stream, leg):
            return Fate.REJECTED_SOURCE
        if stream is not None and stream.owner != key.sender:
            waiting = self.waiting.get((key.call, key.direction))
            if waiting is None or waiting.key != key:
                self.waiting[key.call, key.direction] = packet
            return Fate.REJECTED_PROBATION
        return None if self._has_room(stream) else Fate.OVER_LIMIT_STREAMS

    def _may_send(self, packet: Packet, stream: Stream | None, leg: dict[int, Stream]) -> bool:
        """Judge by strep.stream.source_lock."""
        key = packet.key
        silent_ns = packet.arrival_ns - max(one.heard_ns for one in leg.values())
        if stream is None:
            is_known = not key.is_strep or self.config.senders_may_move
            is_known |= any(self._host(one.owner) == self._host(key.sender) for one in leg.values())
            return is_known or silent_ns >= 3 * SECOND
        if key.sender == stream.owner or key.sender in stream.earlier_owners:
            return True
        waiting = self.waiting.get((key.call, key.direction))
        if waiting is not None:
            return waiting.key == key
        return self._is_left(packet, stream, leg)

    def _is_left(self, packet: Packet, stream: Stream, leg: dict[int, Stream]) -> bool:
        if self._host(packet.key.sender) == self._host(stream.owner):
            return packet.arrival_ns - stream.heard_ns >= SECOND
        others = [one for one in leg.values() if self._host(one.owner) != self._host(packet.key.sender)]
        return packet.arrival_ns - max(one.heard_ns for one in others) >= 3 * SECOND

    def _of_new_leg(self, packet: Packet) -> Fate | None:
        key, config = packet.key, self.config
        if key.call in self.refused_legs:
            return Fate.REJECTED_LEG
        if key.call in self.left_out or not self.takes_new:
            return Fate.OVER_LIMIT_LOAD
        if config.probation and not self._is_proven(key, packet.sequence_number):
            return Fate.REJECTED_PROBATION
        if config.admits and not config.admits(self._identity(key), self.endpoints[key.sender]):
            return Fate.REJECTED_LEG
        if not self._has_room(None):
            self.short.add(key.call)
            return Fate.OVER_LIMIT_STREAMS
        if len(self.legs) >= config.max_calls:
            self.short.add(key.call)
            return Fate.OVER_LIMIT_CALLS
        return None

    def _has_room(self, stream: Stream | None) -> bool:
        if sum(len(one.sources) for leg in self.legs.values() for one in leg.values()) > _ROOM:
            raise Unspecified("more sources than may fit")
        return stream is not None or sum(map(len, self.legs.values())) < self.config.max_streams

    def _begin(self, key: Key, now_ns: int) -> None:
        leg = self.legs.get(key.call)
        stream = leg.get(key.direction) if leg else None
        is_others = stream is not None and stream.owner != key.sender
        if is_others or (stream and key in stream.known) or not self._has_room(stream):
            return
        if stream is None:
            stream = self.legs.setdefault(key.call, {})[key.direction] = Stream(key.sender)
        source = stream.known[key] = Source(key, now_ns)
        stream.sources.append(source)

    def _identity(self, key: Key) -> StreamIdentity:
        if not key.is_strep:
            return StreamIdentity(None, Leg.A, Direction(key.direction), key.call)
        return StreamIdentity(uuid.UUID(key.call[:-2]), Leg[key.call[-1]], Direction(key.direction))

    def _host(self, sender: int) -> str:
        return self.endpoints[sender].source.rpartition(":")[0]

    # What is held back (strep.stream.probation).

    def _is_proven(self, key: Key, sequence_number: int) -> bool:
        held = self.held.get((key.call, key.sender))
        return held is not None and (held.is_proven or held.following.get(key) == sequence_number)

    def _hold(self, packet: Packet) -> None:
        whose = packet.key.call, packet.key.sender
        held = self.held.setdefault(whose, Held())
        held.is_proven |= held.following.get(packet.key) == packet.sequence_number
        held.following[packet.key] = (packet.sequence_number + 1) % 65_536
        held.packets.append(packet)
        if len(held.packets) > 128:
            gone = held.packets.pop(0).key
            if all(other.key != gone for other in held.packets):
                del held.following[gone]

    def _release(self, key: Key) -> list[Packet]:
        held = self.held.pop((key.call, key.sender), Held()).packets
        for packet in held:
            self.counts[packet.fate] -= 1
        return sorted(held, key=lambda packet: packet.arrival_ns)

    # What is done at whole seconds.

    def _next_second(self) -> int:
        """Give the next second at which anything can be different, so that years pass in a moment."""
        assert self.second is not None
        if self.held or self.waiting or self.refused_sources or self.short:
            return self.second + 1
        heard_ns = [source.latest_ns for leg in self.legs.values() for one in leg.values() for source in one.sources]
        idle_s = self.config.idle_timeout_s
        ends = [-(-heard // SECOND) + after_s for heard in heard_ns for after_s in (min(5, idle_s), idle_s)]
        return min((end for end in ends if end > self.second), default=1 << 62)

    def _whole_second(self, now_ns: int) -> None:
        idle_ns = self.config.idle_timeout_s * SECOND
        for call, leg in list(self.legs.items()):
            silent_ns = now_ns - max(stream.heard_ns for stream in leg.values())
            if silent_ns >= idle_ns or (silent_ns >= min(idle_ns, 5 * SECOND) and _packets(leg) <= 5):
                del self.legs[call]
        for whose in [whose for whose, held in self.held.items() if held.packets[-1].arrival_ns <= now_ns - 5 * SECOND]:
            del self.held[whose]
        self.refused_sources.clear()
        short, self.short = len(self.short), set()
        making_way = self._least_heard(now_ns, short)
        released = self._change_owners()
        for call in making_way:
            self.legs.pop(call, None)
        for packet in sorted(released, key=lambda packet: packet.arrival_ns):
            self._take(packet)

    def _least_heard(self, now_ns: int, count: int) -> list[str]:
        silent = {
            call: _packets(leg)
            for call, leg in self.legs.items()
            if now_ns - max(stream.heard_ns for stream in leg.values()) >= SECOND and _packets(leg) <= 50
        }
        ordered = sorted(silent, key=silent.__getitem__)
        if 0 < count < len(ordered) and silent[ordered[count - 1]] == silent[ordered[count]]:
            raise Unspecified("two legs that sent as little")
        return ordered[:count]

    def _change_owners(self) -> list[Packet]:
        waiting, self.waiting = self.waiting, {}
        released: list[Packet] = []
        for (call, direction), packet in waiting.items():
            stream = self.legs.get(call, {}).get(direction)
            held = self.held.get((call, packet.key.sender))
            if stream is None or held is None or not held.is_proven:
                continue
            if packet.key.sender not in stream.earlier_owners and not self._is_left(packet, stream, self.legs[call]):
                continue
            self._change_owner(stream, packet.key.sender)
            released += self._release(packet.key)
        return released

    def _change_owner(self, stream: Stream, sender: int) -> None:
        if self.config.senders_may_move:
            raise Unspecified("the model knows no senders that move")
        stream.known = {source.key: source for source in stream.sources if source.key.sender == sender}
        if sender in stream.earlier_owners:
            del stream.earlier_owners[: stream.earlier_owners.index(sender) + 1]
        else:
            stream.earlier_owners = [stream.owner, *stream.earlier_owners]
        stream.owner = sender


def _packets(leg: dict[int, Stream]) -> int:
    return sum(source.packets for stream in leg.values() for source in stream.sources)


def _padding_can_be(rtp: bytes) -> bool:
    """Tell whether what the padding's last byte says fits behind what the CC and X bits claim, if that is believed."""
    if not rtp[0] & 0x20:
        return True
    start = 12 + 4 * (rtp[0] & 15)
    if rtp[0] & 0x10:
        start += 4 + 4 * int.from_bytes(rtp[start + 2 : start + 4]) if start + 4 <= len(rtp) else 1 << 20
    start = start if start <= len(rtp) else 12
    return 1 <= rtp[-1] <= len(rtp) - start
