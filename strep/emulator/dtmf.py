"""Press keys: lay out DTMF digits in time, as RFC 4733 telephone events or as tones in the audio.

The frequencies are those of ITU-T Q.23; levels and times lie within what Q.24 says a receiver must recognise (all
administrations: 40 ms on, 40 ms off, about -22 to -3 dBm0 for each tone, 5 dB between the two).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.emulator.codec import PACKETS_PER_SECOND
from strep.errors import ConfigError
from strep.wire.telephone_event import TelephoneEventPayload, event_name

_PACKET_MS = 1000 // PACKETS_PER_SECOND
#: Q.23: each key by its row's and its column's frequency.
_ROWS_HZ, _COLUMNS_HZ = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
KEYS_HZ: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        key: (row_hz, column_hz)
        for row_hz, keys in zip(_ROWS_HZ, ("123A", "456B", "789C", "*0#D"), strict=True)
        for key, column_hz in zip(keys, _COLUMNS_HZ, strict=True)
    }
)
#: The column's tone is sent stronger, for lines damp it more.
ROW_DBM0, COLUMN_DBM0 = -11.0, -9.0
#: Both together, which is what a telephone event tells (RFC 4733 section 2.3.3).
EVENT_VOLUME_DBM0 = -7
#: A sine at digital full scale (G.711: 3.17 in mu-law, 3.14 in A-law).
_FULL_SCALE_DBM0 = 3.17
#: What the platform's digits may say besides keys: to wait, in ms.
_WAITS_MS: Mapping[str, int] = MappingProxyType({"w": 500, "W": 1000})
_EVENTS = {event_name(number): number for number in range(16)}
#: The first and the last packet of an event are sent so often, so that the loss of one, or of two, does no harm.
REPEATS = 3
TELEPHONE_EVENT = 101
_MAX_DIGITS = 100
#: An event's duration has 16 bits (RFC 4733 section 2.3.5), at 48 kHz 1.4 s.
_TONE_MS, _PAUSE_MS = (40, 1000), (40, 10_000)


class KeyPress(NamedTuple):
    """One key, pressed `start_ms` after the first could be."""

    digit: str
    start_ms: int


@dataclass(frozen=True, slots=True)
class Digits:
    """Digits to send, each `tone_ms` long with `pause_ms` after it.

    digits: of 0-9, *, #, A-D; w waits for half a second, W for one. in_band: as tones in the audio, rather than as
    telephone events of `payload_type` in its stead. Raises ConfigError when a value cannot be.
    """

    digits: str
    tone_ms: int = 100
    pause_ms: int = 100
    in_band: bool = False
    payload_type: int = TELEPHONE_EVENT

    def __post_init__(self) -> None:
        unknown = [digit for digit in self.digits if digit not in KEYS_HZ and digit not in _WAITS_MS]
        if unknown or not 1 <= len(self.digits) <= _MAX_DIGITS:
            raise ConfigError(f"digits: expected 1 to {_MAX_DIGITS} of 0-9, *, #, A-D, w, W, found {self.digits!r}")
        for name, value, (low, high) in (("tone_ms", self.tone_ms, _TONE_MS), ("pause_ms", self.pause_ms, _PAUSE_MS)):
            if not low <= value <= high:
                raise ConfigError(f"{name}: expected {low} to {high}, found {value}")
        if not 0 <= self.payload_type <= 127:
            raise ConfigError(f"payload_type: expected 0 to 127, found {self.payload_type}")

    def presses(self) -> list[KeyPress]:
        """List the keys and when each is pressed."""
        presses, at_ms = list[KeyPress](), 0
        for digit in self.digits:
            if digit in KEYS_HZ:
                presses.append(KeyPress(digit, at_ms))
                at_ms += self.tone_ms + self.pause_ms
            else:
                at_ms += _WAITS_MS[digit]
        return presses

    @property
    def length_packets(self) -> int:
        """Count the 20 ms that it all takes, begun ones included."""
        waits_ms = sum(_WAITS_MS.get(digit, self.tone_ms + self.pause_ms) for digit in self.digits)
        return whole_packets(waits_ms)

    def tones(self, sample_rate_hz: int) -> NDArray[np.int16]:
        """Make the sound of it, int16[n]; n is `length_packets` of 20 ms."""
        sound = np.zeros(self.length_packets * sample_rate_hz // PACKETS_PER_SECOND, np.int16)
        length = self.tone_ms * sample_rate_hz // 1000
        for digit, start_ms in self.presses():
            start = start_ms * sample_rate_hz // 1000
            sound[start : start + length] = tone(digit, length, sample_rate_hz)
        return sound


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """One key as a telephone event, from packet `start` of the call on.

    packets: of 20 ms, at least two; the last one may be cut short by the event's end. duration_ticks: of the RTP clock.
    """

    start: int
    packets: int
    digit: str
    duration_ticks: int
    payload_type: int

    @classmethod
    def of(cls, start: int, digit: str, digits: Digits, clock_hz: int) -> KeyEvent:
        """Make the event of one of those digits."""
        ticks = digits.tone_ms * clock_hz // 1000
        return cls(start, whole_packets(digits.tone_ms), digit, ticks, digits.payload_type)

    @property
    def end(self) -> int:
        """Give the first packet after it."""
        return self.start + self.packets

    def reports(self, packet: int, packet_ticks: int) -> list[tuple[bool, bytes]]:
        """List what is sent of it in a packet of the call: (marker, payload) of each RTP packet.

        The beginning and the end are told REPEATS times, in RTP packets right after each other; the marker is on the
        very first. Each says how long the event has been by then.
        """
        is_first, is_last = packet == self.start, packet == self.end - 1
        duration = self.duration_ticks if is_last else (packet - self.start + 1) * packet_ticks
        payload = TelephoneEventPayload(_EVENTS[self.digit], is_last, EVENT_VOLUME_DBM0, duration).serialize()
        return [(is_first and repeat == 0, payload) for repeat in range(REPEATS if is_first or is_last else 1)]

    def rtp_packets_before(self, packet: int) -> int:
        """Count the RTP packets of it that are sent before a packet of the call."""
        sent = packet - self.start
        return sent + ((sent > 0) + (sent >= self.packets)) * (REPEATS - 1)


def tone(digit: str, samples: int, sample_rate_hz: int) -> NDArray[np.int16]:
    """Make the two tones of a key, int16[samples]."""
    turns = 2 * np.pi * np.arange(samples) / sample_rate_hz
    row_hz, column_hz = KEYS_HZ[digit]
    sound = _amplitude(ROW_DBM0) * np.sin(row_hz * turns) + _amplitude(COLUMN_DBM0) * np.sin(column_hz * turns)
    return np.round(sound).astype(np.int16)


def whole_packets(duration_ms: int) -> int:
    """Count the 20 ms that a time takes, a begun one included."""
    return -(-duration_ms // _PACKET_MS)


def _amplitude(level_dbm0: float) -> float:
    return 32768 * float(10 ** ((level_dbm0 - _FULL_SCALE_DBM0) / 20))
