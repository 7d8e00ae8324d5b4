"""Measure how near strep.plugins.level comes to ITU-T P.56 as written, and how surely strep.plugins.echo hints."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from bench.speech_material import (
    FRAME_SAMPLES,
    NO_PROMPTS,
    SAMPLE_RATE_HZ,
    Call,
    has_prompts,
    make_call,
    speech_frames,
)
from strep.plugins.base import Hops
from strep.plugins.echo import EchoConfig, likeness
from strep.plugins.level import Level, LevelPlugin

_NOISE_DBFS = -65.0
_DELAYS_MS = (0, 50, 130, 270)
_LOSSES_DB = (10, 20, 30, 40)
_INTERVAL_FRAMES = 500


def measure(calls: int = 10, seconds: float = 20.0) -> dict[str, Any]:
    """Measure accuracy on so many calls, with and without noise at 20 dB SNR; nothing where there are no prompts."""
    report: dict[str, Any] = {"calls": calls, "seconds": seconds}
    if has_prompts():
        made = [make_call(call, seconds, "white", 20.0 if call % 2 else None) for call in range(calls)]
        report |= _differences(made)
        report["echo"] = measure_echo(calls)
    return report


def tables(report: dict[str, Any]) -> list[Table]:
    """Show a report."""
    level = Table("level", title="level, beside P.56 sample by sample", title_justify="left")
    echo = Table("echo", title="echo, intervals of 10 s in which there is a hint of it", title_justify="left")
    level.add_column("largest difference", justify="right")
    echo.add_column("intervals", justify="right")
    if "echo" not in report:
        level.add_row(NO_PROMPTS, "-")
        return [level]
    level.add_row("active speech level", f"{report['level_db']:.3f} dB")
    level.add_row("activity", f"{report['activity']:.4f}")
    for name, share in report["echo"].items():
        echo.add_row(name, f"{share:.1%}")
    return [level, echo]


def measure_level(calls: list[Call]) -> list[Level]:
    """Run the plugin over calls of one length."""
    plugin, rows = LevelPlugin(), np.arange(len(calls))
    samples = np.stack([call.samples for call in calls]).reshape(len(calls), -1, FRAME_SAMPLES)
    plugin.start(len(calls))
    for frame in range(samples.shape[1]):
        position = np.full(len(calls), frame * FRAME_SAMPLES)
        plugin.process(
            Hops(SAMPLE_RATE_HZ, rows, position, position, samples[:, frame], np.zeros(len(calls), np.uint8))
        )
    return [finding for finding in plugin.finish() if isinstance(finding, Level) and finding.is_total]


def active_level_as_written(samples: NDArray[np.int16]) -> tuple[float | None, float]:
    """Take P.56 method B (section 8) sample by sample; gives the level in dBFS, None without speech, and activity."""
    keeps, hangover = math.exp(-1 / (SAMPLE_RATE_HZ * 0.03)), round(0.2 * SAMPLE_RATE_HZ)
    counts, since = [0] * 15, [hangover] * 15
    once = twice = 0.0
    for magnitude in np.abs(samples.astype(np.int64)).tolist():
        once = keeps * once + (1 - keeps) * magnitude
        twice = keeps * twice + (1 - keeps) * once
        for n in range(15):
            if twice >= 2**n:
                counts[n], since[n] = counts[n] + 1, 0
            elif since[n] < hangover:
                counts[n], since[n] = counts[n] + 1, since[n] + 1
            else:
                break  # where it was not active, neither was it by a higher threshold
    energy = float((samples.astype(np.float64) ** 2).sum())
    return _between_thresholds(energy, len(samples), counts)


def _between_thresholds(energy: float, samples: int, counts: list[int]) -> tuple[float | None, float]:
    before: tuple[float, float] | None = None
    for n, count in enumerate(counts):
        if not count or not energy:
            return None, 0.0
        level_db = 10 * math.log10(energy / count)
        above_db = level_db - 20 * math.log10(2**n) - 15.9
        if above_db <= 0:
            if before is not None:
                level_db = before[0] + before[1] / (before[1] - above_db) * (level_db - before[0])
            return level_db - 20 * math.log10(32768), min(energy / 10 ** (level_db / 10) / samples, 1.0)
        before = level_db, above_db
    return None, 0.0


def _differences(calls: list[Call]) -> dict[str, float]:
    level_db = activity = 0.0
    for call, level in zip(calls, measure_level(calls), strict=True):
        expected_db, expected = active_level_as_written(call.samples)
        if expected_db is None or level.active_dbfs is None:
            raise AssertionError("expected speech in every call, found none")
        level_db = max(level_db, abs(level.active_dbfs - expected_db))
        activity = max(activity, abs(level.activity - expected))
    return {"level_db": level_db, "activity": activity}


def measure_echo(calls: int) -> dict[str, float]:
    """Tell in which share of intervals a hint is given: of echoes of every delay, and where there is none."""
    chance = np.random.default_rng(1)
    made = [make_call(call, 60.0, "white", None).samples.astype(np.float64) for call in range(2 * calls)]
    noise = chance.normal(size=len(made[0])) * 32768 * 10 ** (_NOISE_DBFS / 20)
    found: dict[str, float] = {}
    for loss_db in _LOSSES_DB:
        echoes = [(source, _echo(source, ms, loss_db)) for source in made[:calls] for ms in _DELAYS_MS]
        found[f"{loss_db} dB down"] = float(np.mean([hint for one, two in echoes for hint in _hints(one, two + noise)]))
    for ms in _DELAYS_MS:  # somebody else speaks in the pauses
        turns = [(one, _echo(one, ms, 20) + two * _pauses(one)) for one, two in pairwise(made[: calls + 1])]
        name = f"20 dB down after {ms} ms, the other speaks in the pauses"
        found[name] = float(np.mean([hint for one, two in turns for hint in _hints(one, two + noise)]))
    others = [(one, two) for n, one in enumerate(made[:calls]) for two in made[n + 1 : n + 8]]
    found["none, other speech"] = float(np.mean([hint for one, two in others for hint in _hints(one, two + noise)]))
    found["none, noise"] = float(np.mean([hint for one in made for hint in _hints(one, noise)]))
    return found


def _echo(source: NDArray[np.float64], delay_ms: int, loss_db: int) -> NDArray[np.float64]:
    delay = delay_ms * SAMPLE_RATE_HZ // 1000
    echo: NDArray[np.float64] = np.concatenate([np.zeros(delay), source[: len(source) - delay]]) * 10 ** (-loss_db / 20)
    return echo


def _pauses(source: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which samples are in pauses: bool[n]."""
    return np.repeat(~speech_frames(source), FRAME_SAMPLES)


def _hints(source: NDArray[np.float64], heard: NDArray[np.float64]) -> list[bool]:
    levels = [_level_dbfs(samples) for samples in (source, heard)]
    starts = range(0, len(levels[0]) - _INTERVAL_FRAMES + 1, _INTERVAL_FRAMES)
    likes = [likeness(*(level[start : start + _INTERVAL_FRAMES] for level in levels)) for start in starts]
    return [like.correlation >= EchoConfig().least_correlation for like in likes if like is not None]


def _level_dbfs(samples: NDArray[np.float64]) -> NDArray[np.float32]:
    mean_square = (samples.reshape(-1, FRAME_SAMPLES) ** 2).mean(axis=1) / 32768.0**2
    level_dbfs: NDArray[np.float32] = (10 * np.log10(np.maximum(mean_square, 1e-7))).astype(np.float32)
    return level_dbfs
