"""Calls made by hand: the events and blocks that the engine would put out."""

import uuid
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from strep.audio.block import AudioBlock
from strep.audio.formats import AudioFormat
from strep.stream.events import (
    CloseReason,
    Direction,
    FormatChanged,
    Leg,
    SourceReport,
    StreamClosed,
    StreamIdentity,
    StreamOpened,
    StreamReport,
)

T0 = 1_700_000_000 * 10**9
SECOND = 10**9
PCMU = AudioFormat("PCMU", 8000, 8000)

Samples = NDArray[np.int16]


def identity(call: int = 1, direction: int = 0, leg: Leg = Leg.A) -> StreamIdentity:
    return StreamIdentity(uuid.UUID(int=call), leg, Direction(direction))


def name(call: int = 1) -> str:
    return identity(call).call


def opened(slot: int, direction: int = 0, *, call: int = 1, at_ns: int = 0, ssrc: int = 7) -> StreamOpened:
    return StreamOpened(T0 + at_ns, slot, identity(call, direction), ssrc, "192.0.2.1:4000", "192.0.2.2:9000")


def block(rows: Iterable[tuple[int, int, Samples]], rate_hz: int = 8000, at_ns: int = 0) -> AudioBlock:
    slots, position, samples = zip(*rows, strict=True)
    count = len(slots)
    return AudioBlock(
        rate_hz,
        np.array(slots, np.int64),
        np.array(position, np.int64),
        np.stack(samples),
        np.zeros(count, np.uint8),
        np.full(count, T0 + at_ns, np.int64),
    )


def format_changed(slot: int, audio_format: AudioFormat | None = PCMU, payload_type: int = 0) -> FormatChanged:
    return FormatChanged(T0, slot, 0, payload_type, audio_format)


def source_report(ssrc: int = 7) -> SourceReport:
    return SourceReport(
        ssrc, {0: "PCMU/8000"}, "192.0.2.1:4000", "192.0.2.2:9000", T0, T0 + SECOND, 49, 7840, 50, 1, 0, 0, 0, 0, 0,
        1.5, 2.5, 21.0, 0, False,
    )  # fmt: skip


def closed(
    slot: int,
    direction: int = 0,
    *,
    call: int = 1,
    length: int = 0,
    rate_hz: int = 8000,
    anchor_ns: int = 0,
    at_ns: int = SECOND,
    skew_ppm: float = 12.5,
) -> StreamClosed:
    report = StreamReport(
        identity(call, direction), T0 + anchor_ns, T0, T0 + at_ns, length, rate_hz, skew_ppm,
        {"received": length}, {"accepted": 49, "duplicate": 1}, 3, [source_report()], {"198.51.100.7:9": 3},
    )  # fmt: skip
    return StreamClosed(T0 + at_ns, slot, CloseReason.ENDED, report)


def tone(length: int, seed: int = 1) -> Samples:
    """Samples of which no two neighbours, and hardly any two, are alike; none is zero."""
    return np.random.default_rng(seed).integers(1, 32000, length).astype(np.int16)


def load(path: Path) -> tuple[Samples, int]:
    samples, rate_hz = soundfile.read(path, dtype="int16", always_2d=True)
    return samples, rate_hz
