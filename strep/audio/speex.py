"""Cut up payloads of Speex (RFC 5574): frames of 20 ms one behind the other, not on byte boundaries.

A frame is a narrowband frame (5 bits begin it: 0 and its mode) and then, at 16 kHz, one layer for the band above (4
bits begin it: 1 and its mode), at 32 kHz two. A terminator stands behind the last one and fills its byte up. The sizes
of the modes are those of the Speex manual's tables for CELP narrowband and wideband. Its in-band messages, which
nothing sends over RTP, are not read: a payload ends before one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strep.audio.bits import cut_bits, read_bit_columns, read_bits
from strep.audio.formats import LONGEST_PACKET_MS, AudioFormat
from strep.audio.lavc import LavcCodec, Piece

#: So that not every few bits of a datagram of zeros become 20 ms of sound.
MOST_FRAMES = LONGEST_PACKET_MS // 20

_HEADER_BITS = 5
#: By mode: how many bits, the header's included. What has no size here ends the frames.
_FRAME_BITS = (5, 43, 119, 160, 220, 300, 364, 492, 79)
_LAYER_BITS = (4, 36, 112, 192, 352)
_TERMINATOR = 0b01111


def _unit_bits(header: int) -> int:
    """Give how long is what begins with these five bits, in bits; 0 for what is neither a frame nor a layer."""
    sizes, mode = (_LAYER_BITS, header >> 1 & 7) if header & 16 else (_FRAME_BITS, header & 15)
    return sizes[mode] if mode < len(sizes) else 0


_UNIT_BITS = tuple(_unit_bits(header) for header in range(1 << _HEADER_BITS))


def _parts(payload: bytes) -> tuple[list[list[int]], int]:
    """Find the frames, each as the bits where it begins and where each of its parts ends; and where all of them end."""
    frames, position = list[list[int]](), 0
    while True:
        header = read_bits(payload, position, _HEADER_BITS)
        bits, is_layer = _UNIT_BITS[header], header & 16
        if not bits or position + bits > 8 * len(payload) or (not frames if is_layer else len(frames) == MOST_FRAMES):
            return frames, position
        if not is_layer:
            frames.append([position])
        position += bits
        frames[-1].append(position)


def _is_filled_up(payload: bytes, position: int) -> bool:
    """Tell whether what begins there is no more than the terminator, or bits too few for a frame."""
    return 8 * len(payload) - position < _HEADER_BITS or read_bits(payload, position, _HEADER_BITS) == _TERMINATOR


def _terminated(payload: bytes, start: int, stop: int) -> bytes:
    """Cut out one frame; libavcodec ends it at a terminator, or where less than a header follows."""
    bits = int.from_bytes(cut_bits(payload, start, stop))
    fill = -(stop - start) % 8
    return (bits | (1 << fill) - 1 >> 1).to_bytes(-(-(stop - start) // 8))


def _codec(rate_hz: int, layers: int) -> LavcCodec:
    """Make the codec of a rate; layers above it are left out."""
    frame_samples = rate_hz // 50

    def pieces(payload: bytes) -> list[Piece]:
        frames, end = _parts(payload)
        found = [Piece(_terminated(payload, f[0], f[1 : layers + 2][-1]), frame_samples) for f in frames]
        if payload and not (frames and _is_filled_up(payload, end)):
            found.append(Piece(payload[end // 8 :], 0))
        return found

    def measure(payload: NDArray[np.uint8], length: NDArray[np.int64]) -> NDArray[np.int64]:
        return _count_frames(payload, length) * frame_samples

    return LavcCodec("speex", rate_hz, rate_hz, 1, pieces, measure, is_float=True)


def _count_frames(payload: NDArray[np.uint8], length: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the frames as `_parts` finds them."""
    position, frames = np.zeros_like(length), np.zeros_like(length)
    going = length > 0
    while going.any():
        # Behind the end may come anything: whatever it is, what the header says does not fit before the end.
        header = read_bit_columns(payload, position, _HEADER_BITS)
        bits, is_layer = np.array(_UNIT_BITS)[header], header >= 16
        going &= (bits > 0) & (position + bits <= 8 * length)
        going &= np.where(is_layer, frames > 0, frames < MOST_FRAMES)
        frames += going & ~is_layer
        position += np.where(going, bits, 0)
    return frames


#: By sample rate: narrowband, wideband, ultra-wideband.
_CODECS = {rate_hz: _codec(rate_hz, layers) for layers, rate_hz in enumerate((8000, 16_000, 32_000))}


def speex(format: AudioFormat) -> LavcCodec | None:
    """Choose the codec of a format that is Speex; None when it has no such rate."""
    return _CODECS.get(format.sample_rate_hz)
