"""Keep what a stream holds in each 20 ms of the call: the part that each change of it begins.

Packets are numbered twice, both from the beginning of the call. A *packet* is 20 ms of time, sent or not. A *number*
counts the RTP packets that were made: none in a pause, several where a telephone event begins or ends. In a call
without any such thing the two are the same. Time tells the timestamp, the number tells the sequence number.

What was is never changed: every change is at a packet that has not been laid out yet, so the account of what was sent
can be worked out afterwards.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from strep.emulator.codec import Audio
from strep.emulator.dtmf import KeyEvent

ValueT = TypeVar("ValueT")
#: In a pause with comfort noise, it is told so often: every 200 ms. RFC 3389 section 3.4 leaves it to the sender.
NOISE_PACKETS = 10


class Pause(enum.StrEnum):
    """What a sender does while it has nothing to say."""

    ABSENT = "absent"  #: it sends nothing at all
    COMFORT_NOISE = "comfort_noise"  #: it says how loud the noise is, now and then (RFC 3389)
    SILENCE = "silence"  #: it sends frames of silence


class Numbering(NamedTuple):
    """What turns numbers into RTP's fields: what packet 0, number 0 would have had."""

    ssrc: int
    sequence_number: int
    timestamp: int


class Playing(NamedTuple):
    """What is said: at packet n of the call, packet n + shift of the audio."""

    audio: Audio
    shift: int


class Part(NamedTuple):
    """A part of the call in which a stream is of one kind. It lasts until the next one begins.

    start, number: its first packet, and the number of the first RTP packet made in it. event: the key that is pressed.
    begins_talkspurt: whether nothing was said before (RFC 3551 section 4.1: then the first packet has the marker).
    """

    start: int
    number: int
    numbering: Numbering
    playing: Playing
    pause: Pause | None
    event: KeyEvent | None
    begins_talkspurt: bool

    @property
    def has_audio(self) -> bool:
        """Tell whether every 20 ms are a packet of audio."""
        return self.event is None and self.pause in (None, Pause.SILENCE)

    def rtp_packets(self, packets: int) -> int:
        """Count the RTP packets of its first so many 20 ms."""
        if self.event is not None:
            end = self.start + packets
            return self.event.rtp_packets_before(end) - self.event.rtp_packets_before(self.start)
        if self.pause is Pause.COMFORT_NOISE:
            return -(-packets // NOISE_PACKETS)
        return 0 if self.pause is Pause.ABSENT else packets


@dataclass(slots=True)
class Steps(Generic[ValueT]):
    """A value that changes at certain packets, the first time at packet 0."""

    starts: list[int]
    values: list[ValueT]

    @classmethod
    def begin(cls, value: ValueT) -> Steps[ValueT]:
        """Begin with a value."""
        return cls([0], [value])

    def at(self, packet: int) -> ValueT:
        """Give the value at a packet."""
        return self.values[bisect_right(self.starts, packet) - 1]

    def change(self, packet: int, value: ValueT) -> None:
        """Have another value from a packet on; of changes planned for later, none is left."""
        keep = bisect_right(self.starts, packet - 1) if packet else 0
        self.starts[keep:], self.values[keep:] = [packet], [value]

    def after(self, packet: int) -> list[int]:
        """List the packets of the changes after a packet."""
        return self.starts[bisect_right(self.starts, packet) :]


@dataclass(slots=True)
class Script:
    """All parts of a stream, from the beginning of the call on."""

    numbering: Steps[Numbering]
    playing: Steps[Playing]
    pause: Steps[Pause | None] = field(default_factory=lambda: Steps[Pause | None].begin(None))
    event: Steps[KeyEvent | None] = field(default_factory=lambda: Steps[KeyEvent | None].begin(None))
    _parts: list[Part] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)
    _numbers: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rewrite(0)

    def part(self, packet: int) -> Part:
        """Give the part that a packet lies in."""
        return self._parts[bisect_right(self._starts, packet) - 1]

    def number(self, packet: int) -> int:
        """Give the number of the first RTP packet that is made at a packet or after it."""
        part = self.part(packet)
        return part.number + part.rtp_packets(packet - part.start)

    def packet_of(self, number: int) -> int:
        """Give the packet in which an RTP packet is made."""
        part = self._parts[bisect_right(self._numbers, number) - 1]
        low, high = part.start, part.start + (number - part.number + 1) * NOISE_PACKETS
        while high - low > 1:  # the last packet before which no more than `number` were made
            middle = (low + high) // 2
            made = part.number + part.rtp_packets(middle - part.start)
            low, high = (middle, high) if made <= number else (low, middle)
        return low

    def rewrite(self, packet: int) -> None:
        """Bring the parts up to date after changes at a packet or later."""
        keep = bisect_right(self._starts, packet - 1) if packet else 0
        del self._parts[keep:], self._starts[keep:], self._numbers[keep:]
        steps = (self.numbering, self.playing, self.pause, self.event)
        for start in sorted({packet}.union(*(each.after(packet) for each in steps))):
            before = self._parts[-1] if self._parts else None
            number = before.number + before.rtp_packets(start - before.start) if before else 0
            event = self.event.at(start)
            # An event keeps its timestamp, whatever happens while it lasts.
            numbering = self.numbering.at(event.start if event else start)
            pause = self.pause.at(start)
            was_quiet = before is not None and before.pause in (Pause.ABSENT, Pause.COMFORT_NOISE)
            self._parts.append(Part(start, number, numbering, self.playing.at(start), pause, event, was_quiet))
            self._starts.append(start)
            self._numbers.append(number)
