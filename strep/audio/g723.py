"""Cut up payloads of G.723.1 (RFC 3551 section 4.5.3): frames of 30 ms, whose first two bits say how long they are.

Both rates, and comfort noise, which ends a packet, may come together in one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strep.audio.lavc import MOST_PACKET_SAMPLES, LavcCodec, Piece

_FRAME_SAMPLES = 240
#: By the two least significant bits of a frame's first byte: 6.3 kbit/s, 5.3 kbit/s, comfort noise, none.
_FRAME_BYTES = (24, 20, 4, 0)
_NOISE = 2
_MOST_FRAMES = MOST_PACKET_SAMPLES // _FRAME_SAMPLES


def _pieces(payload: bytes) -> list[Piece]:
    pieces, start, noise = list[Piece](), 0, False
    while start < len(payload) and not noise and len(pieces) < _MOST_FRAMES:
        size = _FRAME_BYTES[payload[start] & 3]
        if not 0 < size <= len(payload) - start:
            break
        pieces.append(Piece(payload[start : start + size], _FRAME_SAMPLES))
        noise = payload[start] & 3 == _NOISE
        start += size
    return [*pieces, Piece(payload[start:], 0)] if start < len(payload) else pieces


def _measure(payload: NDArray[np.uint8], length: NDArray[np.int64]) -> NDArray[np.int64]:
    rows, start, frames = np.arange(len(payload)), np.zeros_like(length), np.zeros_like(length)
    going = length > 0
    while going.any():
        kind = payload[rows, np.minimum(start, payload.shape[1] - 1)] & 3
        size = np.array(_FRAME_BYTES)[kind]
        going &= (size > 0) & (size <= length - start)
        frames += going
        start += np.where(going, size, 0)
        going &= (kind != _NOISE) & (start < length) & (frames < _MOST_FRAMES)
    return frames * _FRAME_SAMPLES


G723 = LavcCodec("g723_1", 8000, 8000, 1, _pieces, _measure)
