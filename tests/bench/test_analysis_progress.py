"""The bench makes the tones that the table says, and reports each."""

import numpy as np
import pytest
from rich.console import Console

from bench import analysis_progress as bench
from bench.analysis_progress import is_named, record
from strep.plugins.cadence import Meaning
from strep.plugins.progress import CallProgress
from strep.plugins.tone_table import TONES, ToneKind

BUSY = next(tone for tone in TONES if tone.kind == ToneKind.BUSY and "US" in tone.countries)


def test_a_recording_is_on_and_off_as_long_as_the_table_says():
    samples, begin = record(BUSY, 0.0, 1, None)
    loud = np.abs(samples.astype(float)) > 50
    assert not loud[:begin].any()
    assert loud[begin : begin + 4000].mean() > 0.9
    assert not loud[begin + 4100 : begin + 7990].any()
    assert loud[begin + 8000 : begin + 12000].mean() > 0.9


def test_its_frequencies_are_off_and_its_noise_is_below_as_asked():
    (clean, begin), (noisy, _) = record(BUSY, 0.015, 2, None), record(BUSY, 0.015, 2)
    part = slice(begin + 100, begin + 3900)
    spectrum = np.abs(np.fft.rfft(clean[part] * np.hanning(3800), 80_000))
    assert np.argmax(spectrum[:5500]) / 10 == pytest.approx(480 * 1.015, abs=0.5)
    assert np.argmax(spectrum[5500:]) / 10 + 550 == pytest.approx(620 * 1.015, abs=0.5)
    level, noise = (np.mean(sound.astype(float) ** 2) for sound in (clean[part], noisy[part] - clean[part]))
    assert 10 * np.log10(level / noise) == pytest.approx(20, abs=0.7)


def test_a_finding_names_a_row_also_where_it_is_an_alternative():
    tone = dict.fromkeys(("row", "position", "cycles", "duration_ms"), 0) | {"frequencies_hz": (), "is_over": True}
    other = CallProgress(tone=ToneKind.DIAL, countries=("FR",), alternatives=(), **tone)
    assert not is_named(other, BUSY)
    also = (Meaning(ToneKind.BUSY, ("CA", "FR", "US")),)
    assert is_named(CallProgress(tone=ToneKind.DIAL, countries=("FR",), alternatives=also, **tone), BUSY)


def test_the_report_has_a_row_for_each_tone(monkeypatch):
    monkeypatch.setattr(bench, "TONES", TONES[:2])
    monkeypatch.setattr(bench, "count_false", lambda _: {"prompts": 3, "minutes": 1.0, "wrong": 0, "per_hour": 0.0})
    monkeypatch.setattr(bench, "hear_tones", lambda _: {"beep: one": "beep of 700 Hz"})
    report = bench.measure(trials=1, streams=20, rounds=5)
    assert [row["found"] for row in report["rows"]] == [1, 1, 1, 1]
    assert report["ns_per_20_ms"] > 0
    console = Console(width=150)
    with console.capture() as captured:
        console.print(bench.table(report))
    assert all(
        name in captured.get() for name in ("ringback US CA", "special_information", "beep, after", "ns per 20 ms")
    )
