"""Choose the decoder of an audio format: one table from encoding name to how it is decoded.

Two kinds: stateless ones (G.711, L16), which decode columns of many payloads at once, and libavcodec's, one decoder a
stream. Both keep one law: `decode(payload)` gives exactly `packet_samples(format, payload)` samples.
strep.audio.decoding decodes the payloads of many streams together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from strep.audio import g711, l16, lavc
from strep.audio.amr import amr
from strep.audio.formats import AudioFormat
from strep.audio.g723 import G723
from strep.audio.g726 import G726
from strep.audio.ilbc import ILBC
from strep.audio.lavc import LavcCodec, LavcDecoder
from strep.audio.speex import speex
from strep.errors import ConfigError


class Decoder(Protocol):
    """A decoder that decodes the payloads of one stream, in order."""

    @property
    def errors(self) -> int:
        """Count the payloads so far that were no such audio, in whole or in part."""

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """Decode one payload to mono int16[samples]. Never raises for what the bytes are."""

    def decode_into(self, payload: bytes, samples: NDArray[np.int16]) -> None:
        """Decode one payload into zeros, as many as it measures: for whoever has the room. Else as `decode`."""

    def reset(self) -> None:
        """Forget the past, as at a change of source."""


@dataclass(frozen=True, slots=True)
class StatelessCodec:
    """A codec of fixed-size samples; `decode` takes uint8[..., m] and a number of channels."""

    decode: Callable[[NDArray[np.uint8], int], NDArray[np.int16]]
    sample_bytes: int
    max_channels: int


#: A function chooses by more than the name.
_CODECS: Mapping[str, StatelessCodec | LavcCodec | Callable[[AudioFormat], LavcCodec | None]] = MappingProxyType(
    {
        "PCMU": StatelessCodec(lambda payload, _: g711.decode(payload, g711.Law.MU), 1, 1),
        "PCMA": StatelessCodec(lambda payload, _: g711.decode(payload, g711.Law.A), 1, 1),
        "L16": StatelessCodec(l16.decode, 2, 2),
        "G722": lavc.G722,
        "GSM": lavc.GSM,
        "G723": G723,
        "G729": lavc.G729,
        "OPUS": lavc.OPUS,
        "ILBC": ILBC,
        "SPEEX": speex,
        "AMR": amr,
        "AMR-WB": amr,
        **G726,
    }
)


class StatelessDecoder:
    """A stateless decoder that decodes single payloads of a stateless codec, for callers that take any decoder."""

    def __init__(self, codec: StatelessCodec, channels: int) -> None:
        self.errors = 0
        self._codec = codec
        self._channels = channels

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """Decode one payload to mono int16[samples]; bytes after the last whole sample are left out and counted."""
        self.errors += len(payload) % (self._codec.sample_bytes * self._channels) != 0
        return self._codec.decode(np.frombuffer(payload, np.uint8), self._channels)

    def decode_into(self, payload: bytes, samples: NDArray[np.int16]) -> None:
        """Decode one payload into int16[samples], as many as it measures."""
        samples[:] = self.decode(payload)

    def reset(self) -> None:
        """Do nothing: there is no past."""


def _codec(format: AudioFormat) -> StatelessCodec | LavcCodec | None:
    """Look up what decodes a format, rates and channels included."""
    codec = _CODECS.get(format.encoding)
    if callable(codec):
        codec = codec(format)
    if codec is None or not 1 <= format.channels <= codec.max_channels:
        return None
    if isinstance(codec, StatelessCodec):
        return codec if format.rtp_clock_hz == format.sample_rate_hz else None
    rates = (format.rtp_clock_hz, format.sample_rate_hz)
    return codec if rates == (codec.rtp_clock_hz, codec.sample_rate_hz) and codec.is_available else None


def is_decodable(format: AudioFormat) -> bool:
    """Tell whether `new_decoder` takes this format: encoding, rates and channels."""
    return _codec(format) is not None


def is_stateless(format: AudioFormat) -> bool:
    """Tell whether every payload decodes by itself, whatever came before it."""
    return isinstance(_codec(format), StatelessCodec)


def new_decoder(format: AudioFormat) -> Decoder:
    """Make a decoder for one stream. Raises ConfigError when nothing here decodes the format."""
    codec = _codec(format)
    if codec is None:
        names = ", ".join(_CODECS)
        raise ConfigError(f"expected a format that decodes ({names} at their RFCs' rates), got {format}")
    return LavcDecoder(codec) if isinstance(codec, LavcCodec) else StatelessDecoder(codec, format.channels)


def packet_samples(format: AudioFormat, payload: bytes) -> int:
    """Measure a payload without decoding it, in samples at `sample_rate_hz`; 0 when malformed or not decodable."""
    codec = _codec(format)
    if isinstance(codec, LavcCodec):
        return sum(piece.samples for piece in codec.pieces(payload))
    return len(payload) // (codec.sample_bytes * format.channels) if codec else 0


def measure_payloads(format: AudioFormat, payload: NDArray[np.uint8], length: NDArray[np.int64]) -> NDArray[np.int64]:
    """Measure many payloads as `packet_samples` does one: uint8[n, m] and their lengths, int64[n], to int64[n]."""
    codec = _codec(format)
    if isinstance(codec, LavcCodec):
        return codec.measure(payload, length)
    return length // (codec.sample_bytes * format.channels) if codec else np.zeros_like(length)
