"""Say one direction of one leg, 20 ms at a time, from the beginning of the call on. Pure: packets are its only time.

A stream can be changed while it runs: other audio, digits, a pause, other RTP numbers after one. A change is at a
packet of the call, or at the first one that no fork has laid out yet, whichever is later. So what was sent stays what
it was, and can be told afterwards.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.emulator.codec import Audio, Codec, Encoder, silence
from strep.emulator.dtmf import Digits, KeyEvent, whole_packets
from strep.emulator.script import Numbering, Part, Pause, Playing, Script, Steps
from strep.emulator.speech import conversation
from strep.errors import ConfigError
from strep.stream.events import Direction, Leg
from strep.wire.rtp import RTP_VERSION

_HEADER = struct.Struct("!BBHII")
#: RFC 3551 table 4 and RFC 3389: comfort noise at the level that follows, here 60 dB below overload.
_COMFORT_NOISE, _NOISE_PAYLOAD = 13, bytes((60,))
#: Of one stream, digits counted one by one: a quarter of an hour of them without a break. A tone takes up to 20 KB.
MAX_CHANGES = 5000
#: Of what is encoded for one stream alone, a minute is kept: half a megabyte.
_KEPT_PACKETS = 3000


@dataclass(slots=True)
class RtpStream:
    """One direction of one leg, from the first packet of the call on.

    payloads: what it says unless it is changed, again and again: packet i holds payloads[i % len(payloads)]. ssrc,
    first_sequence_number, first_timestamp: what its RTP packets have unless that is changed. laid_out: the first packet
    that may still be changed; a fork has laid out those before it.
    """

    leg: Leg
    direction: Direction
    codec: Codec
    payloads: Sequence[bytes]
    ssrc: int
    first_sequence_number: int
    first_timestamp: int
    laid_out: int = field(default=0, init=False, compare=False)
    _script: Script = field(init=False, compare=False, repr=False)
    _tones: list[_Tones] = field(default_factory=list, init=False, compare=False, repr=False)
    _encoded: list[_Encoding] = field(default_factory=list, init=False, compare=False, repr=False)
    _changes: int = field(default=0, init=False, compare=False, repr=False)
    _digits_end: int = field(default=0, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        spoken = conversation(self.codec.format.sample_rate_hz)[self.leg ^ self.direction]
        numbering = Numbering(self.ssrc, self.first_sequence_number, self.first_timestamp)
        self._script = Script(Steps.begin(numbering), Steps.begin(Playing(Audio(self.payloads, spoken), 0)))

    # What it holds

    def rtp_packets(self, packet: int) -> list[tuple[int, bytes]]:
        """Make the RTP packets of one 20 ms interval of the call: (number, RTP packet) of each. Most make one."""
        part = self._script.part(packet)
        since = packet - part.start
        if part.has_audio:
            number, payload = part.number + since, self._audio_payload(part, packet)
            marker = part.begins_talkspurt and not since
            return [(number, self._serialize(part, packet, number, payload, self.codec.payload_type, marker))]
        number = part.number + part.rtp_packets(since)
        if part.event:
            event = part.event
            return [
                (n, self._serialize(part, event.start, n, payload, event.payload_type, marker))
                for n, (marker, payload) in enumerate(event.reports(packet, self.codec.packet_ticks), number)
            ]
        return [
            (n, self._serialize(part, packet, n, _NOISE_PAYLOAD, _COMFORT_NOISE, False))
            for n in range(number, part.number + part.rtp_packets(since + 1))
        ]

    def number(self, packet: int) -> int:
        """Give the number of the first RTP packet that is made at a packet or after it."""
        return self._script.number(packet)

    def packet_of(self, number: int) -> int:
        """Give the packet in which an RTP packet is made."""
        return self._script.packet_of(number)

    def has_audio(self, packet: int) -> bool:
        """Tell whether audio is sent in one 20 ms."""
        return self._script.part(packet).has_audio

    def payload(self, packet: int) -> bytes:
        """Give the audio sent in one 20 ms; empty when there is none (a pause, a telephone event)."""
        part = self._script.part(packet)
        return self._audio_payload(part, packet) if part.has_audio else b""

    def samples(self, packet: int) -> NDArray[np.int16]:
        """Give the samples sent in one 20 ms, before they are encoded: int16[n]; zeros when there is no audio."""
        if self._script.part(packet).has_audio:
            return self.spoken(packet)
        return np.zeros(self.codec.packet_samples, np.int16)

    def spoken(self, packet: int) -> NDArray[np.int16]:
        """Give the samples that go into the encoder, whether what comes out is sent or not."""
        audio, shift = self._said(self._script.part(packet))
        samples = audio.packet_samples(packet + shift, self.codec)
        for tones in reversed(self._tones):
            if packet >= tones.start:
                return tones.mix(samples, packet)
        return samples

    # How it is changed

    def play(self, audio: Audio, *, at: int = 0, shift: int = 0) -> None:
        """Say something else from packet `at` on: at packet n of the call, packet n + shift of `audio`.

        audio: in the stream's codec, as `codec.speech` gives it.
        """
        at = self._begin_change(at)
        self._script.playing.change(at, Playing(audio, shift))
        self._script.rewrite(at)
        self._encode(at, at)

    def pause(self, kind: Pause = Pause.ABSENT, *, at: int = 0) -> None:
        """Have nothing to say from packet `at` on. Digits can still be sent, though not as tones unless as SILENCE.

        Raises ConfigError for comfort noise with a codec whose RTP clock is not 8 kHz: payload type 13 has that.
        """
        self.check_pause(kind)
        at = self._begin_change(at)
        self._change_pause(at, kind)

    def check_pause(self, kind: Pause) -> None:
        """Raise the ConfigError that `pause` would."""
        clock_hz = self.codec.format.rtp_clock_hz
        if kind is Pause.COMFORT_NOISE and clock_hz != 8000:
            raise ConfigError(f"comfort noise: expected a codec with an RTP clock of 8000 Hz, found {clock_hz} Hz")

    def resume(
        self, *, at: int = 0, ssrc: int | None = None, sequence_number_jump: int = 0, timestamp_jump: int = 0
    ) -> None:
        """Go on from packet `at` on with what would be said by then.

        Sequence numbers go on from the last one, timestamps advance with the time that passed; what is given is changed
        as well, as some senders do after hold: another SSRC; jumps, by which either is further on than that.
        """
        at = self._begin_change(at)
        before = self._script.numbering.at(at)
        numbering = Numbering(
            before.ssrc if ssrc is None else ssrc,
            before.sequence_number + sequence_number_jump,
            before.timestamp + timestamp_jump,
        )
        if numbering != before:
            self._script.numbering.change(at, numbering)
        self._change_pause(at, None)

    def send_digits(self, digits: Digits, *, at: int = 0) -> range:
        """Press keys from packet `at` on, or after those pressed before. Returns the packets that it takes."""
        presses = digits.presses()
        at = max(self._begin_change(at, len(presses)), self._digits_end)
        self._digits_end = at + digits.length_packets
        if digits.in_band:
            self._tones.append(_Tones(at, digits.tones(self.codec.format.sample_rate_hz)))
            self._encode(at, self._digits_end)
        else:
            for press in presses:
                start = at + whole_packets(press.start_ms)
                event = KeyEvent.of(start, press.digit, digits, self.codec.format.rtp_clock_hz)
                self._script.event.change(event.start, event)
                self._script.event.change(event.end, None)
            self._script.rewrite(at)
        return range(at, self._digits_end)

    # How it is done

    def _begin_change(self, at: int, changes: int = 1) -> int:
        self._changes += changes
        if self._changes > MAX_CHANGES:
            raise ConfigError(f"expected at most {MAX_CHANGES} changes of one stream, digits counted one by one")
        return max(at, self.laid_out)

    def _change_pause(self, at: int, kind: Pause | None) -> None:
        was_sent = self._script.pause.at(at) is Pause.SILENCE
        self._script.pause.change(at, kind)
        self._script.rewrite(at)
        if was_sent or kind is Pause.SILENCE:  # else the encoder hears what it would have heard
            self._encode(at, at)

    def _encode(self, at: int, end: int) -> None:
        """Encode for this stream alone what is said from a packet until `end`, and until its encoder has settled.

        After that, what is encoded already for everybody will do.
        """
        end += self.codec.settled_packets
        if self._encoded and self._encoded[-1].end > at:
            self._encoded[-1].change(at, end)
        elif end > at:
            self._encoded.append(_Encoding(self, at, end))

    def _audio_payload(self, part: Part, packet: int) -> bytes:
        for encoding in reversed(self._encoded):
            if packet >= encoding.start:
                if packet < encoding.end:
                    return encoding.payload(packet)
                break
        audio, shift = self._said(part)
        return audio.payload(packet + shift)

    def _said(self, part: Part) -> Playing:
        if part.pause is Pause.SILENCE:
            return Playing(silence(self.codec.format.encoding), 0)
        return part.playing

    def _serialize(
        self, part: Part, packet: int, number: int, payload: bytes, payload_type: int, marker: bool
    ) -> bytes:
        """Write an RTP packet. RtpPacket does the same, in 1.8 µs instead of 0.1, for each packet of each call."""
        ssrc, sequence_number, timestamp = part.numbering
        sequence_number = (sequence_number + number) & 0xFFFF
        timestamp = (timestamp + packet * self.codec.packet_ticks) & 0xFFFFFFFF
        return _HEADER.pack(RTP_VERSION << 6, marker << 7 | payload_type, sequence_number, timestamp, ssrc) + payload


class _Tones(NamedTuple):
    """Sound that is mixed into what is said, from a packet on: int16[n], whole packets."""

    start: int
    sound: NDArray[np.int16]

    def mix(self, samples: NDArray[np.int16], packet: int) -> NDArray[np.int16]:
        """Add what belongs to a packet to its samples."""
        first = (packet - self.start) * len(samples)
        if first >= len(self.sound):
            return samples
        mixed: NDArray[np.int32] = self.sound[first : first + len(samples)].astype(np.int32) + samples
        return mixed.clip(-32768, 32767).astype(np.int16)


class _Encoding:
    """Packets from `start` up to `end` that are encoded for one stream alone.

    The encoder has heard what comes before them: of the conversation so much that it is as good as the one that
    encoded it for everybody. Payloads can be asked for in any order. Those that were sent last are there; for older
    ones, all is encoded a second time, from the beginning, which gives the same bytes.
    """

    def __init__(self, stream: RtpStream, start: int, end: int) -> None:
        self.start, self.end = start, end
        self._stream = stream
        self._live = self._again = self._new_run()

    def change(self, at: int, end: int) -> None:
        """Take note that something else is said from a packet on, and encode up to `end` at least."""
        self.start, self.end = min(self.start, at), max(self.end, end)
        if max(self._live.next, self._again.next) > at:
            self._live = self._again = self._new_run()

    def payload(self, packet: int) -> bytes:
        """Give the payload of a packet, from `start` up to `end`."""
        run = self._live if self._live.reaches(packet) else self._again
        if not run.reaches(packet):
            run = self._again = self._new_run()
        return run.payload(packet, self.end)

    def _new_run(self) -> _EncoderRun:
        codec, round_packets = self._stream.codec, len(self._stream.payloads)
        return _EncoderRun(
            self._stream, self.start - min(self.start % round_packets, codec.settled_packets), self.start
        )


class _EncoderRun:
    """One encoder on its way, with what it gave last. It begins at packet `first`, its payloads at `next`."""

    def __init__(self, stream: RtpStream, first: int, start: int) -> None:
        self.next = start
        self._stream, self._first = stream, first
        self._encoder: Encoder | None = None
        self._kept = deque[bytes](maxlen=_KEPT_PACKETS)

    def reaches(self, packet: int) -> bool:
        """Tell whether a payload is there or still to come."""
        return packet >= self.next - len(self._kept)

    def payload(self, packet: int, end: int) -> bytes:
        """Give a payload that is reached. end: the packet after the last one that will be asked for."""
        while self.next <= packet:
            self._kept.append(self._ready().encode(self._stream.spoken(self.next)))
            self.next += 1
        if self.next >= end:
            self._encoder = None
        return self._kept[packet - self.next]

    def _ready(self) -> Encoder:
        if self._encoder is None:
            self._encoder = Encoder(self._stream.codec)
            for before in range(self._first, self.next):
                self._encoder.encode(self._stream.spoken(before))
        return self._encoder
