"""Can who knows a call feed it, shift it or end it from another address? Another host and another port try.

Once by the engine and the sink alone, where the recordings must be those of a quiet run, byte by byte; and once over
real sockets, where every sample is held against what was sent. The forger has seen every packet of the calls: it sends
64 other SSRCs, the call's own SSRC with the sequence numbers that come next, and the call's own packets with timestamps
that are shifted.
"""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import BenchError
from bench.claims import Claim
from bench.completeness import check_recordings
from bench.load import Load, Sending
from bench.machine import RECEIVER_CPU, SENDER_CPU
from bench.recorder_command import RecorderCommand
from strep.live.pipeline import Pipeline
from strep.sinks.recordings import RecordingSink
from strep.stream.engine import Engine, EngineConfig
from strep.wire.batch import DatagramBatch, Endpoint
from tools.traffic import HEADER_BYTES, PERIOD_MS, Traffic

SSRCS = 64
_MS = 1_000_000
_START_NS = 1_700_000_000_000_000_000
_TARGET = "192.0.2.9:9000"
#: The platform; another host; and another port of the platform's host.
_ENDPOINTS = tuple(
    Endpoint(source, _TARGET, "default") for source in ("192.0.2.1:4000", "198.51.100.7:4000", "192.0.2.1:4001")
)
_FORGERS = (1, 2)
_SEQUENCE, _TIMESTAMP, _SSRC = slice(26, 28), slice(28, 32), slice(32, 36)
#: Turns of the forgers' socket, in life.
_TURN_S = 0.02
#: A call has a file so long after its first packet.
_FILE_AFTER_S = 0.9
#: Who speaks when a caller has been silent for 3 s is heard, by rule: that is to be nobody.
_ENDS_BEFORE_S = 1.5
_PATIENCE_S = 60.0
_SHOWN_FAULTS = 3


@dataclass(frozen=True, slots=True)
class Forger:
    """One who makes false packets of true ones, by a seed."""

    random: np.random.Generator

    def forge(self, true: bytes, number: int) -> bytes:
        """Make the false packet of a number: by turns another SSRC, the next sequence number, another timestamp."""
        packet = bytearray(true)
        sequence = int.from_bytes(packet[_SEQUENCE])
        timestamp = int.from_bytes(packet[_TIMESTAMP])
        kind, step = number % 3, number // 3
        if kind == 0:
            packet[_SSRC] = (step % SSRCS + 1).to_bytes(4)  # in sequence, so that each proves itself
            sequence, timestamp = step // SSRCS, 160 * (step // SSRCS)
        elif kind == 1:
            sequence, timestamp = sequence + 1 + step % 3, timestamp + 160 * (1 + step % 3)
        else:
            timestamp += int(self.random.integers(-(1 << 20), 1 << 20))
        packet[_SEQUENCE] = (sequence & 0xFFFF).to_bytes(2)
        packet[_TIMESTAMP] = (timestamp & 0xFFFF_FFFF).to_bytes(4)
        packet[HEADER_BYTES:] = self.random.bytes(len(packet) - HEADER_BYTES)
        return bytes(packet)


def measure(calls: int = 10, seconds: int = 10, live_seconds: int = 8, *, pinned: bool = True) -> dict[str, Any]:
    """Measure in some 20 s."""
    return {"engine": measure_engine(calls, seconds), "live": measure_live(calls, live_seconds, pinned=pinned)}


def rows(report: dict[str, Any]) -> list[Claim]:
    """Say of a report what was promised, and whether it was kept."""
    engine, live = report["engine"], report["live"]
    return [
        Claim(
            f"files that are those of the quiet run, beside {engine['forged']:,} forged packets in {engine['calls']} "
            "calls",
            f"{engine['identical']} of {engine['files']}",
            "all, byte by byte",
            engine["identical"] == engine["files"] == engine["calls"],
        ),
        Claim(
            "forged packets that were counted as refused",
            f"{engine['refused']:,}",
            "all",
            engine["refused"] == engine["forged"],
        ),
        Claim(
            f"calls exact beside {live['forged']:,} forged packets, over sockets",
            f"{live['exact']} of {live['calls']}",
            "all, no other file",
            live["exact"] == live["calls"] and not live["faults"],
        ),
    ]


def measure_engine(calls: int, seconds: int) -> dict[str, Any]:
    """Play calls with and without forged packets through engine and sink, and compare the files."""
    traffic = Traffic(calls, seed=4)
    with tempfile.TemporaryDirectory(prefix="strep-fortress-") as folder:
        quiet, forged = Path(folder) / "quiet", Path(folder) / "forged"
        _play(traffic, seconds, quiet, are_forged=False)
        counts = _play(traffic, seconds, forged, are_forged=True)
        files = sorted(path.name for path in quiet.glob("*.wav"))
        there = sorted(path.name for path in forged.glob("*.wav"))
        identical = sum((quiet / name).read_bytes() == (forged / name).read_bytes() for name in files if name in there)
    true = traffic.due(seconds * 1000 - 1)
    return {
        "calls": calls,
        "files": len(there),
        "identical": identical,
        "forged": sum(counts.values()) - true,
        "refused": counts["rejected_source"],
        "fates": {name: count for name, count in counts.items() if count},
    }


def _play(traffic: Traffic, seconds: int, directory: Path, *, are_forged: bool) -> dict[str, int]:
    """Play calls in turns of a millisecond; each packet of a call is followed by what the forgers make of it."""
    engine = Engine(EngineConfig(compiled=True))
    pipeline = Pipeline(engine, [RecordingSink(directory)])
    forgers = [Forger(np.random.default_rng(number)) for number in _FORGERS]
    number = done = 0
    for ms in range(seconds * 1000):
        stop = traffic.due(ms)
        packets = list[tuple[bytes, int]]()
        for row in _packets(traffic, done, stop):
            packets.append((row.tobytes(), 0))
            if are_forged and ms >= PERIOD_MS:  # until then the calls begin: they are known, and so are the senders
                for forger, source in zip(forgers, _FORGERS, strict=True):
                    packets.append((forger.forge(row.tobytes(), number), source))
                number += 1
        done = stop
        if packets:
            arrival_ns = [_START_NS + ms * _MS + n for n in range(len(packets))]
            datagrams, sources = zip(*packets, strict=True)
            pipeline.feed(DatagramBatch.from_datagrams(datagrams, arrival_ns, sources, _ENDPOINTS))
        if ms % 10 == 0:
            pipeline.advance(_START_NS + ms * _MS)
    pipeline.close()
    return engine.counts()


def _packets(traffic: Traffic, start: int, stop: int) -> NDArray[np.uint8]:
    rows = np.zeros((stop - start, traffic.packet_bytes), np.uint8)
    traffic.fill(rows, start, stop)
    return rows


def measure_live(calls: int, seconds: int, *, pinned: bool) -> dict[str, Any]:
    """Record calls while others send what they forge, from another address and from another port of the calls' own."""
    load = Load(calls, seconds, seed=5)
    sender_cpu, receiver_cpu = (SENDER_CPU, RECEIVER_CPU) if pinned else (None, None)
    with tempfile.TemporaryDirectory(prefix="strep-fortress-") as folder:
        directory = Path(folder) / "calls"
        with RecorderCommand(directory, cpu=receiver_cpu) as recorder:
            with Sending(load, recorder.address, cpu=sender_cpu) as sending:
                _wait_for_files(directory, calls)  # whoever speaks first has a leg: that is to be its caller
                forged = sum(1 for _ in _forge_live(load.traffic(), recorder, seconds))
                sending.finish()
            told = recorder.stop()
        findings = check_recordings(directory, load.traffic(), load.packets)
    return {
        "calls": calls,
        "exact": findings.complete,
        "forged": forged,
        "faults": [*findings.faults.values()][:_SHOWN_FAULTS],
        "fates": {name: count for name, count in told["datagrams"].items() if count},
    }


def _wait_for_files(directory: Path, calls: int) -> None:
    deadline_s = time.monotonic() + _PATIENCE_S
    while len(list(directory.glob("*.wav"))) < calls:
        if time.monotonic() > deadline_s:
            raise BenchError(f"expected {calls} recordings to begin within {_PATIENCE_S:g} s, found fewer")
        time.sleep(_TURN_S)


def _forge_live(traffic: Traffic, recorder: RecorderCommand, seconds: int) -> Iterator[None]:
    """Send forged packets of all streams once a turn, from where the calls are by then until they end."""
    forgers = [Forger(np.random.default_rng(number)) for number in _FORGERS]
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port,
    ):
        host.bind(("127.0.0.2", 0))
        began_s, number = time.monotonic() - _FILE_AFTER_S, 0
        while (elapsed_s := time.monotonic() - began_s) < seconds - _ENDS_BEFORE_S:
            # A little ahead or behind: a guess such as a forger has.
            first = int(elapsed_s * 1000) // PERIOD_MS * traffic.streams
            for row in _packets(traffic, first, first + traffic.streams):
                for forger, sock in zip(forgers, (host, port), strict=True):
                    sock.sendto(forger.forge(row.tobytes(), number), (recorder.address.host, recorder.address.port))
                    yield
                number += 1
            time.sleep(_TURN_S)
