"""Cut up payloads of iLBC (RFC 3952): frames of 20 or of 30 ms, one kind in a packet.

The length says which: 38 bytes each or 50. SDP's `mode` would only repeat that, and need not be right in both
directions, so that nobody has to give it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strep.audio.lavc import MOST_PACKET_SAMPLES, LavcCodec, Piece

#: RFC 3951 section 1: bytes and samples of a frame; what both divide (950 bytes) is longer than a packet either way.
_FRAMES = ((50, 240), (38, 160))


def _pieces(payload: bytes) -> list[Piece]:
    for size, samples in _FRAMES:
        if len(payload) % size == 0:
            options = (("block_align", str(size)),)  # so libavcodec knows the mode
            end = min(len(payload), MOST_PACKET_SAMPLES // samples * size)
            pieces = [Piece(payload[at : at + size], samples, options=options) for at in range(0, end, size)]
            return [*pieces, Piece(payload[end:], 0)] if end < len(payload) else pieces
    return [Piece(payload, 0)]


def _measure(_: NDArray[np.uint8], length: NDArray[np.int64]) -> NDArray[np.int64]:
    found = [
        np.where(length % size == 0, np.minimum(length // size, MOST_PACKET_SAMPLES // samples) * samples, 0)
        for size, samples in _FRAMES
    ]
    return np.where(found[0] > 0, found[0], found[1])


ILBC = LavcCodec("ilbc", 8000, 8000, 1, _pieces, _measure)
