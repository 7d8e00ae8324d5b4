"""Say of audio formats what the rules need to know, by number: rules handle no names."""

from __future__ import annotations

import enum
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from strep.audio.decoders import is_decodable
from strep.audio.formats import LONGEST_PACKET_MS, AudioFormat, PayloadTypeMap
from strep.stream.records import FORMAT, Record, Records, records

#: RFC 3551 table 4 with 4.5: these carry no audio of their own and no measure of jitter.
EVENT, NOISE = "TELEPHONE-EVENT", "CN"
#: RFC 2198: this one wraps payloads of other types.
REDUNDANT = "RED"
#: What an unknown payload type is taken to count by; a report does not give a jitter measured so.
UNKNOWN_CLOCK_HZ = 8000
#: Payload bytes of 10 ms, for codecs of which every packet holds a whole number of those.
_BYTES_OF_8_KHZ = 80
_BYTES_PER_10_MS = {"PCMU": _BYTES_OF_8_KHZ, "PCMA": _BYTES_OF_8_KHZ, "G722": _BYTES_OF_8_KHZ, "G729": 10}
_ANY_LENGTH = 0xFFFF
_FIRST_ROWS = 8
_PAYLOAD_TYPES = 128


class Kind(enum.IntEnum):
    """How a rule treats a payload type."""

    UNKNOWN = 0  #: nobody said what it means
    MU_LAW = 1
    A_LAW = 2
    DECODER = 3  #: strep.audio measures and decodes it
    UNDECODABLE = 4  #: its meaning is known, but nothing here decodes it
    EVENT = 5
    NOISE = 6
    REDUNDANT = 7


_KINDS = {"PCMU": Kind.MU_LAW, "PCMA": Kind.A_LAW, EVENT: Kind.EVENT, NOISE: Kind.NOISE, REDUNDANT: Kind.REDUNDANT}


class Formats:
    """The formats that streams had so far, and the maps of payload types: nobody has more than a few.

    records: by number; 0 is the unknown one. meanings: int32[n, 128], the number for each payload type, by map.
    """

    def __init__(self) -> None:
        self.records: Records = records(_FIRST_ROWS, FORMAT)
        self.meanings: NDArray[np.int32] = np.zeros((_FIRST_ROWS, _PAYLOAD_TYPES), np.int32)
        self._formats: list[AudioFormat | None] = []
        self.for_decoders: set[int] = set()  # the numbers of those whose samples rules do not make
        self._numbers: dict[AudioFormat | None, int] = {}
        self._maps: dict[bytes, int] = {}
        self._map_numbers: WeakKeyDictionary[PayloadTypeMap, int] = WeakKeyDictionary()
        self.number_of(None)

    def __getitem__(self, number: int) -> AudioFormat | None:
        return self._formats[number]

    def number_of(self, format: AudioFormat | None) -> int:
        """Give a format's number; a new one gets the next."""
        number = self._numbers.get(format)
        if number is None:
            number = self._numbers[format] = len(self._formats)
            self._formats.append(format)
            if number == len(self.records):
                grown = records(2 * number, FORMAT)
                grown[:number] = self.records
                self.records = grown
            _describe(format, self.records[number])
            if self.records[number].kind == Kind.DECODER:
                self.for_decoders.add(number)
        return number

    def number_of_map(self, payload_types: PayloadTypeMap) -> int:
        """Give the row of `meanings` that says what a map says."""
        row = self._map_numbers.get(payload_types)
        if row is None:
            row = self._map_numbers[payload_types] = self._add_map(payload_types)
        return row

    def _add_map(self, payload_types: PayloadTypeMap) -> int:
        numbers = np.array([self.number_of(payload_types[n]) for n in range(_PAYLOAD_TYPES)], np.int32)
        row = self._maps.setdefault(numbers.tobytes(), len(self._maps))
        if row == len(self.meanings):
            self.meanings = np.concatenate((self.meanings, np.zeros_like(self.meanings)))
        self.meanings[row] = numbers
        return row


def _describe(format: AudioFormat | None, record: Record) -> None:
    record.rtp_clock_hz = record.sample_rate_hz = UNKNOWN_CLOCK_HZ
    record.samples_per_tick = 1
    record.longest_bytes = _ANY_LENGTH
    if format is None:
        return
    kind = _KINDS.get(format.encoding)
    is_audio = kind in (None, Kind.MU_LAW, Kind.A_LAW)
    if is_audio and not is_decodable(format):
        kind = Kind.UNDECODABLE
    record.kind = Kind.DECODER if kind is None else kind
    record.rtp_clock_hz, record.sample_rate_hz = format.rtp_clock_hz, format.sample_rate_hz
    record.samples_per_tick = max(1, format.sample_rate_hz // format.rtp_clock_hz)
    record.bytes_per_10_ms = _BYTES_PER_10_MS.get(format.encoding, 0)
    if record.bytes_per_10_ms == _BYTES_OF_8_KHZ:
        record.longest_bytes = LONGEST_PACKET_MS // 10 * _BYTES_OF_8_KHZ
