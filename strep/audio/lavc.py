"""Decode the codecs that carry state from packet to packet, through libavcodec (PyAV).

The law here: a payload of n samples by its own header or length decodes to exactly n samples, whatever its bytes are.
What libavcodec refuses becomes silence of that length, and is counted.

None of these decoders holds samples back: what the n-th packet gives are the n-th packet's samples. What stays is the
codec's own delay, which is in the sound and the same for the whole stream (G.722 1.4 ms, Opus 6.5 ms, G.729 5 ms of
the encoder's look-ahead). Opus goes to libopus and AMR to OpenCORE, the reference decoders: they go on where a sender
pauses (DTX), where libavcodec's own decoders cut the sound off or know no such frames.

libavcodec is silent because PyAV installs a log callback that does nothing; a program that wants to hear it calls
`av.logging.set_level`, so nothing here touches that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import av
import numpy as np
from av.codec.context import CodecContext
from av.error import FFmpegError
from av.packet import Packet
from numpy.typing import NDArray

from strep.audio.formats import LONGEST_PACKET_MS


class Piece(NamedTuple):
    """A part of a payload that is decoded in one go, and how many samples it is. Silent ones are not decoded.

    One of no samples is no frame, and counts as an error. options: what the decoder has to be opened with.
    """

    data: bytes
    samples: int
    silent: bool = False
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LavcCodec:
    """One codec as libavcodec knows it.

    pieces: cuts a payload up without decoding it. measure: says of many payloads how many samples all their pieces are,
    int64[n]; uint8[n, m] of them, and their lengths, int64[n]. is_float: it decodes to float32, and not to int16.
    """

    library_name: str
    rtp_clock_hz: int
    sample_rate_hz: int
    max_channels: int
    pieces: Callable[[bytes], list[Piece]]
    measure: Callable[[NDArray[np.uint8], NDArray[np.int64]], NDArray[np.int64]]
    is_float: bool = False

    @property
    def is_available(self) -> bool:
        """Tell whether the libavcodec that we run with was built with this decoder."""
        return self.library_name in av.codecs_available


#: RFC 6716 section 3.1 table 2: samples of one frame at 48 kHz, by the five configuration bits of the TOC byte.
_OPUS_FRAME_SAMPLES = (480, 960, 1920, 2880) * 3 + (480, 960) * 2 + (120, 240, 480, 960) * 4
#: RFC 6716 section 3.4 requirement 5: a packet is at most 120 ms.
_OPUS_PACKET_SAMPLES_LIMIT = 5760
_GSM_FRAME_BYTES, _GSM_FRAME_SAMPLES = 33, 160  # RFC 3551 section 4.5.8.1
#: A datagram of 2,000 bytes would be 2 s of G.729 (200 calls of libavcodec, 4 ms of ours) or 3 s of G.723.1. At 8 kHz.
MOST_PACKET_SAMPLES = LONGEST_PACKET_MS * 8
_G729_FRAME_BYTES, _G729_SID_BYTES, _G729_FRAME_SAMPLES = 10, 2, 80  # RFC 3551 section 4.5.6


def _g722_pieces(payload: bytes) -> list[Piece]:
    """Take the payload whole: every byte is two samples (RFC 3551 section 4.5.2)."""
    return [Piece(payload, 2 * len(payload))] if payload else []


def _frames(payload: bytes, frame_bytes: int, frame_samples: int) -> list[Piece]:
    """Cut out whole frames. One at a time, because a frame that is refused would take its followers with it."""
    most_bytes = MOST_PACKET_SAMPLES // frame_samples * frame_bytes
    starts = range(0, min(len(payload), most_bytes) - frame_bytes + 1, frame_bytes)
    pieces = [Piece(payload[start : start + frame_bytes], frame_samples) for start in starts]
    rest = payload[len(pieces) * frame_bytes :]
    return [*pieces, Piece(rest, 0)] if rest else pieces


def _gsm_pieces(payload: bytes) -> list[Piece]:
    return _frames(payload, _GSM_FRAME_BYTES, _GSM_FRAME_SAMPLES)


def _g729_pieces(payload: bytes) -> list[Piece]:
    """Cut out frames, and a comfort noise frame if one ends the packet: libavcodec knows no such frame."""
    pieces = _frames(payload, _G729_FRAME_BYTES, _G729_FRAME_SAMPLES)
    if pieces and len(pieces[-1].data) == _G729_SID_BYTES:
        pieces[-1] = Piece(pieces[-1].data, _G729_FRAME_SAMPLES, silent=True)
    return pieces


def _opus_pieces(payload: bytes) -> list[Piece]:
    """Take the payload whole, if its TOC byte and frame count make a packet (RFC 6716 sections 3.1 and 3.2).

    A payload of the TOC byte alone is a packet too: discontinuous transmission, and libopus carries the sound on.
    """
    if not payload:
        return []
    code = payload[0] & 3
    frames = (payload[1] & 0x3F if len(payload) > 1 else 0) if code == 3 else min(code + 1, 2)
    samples = frames * _OPUS_FRAME_SAMPLES[payload[0] >> 3]
    return [Piece(payload, samples if samples <= _OPUS_PACKET_SAMPLES_LIMIT else 0)]


def _g722_measure(_: NDArray[np.uint8], length: NDArray[np.int64]) -> NDArray[np.int64]:
    return 2 * length


def _gsm_measure(_: NDArray[np.uint8], length: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.minimum(length // _GSM_FRAME_BYTES * _GSM_FRAME_SAMPLES, MOST_PACKET_SAMPLES)


def _g729_measure(_: NDArray[np.uint8], length: NDArray[np.int64]) -> NDArray[np.int64]:
    frames, rest = np.divmod(length, _G729_FRAME_BYTES)
    most = MOST_PACKET_SAMPLES // _G729_FRAME_SAMPLES
    noise = (rest == _G729_SID_BYTES) & (frames <= most)
    samples: NDArray[np.int64] = (np.minimum(frames, most) + noise) * _G729_FRAME_SAMPLES
    return samples


def _opus_measure(payload: NDArray[np.uint8], length: NDArray[np.int64]) -> NDArray[np.int64]:
    toc = payload[:, 0].astype(np.int64)
    code = toc & 3
    told = np.where(length > 1, payload[:, min(1, payload.shape[1] - 1)] & 0x3F, 0)
    samples = np.where(code == 3, told, np.minimum(code + 1, 2)) * np.array(_OPUS_FRAME_SAMPLES)[toc >> 3]
    return np.where((length > 0) & (samples <= _OPUS_PACKET_SAMPLES_LIMIT), samples, 0)


G722 = LavcCodec("g722", 8000, 16000, 1, _g722_pieces, _g722_measure)
GSM = LavcCodec("gsm", 8000, 8000, 1, _gsm_pieces, _gsm_measure)
G729 = LavcCodec("g729", 8000, 8000, 1, _g729_pieces, _g729_measure)
#: RFC 7587 section 7 has every Opus stream declare two channels, whatever is in it.
OPUS = LavcCodec("libopus", 48000, 48000, 2, _opus_pieces, _opus_measure)


class LavcDecoder:
    """A lavc decoder that decodes the payloads of one stream, in order, to mono. Not to be called by two threads at a
    time.

    errors: payloads so far that were refused in whole or in part, or had bytes beyond the last whole frame.
    """

    def __init__(self, codec: LavcCodec) -> None:
        self.errors = 0
        self._codec = codec
        self._context: av.AudioCodecContext | None = None
        self._options: tuple[tuple[str, str], ...] = ()

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """Decode one payload to int16[samples] at the codec's sample rate. Never raises for what the bytes are."""
        pieces = self._codec.pieces(payload)
        samples = np.zeros(sum(piece.samples for piece in pieces), np.int16)
        self._decode(pieces, samples)
        return samples

    def decode_into(self, payload: bytes, samples: NDArray[np.int16]) -> None:
        """Decode one payload into int16[samples] zeros, as many as it measures. Never raises for what the bytes are."""
        self._decode(self._codec.pieces(payload), samples)

    def reset(self) -> None:
        """Forget the past, as at a change of source. `errors` goes on counting."""
        # A new context: flushing the old one is no reset, as libavcodec's G.722 and G.729 keep their state over it.
        self._context = None

    def _decode(self, pieces: list[Piece], samples: NDArray[np.int16]) -> None:
        whole, start = True, 0
        for piece in pieces:
            stop = start + piece.samples
            if not piece.silent:
                whole &= piece.samples > 0 and self._decode_piece(piece, samples[start:stop])
            start = stop
        self.errors += not whole

    def _decode_piece(self, piece: Piece, samples: NDArray[np.int16]) -> bool:
        """Fill `samples`, or leave them zero and return False. Empty data would end the stream: never give it."""
        if self._context is None or piece.options != self._options:
            self._context, self._options = _open(self._codec, piece.options), piece.options
        try:
            frames = self._context.decode(Packet(piece.data))
        except FFmpegError:
            return False
        if len(frames) != 1 or frames[0].samples != len(samples):
            return False
        plane = memoryview(frames[0].planes[0])
        if self._codec.is_float:
            scaled = np.frombuffer(plane, np.float32, len(samples)) * np.float32(32768)
            samples[:] = np.clip(np.rint(scaled), -32768, 32767)
        else:
            samples[:] = np.frombuffer(plane, np.int16, len(samples))
        return True


def _open(codec: LavcCodec, options: tuple[tuple[str, str], ...]) -> av.AudioCodecContext:
    context = CodecContext.create(codec.library_name, "r")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate = codec.sample_rate_hz
    context.layout = "mono"  # libopus mixes a stereo packet down by itself
    context.thread_count = 1  # thousands of streams: no threads of its own for each
    context.options = dict(options)
    return context
