"""The bench makes the tones that the table says, and reports each."""

import numpy as np
import pytest

from bench import analysis_progress as bench
from bench.analysis_progress import is_named, record
from strep.plugins.cadence import Meaning
from strep.plugins.progress import CallProgress
from strep.plugins.tone_table import TONES, ToneKind
from tests.bench.test_analysis_frames import cells, shown

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


@pytest.mark.thorough
def test_the_report_has_a_row_for_each_tone_and_language(monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "TONES", TONES[:2])
    monkeypatch.setattr(bench.speech_material, "prompt_folders", lambda: [tmp_path / "it_IT"])
    monkeypatch.setattr(bench, "count_false", lambda _: {"prompts": 3, "minutes": 1.0, "wrong": 2, "which": []})
    monkeypatch.setattr(bench, "hear_tones", lambda _: {"beep: one": "beep of 700 Hz"})
    report = bench.measure(trials=1)
    assert [row["found"] for row in report["rows"]] == [1, 1, 1, 1]
    text = shown(*bench.tables(report))
    assert all(name in text for name in ("ringback US CA", "special_information", "beep, after"))
    assert cells(text, "it_IT") == ["it_IT", "3", "1.0", "2"]
    assert cells(text, "beep: one") == ["beep: one", "beep of 700 Hz"]
