"""What is drawn is what is on the sheet."""

import numpy as np
import pytest

from strep.errors import ConfigError, SinkError
from strep.pictures.draw import draw, envelope, labels, spectrogram
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


def test_the_envelope_has_every_peak():
    samples = np.zeros(100_000, np.int16)
    samples[77_777] = 32_767
    samples[5] = -32_768
    at_s, low, high = envelope(side(samples=samples))
    assert (low.min(), round(high.max(), 3)) == (-1.0, 1.0)
    assert at_s[high.argmax()] == pytest.approx(77_777 / RATE, abs=0.02)


@pytest.mark.parametrize("length", [0, 1, 100, 255, 256, 100_000])
def test_any_length_can_be_drawn(tmp_path, length):
    of_length = side(samples=np.ones(length, np.int16))
    draw(Sheet("x", "y", [of_length]), tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000


@pytest.mark.parametrize("hz", [500.0, 1000.0, 3000.0])
def test_a_tone_is_where_its_frequency_is(hz):
    power_db, _, edges_khz = spectrogram(side(hz=hz))
    strongest = power_db.mean(axis=1).argmax()
    assert edges_khz[strongest] * 1000 == pytest.approx(hz, abs=40)


def test_keys_that_are_pressed_quickly_are_one_word():
    marks = [Mark(0.0, "PCMU/8000"), Mark(1.0, "4"), Mark(1.02, "2"), Mark(1.04, "#"), Mark(1.9, "new source")]
    assert [label.text for label in labels(side(marks=marks))] == ["PCMU/8000", "42#", "new source"]


def test_delay_and_jitter_have_their_places(tmp_path):
    arrivals = Arrivals(np.arange(100) / 50, np.random.default_rng(1).random(100) * 20, np.full(100, 5.0))
    draw(Sheet("x", "y", [side()]), tmp_path / "without.png")
    draw(Sheet("x", "y", [side(arrivals=arrivals)]), tmp_path / "with.png")
    assert pixels(tmp_path / "with.png").shape[0] > pixels(tmp_path / "without.png").shape[0]


def test_what_cannot_be_written_is_told(tmp_path):
    with pytest.raises(ConfigError, match="--out"):
        draw(Sheet("x", "y", [side()]), tmp_path / "x.nonsense")
    with pytest.raises(SinkError, match="cannot write"):
        draw(Sheet("x", "y", [side()]), tmp_path / "missing" / "x.png")
