"""What does it cost that a direction comes back that was silent for a day? By the engine and the sink, time made up.

By the least that each turn takes of some repeats, as others use the machine, too.

Twice: while the other direction goes on with comfort noise, a packet every 30 s; and with both silent, where the leg is
to be kept for so long.
"""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.claims import Claim
from strep.live.pipeline import Pipeline
from strep.sinks.recordings import RecordingSink
from strep.stream.engine import Engine, EngineConfig
from strep.wire.batch import DatagramBatch, Endpoint
from strep.wire.rtp import RtpPacket
from strep.wire.strep import StrepHeader

_MOST_TURN_MS = 50.0
#: Of the file on disk: the seconds of speech before and after, and what a file system takes besides.
_MOST_DISK_BYTES = 1 << 20
_DAY_S = 86_400
#: A leg of which nothing was heard for a whole day has ended.
_LESS_S = 60
_SPEECH_S = 5
_REPEATS = 3
_NOISE_EVERY_S = 30
_PTIME_MS, _TICK_MS, _QUIET_TICK_MS, _FRAME = 20, 10, 20_000, 160
_COMFORT_NOISE = 13
_START_NS = 1_700_000_000_000_000_000
_HERE = (Endpoint("192.0.2.1:4000", "192.0.2.9:9000", "default"),)
_LEG = uuid.UUID("428c31b6-7af4-4bcb-b7f5-5013ef9657c1")

#: When (in ms), direction, number in sequence, and payload type.
_Sent = tuple[int, int, int, int]


def measure(silent_s: int = _DAY_S) -> dict[str, Any]:
    """Measure in some seconds."""
    one = measure_one(silent_s, noise_every_s=_NOISE_EVERY_S)
    both = measure_one(silent_s - _LESS_S, noise_every_s=None)
    return {"one direction": one, "both directions": both}


def rows(report: dict[str, Any]) -> list[Claim]:
    """Say of a report what was promised, and whether it was kept."""
    claims = []
    for which, one in report.items():
        hours = one["silent_s"] / 3600
        what = f"{which} silent for {hours:g} h"
        claims += [
            Claim(
                f"{what}: longest turn, until 5 s after it is back",
                f"{one['longest_turn_ms']:.1f} ms ({one['longest_turn_by_clock_ms']:.1f} by the clock)",
                f"{_MOST_TURN_MS:g} ms",
                one["longest_turn_ms"] <= _MOST_TURN_MS,
            ),
            Claim(
                f"{what}: on disk, of a file of {one['duration_s']:,.0f} s and {one['size_bytes']:,} bytes",
                f"{one['disk_bytes'] / 1024:,.0f} KiB",
                f"{_MOST_DISK_BYTES >> 10:,} KiB",
                one["disk_bytes"] <= _MOST_DISK_BYTES and one["duration_s"] >= one["silent_s"],
            ),
        ]
    return claims


def measure_one(silent_s: int, *, noise_every_s: int | None) -> dict[str, Any]:
    """Record a call of which inbound is silent for so long, and outbound, too, or noisy."""
    runs = [_record(list(_script(silent_s, noise_every_s))) for _ in range(_REPEATS)]
    turns_ms = [min(turn) for turn in zip(*(run.pop("turns_ms") for run in runs), strict=True)]
    elapsed_ms = [min(turn) for turn in zip(*(run.pop("elapsed_ms") for run in runs), strict=True)]
    return runs[0] | {
        "silent_s": silent_s,
        "turns": len(turns_ms),
        "longest_turn_ms": max(turns_ms),
        "longest_turn_by_clock_ms": max(elapsed_ms),
    }


def _record(script: list[_Sent]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="strep-fortress-") as folder:
        pipeline = Pipeline(Engine(EngineConfig(idle_timeout_s=_DAY_S, compiled=True)), [RecordingSink(folder)])
        turns_ms, elapsed_ms = zip(*_turns_ms(pipeline, script), strict=True)
        began_s = time.perf_counter()
        pipeline.close()
        closing_ms = (time.perf_counter() - began_s) * 1000
        files = [path.stat() for path in Path(folder).glob("*.wav")]
    return {
        "turns_ms": turns_ms,
        "elapsed_ms": elapsed_ms,
        "closing_ms": closing_ms,
        "files": len(files),
        "size_bytes": sum(file.st_size for file in files),
        "duration_s": sum(file.st_size for file in files) / (8000 * 4),
        "disk_bytes": sum(file.st_blocks for file in files) * 512,
    }


def _script(silent_s: int, noise_every_s: int | None) -> Iterator[_Sent]:
    """Say what is sent, in order: both speak, inbound is silent and outbound noisy, or silent, and both speak."""
    packets = _SPEECH_S * 1000 // _PTIME_MS
    number = 0
    for number in range(packets):
        yield from ((number * _PTIME_MS, direction, number, 0) for direction in (0, 1))
    outbound = number
    back_ms = (_SPEECH_S + silent_s) * 1000
    if noise_every_s is not None:
        for at_ms in range((_SPEECH_S + noise_every_s) * 1000, back_ms, noise_every_s * 1000):
            outbound += 1
            yield at_ms, 1, outbound, _COMFORT_NOISE
    for more in range(packets):
        yield back_ms + more * _PTIME_MS, 0, number + 1 + more, 0
        yield back_ms + more * _PTIME_MS, 1, outbound + 1 + more, 0


def _turns_ms(pipeline: Pipeline, script: list[_Sent]) -> Iterator[tuple[float, float]]:
    """Play a script, with a turn every 10 ms, and every 20 s in the silence; gives how long each was.

    In the thread's processor time, and by the clock.

    The first turns are not measured: what they find cold is no matter of silence.
    """
    now_ms, place = 0, 0
    last_ms, back_ms = script[-1][0] + 1000, script[-1][0] - _SPEECH_S * 1000
    while now_ms < last_ms:
        began_s, spent_s = time.perf_counter(), time.thread_time()
        datagrams = list[tuple[bytes, int]]()
        while place < len(script) and script[place][0] <= now_ms:
            datagrams.append((_packet(*script[place]), _START_NS + script[place][0] * 1_000_000))
            place += 1
        if datagrams:
            packets, arrival_ns = zip(*datagrams, strict=True)
            pipeline.feed(DatagramBatch.from_datagrams(packets, arrival_ns, endpoints=_HERE))
        pipeline.advance(_START_NS + now_ms * 1_000_000)
        spent_ms = (time.thread_time() - spent_s) * 1000
        elapsed_ms = (time.perf_counter() - began_s) * 1000
        if now_ms >= _SPEECH_S * 1000:
            yield spent_ms, elapsed_ms
        is_quiet = _SPEECH_S * 1000 + 1000 <= now_ms < back_ms
        next_ms = script[place][0] if place < len(script) else last_ms
        now_ms += max(1, min(next_ms - now_ms, _QUIET_TICK_MS)) if is_quiet else _TICK_MS


def _packet(at_ms: int, direction: int, number: int, payload_type: int) -> bytes:
    rtp = RtpPacket(
        payload_type=payload_type,
        sequence_number=number & 0xFFFF,
        timestamp=(at_ms * 8) & 0xFFFF_FFFF,
        ssrc=direction + 1,
        payload=bytes([0x55]) * (_FRAME if payload_type == 0 else 1),
    )
    return StrepHeader(_LEG, 0, direction).serialize() + rtp.serialize()
