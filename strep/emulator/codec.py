"""Encode the conversation for the wire, in packets of 20 ms.

Encoders have memory, so each party is encoded from the conversation's first sample on, whenever a fork may start. What
they delay, a receiver hears late: G.722 by 22 samples (1.4 ms), Opus by 312 (6.5 ms).
"""

from __future__ import annotations

from collections.abc import Mapping
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


@dataclass(frozen=True, slots=True)
class Codec:
    """Is an audio format under the payload type that the platform gives it."""

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


#: What the emulator speaks. Opus is always 48000/2 in RTP, also when mono (RFC 7587 section 4.1).
CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        "PCMU": Codec(0, STATIC_PAYLOAD_TYPES[0]),
        "PCMA": Codec(8, STATIC_PAYLOAD_TYPES[8]),
        "G722": Codec(9, STATIC_PAYLOAD_TYPES[9]),
        "OPUS": Codec(116, AudioFormat("OPUS", 48000, 48000, 2)),
    }
)


@lru_cache(maxsize=len(CODECS))  # 0.4 MB a codec at most, shared by every call
def encoded_conversation(encoding: str) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Encode what both parties say: the payloads of (caller, agent), equally many, one for each 20 ms."""
    codec = CODECS[encoding]
    caller, agent = conversation(codec.format.sample_rate_hz)
    return _payloads(codec, caller), _payloads(codec, agent)


def _payloads(codec: Codec, samples: NDArray[np.int16]) -> tuple[bytes, ...]:
    packets = samples.reshape(-1, codec.packet_samples)
    if codec.format.encoding in ("PCMU", "PCMA"):
        return tuple(row.tobytes() for row in g711.encode(packets, g711.Law(codec.format.encoding)))
    encoder = _encoder(codec)
    encoded = tuple(bytes(packet) for row in packets for packet in encoder.encode(_frame(codec, row)))
    assert len(encoded) == len(packets), "these encoders give one packet for each frame, at once"
    return encoded


def _encoder(codec: Codec) -> av.AudioCodecContext:
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


def _frame(codec: Codec, samples: NDArray[np.int16]) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
    frame.sample_rate = codec.format.sample_rate_hz
    return frame
