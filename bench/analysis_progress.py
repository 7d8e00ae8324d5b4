"""Measure how well strep.plugins.progress recognises the tones of the network.

Each row of the table is made with its frequencies 1.5 % too low, right, and 1.5 % too high, at -25 to -10 dBm0, with
white noise 20 dB below it, beginning anywhere in a hop, and through G.711 A-law. Speech is that of Debian's
asterisk-core-sounds-*-wav, where they are installed; prompts that hold tones themselves are listed apart.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray
from rich.table import Table

from bench import speech_material
from bench.speech_material import false_alarms
from strep.audio import g711
from strep.emulator.speech import conversation
from strep.plugins.base import Finding, Hops
from strep.plugins.progress import CallProgress, ProgressConfig, ProgressPlugin
from strep.plugins.tone_spectrum import HOP_SAMPLES, SAMPLE_RATE_HZ
from strep.plugins.tone_table import SPECIAL_INFORMATION_HZ, TONES, Tone, ToneKind

#: By what the limits were chosen; other languages' prompts (the same packages for es, fr, it, ru) were not looked at.
PROMPTS = speech_material.PROMPTS
DEVIATIONS = (-0.015, 0.0, 0.015)
SNR_DB = 20.0
#: Prompts that hold tones, and what their spectra show.
PROMPTS_WITH_TONES = MappingProxyType(
    {
        "beep": "one tone of 0.4 s",
        "beeperr": "a buzz of 340 Hz and its overtones",
        "ascending-2tone": "two tones of 0.1 s",
        "descending-2tone": "two tones of 0.1 s",
        "confbridge-join": "a chime",
        "confbridge-leave": "a chime",
        "spy-jingle": "music",
    }
)
_SENTENCE = "vm-intro"
#: E.180's, and three of North America's (no circuit, vacant code, intercept): Hz and ms.
SPECIAL_INFORMATION = (
    (SPECIAL_INFORMATION_HZ, (330.0, 330.0, 330.0)),
    ((985.2, 1428.5, 1776.7), (380.0, 380.0, 380.0)),
    ((985.2, 1370.6, 1776.7), (380.0, 274.0, 380.0)),
    ((913.8, 1370.6, 1776.7), (274.0, 274.0, 380.0)),
)
_MODULATION_DEPTH = 0.9
_RAMP_SAMPLES = 16
_QUIET = np.zeros(SAMPLE_RATE_HZ * 2, np.int16)


class Recording(NamedTuple):
    """One stream with a tone: samples int16[m]; begin, sample where its first burst begins."""

    samples: NDArray[np.int16]
    begin: int


class Told(NamedTuple):
    """A finding, and behind which sample it was told."""

    at: int
    finding: CallProgress


def record(tone: Tone, deviation: float, seed: int, snr_db: float | None = SNR_DB) -> Recording:
    """Make a row's tone, some cycles of it, with noise, as it comes out of G.711."""
    chance = np.random.default_rng([seed, 3])
    level = 32768 / np.sqrt(2) * 10 ** ((chance.uniform(-25, -10) - 3.17) / 20)
    begin = int(chance.integers(4000, 4000 + HOP_SAMPLES))
    on = _switched(tone, begin)
    made = _waves(tone, deviation, len(on), chance) * on * level
    if snr_db is not None:
        made += chance.normal(size=len(on)) * level * 10 ** (-snr_db / 20)
    return Recording(_coded(made), begin)


def special_information(hz: tuple[float, ...], on_ms: tuple[float, ...], deviation: float, seed: int) -> Recording:
    """Make the three tones of E.180 once."""
    chance = np.random.default_rng([seed, 4])
    turn = 2 * np.pi * (1 + deviation) / SAMPLE_RATE_HZ
    parts = [np.sin(turn * f * np.arange(int(ms * SAMPLE_RATE_HZ / 1000))) for f, ms in zip(hz, on_ms, strict=True)]
    begin = int(chance.integers(4000, 4000 + HOP_SAMPLES))
    level = 32768 * 10 ** ((chance.uniform(-25, -10) - 3.17) / 20)
    made = np.concatenate([np.zeros(begin), *parts, np.zeros(8000)]) * level
    made += chance.normal(size=len(made)) * level / np.sqrt(2) * 10 ** (-SNR_DB / 20)
    return Recording(_coded(made), begin)


def measure(trials: int = 10) -> dict[str, Any]:
    """Measure detection by row of the table (so many times each deviation), and false alarms."""
    return {
        "rows": [measure_row(tone, trials) for tone in TONES] + [measure_special(trials), measure_beeps(10 * trials)],
        "prompts": {path.name: count_false(path) for path in speech_material.prompt_folders()},
        "with_tones": hear_tones(PROMPTS),
    }


def tables(report: dict[str, Any]) -> list[Table]:
    """Show a report."""
    tones = Table("call progress tone", title="progress, 1.5 % off at most, 20 dB SNR", title_justify="left")
    for column in ("found", "first meaning", "latency, s"):
        tones.add_column(column, justify="right")
    for row in report["rows"]:
        tones.add_row(row["tone"], f"{row['found']:.1%}", f"{row['named']:.1%}", f"{row['latency_s']:.2f}")
    heard = Table("the prompt holds", "progress finds", title="prompts that hold tones", title_justify="left")
    for name, said in report["with_tones"].items():
        heard.add_row(name, said)
    return [tones, false_alarms(report["prompts"], "progress, false alarms in recorded prompts"), heard]


def measure_row(tone: Tone, trials: int) -> dict[str, Any]:
    """Tell how often a row is found (among the meanings), how often it is the first one, and how long that takes."""
    made = [record(tone, deviation, seed) for seed in range(trials) for deviation in DEVIATIONS]
    first = [next(iter(heard), None) for heard in listen([one.samples for one in made])]
    found = [one is not None and is_named(one.finding, tone) for one in first]
    named = [one is not None and one.finding.tone == tone.kind for one in first]
    latency = [(one.at - each.begin) / SAMPLE_RATE_HZ for one, each in zip(first, made, strict=True) if one is not None]
    name = f"{tone.kind.value} {' '.join(tone.countries)} {'+'.join(f'{hz:g}' for hz in tone.hz)}"
    name += f"x{tone.modulation_hz:g}" if tone.modulation_hz else ""
    return {
        "tone": f"{name} {'/'.join(map(str, tone.cadence_ms))}",
        "found": sum(found) / len(made),
        "named": sum(named) / len(made),
        "latency_s": statistics.median(latency) if latency else float("nan"),
    }


def measure_special(trials: int) -> dict[str, Any]:
    """Do the same for the special information tone, E.180's and North America's."""
    made = [
        special_information(hz, on_ms, deviation, seed)
        for hz, on_ms in SPECIAL_INFORMATION
        for seed in range(trials)
        for deviation in DEVIATIONS
    ]
    heard = listen([one.samples for one in made])
    good = [len(one) == 1 and one[0].finding.tone == ToneKind.SPECIAL_INFORMATION for one in heard]
    latency = [(one[0].at - each.begin) / SAMPLE_RATE_HZ for one, each in zip(heard, made, strict=True) if one]
    rate, seconds = sum(good) / len(good), statistics.median(latency) if latency else float("nan")
    return {"tone": "special_information", "found": rate, "named": rate, "latency_s": seconds}


def is_named(finding: CallProgress, tone: Tone) -> bool:
    """Tell whether a row of the table is among a finding's meanings."""
    meanings = ((finding.tone, finding.countries), *finding.alternatives)
    return any(kind == tone.kind and set(tone.countries) <= set(countries) for kind, countries in meanings)


def listen(sounds: Sequence[NDArray[np.int16]], countries: tuple[str, ...] | None = None) -> list[list[Told]]:
    """Run the plugin over streams, int16[m] each, all at once: what is found in each of them."""
    plugin = ProgressPlugin(ProgressConfig(countries=countries))
    plugin.start(len(sounds))
    samples = np.zeros((len(sounds), max(map(len, sounds))), np.int16)
    for row, sound in enumerate(sounds):
        samples[row, : len(sound)] = sound
    found: list[list[Told]] = [[] for _ in sounds]
    for hops in hops_of(samples):
        _sort(found, plugin.process(hops), int(hops.position[0]) + HOP_SAMPLES)
    _sort(found, plugin.finish(), samples.shape[1])
    return found


def _sort(found: list[list[Told]], findings: Iterable[Finding], told_at: int) -> None:
    for finding in findings:
        if isinstance(finding, CallProgress):
            found[finding.row].append(Told(told_at, finding))


def hops_of(samples: NDArray[np.int16]) -> Iterator[Hops]:
    """Cut streams, int16[n, m], into hops; what is no whole hop at the end is left out."""
    rows, no_time = np.arange(len(samples)), np.zeros(len(samples), np.int64)
    for start in range(0, samples.shape[1] - HOP_SAMPLES + 1, HOP_SAMPLES):
        hop = np.ascontiguousarray(samples[:, start : start + HOP_SAMPLES])
        yield Hops(SAMPLE_RATE_HZ, rows, np.full(len(rows), start), no_time, hop, np.zeros(len(rows), np.uint8))


def measure_beeps(trials: int) -> dict[str, Any]:
    """Do the same for beeps of 0.15 to 1.5 s and 500 to 2000 Hz after a sentence, away from the table's frequencies."""
    chance, sentence = np.random.default_rng(7), _sentence()
    found, latency = 0, list[float]()
    for _ in range(trials):
        hz = float(chance.choice([500, 660, 700, 800, 880, 1000, 1250, 1400, 2000]) * chance.uniform(0.985, 1.015))
        length, gap = (int(seconds * SAMPLE_RATE_HZ) for seconds in (chance.uniform(0.15, 1.45), chance.uniform(0, 2)))
        level = 32768 * 10 ** ((chance.uniform(-25, -10) - 3.17) / 20)
        beep = np.sin(2 * np.pi * hz / SAMPLE_RATE_HZ * np.arange(length) + chance.uniform(0, 2 * np.pi)) * level
        made = np.concatenate([sentence, np.zeros(gap), beep, np.zeros(12000)])
        made += chance.normal(size=len(made)) * level / np.sqrt(2) * 10 ** (-SNR_DB / 20)
        [heard] = listen([_coded(made)])
        told = heard[0].finding if len(heard) == 1 else None
        if told is not None and told.tone == ToneKind.BEEP and abs(told.frequencies_hz[0] - hz) < 2:
            found += 1
            latency.append((heard[0].at - len(sentence) - gap - length) / SAMPLE_RATE_HZ)
    seconds = statistics.median(latency) if latency else float("nan")
    return {"tone": "beep, after its end", "found": found / trials, "named": found / trials, "latency_s": seconds}


def _sentence() -> NDArray[np.float64]:
    """Give a recorded sentence, or a synthetic one where there is none."""
    path = PROMPTS / f"{_SENTENCE}.wav"
    if path.exists():
        return np.asarray(soundfile.read(path, dtype="int16")[0], np.float64)
    return np.asarray(conversation(SAMPLE_RATE_HZ)[0][: 6 * SAMPLE_RATE_HZ], np.float64)


def count_false(folder: Path) -> dict[str, Any]:
    """Count what is heard in a folder's prompts, each with 2 s of quiet behind it, but in those that hold tones."""
    wrong, samples = list[str](), 0
    speech = [path for path in sorted(folder.rglob("*.wav")) if path.stem not in PROMPTS_WITH_TONES]
    for start in range(0, len(speech), 50):
        some = speech[start : start + 50]
        prompts = [soundfile.read(path, dtype="int16")[0] for path in some]
        samples += sum(map(len, prompts))
        found = listen([np.concatenate([prompt, _QUIET]) for prompt in prompts])
        wrong += [f"{path.name}: {_said(one)}" for path, heard in zip(some, found, strict=True) for _, one in heard]
    return {"prompts": len(speech), "minutes": samples / SAMPLE_RATE_HZ / 60, "wrong": len(wrong), "which": wrong}


def hear_tones(folder: Path) -> dict[str, str]:
    """Tell what is heard in the prompts that hold tones, each behind a sentence and before 2 s of quiet."""
    heard = dict[str, str]()
    for name, holds in PROMPTS_WITH_TONES.items():
        if (folder / f"{name}.wav").exists():
            parts = [soundfile.read(folder / f"{one}.wav", dtype="int16")[0] for one in (_SENTENCE, name)]
            [found] = listen([np.concatenate([*parts, _QUIET])])
            heard[f"{name}: {holds}"] = ", ".join(_said(finding) for _, finding in found) or "nothing"
    return heard


def _said(finding: CallProgress) -> str:
    return f"{finding.tone} of {' + '.join(map(str, finding.frequencies_hz))} Hz, {finding.duration_ms:.0f} ms"


def _switched(tone: Tone, begin: int) -> NDArray[np.float64]:
    """Make what a tone's loudness is multiplied with: two cycles and more, at least 6 s."""
    steady_ms = 3300 if tone.kind == ToneKind.FAX_ANSWERING else 5000
    cycle = tone.cadence_ms if len(tone.cadence_ms) > 1 else (steady_ms, 500)
    cycles = 1 if len(tone.cadence_ms) == 1 else max(2, -(-6000 // sum(cycle)))
    parts = [np.full(ms * SAMPLE_RATE_HZ // 1000, float(n % 2 == 0)) for n, ms in enumerate(cycle * cycles)]
    sudden = np.concatenate([np.zeros(begin), *parts])
    return np.convolve(sudden, np.full(_RAMP_SAMPLES, 1 / _RAMP_SAMPLES))[: len(sudden)]


def _waves(tone: Tone, deviation: float, length: int, chance: np.random.Generator) -> NDArray[np.float64]:
    """Make the sound of a row, with a mean square of 1."""
    t = np.arange(length) / SAMPLE_RATE_HZ
    made = np.zeros(length)
    for hz in tone.hz:
        made += np.sin(2 * np.pi * hz * (1 + deviation) * t + chance.uniform(0, 2 * np.pi))
    if tone.modulation_hz:
        made *= 1 + _MODULATION_DEPTH * np.sin(2 * np.pi * tone.modulation_hz * t + chance.uniform(0, 2 * np.pi))
    return np.asarray(made / np.sqrt((made**2).mean()))


def _coded(made: NDArray[np.float64]) -> NDArray[np.int16]:
    coded = g711.encode(np.clip(np.round(made), -32768, 32767).astype(np.int16), g711.Law.A)
    return g711.decode(coded, g711.Law.A)
