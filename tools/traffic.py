"""Say which packets a made-up call platform sends, byte for byte: the traffic of tools/generate.py and of benchmarks.

Every byte is a function of the arguments of `Traffic`, so whoever receives can compute what must have arrived:

    call i            has call_leg_id(i, seed), leg A, and two streams: direction 0 and direction 1
    stream            2 * call + direction
    packet k          of every stream is due at 20 * k + phase milliseconds; the phase (0 to 19) is the stream's own
    sequence number   the stream's first one + k, in 16 bits; timestamp: its first one + 160 * k, in 32 bits
    payload           160 bytes of a ring of 65,536, from (stream * 40503 + 160 * k) on: see `expected_payload`
    withheld          a share `loss` of all packets, picked by a hash of (seed, stream, k): see `withheld`

In a ring for G.711 a byte is noise under a speech-like envelope. The payloads of a stream repeat after 2,048 packets
(41 seconds) only, and no two streams have the same payload in packets of the same number.

Opus counts at 48 kHz (960 a packet), and its ring is 1,024 packets of 64 bytes, the emulator's conversation encoded
(20.48 seconds). Its streams begin at one of 64 packets of the ring, from stream * 16 on, so that whoever decodes what
must have arrived decodes 64 streams and no more: streams 64 apart carry the same.

Plain traffic has no STREP header; a stream is told by the port that it is sent to.
"""

from __future__ import annotations

import functools
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from strep.errors import ConfigError
from strep.wire.rtp import RTP_BYTES, RtpPacket
from strep.wire.strep import STREP_BYTES, StrepHeader

#: One packet interval. The codecs of RFC 3551 here all have 160 bytes and 160 timestamp units in it (G.722 too: section
#: 4.5.2).
PERIOD_MS = 20
FRAME_BYTES = 160
HEADER_BYTES = STREP_BYTES + RTP_BYTES
PACKET_BYTES = HEADER_BYTES + FRAME_BYTES
#: More streams than bytes in the ring could not all be told apart.
RING_BYTES = 65_536
MAX_CALLS = RING_BYTES // 2
_SYLLABLE_BYTES = 2048  # 256 ms: four syllables a second
_OPUS_HZ, _OPUS_FRAME_SAMPLES, _OPUS_FRAME_BYTES = 48_000, 960, 64  # 25.6 kbit/s, as telephony has it


@dataclass(frozen=True, slots=True)
class Coding:
    """How a codec goes into packets of 20 ms. stream_step_bytes: how far apart in the ring two streams begin."""

    payload_type: int
    frame_bytes: int = FRAME_BYTES
    timestamp_step: int = FRAME_BYTES
    stream_step_bytes: int = 40_503  # odd, so every stream begins elsewhere


CODINGS: Mapping[str, Coding] = MappingProxyType(
    {
        "PCMU": Coding(0),
        "PCMA": Coding(8),
        "G722": Coding(9),
        "OPUS": Coding(116, _OPUS_FRAME_BYTES, _OPUS_FRAME_SAMPLES, 16 * _OPUS_FRAME_BYTES),
    }
)


def _stable_bytes(what: str, n: int) -> NDArray[np.uint8]:
    """Draw n bytes that depend on `what` alone, whatever the versions of Python and numpy."""
    return np.frombuffer(hashlib.shake_128(what.encode()).digest(n), np.uint8)


def call_leg_id(call: int, seed: int = 0) -> uuid.UUID:
    """Name a call."""
    return uuid.UUID(bytes=_stable_bytes(f"call {seed} {call}", 16).tobytes(), version=4)


@functools.cache
def payload_ring(codec: str) -> NDArray[np.uint8]:
    """Make the bytes that all payloads of a codec are cut from, uint8[RING_BYTES], read-only."""
    if codec == "OPUS":
        return _opus_ring()
    noise = _stable_bytes(f"ring {codec}", RING_BYTES)
    if codec == "G722":
        return noise
    # Sign and mantissa are noise; the segment, which doubles the level with each step, follows syllables (G.711).
    position = np.arange(RING_BYTES) % _SYLLABLE_BYTES
    segment = (6 * np.sin(np.pi * position / _SYLLABLE_BYTES)).round().astype(np.uint8)
    code = (noise & np.uint8(0x8F)) | segment << np.uint8(4)
    ring: NDArray[np.uint8] = code ^ np.uint8(0xFF if codec == "PCMU" else 0x55)
    ring.flags.writeable = False
    return ring


def _opus_ring() -> NDArray[np.uint8]:
    """Encode what both parties of the emulator's call say, at a constant bit rate: equal bytes by equal libraries."""
    # Only here: Opus is asked for rarely, and the emulator brings a web server along.
    import av

    from strep.emulator.speech import conversation

    encoder = av.AudioCodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = _OPUS_HZ, "mono", "s16"
    encoder.bit_rate = _OPUS_FRAME_BYTES * 8 * 1000 // PERIOD_MS
    encoder.options = {"vbr": "off", "application": "voip", "frame_duration": str(PERIOD_MS)}
    packets = RING_BYTES // _OPUS_FRAME_BYTES
    caller, agent = (party[: packets * _OPUS_FRAME_SAMPLES] for party in conversation(_OPUS_HZ))
    speech = (caller // 2 + agent // 2).reshape(packets, 1, _OPUS_FRAME_SAMPLES)
    ring = bytearray()
    for number, samples in enumerate(speech):
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts = _OPUS_HZ, number * _OPUS_FRAME_SAMPLES
        ring += b"".join(map(bytes, encoder.encode(frame)))
    assert len(ring) == RING_BYTES, "a packet in, a packet out, all of one size"
    return np.frombuffer(bytes(ring), np.uint8)


def expected_payload(call: int, direction: int, first: int, packets: int, codec: str = "PCMU") -> bytes:
    """Give the payloads of `packets` packets of a stream, from number `first` on, joined."""
    frame_bytes = CODINGS[codec].frame_bytes
    start = (ring_start(call, direction, codec) + first * frame_bytes) % RING_BYTES
    return payload_ring(codec).take(np.arange(start, start + packets * frame_bytes), mode="wrap").tobytes()


def ring_start(call: int, direction: int, codec: str) -> int:
    """Tell where in the ring the first payload of a stream begins: streams that begin alike are alike."""
    return (2 * call + direction) * CODINGS[codec].stream_step_bytes % RING_BYTES


def withheld(stream: NDArray[np.int64], index: NDArray[np.int64], loss: float, seed: int = 0) -> NDArray[np.bool_]:
    """Tell which packets, given by stream and number, are never sent; bool[n]. Mixes as SplitMix64 does."""
    mixed = (np.asarray(stream) << 32 | np.asarray(index)).astype(np.uint64) + np.uint64(seed) * np.uint64(_WEYL)
    mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58_476D_1CE4_E5B9)
    mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D0_49BB_1331_11EB)
    share = (mixed ^ mixed >> np.uint64(31)) >> np.uint64(11)  # 53 bits, as many as a double holds
    verdict: NDArray[np.bool_] = share.astype(np.float64) < loss * 2.0**53
    return verdict


_WEYL = 0x9E37_79B9


@dataclass(frozen=True, slots=True)
class PacketName:
    """A packet name that tells which packet of which stream has a number in the order of sending."""

    call: int
    direction: int
    index: int


class Traffic:
    """The packets of `calls` simultaneous calls, in the order of their sending, and numbered in that order.

    Packets of one period (20 ms) follow each other by phase. plain: RTP without STREP in front. packet_bytes: all have
    this length. Raises ConfigError for what cannot be.
    """

    def __init__(
        self, calls: int, *, codec: str = "PCMU", loss: float = 0.0, seed: int = 0, plain: bool = False
    ) -> None:
        if not 1 <= calls <= MAX_CALLS:
            raise ConfigError(f"expected 1 to {MAX_CALLS} calls, found {calls}")
        if codec not in CODINGS:
            raise ConfigError(f"expected one of {', '.join(CODINGS)}, found codec {codec!r}")
        if not 0 <= loss < 1:
            raise ConfigError(f"expected a share of lost packets from 0 to below 1, found {loss}")
        if not 0 <= seed < 1 << 32:
            raise ConfigError(f"expected a seed of 32 bits, found {seed}")
        self.calls, self.codec, self.loss, self.seed, self.plain = calls, codec, loss, seed, plain
        self.streams = 2 * calls
        self._coding = CODINGS[codec]
        self._header_bytes = RTP_BYTES if plain else HEADER_BYTES
        self.packet_bytes = self._header_bytes + self._coding.frame_bytes
        phase_ms = _stable_bytes(f"phase {seed}", self.streams) % PERIOD_MS
        #: int64[streams]: which stream is the s-th to send in a period, and when in the period it does.
        self.stream = phase_ms.argsort(kind="stable").astype(np.int64)
        self.phase_ms = phase_ms[self.stream].astype(np.int64)
        self._sent_by_ms = self.phase_ms.searchsorted(np.arange(PERIOD_MS), side="right")
        starts = _stable_bytes(f"rtp {seed}", 10 * self.streams).reshape(-1, 10)[self.stream]
        self._ssrc = starts[:, :4].copy().view("<u4")[:, 0]
        self._first_timestamp = starts[:, 4:8].copy().view("<u4")[:, 0].astype(np.int64)
        self._first_sequence_number = starts[:, 8:].copy().view("<u2")[:, 0].astype(np.int64)
        self._ring_start = self.stream * self._coding.stream_step_bytes
        ring = payload_ring(codec)
        ring = np.concatenate((ring, ring[: self._coding.frame_bytes]))
        self._windows = as_strided(ring, (RING_BYTES, self._coding.frame_bytes), (1, 1), writeable=False)
        headers = [self._header(row) for row in range(self.streams)]
        self._headers = np.frombuffer(b"".join(headers), np.uint8).reshape(-1, self._header_bytes)
        self._fields = self._layout()

    def name(self, number: int) -> PacketName:
        """Tell which packet a number is."""
        index, row = divmod(number, self.streams)
        return PacketName(*divmod(int(self.stream[row]), 2), index)

    def due(self, elapsed_ms: int) -> int:
        """Count the packets that are due from the beginning up to a millisecond, that one included."""
        periods, ms = divmod(elapsed_ms, PERIOD_MS)
        return periods * self.streams + int(self._sent_by_ms[ms])

    def due_ms(self, number: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the milliseconds in which packets are due, int64[n]."""
        index, row = np.divmod(number, self.streams)
        return index * PERIOD_MS + self.phase_ms[row]

    def streams_of(self, start: int, stop: int) -> NDArray[np.int64]:
        """Tell of which stream the packets are that `fill` writes, int64[as many as it says]."""
        row, _ = self._rows(start, stop)
        return self.stream[row]

    def fill(self, rows: NDArray[np.uint8], start: int, stop: int) -> int:
        """Write packets number start to stop - 1 into rows uint8[at least stop - start, packet_bytes].

        Returns how many rows were written: the withheld packets are left out.
        """
        row, index = self._rows(start, stop)
        rows = rows[: len(row)]
        rows[:, : self._header_bytes] = self._headers[row]
        fields = rows.view(self._fields)[:, 0]
        if start < self.streams:  # as in life, the first packet of a stream has the marker
            fields["marker_and_type"] |= (index == 0).astype(np.uint8) << np.uint8(7)
        fields["sequence_number"] = self._first_sequence_number[row] + index & 0xFFFF
        fields["timestamp"] = self._first_timestamp[row] + index * self._coding.timestamp_step & 0xFFFF_FFFF
        fields["payload"] = self._windows[(self._ring_start[row] + index * self._coding.frame_bytes) % RING_BYTES]
        return len(row)

    def packet(self, number: int) -> bytes | None:
        """Write one packet, None when it is withheld: the scalar twin of `fill`."""
        name = self.name(number)
        stream = 2 * name.call + name.direction
        if self.loss and withheld(np.array([stream]), np.array([name.index]), self.loss, self.seed)[0]:
            return None
        row = number % self.streams
        rtp = RtpPacket(
            payload_type=self._coding.payload_type,
            sequence_number=(int(self._first_sequence_number[row]) + name.index) % (1 << 16),
            timestamp=(int(self._first_timestamp[row]) + self._coding.timestamp_step * name.index) % (1 << 32),
            ssrc=int(self._ssrc[row]),
            payload=expected_payload(name.call, name.direction, name.index, 1, self.codec),
            marker=name.index == 0,
        )
        return self._strep(row) + rtp.serialize()

    def _rows(self, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give row and index of the packets that are not withheld, int64[n] each."""
        index, row = np.divmod(np.arange(start, stop), self.streams)
        if self.loss:
            kept = ~withheld(self.stream[row], index, self.loss, self.seed)
            index, row = index[kept], row[kept]
        return row, index

    def _header(self, row: int) -> bytes:
        """Write what all packets of a stream begin with; the moving fields are zero."""
        return self._strep(row) + RtpPacket(self._coding.payload_type, 0, 0, int(self._ssrc[row])).serialize()

    def _strep(self, row: int) -> bytes:
        """Write the STREP header of a stream, if there is one."""
        call, direction = divmod(int(self.stream[row]), 2)
        return b"" if self.plain else StrepHeader(call_leg_id(call, self.seed), 0, direction).serialize()

    def _layout(self) -> np.dtype[np.void]:
        """Describe the moving fields of a packet."""
        rtp = self._header_bytes - RTP_BYTES
        return np.dtype(
            {
                "names": ["marker_and_type", "sequence_number", "timestamp", "payload"],
                "formats": ["u1", ">u2", ">u4", ("u1", self._coding.frame_bytes)],
                "offsets": [rtp + 1, rtp + 2, rtp + 4, self._header_bytes],
                "itemsize": self.packet_bytes,
            }
        )
