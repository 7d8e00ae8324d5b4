"""Say what must have come of made-up traffic: every sample of every stream."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from strep.audio.decoders import is_stateless, new_decoder
from strep.audio.formats import STATIC_PAYLOAD_TYPES, AudioFormat
from tools.traffic import CODINGS, PERIOD_MS, RING_BYTES, payload_ring, ring_start

#: What a receiver must be told, as these payload types are dynamic.
DYNAMIC_PAYLOAD_TYPES = {CODINGS["OPUS"].payload_type: AudioFormat("OPUS", 48_000, 48_000, 2)}
#: So many streams of Opus are different; those of other codecs all are.
_OPUS_STREAMS = RING_BYTES // CODINGS["OPUS"].stream_step_bytes
_FORMATS = {**STATIC_PAYLOAD_TYPES, **DYNAMIC_PAYLOAD_TYPES}


def format_of(codec: str) -> AudioFormat:
    """Give the format of a codec of tools/traffic.py."""
    return _FORMATS[CODINGS[codec].payload_type]


def frame_samples(codec: str) -> int:
    """Count the samples of one packet."""
    return format_of(codec).sample_rate_hz * PERIOD_MS // 1000


def expected_samples(call: int, direction: int, packets: int, codec: str) -> NDArray[np.int16]:
    """Decode the first packets of a stream to int16[packets * frame_samples(codec)], read-only.

    strep's own decoders do it, one stream at a time: decoding is held against other programs in tests/, and here
    it is what becomes of thousands of streams at once that is in question.
    """
    return _decoded(codec, ring_start(call, direction, codec), packets)


@functools.lru_cache(maxsize=_OPUS_STREAMS)  # of the other codecs nothing is asked for twice
def _decoded(codec: str, start: int, packets: int) -> NDArray[np.int16]:
    frame_bytes = CODINGS[codec].frame_bytes
    payload = payload_ring(codec).take(np.arange(start, start + packets * frame_bytes), mode="wrap")
    decoder = new_decoder(format_of(codec))
    if is_stateless(format_of(codec)) or codec == "G722":  # where a packet ends makes no difference to these
        samples = decoder.decode(payload.tobytes())
    else:
        frames = payload.reshape(packets, frame_bytes)
        samples = np.concatenate([decoder.decode(frame.tobytes()) for frame in frames])
    samples.flags.writeable = False
    return samples
