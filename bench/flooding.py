"""Flood a receiver with what are no calls, at a pace, from a process of its own that gives way to the calls' sender."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import BenchError
from bench.child import Child
from bench.machine import pin
from strep.net.address import UdpAddress
from strep.wire.rtp import RtpPacket
from strep.wire.strep import STREP_BYTES, StrepHeader
from tools.generate import BATCH_PACKETS, Report, Sender

#: Of these lengths in turn: less than any header, less than speech, and speech of 20 ms.
GARBAGE_BYTES = (12, 60, 172)
#: Of ids that collide: in a dictionary of integers, or in a table whose multipliers are known.
COLLIDING_IDS = 25_000
#: Python's hash of an integer is its rest by this.
_HASH_MODULUS = 2**61 - 1
#: The multipliers of identities that KeyIndex had before it made up secret ones.
_KNOWN_MULTIPLIERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)
_IP_BYTES, _UDP_BYTES = 20, 8
#: 127.1.0.0; each sender has the next address. Loopback is 127.0.0.0/8, so that all of them are this host's.
_FIRST_HOST = 0x7F01_0000
_FIRST_PORT, _PORTS = 1024, 60_000
#: The calls come first where both wait for the core.
_NICE = 10
_SHORTEST_SLEEP_S, _LEAST_PACKETS = 0.001, 32

Rows = NDArray[np.uint8]
Fill = Callable[[Rows, int], None]


def colliding_ids(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Make call_leg_ids, uint8[count, 16]: half share Python's hash as integers, half a place of the former table."""
    random = np.random.default_rng(seed)
    chosen = [int(word) for word in random.integers(1, 1 << 63, count)]
    rest = int(random.integers(1, 1 << 60))
    ids = [(word * _HASH_MODULUS + rest).to_bytes(16, "big") for word in chosen[: count // 2]]
    inverse = pow(_KNOWN_MULTIPLIERS[1], -1, 1 << 64)
    for word in chosen[count // 2 :]:
        second = (rest - word * _KNOWN_MULTIPLIERS[0]) * inverse % (1 << 64)
        ids.append(word.to_bytes(8, "little") + second.to_bytes(8, "little"))
    return np.frombuffer(b"".join(ids), np.uint8).reshape(count, 16)


def speech_packet() -> bytes:
    """Make a valid datagram of 20 ms; its call_leg_id is to be filled in."""
    rtp = RtpPacket(payload_type=0, sequence_number=7, timestamp=7, ssrc=7, payload=bytes(range(160)))
    return StrepHeader(uuid.UUID(int=0), 0, 0).serialize() + rtp.serialize()


#: Where the call_leg_id is in a datagram: at the end of the STREP header.
ID_BYTES = slice(STREP_BYTES - 16, STREP_BYTES)


class _Garbage:
    """Random bytes."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def fill(self, rows: Rows, _: int) -> None:
        rows[:] = np.frombuffer(self._random.bytes(rows.size), np.uint8).reshape(rows.shape)


class _Ids:
    """Valid datagrams of call_leg_ids that are random, or given ones in turn."""

    def __init__(self, seed: int, ids: NDArray[np.uint8] | None = None) -> None:
        self._random, self._ids = np.random.default_rng(seed), ids

    def fill(self, rows: Rows, number: int) -> None:
        if self._ids is None:
            ids = np.frombuffer(self._random.bytes(16 * len(rows)), np.uint8).reshape(-1, 16)
        else:
            ids = self._ids[np.arange(number, number + len(rows)) % len(self._ids)]
        rows[:, ID_BYTES] = ids


class _Senders:
    """Valid datagrams behind headers of IPv4 and UDP, each with another source address, port and call_leg_id."""

    def __init__(self, seed: int, port: int) -> None:
        self._ids, self._port = _Ids(seed), port

    def fill(self, rows: Rows, number: int) -> None:
        n = np.arange(number, number + len(rows))
        self._ids.fill(rows[:, _IP_BYTES + _UDP_BYTES :], number)
        _put(rows, 12, (_FIRST_HOST + n).astype(">u4"))
        _put(rows, _IP_BYTES, (_FIRST_PORT + n % _PORTS).astype(">u2"))

    def header(self, content_bytes: int) -> bytes:
        """Make both headers; the kernel fills in sums and lengths of IP, and UDP goes without a sum (RFC 768)."""
        ip = bytes([0x45, 0, 0, 0, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1])
        udp_bytes = _UDP_BYTES + content_bytes
        return ip + bytes(2) + self._port.to_bytes(2, "big") + udp_bytes.to_bytes(2, "big") + bytes(2)


def _put(rows: Rows, at: int, values: NDArray[Any]) -> None:
    rows[:, at : at + values.itemsize] = values[:, np.newaxis].view(np.uint8)


@dataclass(frozen=True, slots=True)
class Flood:
    """What to send: a kind, so many datagrams a second, for so long."""

    kind: str
    rate: int
    seconds: float
    seed: int = 0


class Flooding:
    """A flood from a process of its own: made at once, begun by `begin`. Raises BenchError when it cannot be."""

    def __init__(self, flood: Flood, target: UdpAddress, *, cpu: int | None) -> None:
        self._child = Child(_serve, flood, target.host, target.port, cpu)
        self._child.answer()

    def __enter__(self) -> Flooding:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.close()

    def begin(self) -> None:
        """Send from now on."""
        self._child.tell("begin")

    def finish(self) -> dict[str, Any]:
        """Wait until all is sent; returns the sender's report."""
        report: dict[str, Any] = self._child.answer()
        return report


def _serve(connection: Connection, flood: Flood, host: str, port: int, cpu: int | None) -> None:
    pin(cpu)
    os.nice(_NICE)
    report = Report(0)
    senders = [(sender, fill) for sender, fill in _KINDS[flood.kind](flood, UdpAddress(host, port), report)]
    connection.send(None)
    connection.recv()
    _send(senders, flood, report)
    connection.send(asdict(report))
    for sender, _ in senders:
        sender.close()


def _send(senders: list[tuple[Sender, Fill]], flood: Flood, report: Report) -> None:
    """Send at the pace; where that cannot be kept, as fast as it goes."""
    begin_s, report.begin_ns = time.monotonic(), time.time_ns()
    total, turn = round(flood.rate * flood.seconds), 0
    while (elapsed_s := time.monotonic() - begin_s) < flood.seconds and report.packets_sent < total:
        due = min(total, round(elapsed_s * flood.rate)) - report.packets_sent
        if due < min(_LEAST_PACKETS, total - report.packets_sent):
            time.sleep(_SHORTEST_SLEEP_S)
            continue
        sender, fill = senders[turn % len(senders)]
        count = min(due, BATCH_PACKETS)
        fill(sender.rows[:count], report.packets_sent)
        sender.send(count)
        turn += 1
    report.seconds, report.end_ns = time.monotonic() - begin_s, time.time_ns()
    report.packets_per_second = report.packets_sent / report.seconds


def _garbage(flood: Flood, target: UdpAddress, report: Report) -> list[tuple[Sender, Fill]]:
    fill = _Garbage(flood.seed).fill
    return [(Sender(target, report, packet_bytes=size), fill) for size in GARBAGE_BYTES]


def _random_ids(flood: Flood, target: UdpAddress, report: Report) -> list[tuple[Sender, Fill]]:
    return [(_speech_sender(target, report), _Ids(flood.seed).fill)]


def _colliding(flood: Flood, target: UdpAddress, report: Report) -> list[tuple[Sender, Fill]]:
    return [(_speech_sender(target, report), _Ids(flood.seed, colliding_ids(COLLIDING_IDS, flood.seed)).fill)]


def _many_senders(flood: Flood, target: UdpAddress, report: Report) -> list[tuple[Sender, Fill]]:
    try:
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    except PermissionError as error:
        raise BenchError("expected to be root (CAP_NET_RAW), which a million source addresses need") from error
    sock.connect((target.host, 0))
    senders = _Senders(flood.seed, target.port)
    packet = senders.header(len(speech_packet())) + speech_packet()
    sender = Sender(target, report, packet_bytes=len(packet), sock=sock)
    sender.rows[:] = np.frombuffer(packet, np.uint8)
    return [(sender, senders.fill)]


def _speech_sender(target: UdpAddress, report: Report) -> Sender:
    packet = speech_packet()
    sender = Sender(target, report, packet_bytes=len(packet))
    sender.rows[:] = np.frombuffer(packet, np.uint8)
    return sender


_KINDS: Mapping[str, Callable[[Flood, UdpAddress, Report], list[tuple[Sender, Fill]]]] = MappingProxyType(
    {"garbage": _garbage, "random ids": _random_ids, "colliding ids": _colliding, "many senders": _many_senders}
)
