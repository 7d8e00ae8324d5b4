"""Decode L16, uncompressed 16-bit samples (RFC 3551 section 4.5.11), column-wise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strep.errors import ConfigError


def decode(payload: NDArray[np.uint8], channels: int = 1) -> NDArray[np.int16]:
    """Decode uint8[..., m] of big-endian, interleaved samples to mono int16[..., m // (2 * channels)].

    Channels are averaged, rounding down. Bytes after the last whole sample of a row are left out.
    Raises ConfigError when the payload is of another type, or `channels` is below 1.
    """
    if payload.dtype != np.uint8 or channels < 1:
        raise ConfigError(f"L16 needs uint8 and 1 channel or more, got {payload.dtype} and {channels}")
    frame_bytes = 2 * channels
    length = payload.shape[-1] // frame_bytes
    whole = np.ascontiguousarray(payload[..., : length * frame_bytes])
    samples: NDArray[np.int16] = whole.view(">i2")
    if channels == 1:
        return samples.astype(np.int16)
    # A sum of 16-bit samples needs 32 bits.
    columns = samples.reshape(*payload.shape[:-1], length, channels)
    total: NDArray[np.int32] = columns.sum(axis=-1, dtype=np.int32)
    return (total // channels).astype(np.int16)
