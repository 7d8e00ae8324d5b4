"""Measure how well, and at what cost, strep.plugins.dtmf finds the keys that are pressed.

Digits are made at the limits of ITU-T Q.24 and beyond them, and go through G.711 mu-law, as in a call. Speech is that
of Debian's asterisk-core-sounds-en-wav, where it is installed, and for the cost the conversation that strep.emulator
speaks. Noise is white, to 4 kHz, and so many dB below both tones together.
"""

from __future__ import annotations

import statistics
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

from strep.audio import g711
from strep.emulator.speech import conversation
from strep.plugins.base import Hops
from strep.plugins.digit_pairing import Digit
from strep.plugins.dtmf import DtmfPlugin
from strep.plugins.tone_pairs import COLUMNS_HZ, FULL_SCALE_DBM0, KEYS, ROWS_HZ, SAMPLE_RATE_HZ

PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
_HOP_SAMPLES = DtmfPlugin.wants.hop_samples
_HOP_NS = _HOP_SAMPLES * 1_000_000_000 // SAMPLE_RATE_HZ
_DIGITS_PER_STREAM = 20
#: A digit is found where one of its name is reported that begins so near to where it does.
_NEAR_SAMPLES = 15 * SAMPLE_RATE_HZ // 1000
_PAUSE_BETWEEN_PROMPTS = np.zeros(SAMPLE_RATE_HZ // 10, np.int16)


class Dialled(NamedTuple):
    """Is streams of digits: samples int16[n, m]; keys, starts int64[n, d], indices of KEYS and of samples."""

    samples: NDArray[np.int16]
    keys: NDArray[np.int64]
    starts: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Dialling:
    """Says how digits sound; what is plural is drawn for each digit from what is given.

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


def measure(digits: int = 10_000, streams: int = 2000, rounds: int = 150) -> dict[str, Any]:
    """Measure accuracy over so many digits a case, and the cost of a hop for so many streams."""
    found = {name: count_found(dialling, digits) for name, dialling in {**WITHIN, **BEYOND}.items()}
    cost = {"speech": ns_per_hop(streams, rounds), "everyone dials": ns_per_hop(streams, rounds // 3, is_dialling=True)}
    return {
        "digits": digits,
        "found": {name: {"found": good, "wrong": wrong} for name, (good, wrong) in found.items()},
        "prompts": count_false(),
        "streams": streams,
        "ns_per_hop": cost | {"plain Python Goertzel": ns_per_packet_of_python()},
        "most_streams": int(_HOP_NS / cost["speech"]),
    }


def table(report: dict[str, Any]) -> Table:
    """Show a report."""
    result = Table(title=f"in-band digits, {report['digits']:,} each", title_justify="left")
    for column in ("", "found", "wrong"):
        result.add_column(column, justify="right" if column else "left")
    for name, counts in report["found"].items():
        result.add_row(name, f"{counts['found']:,}", f"{counts['wrong']:,}")
        if name == list(WITHIN)[-1]:
            result.add_section()
    if report["prompts"]:
        result.add_section()
        prompts = report["prompts"]
        result.add_row(
            f"{prompts['prompts']} prompts, {prompts['minutes']:.1f} minutes of speech", "", str(prompts["wrong"])
        )
    result.add_section()
    for name, ns in report["ns_per_hop"].items():
        result.add_row(f"ns a hop of 20 ms and stream: {name}", f"{ns:,.0f}", "")
    return result


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


def count_false() -> dict[str, Any]:
    """Count the digits that are heard in prompts, which say none as tones; nothing where there are no prompts."""
    paths = sorted(PROMPTS.rglob("*.wav"))
    if not paths:
        return {}
    prompts = [soundfile.read(path, dtype="int16")[0] for path in paths]
    speech = np.concatenate([part for prompt in prompts for part in (prompt, _PAUSE_BETWEEN_PROMPTS)])
    minutes = sum(map(len, prompts)) / SAMPLE_RATE_HZ / 60
    return {"prompts": len(paths), "minutes": minutes, "wrong": len(listen(speech[None]))}


def ns_per_hop(streams: int, rounds: int, *, is_dialling: bool = False) -> float:
    """Give the mean time of a call of process, by streams; each of them is elsewhere in the conversation."""
    if is_dialling:
        samples = np.resize(Dialling(off_ms=60, on_ms=80).dial(100).samples, (streams, 3200))
    else:
        said = np.concatenate(conversation(SAMPLE_RATE_HZ))
        begin = np.random.default_rng(1).integers(0, len(said) - rounds * _HOP_SAMPLES, streams)
        samples = np.stack([said[start : start + rounds * _HOP_SAMPLES] for start in begin])
    plugin, took_ns = DtmfPlugin(), list[int]()
    plugin.start(streams)
    for hops in hops_of(samples):
        start_ns = time.perf_counter_ns()
        plugin.process(hops)
        took_ns.append(time.perf_counter_ns() - start_ns)
    return statistics.mean(took_ns[2:]) / streams


def ns_per_packet_of_python(packets: int = 50) -> float:
    """Give the median time of the customary way: a Goertzel filter a frequency, in Python, over one packet."""
    said, took_ns = conversation(SAMPLE_RATE_HZ)[0], list[int]()
    for start in range(0, packets * _HOP_SAMPLES, _HOP_SAMPLES):
        packet = said[start : start + _HOP_SAMPLES].tolist()
        start_ns = time.perf_counter_ns()
        goertzel(packet)
        took_ns.append(time.perf_counter_ns() - start_ns)
    return statistics.median(took_ns)


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
