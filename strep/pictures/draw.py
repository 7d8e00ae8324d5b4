"""Draw a sheet with matplotlib: waveforms, spectrograms, and when packets came.

What has no received audio is shaded, each cause in a colour of its own that the colour-blind can tell apart (Okabe and
Ito's palette).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strep.errors import ConfigError, SinkError
from strep.pictures.sheet import Mark, Sheet, Side, Trouble

_VOICE, _INK = ("#0072B2", "#009E73"), "#333333"
_SHADES = {
    Trouble.LOST: ("#D55E00", 0.45),
    Trouble.CONCEALED: ("#E69F00", 0.45),
    Trouble.SILENCE: ("#999999", 0.25),
    Trouble.UNDECODED: ("#CC79A7", 0.45),
}
_WIDTH_INCHES, _DPI = 14.0, 100
#: A waveform is drawn as what it covers at each of so many places; more cannot be seen.
_PLACES = 1400
_DYNAMIC_RANGE_DB = 70
#: Labels closer than this would be written over each other. One that is longer would reach into the next.
_LABEL_SHARE, _LONGEST_LABEL = 0.035, 24


def draw(sheet: Sheet, path: Path) -> None:
    """Draw a sheet into a file, whose ending says which format: png, svg, pdf.

    Raises ConfigError when matplotlib is not installed or knows no such format, SinkError when it cannot be written.
    """
    figure = _figure(sheet)
    try:
        figure.savefig(path, dpi=_DPI)
    except ValueError as error:
        raise ConfigError(f"--out: {str(error).splitlines()[0]}") from None
    except OSError as error:
        raise SinkError(f"cannot write {path}: {error.strerror or error}") from error


def _figure(sheet: Sheet) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("pictures need matplotlib: pip install 'strep[plot]'") from None
    timed = any(side.arrivals is not None and len(side.arrivals.at_s) for side in sheet.sides)
    heights = [1.5] * len(sheet.sides) + [1.3] * len(sheet.sides) + ([1.2, 0.9] if timed else [])
    figure = Figure(figsize=(_WIDTH_INCHES, 1.3 * sum(heights) + 1.0), layout="constrained")
    figure.suptitle(f"{sheet.title}\n{sheet.subtitle}", fontsize=10, color=_INK)
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    waves, spectra, times = np.split(axes, [len(sheet.sides), 2 * len(sheet.sides)])
    for side, axis, colour in zip(sheet.sides, waves, _colours(sheet), strict=True):
        _wave(side, axis, colour)
    for side, axis in zip(sheet.sides, spectra, strict=True):
        _spectrum(side, axis)
    if timed:
        _arrivals(sheet, times)
    _legend(sheet, figure)
    axes[-1].set_xlabel("seconds")
    axes[-1].set_xlim(0, max(sheet.end_s, 0.02))
    return figure


def _colours(sheet: Sheet) -> list[str]:
    return [_VOICE[number % len(_VOICE)] for number in range(len(sheet.sides))]


def _wave(side: Side, axis: Any, colour: str) -> None:
    at_s, low, high = envelope(side)
    axis.fill_between(at_s, low, high, color=colour, linewidth=0.4, edgecolor=colour, step="mid")
    axis.set_ylim(-1.05, 1.05)
    axis.set_ylabel(side.name)
    axis.set_yticks([-1, 0, 1])
    axis.grid(axis="x", alpha=0.3)
    for interval in side.intervals:
        shade, alpha = _SHADES[interval.trouble]
        axis.axvspan(interval.start_s, interval.end_s, color=shade, alpha=alpha, linewidth=0)
    for mark in side.marks:
        axis.axvline(mark.at_s, color=_INK, linewidth=0.8, linestyle=":")
    for label in labels(side):
        axis.text(label.at_s, 0.98, f" {label.text}", fontsize=8, va="top", color=_INK, clip_on=True)


def labels(side: Side) -> list[Mark]:
    """Say what to write beside the marks: keys that are pressed quickly are one word, as "42#"."""
    joined: list[Mark] = []
    for mark in side.marks:
        last = joined[-1] if joined else None
        if last is None or mark.at_s - last.at_s > _LABEL_SHARE * max(side.end_s, 1e-9):
            joined.append(mark)
        elif len(last.text) + len(mark.text) <= _LONGEST_LABEL:
            between = "" if len(mark.text) == 1 else ", "
            joined[-1] = Mark(last.at_s, last.text + between + mark.text)
    return joined


def envelope(side: Side) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Give the least and the largest sample, as a share of full scale, at each of at most 1400 places."""
    samples = side.samples if len(side.samples) else np.zeros(1, np.int16)
    edges = np.unique(np.linspace(0, len(samples), _PLACES + 1).astype(np.int64))[:-1]
    low, high = (edge.reduceat(samples, edges) / 32768.0 for edge in (np.minimum, np.maximum))
    return side.start_s + edges / side.sample_rate_hz, low, high


def _spectrum(side: Side, axis: Any) -> None:
    power_db, edges_s, edges_khz = spectrogram(side)
    axis.pcolormesh(edges_s, edges_khz, power_db, cmap="magma", vmin=-_DYNAMIC_RANGE_DB, vmax=0, rasterized=True)
    axis.set_ylabel(f"{side.name}\nkHz")


def spectrogram(side: Side) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Give the power, dB below the strongest, [frequencies, times], and the edges of both: seconds and kHz.

    Windows of 32 ms, as many as can be seen.
    """
    window = int(0.032 * side.sample_rate_hz)
    samples = np.pad(side.samples.astype(np.float64), (0, max(0, window - len(side.samples))))
    starts = np.unique(np.linspace(0, len(samples) - window, _PLACES).astype(np.int64))
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[starts] * np.hanning(window)
    power = np.abs(np.fft.rfft(frames)) ** 2
    floor = 10 ** (-_DYNAMIC_RANGE_DB / 10)
    power_db = 10 * np.log10(np.maximum(power / max(power.max(), 1.0), floor))
    edges_s = side.start_s + np.append(starts, len(samples)) / side.sample_rate_hz
    return power_db.T, edges_s, np.linspace(0, side.sample_rate_hz / 2000, power.shape[1] + 1)


def _arrivals(sheet: Sheet, axes: Any) -> None:
    delays, jitters = axes
    for side, colour in zip(sheet.sides, _colours(sheet), strict=True):
        if side.arrivals is not None:
            delays.plot(side.arrivals.at_s, side.arrivals.delay_ms, ".", markersize=2, color=colour, label=side.name)
            jitters.plot(side.arrivals.at_s, side.arrivals.jitter_ms, linewidth=1, color=colour)
    delays.set_ylabel("delay, ms")
    jitters.set_ylabel("jitter, ms")
    delays.legend(loc="upper right", fontsize=8, markerscale=4)
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.set_ylim(bottom=0)


def _legend(sheet: Sheet, figure: Any) -> None:
    """Say what the shades mean that are there."""
    from matplotlib.patches import Patch

    there = {interval.trouble for side in sheet.sides for interval in side.intervals}
    patches = [
        Patch(color=shade, alpha=alpha, label=trouble.value)
        for trouble, (shade, alpha) in _SHADES.items()
        if trouble in there
    ]
    if patches:
        figure.legend(handles=patches, loc="upper right", ncols=len(patches), fontsize=8, frameon=False)
