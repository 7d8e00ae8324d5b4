"""Encode what the parties say for the wire, in packets of 20 ms.

Encoders have memory, so each party is encoded from the conversation's first sample on, whenever a fork may start. What
they delay, a receiver hears late: G.722 by 22 samples (1.4 ms), Opus by 312 (6.5 ms).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import av
import numpy as np
from numpy.typing import NDArray

from strep.audio import g711
from strep.audio.formats import STATIC_PAYLOAD_TYPES, AudioFormat
from strep.emulator.speech import conversation

PACKETS_PER_SECOND = 50
PACKET_NS = 1_000_000_000 // PACKETS_PER_SECOND
OPUS_BIT_RATE = 24_000  # speech in full band (RFC 7587 section 3.1.1: 28 to 40 for full band, 16 to 20 for wide band)
_G711 = ("PCMU", "PCMA")
#: After so many packets an encoder that began later can take over from one that began before. G.711 has no memory. Opus
#: frames make up for what differs: measured after half a second, and after a fifth, a decoder hears no more noise than
#: without a change. G.722 encoders never agree again where nothing is said; then a decoder makes noise as loud as the
#: speech of the first 60 to 100 ms that is (measured for 10, 25, 50 and 100 packets alike).
_SETTLED_PACKETS = {"PCMU": 0, "PCMA": 0, "G722": 1 << 40, "OPUS": 25}


@dataclass(frozen=True, slots=True)
class Codec:
    """An audio format under the payload type that the platform gives it."""

    payload_type: int
    format: AudioFormat

    @property
    def packet_samples(self) -> int:
        """Count the samples of a packet."""
        return self.format.sample_rate_hz // PACKETS_PER_SECOND

    @property
    def packet_ticks(self) -> int:
        """Count the RTP clock's ticks in a packet: not the samples, with G.722 (RFC 3551 section 4.5.2)."""
        return self.format.rtp_clock_hz // PACKETS_PER_SECOND

    @property
    def settled_packets(self) -> int:
        """Count the packets after which another encoder may take over; beyond any call when none may."""
        return _SETTLED_PACKETS[self.format.encoding]


#: What the emulator speaks. Opus is always 48000/2 in RTP, also when mono (RFC 7587 section 4.1).
CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        "PCMU": Codec(0, STATIC_PAYLOAD_TYPES[0]),
        "PCMA": Codec(8, STATIC_PAYLOAD_TYPES[8]),
        "G722": Codec(9, STATIC_PAYLOAD_TYPES[9]),
        "OPUS": Codec(116, AudioFormat("OPUS", 48000, 48000, 2)),
    }
)


class Encoder:
    """An encoder that encodes one stream, packet after packet."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._context = None if codec.format.encoding in _G711 else _context(codec)

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """Encode the next 20 ms, int16[codec.packet_samples]."""
        if self._context is None:
            return g711.encode(samples, g711.Law(self._codec.format.encoding)).tobytes()
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = self._codec.format.sample_rate_hz
        (packet,) = self._context.encode(frame)  # these encoders give one packet for each frame, at once
        return bytes(packet)


class Party(enum.IntEnum):
    """One of the two who speak the conversation."""

    CALLER = 0
    AGENT = 1


@dataclass(frozen=True, slots=True)
class Audio:
    """Audio without an end: what it is made of comes again and again.

    payloads: encoded, one for each 20 ms. samples: the same before it was encoded, int16[n].
    """

    payloads: Sequence[bytes]
    samples: NDArray[np.int16]

    def payload(self, packet: int) -> bytes:
        """Give one packet's payload."""
        return self.payloads[packet % len(self.payloads)]

    def packet_samples(self, packet: int, codec: Codec) -> NDArray[np.int16]:
        """Give one packet's samples, int16[codec.packet_samples]."""
        start = packet * codec.packet_samples % len(self.samples)
        return self.samples[start : start + codec.packet_samples]


@lru_cache(maxsize=len(CODECS))  # 0.4 MB a codec at most, shared by every call
def encoded_conversation(encoding: str) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Encode what both parties say: the payloads of (caller, agent), equally many, one for each 20 ms."""
    codec = CODECS[encoding]
    caller, agent = conversation(codec.format.sample_rate_hz)
    return _payloads(codec, caller), _payloads(codec, agent)


def speech(encoding: str, party: Party) -> Audio:
    """Give what a party says, again and again. encoding: one of CODECS."""
    samples = conversation(CODECS[encoding].format.sample_rate_hz)[party]
    return Audio(encoded_conversation(encoding)[party], samples)


@lru_cache(maxsize=len(CODECS))
def silence(encoding: str) -> Audio:
    """Give silence as it is sent frame by frame, after a second of it. encoding: one of CODECS."""
    codec, encoder = CODECS[encoding], Encoder(CODECS[encoding])
    samples = np.zeros(codec.packet_samples, np.int16)
    samples.flags.writeable = False
    payloads = [encoder.encode(samples) for _ in range(2 * PACKETS_PER_SECOND)]
    return Audio(tuple(payloads[PACKETS_PER_SECOND:]), samples)


def _payloads(codec: Codec, samples: NDArray[np.int16]) -> tuple[bytes, ...]:
    packets = samples.reshape(-1, codec.packet_samples)
    if codec.format.encoding in _G711:
        return tuple(row.tobytes() for row in g711.encode(packets, g711.Law(codec.format.encoding)))
    encoder = Encoder(codec)
    return tuple(encoder.encode(row) for row in packets)


def _context(codec: Codec) -> av.AudioCodecContext:
    name = {"G722": "g722", "OPUS": "libopus"}[codec.format.encoding]
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, av.AudioCodecContext), "both are audio codecs"
    encoder.sample_rate = codec.format.sample_rate_hz
    encoder.layout = "mono"
    encoder.format = "s16"
    if name == "libopus":
        encoder.bit_rate = OPUS_BIT_RATE
        encoder.options = {"application": "voip", "frame_duration": str(1000 // PACKETS_PER_SECOND)}
    return encoder
