"""What is drawn is what is on the sheet."""

from xml.etree import ElementTree

import numpy as np
import pytest

from strep.errors import ConfigError, SinkError
from strep.pictures.draw import broken, check_picture, draw, figure_of
from strep.pictures.sheet import Arrivals, Interval, Mark, Sheet, Side, Trouble

pytest.importorskip("matplotlib", reason="pictures need matplotlib: pip install 'strep[plot]'")
RATE = 8000


def side(seconds=2.0, hz=1000.0, **given):
    samples = (8000 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)).astype(np.int16)
    return Side(**{"name": "inbound", "start_s": 0.0, "sample_rate_hz": RATE, "samples": samples, **given})


def pixels(path):
    from matplotlib.image import imread

    return imread(path)[:, :, :3]


def test_a_lost_interval_is_seen(tmp_path):
    lost = [Interval(0.5, 1.5, Trouble.LOST)]
    for name, intervals in (("whole", []), ("lossy", lost)):
        draw(Sheet("x", "y", [side(intervals=intervals)]), tmp_path / f"{name}.png")
    whole, lossy = pixels(tmp_path / "whole.png"), pixels(tmp_path / "lossy.png")
    changed = np.flatnonzero((whole != lossy).any(axis=2).sum(axis=0) > 50) / whole.shape[1]
    assert 0.2 < changed.min() < 0.35
    assert 0.65 < changed.max() < 0.8


@pytest.mark.parametrize("length", [0, 1, 100, 255, 256, 100_000])
@pytest.mark.thorough
def test_any_length_can_be_drawn(tmp_path, length):
    of_length = side(samples=np.ones(length, np.int16))
    draw(Sheet("x", "y", [of_length]), tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000


@pytest.mark.thorough
def test_delay_and_jitter_have_their_places(tmp_path):
    arrivals = Arrivals(np.arange(100) / 50, np.random.default_rng(1).random(100) * 20, np.full(100, 5.0))
    draw(Sheet("x", "y", [side()]), tmp_path / "without.png")
    draw(Sheet("x", "y", [side(arrivals=arrivals)]), tmp_path / "with.png")
    assert pixels(tmp_path / "with.png").shape[0] > pixels(tmp_path / "without.png").shape[0]


def test_what_cannot_be_written_is_told(tmp_path):
    for path in ("x.nonsense", "x", ".png"):
        with pytest.raises(ConfigError, match=r"--out: expected a picture \(.png, .svg, .pdf\), found"):
            check_picture(tmp_path / path)
    check_picture(tmp_path / "x.PNG")
    with pytest.raises(SinkError, match="cannot write"):
        draw(Sheet("x", "y", [side()]), tmp_path / "missing" / "x.png")


@pytest.mark.parametrize("name", ["$x^{$", "100 $ or 200 $", "電話", "bell\x07 and \x00", "<&>"])
@pytest.mark.parametrize("ending", [pytest.param("png", marks=pytest.mark.thorough), "svg"])
def test_a_name_is_drawn_as_it_is_whatever_is_in_it(tmp_path, name, ending):
    draw(Sheet(name, name, [side(0.1, name=name, marks=[Mark(0.05, name)])]), tmp_path / f"x.{ending}")
    if ending == "svg":
        ElementTree.parse(tmp_path / "x.svg")


def test_all_time_axes_agree_and_nothing_hides_the_delays():
    def arrivals():
        return Arrivals(np.arange(100) / 50, np.full(100, 5.0), np.full(100, 5.0))

    sides = [side(name=name, arrivals=arrivals(), intervals=[Interval(0, 1, Trouble.LOST)]) for name in ("in", "out")]
    figure = figure_of(Sheet("x", "y", sides))
    figure.draw_without_rendering()
    panels = [axis for axis in figure.axes if axis.get_label() != "<colorbar>"]
    assert len(panels) == 6
    assert {axis.get_xlim() for axis in panels} == {(0.0, 2.0)}
    assert len({(round(axis.get_position().x0, 6), round(axis.get_position().x1, 6)) for axis in panels}) == 1
    legends = [axis.get_legend() for axis in panels if axis.get_legend()] + figure.legends
    assert len(legends) == 2
    for legend in legends:
        box = legend.get_window_extent()
        assert not any(box.overlaps(axis.get_window_extent()) for axis in figure.axes)
        assert figure.bbox.containsx(box.x0) and figure.bbox.containsx(box.x1)


def test_a_line_is_broken_where_nothing_came():
    at_s = np.concatenate([np.arange(50), np.arange(1000, 1050), np.arange(1053, 1100)]) * 0.02
    times, values = broken(at_s, np.ones(len(at_s)))
    assert np.flatnonzero(np.isnan(values)).tolist() == [50]
    assert (len(times), times[49], times[51]) == (len(at_s) + 1, at_s[49], at_s[50])
    assert at_s[49] < times[50] < at_s[50]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_arrivals_are_no_line_to_break(count):
    times, values = broken(np.arange(count) * 1.0, np.ones(count))
    assert (len(times), np.isnan(values).any()) == (count, False)


def test_a_jitter_line_has_its_breaks_in_the_picture():
    at_s = np.concatenate([np.arange(50), np.arange(1000, 1050)]) * 0.02
    arrivals = Arrivals(at_s, np.ones(100), np.ones(100))
    figure = figure_of(Sheet("x", "y", [side(30.0, arrivals=arrivals)]))
    (line,) = figure.axes[-1 if figure.axes[-1].get_label() != "<colorbar>" else -2].lines
    assert np.isnan(line.get_ydata()).sum() == 1


def test_a_direction_without_audio_says_so():
    figure = figure_of(Sheet("x", "y", [side(samples=np.zeros(0, np.int16), marks=[Mark(0.5, "1", is_event=True)])]))
    texts = {text.get_text().strip() for axis in figure.axes for text in axis.texts}
    assert {"1", "no audio"} <= texts
