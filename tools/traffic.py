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
"""

from __future__ import annotations

import functools
import hashlib
import uuid
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from strep.errors import ConfigError
from strep.wire.rtp import RTP_BYTES, RtpPacket
from strep.wire.strep import STREP_BYTES, StrepHeader

#: One packet interval. All codecs here have 160 bytes and 160 timestamp units in it (G.722: RFC 3551 section 4.5.2).
PERIOD_MS = 20
FRAME_BYTES = 160
HEADER_BYTES = STREP_BYTES + RTP_BYTES
PACKET_BYTES = HEADER_BYTES + FRAME_BYTES
PAYLOAD_TYPES = {"PCMU": 0, "PCMA": 8, "G722": 9}
#: More streams than bytes in the ring could not all be told apart.
RING_BYTES = 65_536
MAX_CALLS = RING_BYTES // 2
_STREAM_STEP_BYTES = 40_503  # odd, so every stream begins elsewhere
_SYLLABLE_BYTES = 2048  # 256 ms: four syllables a second

_FIELDS = np.dtype(
    {
        "names": ["marker_and_type", "sequence_number", "timestamp", "payload"],
        "formats": ["u1", ">u2", ">u4", ("u1", FRAME_BYTES)],
        "offsets": [STREP_BYTES + 1, STREP_BYTES + 2, STREP_BYTES + 4, HEADER_BYTES],
        "itemsize": PACKET_BYTES,
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


def expected_payload(call: int, direction: int, first: int, packets: int, codec: str = "PCMU") -> bytes:
    """Give the payloads of `packets` packets of a stream, from number `first` on, joined."""
    start = ((2 * call + direction) * _STREAM_STEP_BYTES + first * FRAME_BYTES) % RING_BYTES
    return payload_ring(codec).take(np.arange(start, start + packets * FRAME_BYTES), mode="wrap").tobytes()


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
    """Tells which packet of which stream has a number in the order of sending."""

    call: int
    direction: int
    index: int


class Traffic:
    """Is the packets of `calls` simultaneous calls, in the order of their sending, and numbered in that order.

    Packets of one period (20 ms) follow each other by phase. Raises ConfigError for what cannot be.
    """

    def __init__(self, calls: int, *, codec: str = "PCMU", loss: float = 0.0, seed: int = 0) -> None:
        if not 1 <= calls <= MAX_CALLS:
            raise ConfigError(f"expected 1 to {MAX_CALLS} calls, found {calls}")
        if codec not in PAYLOAD_TYPES:
            raise ConfigError(f"expected one of {', '.join(PAYLOAD_TYPES)}, found codec {codec!r}")
        if not 0 <= loss < 1:
            raise ConfigError(f"expected a share of lost packets from 0 to below 1, found {loss}")
        if not 0 <= seed < 1 << 32:
            raise ConfigError(f"expected a seed of 32 bits, found {seed}")
        self.calls, self.codec, self.loss, self.seed = calls, codec, loss, seed
        self.streams = 2 * calls
        phase_ms = _stable_bytes(f"phase {seed}", self.streams) % PERIOD_MS
        #: int64[streams]: which stream is the s-th to send in a period, and when in the period it does.
        self.stream = phase_ms.argsort(kind="stable").astype(np.int64)
        self.phase_ms = phase_ms[self.stream].astype(np.int64)
        self._sent_by_ms = self.phase_ms.searchsorted(np.arange(PERIOD_MS), side="right")
        starts = _stable_bytes(f"rtp {seed}", 10 * self.streams).reshape(-1, 10)[self.stream]
        self._ssrc = starts[:, :4].copy().view("<u4")[:, 0]
        self._first_timestamp = starts[:, 4:8].copy().view("<u4")[:, 0].astype(np.int64)
        self._first_sequence_number = starts[:, 8:].copy().view("<u2")[:, 0].astype(np.int64)
        self._ring_start = self.stream * _STREAM_STEP_BYTES
        ring = payload_ring(codec)
        ring = np.concatenate((ring, ring[:FRAME_BYTES]))
        self._windows = as_strided(ring, (RING_BYTES, FRAME_BYTES), (1, 1), writeable=False)
        headers = [self._header(row) for row in range(self.streams)]
        self._headers = np.frombuffer(b"".join(headers), np.uint8).reshape(-1, HEADER_BYTES)

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

    def fill(self, rows: NDArray[np.uint8], start: int, stop: int) -> int:
        """Write packets number start to stop - 1 into rows uint8[at least stop - start, PACKET_BYTES].

        Returns how many rows were written: the withheld packets are left out.
        """
        index, row = np.divmod(np.arange(start, stop), self.streams)
        if self.loss:
            kept = ~withheld(self.stream[row], index, self.loss, self.seed)
            index, row = index[kept], row[kept]
        rows = rows[: len(row)]
        rows[:, :HEADER_BYTES] = self._headers[row]
        fields = rows.view(_FIELDS)[:, 0]
        if start < self.streams:  # as in life, the first packet of a stream has the marker
            fields["marker_and_type"] |= (index == 0).astype(np.uint8) << np.uint8(7)
        fields["sequence_number"] = self._first_sequence_number[row] + index & 0xFFFF
        fields["timestamp"] = self._first_timestamp[row] + index * FRAME_BYTES & 0xFFFF_FFFF
        fields["payload"] = self._windows[(self._ring_start[row] + index * FRAME_BYTES) % RING_BYTES]
        return len(row)

    def packet(self, number: int) -> bytes | None:
        """Write one packet, None when it is withheld: the scalar twin of `fill`."""
        name = self.name(number)
        stream = 2 * name.call + name.direction
        if self.loss and withheld(np.array([stream]), np.array([name.index]), self.loss, self.seed)[0]:
            return None
        row = number % self.streams
        rtp = RtpPacket(
            payload_type=PAYLOAD_TYPES[self.codec],
            sequence_number=(int(self._first_sequence_number[row]) + name.index) % (1 << 16),
            timestamp=(int(self._first_timestamp[row]) + FRAME_BYTES * name.index) % (1 << 32),
            ssrc=int(self._ssrc[row]),
            payload=expected_payload(name.call, name.direction, name.index, 1, self.codec),
            marker=name.index == 0,
        )
        return StrepHeader(call_leg_id(name.call, self.seed), 0, name.direction).serialize() + rtp.serialize()

    def _header(self, row: int) -> bytes:
        """Write what all packets of a stream begin with; the moving fields are zero."""
        call, direction = divmod(int(self.stream[row]), 2)
        rtp = RtpPacket(PAYLOAD_TYPES[self.codec], 0, 0, int(self._ssrc[row]))
        return StrepHeader(call_leg_id(call, self.seed), 0, direction).serialize() + rtp.serialize()
