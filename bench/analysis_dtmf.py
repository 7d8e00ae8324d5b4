"""Measure how well strep.plugins.dtmf finds the keys that are pressed, and what it costs where everyone dials.

Digits are made at the limits of ITU-T Q.24 and beyond them, and go through G.711 mu-law, as in a call. Noise is white,
to 4 kHz, and so many dB below both tones together. Speech is that of Debian's asterisk-core-sounds-*-wav, where they
are installed.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray
from rich.table import Table

from bench.hop_cost import conversation_hops, ns_per_hop
from bench.speech_material import false_alarms, prompt_folders
from strep.audio import g711
from strep.plugins.base import Hops
from strep.plugins.digit_pairing import Digit
from strep.plugins.dtmf import DtmfPlugin
from strep.plugins.tone_pairs import COLUMNS_HZ, FULL_SCALE_DBM0, KEYS, ROWS_HZ, SAMPLE_RATE_HZ

_HOP_SAMPLES = DtmfPlugin.wants.hop_samples
_DIGITS_PER_STREAM = 20
#: A digit is found where one of its name is reported that begins so near to where it does.
_NEAR_SAMPLES = 15 * SAMPLE_RATE_HZ // 1000
#: Prompts follow each other in so many streams, as that takes less time.
_STREAMS_OF_PROMPTS = 50
_PAUSE_BETWEEN_PROMPTS = np.zeros(SAMPLE_RATE_HZ // 10, np.int16)


class Dialled(NamedTuple):
    """Streams of digits: samples int16[n, m]; keys, starts int64[n, d], indices of KEYS and of samples."""

    samples: NDArray[np.int16]
    keys: NDArray[np.int64]
    starts: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Dialling:
    """What says how digits sound; what is plural is drawn for each digit from what is given.

    weaker_dbm0: of the weaker tone. twists_db: by how much the higher tone is stronger. row_deviations,
    column_deviations: of the frequencies, as fractions. snr_db: None without noise.
    """

    weaker_dbm0: float = -25.0
    twists_db: Sequence[float] = (-8.0, 0.0, 4.0)
    row_deviations: Sequence[float] = (-0.015, 0.015)
    column_deviations: Sequence[float] = (-0.015, 0.015)
    on_ms: float = 40.0
    off_ms: float = 40.0
    snr_db: float | None = 15.0

    def dial(self, streams: int, seed: int = 1) -> Dialled:
        """Make streams of _DIGITS_PER_STREAM random digits each, that begin anywhere in a hop."""
        generator = np.random.default_rng(seed)
        shape = (streams, _DIGITS_PER_STREAM)
        keys = generator.integers(0, len(KEYS), shape)
        on, period = (round(ms * SAMPLE_RATE_HZ / 1000) for ms in (self.on_ms, self.on_ms + self.off_ms))
        starts = generator.integers(800, 800 + _HOP_SAMPLES, (streams, 1)) + period * np.arange(_DIGITS_PER_STREAM)
        length = -(-(1600 + _HOP_SAMPLES + period * _DIGITS_PER_STREAM) // _HOP_SAMPLES) * _HOP_SAMPLES
        sound, noise = np.zeros((streams, length)), generator.normal(size=(streams, length))
        twists_db = generator.choice(self.twists_db, shape)
        row_hz = np.array(ROWS_HZ)[keys // 4] * (1 + generator.choice(self.row_deviations, shape))
        column_hz = np.array(COLUMNS_HZ)[keys % 4] * (1 + generator.choice(self.column_deviations, shape))
        row_peak = _peak(self.weaker_dbm0 - np.minimum(twists_db, 0))
        column_peak = _peak(self.weaker_dbm0 + np.maximum(twists_db, 0))
        tones = _sines(row_peak, row_hz, on, generator) + _sines(column_peak, column_hz, on, generator)
        level = np.sqrt((row_peak**2 + column_peak**2) / 2)
        for stream, digit in np.ndindex(shape):
            start = starts[stream, digit]
            sound[stream, start : start + on] = tones[stream, digit]
            if self.snr_db is not None:  # up to the next digit the noise is as loud
                noise[stream, start : start + period] *= level[stream, digit] * 10 ** (-self.snr_db / 20)
        first, last = starts[:, :1], starts[:, -1:] + period
        outside = (np.arange(length) < first) | (np.arange(length) >= last)
        sound += np.where(outside | (self.snr_db is None), 0, noise)
        coded = g711.encode(np.clip(np.round(sound), -32768, 32767).astype(np.int16), g711.Law.MU)
        return Dialled(g711.decode(coded, g711.Law.MU), keys, starts)


#: What has to be found, and what may not be. Each begins at Q.24's limits, or well within them, and passes one.
WITHIN: Mapping[str, Dialling] = MappingProxyType(
    {
        "at every limit: 40 ms on and off, twist -8/0/+4 dB, 1.5 % off, -25 dBm0, 15 dB SNR": Dialling(),
        "loud, clean, 70 ms on and off": Dialling(-9, (2,), (0,), (0,), 70, 70, None),
    }
)
_EXACT = (0.0,)
BEYOND: Mapping[str, Dialling] = MappingProxyType(
    {
        "the lower tone 3.5 % off": Dialling(-10, (0,), (-0.035, 0.035), _EXACT, 100, 50),
        "the higher tone 3.5 % off": Dialling(-10, (0,), _EXACT, (-0.035, 0.035), 100, 50),
        "23 ms long, 15 dB SNR": Dialling(-10, (0,), _EXACT, _EXACT, 23, 60),
        "23 ms long, clean": Dialling(-10, (0,), _EXACT, _EXACT, 23, 60, None),
        "twist -14 or +10 dB": Dialling(-25, (-14, 10), _EXACT, _EXACT, 60, 60),
        "-55 dBm0": Dialling(-55, (0,), _EXACT, _EXACT, 60, 60, None),
    }
)


def measure(digits: int = 10_000) -> dict[str, Any]:
    """Measure accuracy over so many digits a case, and what is heard in prompts."""
    found = {name: count_found(dialling, digits) for name, dialling in {**WITHIN, **BEYOND}.items()}
    return {
        "digits": digits,
        "found": {name: {"found": good, "wrong": wrong} for name, (good, wrong) in found.items()},
        "prompts": {folder.name: count_false(folder) for folder in prompt_folders()},
    }


def tables(report: dict[str, Any]) -> list[Table]:
    """Show a report."""
    cases = Table("dialled", title=f"dtmf, {report['digits']:,} digits each", title_justify="left")
    for column in ("found", "wrong"):
        cases.add_column(column, justify="right")
    for name, counts in report["found"].items():
        cases.add_row(name, f"{counts['found']:,}", f"{counts['wrong']:,}", end_section=name == list(WITHIN)[-1])
    return [cases, false_alarms(report["prompts"], "dtmf, false digits in recorded prompts")]


def listen(samples: NDArray[np.int16]) -> list[Digit]:
    """Run the plugin over streams, int16[n, m]; what is no whole hop at the end is left out."""
    plugin = DtmfPlugin()
    plugin.start(len(samples))
    found = [digit for hops in hops_of(samples) for digit in plugin.process(hops)]
    return [digit for digit in [*found, *plugin.finish()] if isinstance(digit, Digit)]


def hops_of(samples: NDArray[np.int16]) -> Iterator[Hops]:
    """Cut streams, int16[n, m], into hops."""
    rows, no_time = np.arange(len(samples)), np.zeros(len(samples), np.int64)
    for start in range(0, samples.shape[1] - _HOP_SAMPLES + 1, _HOP_SAMPLES):
        hop = np.ascontiguousarray(samples[:, start : start + _HOP_SAMPLES])
        yield Hops(SAMPLE_RATE_HZ, rows, np.full(len(rows), start), no_time, hop, np.zeros(len(rows), np.uint8))


def count_found(dialling: Dialling, digits: int) -> tuple[int, int]:
    """Tell how many of so many digits are found, and how many there are that were not dialled."""
    streams, good, reported = max(1, digits // _DIGITS_PER_STREAM), 0, 0
    for seed in range(0, streams, 100):
        dialled = dialling.dial(min(100, streams - seed), seed)
        found = listen(dialled.samples)
        reported += len(found)
        good += _matches(dialled, found)
    return good, reported - good


def count_false(folder: Path) -> dict[str, Any]:
    """Count the digits that are heard in a folder's prompts, which say none as tones."""
    prompts = [soundfile.read(path, dtype="int16")[0] for path in sorted(folder.rglob("*.wav"))]
    streams = [prompts[first::_STREAMS_OF_PROMPTS] for first in range(min(len(prompts), _STREAMS_OF_PROMPTS))]
    said = [np.concatenate([part for one in some for part in (one, _PAUSE_BETWEEN_PROMPTS)]) for some in streams]
    samples = np.zeros(
        (len(said), max(map(len, said), default=0) // _HOP_SAMPLES * _HOP_SAMPLES + _HOP_SAMPLES), np.int16
    )
    for row, one in enumerate(said):
        samples[row, : len(one)] = one
    minutes = sum(map(len, prompts)) / SAMPLE_RATE_HZ / 60
    return {"prompts": len(prompts), "minutes": minutes, "wrong": len(listen(samples))}


def ns_while_dialling(streams: int) -> float:
    """Give what 20 ms of one of so many streams cost while everyone dials, as far as anyone can."""
    samples = np.resize(Dialling(off_ms=60, on_ms=80).dial(100).samples, (streams, 3200))
    return ns_per_hop(DtmfPlugin(), hops_of(samples), streams)


@functools.cache
def ns_of_python(packets: int = 200) -> float:
    """Give the time of the customary way: a Goertzel filter a frequency, in Python, over one packet; it is the mean."""
    said = [hops.samples[0].tolist() for hops in conversation_hops(DtmfPlugin.wants, 1, packets)]
    start_ns = time.thread_time_ns()
    for packet in said:
        goertzel(packet)
    return (time.thread_time_ns() - start_ns) / packets


def goertzel(packet: Sequence[int]) -> list[float]:
    """Give the power at each of the eight frequencies."""
    powers = []
    for hz in ROWS_HZ + COLUMNS_HZ:
        factor = 2 * cos(2 * pi * hz / SAMPLE_RATE_HZ)
        last = before = 0.0
        for sample in packet:
            last, before = sample + factor * last - before, last
        powers.append(last * last + before * before - factor * last * before)
    return powers


def _matches(dialled: Dialled, found: Sequence[Digit]) -> int:
    """Count the digits that were dialled and are found where they were, each once."""
    left = list(found)
    for stream, number in np.ndindex(dialled.keys.shape):
        name, start = KEYS[dialled.keys[stream, number]], dialled.starts[stream, number]
        for digit in left:
            if (digit.row, digit.digit) == (stream, name) and abs(digit.position - start) <= _NEAR_SAMPLES:
                left.remove(digit)
                break
    return len(found) - len(left)


def _sines(
    peak: NDArray[np.float64], hz: NDArray[np.float64], samples: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Make a sine of random phase for each peak and frequency: float64[..., samples]."""
    phase = generator.uniform(0, 2 * np.pi, hz.shape)[..., None]
    angle = 2 * np.pi * hz[..., None] / SAMPLE_RATE_HZ * np.arange(samples)
    sines: NDArray[np.float64] = peak[..., None] * np.sin(angle + phase)
    return sines


def _peak(level_dbm0: NDArray[np.float64]) -> NDArray[np.float64]:
    peak: NDArray[np.float64] = 32768 * 10 ** ((level_dbm0 - FULL_SCALE_DBM0) / 20)
    return peak
