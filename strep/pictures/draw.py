"""Draw a sheet with matplotlib: waveforms, spectrograms, and when packets came.

What has no received audio is shaded, each cause in a colour of its own that the colour-blind can tell apart (Okabe and
Ito's palette); what would look alike without colours is hatched, or darker. Below a waveform stand codecs and sources,
above it keys and other telephone events.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strep.errors import ConfigError, SinkError
from strep.pictures.labels import labels
from strep.pictures.reduction import DYNAMIC_RANGE_DB, envelope, spectrogram
from strep.pictures.sheet import Sheet, Side, Trouble

_ENDINGS = (".png", ".svg", ".pdf")
_INK = "#333333"
#: Of each direction: its colour, and what tells it from the other one where both are in one panel.
_VOICES = (("#0072B2", "o", "-"), ("#009E73", "x", "--"))
#: Colour, how much of it, hatching.
_SHADES = {
    Trouble.LOST: ("#D55E00", 0.75, ""),
    Trouble.CONCEALED: ("#E69F00", 0.4, ""),
    Trouble.SILENCE: ("#999999", 0.25, ""),
    Trouble.UNDECODED: ("#CC79A7", 0.4, "///"),
}
_WIDTH_INCHES, _DPI = 14.0, 100
#: A line goes on over so many times the usual distance of two packets: one or two that are lost are no pause.
_LONGEST_STEP = 5


def check_picture(path: Path) -> None:
    """Raise ConfigError when a picture cannot be drawn into such a file, or not at all for want of matplotlib."""
    _matplotlib_figure()
    if path.suffix.lower() not in _ENDINGS:
        raise ConfigError(f"--out: expected a picture ({', '.join(_ENDINGS)}), found {path.name}")


def draw(sheet: Sheet, path: Path) -> None:
    """Draw a sheet into a file, whose ending says which format: .png, .svg, .pdf.

    Raises ConfigError when matplotlib is not installed or the ending is another, SinkError when it cannot be written.
    """
    check_picture(path)
    figure = figure_of(sheet)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # a character that no font has is drawn as a box
            figure.savefig(path, dpi=_DPI)
    except OSError as error:
        raise SinkError(f"cannot write {path}: {error.strerror or error}") from error


def figure_of(sheet: Sheet) -> Any:
    """Give a sheet as a matplotlib figure. Raises ConfigError when matplotlib is not installed."""
    timed = any(side.arrivals is not None and len(side.arrivals.at_s) for side in sheet.sides)
    heights = [1.5] * len(sheet.sides) + [1.3] * len(sheet.sides) + ([1.2, 0.9] if timed else [])
    figure = _matplotlib_figure()(figsize=(_WIDTH_INCHES, 1.3 * sum(heights) + 1.0), layout="constrained")
    title = f"{_printable(sheet.title)}\n{_printable(sheet.subtitle)}"
    figure.suptitle(title, fontsize=10, color=_INK, parse_math=False)
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    waves, spectra, times = np.split(axes, [len(sheet.sides), 2 * len(sheet.sides)])
    end_s = max(sheet.end_s, 0.02)
    for number, (side, axis) in enumerate(zip(sheet.sides, waves, strict=True)):
        _wave(side, axis, _voice(number)[0], end_s)
    _spectra(sheet.sides, figure, list(spectra))
    if timed:
        _arrivals(sheet, times)
    _legend(sheet, figure)
    axes[-1].set_xlabel("seconds")
    axes[-1].set_xlim(0, end_s)
    return figure


def _matplotlib_figure() -> Any:
    # Who has no home has its fonts looked through anew each time, and a temporary folder for that: it would warn twice.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("pictures need matplotlib: pip install 'strep[plot]'") from None
    return Figure


def _voice(number: int) -> tuple[str, str, str]:
    return _VOICES[number % len(_VOICES)]


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _wave(side: Side, axis: Any, colour: str, end_s: float) -> None:
    if len(side.samples):
        at_s, low, high = envelope(side)
        axis.fill_between(at_s, low, high, color=colour, linewidth=0.4, edgecolor=colour, step="mid")
    else:
        _say_no_audio(axis)
    axis.set_ylim(-1.05, 1.05)
    axis.set_ylabel(f"{_printable(side.name)}\nof full scale", parse_math=False)
    axis.set_yticks([-1, 0, 1])
    axis.grid(axis="x", alpha=0.3)
    for interval in side.intervals:
        axis.axvspan(interval.start_s, interval.end_s, **_shade(interval.trouble))
    _marks(side, axis, end_s)


def _marks(side: Side, axis: Any, end_s: float) -> None:
    """Write events above and all else below; the lines lie between, and none goes through a label."""
    for is_event, y, va, line in ((True, 0.98, "top", (0.5, 0.89)), (False, -0.98, "bottom", (0.11, 0.5))):
        marks = [mark for mark in side.marks if mark.is_event == is_event]
        for mark in marks:
            axis.axvline(mark.at_s, *line, color=_INK, linewidth=0.8, linestyle=":")
        for label in labels(marks, end_s):
            text = f" {_printable(label.text)}"
            axis.text(label.at_s, y, text, fontsize=8, va=va, color=_INK, clip_on=True, parse_math=False)


def _say_no_audio(axis: Any) -> None:
    axis.text(0.5, 0.5, "no audio", transform=axis.transAxes, ha="center", va="center", color=_INK)


def _shade(trouble: Trouble) -> dict[str, Any]:
    colour, alpha, hatch = _SHADES[trouble]
    # The edge is what is seen of a packet in a call of minutes.
    width = 0 if trouble is Trouble.SILENCE else 0.6
    return {"facecolor": (colour, alpha), "edgecolor": (colour, alpha), "hatch": hatch, "linewidth": width}


def _spectra(sides: Sequence[Side], figure: Any, axes: Sequence[Any]) -> None:
    mesh = None
    for side, axis in zip(sides, axes, strict=True):
        power_db, edges_s, edges_khz = spectrogram(side)
        axis.set_ylabel(f"{_printable(side.name)}\nkHz", parse_math=False)
        if not power_db.size:
            _say_no_audio(axis)
            axis.set_yticks([])
            continue
        colours = {"cmap": "magma", "vmin": -DYNAMIC_RANGE_DB, "vmax": 0}
        mesh = axis.pcolormesh(edges_s, edges_khz, power_db, rasterized=True, **colours)
    if mesh is not None:
        figure.colorbar(mesh, ax=axes, pad=0.01, aspect=30).set_label("dB, 0 is the strongest")


def _arrivals(sheet: Sheet, axes: Any) -> None:
    delays, jitters = axes
    for number, side in enumerate(sheet.sides):
        if side.arrivals is not None:
            at_s, (colour, marker, line) = side.arrivals.at_s, _voice(number)
            points = {"marker": marker, "markersize": 2 if marker == "o" else 3, "linestyle": "", "color": colour}
            delays.plot(at_s, side.arrivals.delay_ms, markeredgewidth=0.6, label=_printable(side.name), **points)
            jitters.plot(*broken(at_s, side.arrivals.jitter_ms), linewidth=1, linestyle=line, color=colour)
    delays.set_ylabel("delay, ms")
    jitters.set_ylabel("jitter, ms")
    plain = {"frameon": False, "borderaxespad": 0}
    key = delays.legend(loc="lower right", bbox_to_anchor=(1, 1.02), ncols=2, fontsize=8, markerscale=2.5, **plain)
    for text in key.get_texts():
        text.set_parse_math(False)
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.set_ylim(bottom=0)


def broken(at_s: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Put a NaN, where a line ends, wherever nothing came for longer than some packets."""
    steps_s = np.diff(at_s)
    usual_s = np.median(steps_s) if len(steps_s) > 1 else np.inf
    after = np.flatnonzero(steps_s > _LONGEST_STEP * usual_s) + 1
    return np.insert(at_s, after, (at_s[after - 1] + at_s[after]) / 2), np.insert(values, after, np.nan)


def _legend(sheet: Sheet, figure: Any) -> None:
    """Say what the shades mean that are there."""
    from matplotlib.patches import Patch

    there = {interval.trouble for side in sheet.sides for interval in side.intervals}
    patches = [Patch(label=trouble.value, **_shade(trouble)) for trouble in _SHADES if trouble in there]
    if patches:
        figure.legend(handles=patches, loc="upper right", ncols=len(patches), fontsize=8, frameon=False)
