"""Read bytes as what happens to an engine: datagrams of some calls, clocks, and what the caller does meanwhile.

Eight bytes are one step, so that a fuzzer's changes to one leave the others as they were. Most steps are packets that
go on from the one before in their stream by some step in sequence number, timestamp and time.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import NamedTuple

from strep.audio.formats import AudioFormat, PayloadTypeMap
from strep.stream.engine import EngineConfig
from strep.stream.events import StreamIdentity
from strep.wire.batch import NOT_STREP, REFUSED_SENDER, SENDER_OVER_LIMIT, Endpoint
from strep.wire.rtp import RtpPacket
from strep.wire.strep import StrepHeader

MS, SECOND = 1_000_000, 1_000_000_000
#: Two ports of one host, another host, and two ports that plain RTP of one call comes to.
ENDPOINTS = (
    Endpoint("192.0.2.1:40000", "192.0.2.9:9000", "plain-a"),
    Endpoint("192.0.2.1:40002", "192.0.2.9:9000", "plain-a", 1),
    Endpoint("198.51.100.7:40000", "192.0.2.9:9000", "plain-c"),
    Endpoint("[2001:db8::1]:9", "192.0.2.9:9000", "plain-a"),
)
LEGS = tuple(uuid.UUID(int=n << 64 | n) for n in range(4))
STEP_BYTES = 8
#: Not where it is to be instrumented, and indices are to be checked.
COMPILED = False
MOST_STEPS = 400
#: 2106: as far as the 32 bits of a pcap file reach.
_LAST_NS = 4_294_967_295 * SECOND
_STARTS_NS = (1_700_000_000 * SECOND, 1_700_000_000 * SECOND + 999_999_999, 0, 1, 3 * SECOND)
_TIMES_NS = (0, 0, 1, MS, 5 * MS, 19 * MS, 20 * MS, 20 * MS, 20 * MS, 30 * MS, 60 * MS, 99 * MS, 100 * MS, 101 * MS)
_TIMES_NS += (249 * MS, 250 * MS, 500 * MS, SECOND, 1001 * MS, 3 * SECOND, 5 * SECOND, 11 * SECOND, 61 * SECOND)
_TIMES_NS += (3600 * SECOND, 86_400 * SECOND, 400 * 86_400 * SECOND)
_SEQUENCES = (1, 1, 1, 1, 1, 1, 0, 2, 3, 5, -1, -2, -5, 61, 62, 63, 64, 65, -62, -63, -64, -65, 130, 2999, 3000, 3001)
_SEQUENCES += (-3000, 32_767, 32_768, 32_769, 65_535, 60_000)
_TICKS = (160, 160, 160, 160, 160, 160, 0, 80, 240, 320, 480, 960, -160, -320, 1, -1, 800, 8000, 16_000, 40_000, 80_000)
_TICKS += (480_000, -8000, -80_000, 2**31 - 1, 2**31, -(2**31) + 160, 28_800_000, 345_600_000, 30_000_000, 1_000_000)
#: By type: the static ones, those named below, an unknown one, and one that RTCP has beside the marker bit.
_PAYLOAD_TYPES = (
    0,
    0,
    0,
    8,
    9,
    18,
    3,
    4,
    2,
    11,
    10,
    13,
    13,
    101,
    101,
    96,
    97,
    98,
    99,
    102,
    103,
    104,
    105,
    106,
    5,
    77,
    72,
)
_FORMATS = {
    97: AudioFormat("OPUS", 48_000, 48_000, 2),
    98: AudioFormat("RED", 8000, 8000),
    99: AudioFormat("ILBC", 8000, 8000),
    102: AudioFormat("AMR", 8000, 8000),
    103: AudioFormat("AMR-WB", 16_000, 16_000),
    104: AudioFormat("L16", 16_000, 16_000),
    105: AudioFormat("PCMU", 16_000, 16_000),
    106: AudioFormat("SPEEX", 8000, 8000),
}
_LENGTHS = (160, 160, 160, 160, 80, 240, 320, 0, 0, 1, 2, 4, 10, 20, 24, 33, 38, 50, 62, 159, 161, 480, 960, 1400, 2000)
_SENDERS_BELOW_0 = (REFUSED_SENDER, SENDER_OVER_LIMIT, NOT_STREP)
_NOT_AUDIO = (
    b"",
    b"\x80",
    b"\xc0",
    b"\xc6\x18" + bytes(21),
    b"\xc6\x17" + bytes(40),
    b"\xc6\xff" + bytes(40),
    b"\xff" * 40,
    b"\xc6\x18" + bytes(22) + b"\x40" + bytes(11),
    b"\x80\xc8" + bytes(26),
    b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),
    b"\x00\x01" + bytes(10),
    b"OPTIONS sip:a SIP/2.0\r\n",
    b"\xa0\x00" + bytes(10) + b"\xff",
    bytes(3000),
)


class Datagram(NamedTuple):
    """Is what arrives; `sender` is its number in ENDPOINTS, or one of those below 0."""

    arrival_ns: int
    data: bytes
    sender: int


class Act(NamedTuple):
    """Is what the caller does: the name of a method of the engine, or `feed` for what has arrived so far."""

    name: str
    argument: int


class Scenario(NamedTuple):
    """Is all that happens, in order."""

    config: EngineConfig
    steps: list[Datagram | Act]


def read_scenario(data: bytes) -> Scenario:
    """Read a scenario; any bytes are one."""
    head, data = data[:STEP_BYTES].ljust(STEP_BYTES, b"\0"), data[STEP_BYTES : STEP_BYTES * (MOST_STEPS + 1)]
    return Scenario(_config(head), list(_steps(data, _pick(_STARTS_NS, head[6]))))


def call_of(number: int) -> str:
    """Name one of the calls that `end_call` may name."""
    return ("plain-a", "plain-c", *(f"{leg}-A" for leg in LEGS), f"{LEGS[0]}-B")[number % 7]


def admits(identity: StreamIdentity, _: Endpoint) -> bool:
    """Admit every call but the last."""
    return identity.call_leg_id != LEGS[3]


def _pick(choices: tuple, number: int):
    return choices[number % len(choices)]


def _config(head: bytes) -> EngineConfig:
    return EngineConfig(
        playout_delay_ms=_pick((100, 100, 0, 20, 60, 500), head[0]),
        idle_timeout_s=_pick((60, 1, 2, 10, 86_400), head[1]),
        max_streams=_pick((64, 2, 3, 8), head[2]),
        max_calls=_pick((64, 1, 2), head[3]),
        probation=head[4] & 1 == 0,
        senders_may_move=head[4] & 2 != 0,
        payload_types=PayloadTypeMap(_FORMATS),
        admits=admits if head[4] & 4 else None,
        compiled=COMPILED,
    )


class _Talker:
    """Is the numbers of one SSRC of one direction, whoever sends it."""

    def __init__(self, number: int) -> None:
        self.sequence, self.timestamp = _pick((1000, 0, 65_534), number), _pick((50_000, 2**32 - 400, 0), number)


def _steps(data: bytes, now_ns: int) -> Iterator[Datagram | Act]:
    talkers: dict[int, _Talker] = {}
    for start in range(0, len(data), STEP_BYTES):
        kind, who, sequence, ticks, time, payload_type, length, flags = data[start : start + STEP_BYTES].ljust(8, b"\0")
        now_ns = min(now_ns + _pick(_TIMES_NS, time), _LAST_NS)
        if kind < 0xC0:
            talker = talkers.setdefault(who & 0x3F, _Talker(who & 0x3F))
            talker.sequence += _pick(_SEQUENCES, sequence)
            talker.timestamp += _pick(_TICKS, ticks)
            packet = _packet(talker, who, payload_type, length, flags)
            yield Datagram(now_ns, packet, who >> 6)
        elif kind < 0xD0:
            yield Datagram(now_ns, _pick(_NOT_AUDIO, who), _pick((0, 1, 2, 3, *_SENDERS_BELOW_0), sequence))
        elif kind < 0xD4:
            yield Datagram(now_ns, data[start + 1 : start + 1 + length], who & 3)
        else:
            yield Act("feed", 0)
            if kind >= 0xE0:
                yield _act(kind, who, now_ns)
        if flags & 3 == 3:
            yield Act("feed", 0)
            if flags & 4:
                yield Act("advance", now_ns)
    yield Act("feed", 0)
    yield Act("advance", now_ns)


def _act(kind: int, who: int, now_ns: int) -> Act:
    acts = ("advance", "advance", "leave_out", "take_back", "end_call", "ask_again", "reports", "advance_ahead")
    name = acts[(kind - 0xE0) % len(acts)]
    if name == "advance":
        return Act(name, now_ns)
    return Act("advance", max(0, now_ns - who * MS)) if name == "advance_ahead" else Act(name, who % 7)


def _packet(talker: _Talker, who: int, payload_type: int, length: int, flags: int) -> bytes:
    payload = bytes(talker.sequence * 7 + n & 0x7F for n in range(_pick(_LENGTHS, length)))
    number = _pick(_PAYLOAD_TYPES, payload_type)
    if number == 101 and len(payload) >= 4:
        payload = bytes((length & 0x1F, flags & 0x80 | 10)) + (talker.sequence & 0x7FF).to_bytes(2)
    if number == 98 and len(payload) > 6:
        inner = _pick((0, 8, 101, 98, 13), length)
        copy = (0x80 | inner) << 24 | 160 << 10 | _pick((0, 10, 1023), length)
        payload = (copy.to_bytes(4) if length & 1 else b"") + bytes((inner,)) + payload[:170]
    rtp = RtpPacket(
        payload_type=number,
        sequence_number=talker.sequence & 0xFFFF,
        timestamp=talker.timestamp & 0xFFFF_FFFF,
        ssrc=who >> 4 & 3,
        payload=payload,
        marker=flags & 8 != 0,
        padding_length=5 if flags & 0x70 == 0x10 else 0,
    ).serialize()
    if flags & 0x70 == 0x20:  # bits that claim what is not there, or what could be
        rtp = bytes((rtp[0] | _pick((0x10, 1, 0x1F), length),)) + rtp[1:]
    if flags & 0x70 == 0x30:
        rtp = rtp[: _pick((11, 12, 13), length)]
    if who & 0xF == 0xF:  # plain: no header says whose it is
        return rtp
    return StrepHeader(LEGS[who & 3], leg=(who & 0xC) == 0xC, direction=who >> 2 & 1).serialize() + rtp
