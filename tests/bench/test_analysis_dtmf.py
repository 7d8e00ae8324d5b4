"""What the bench makes is what it says, and what it counts is counted once."""

import numpy as np
import pytest
import soundfile

from bench import analysis_dtmf as bench
from bench.analysis_dtmf import WITHIN, Dialling, goertzel
from bench.hop_cost import conversation_hops, ns_per_hop
from bench.speech_material import NO_PROMPTS
from strep.plugins.dtmf import DtmfPlugin
from strep.plugins.tone_pairs import COLUMNS_HZ, KEYS, ROWS_HZ
from tests.bench.test_analysis_frames import cells, shown


@pytest.mark.parametrize("twist_db", [-8.0, 4.0])
def test_digits_are_as_loud_and_as_long_as_they_should_be(twist_db):
    dialled = Dialling(-25, (twist_db,), (0,), (0,), 40, 40, None).dial(2)
    assert dialled.keys.shape == dialled.starts.shape == (2, 20)
    start, key = dialled.starts[1, 3], dialled.keys[1, 3]
    sound = dialled.samples[1, start : start + 320].astype(float)
    assert not dialled.samples[1, start + 320 : start + 640].any()
    found = {}
    for hz in (ROWS_HZ[key // 4], COLUMNS_HZ[key % 4]):
        part = 2 * abs(np.mean(sound * np.exp(-2j * np.pi * hz * np.arange(320) / 8000)))
        found[hz] = 20 * np.log10(part / 32768) + 3.17
    row_dbm0, column_dbm0 = found.values()
    assert min(row_dbm0, column_dbm0) == pytest.approx(-25, abs=0.5)
    assert column_dbm0 - row_dbm0 == pytest.approx(twist_db, abs=0.8)


def test_noise_is_as_much_below_the_tones_as_it_should_be():
    clean, noisy = (Dialling(-15, (0,), snr_db=snr_db).dial(5).samples.astype(float) for snr_db in (None, 15.0))
    is_tone = np.abs(clean) > 0
    noise = np.mean((noisy - clean)[is_tone] ** 2)
    assert 10 * np.log10(np.mean(clean[is_tone] ** 2) / noise) == pytest.approx(15, abs=0.5)


def test_goertzel_tells_a_key():
    dialled = Dialling(-10, (0,), (0,), (0,), snr_db=None).dial(1)
    start, key = dialled.starts[0, 0], dialled.keys[0, 0]
    powers = goertzel(dialled.samples[0, start : start + 160].tolist())
    assert KEYS[4 * int(np.argmax(powers[:4])) + int(np.argmax(powers[4:]))] == KEYS[key]


def test_a_digit_in_the_wrong_place_or_row_is_not_found():
    dialled = Dialling(-10, (0,), (0,), (0,), 60, 60, None).dial(2)
    found = bench.listen(dialled.samples)
    assert bench._matches(dialled, found) == len(found) == 40
    assert bench._matches(dialled._replace(starts=dialled.starts + 200), found) == 0
    assert bench._matches(dialled._replace(keys=(dialled.keys + 1) % 16), found) < 10
    assert bench._matches(dialled, found + found) == 40


def test_prompts_are_counted_and_a_digit_among_them_is_wrong(tmp_path):
    (tmp_path / "digits").mkdir()
    quiet, digits = np.zeros(12_000, np.int16), Dialling(-10, (0,), (0,), (0,), 80, 80, None).dial(1).samples[0]
    for number in range(60):
        soundfile.write(tmp_path / f"{number:02}.wav", quiet, 8000)
    assert bench.count_false(tmp_path) == {"prompts": 60, "minutes": 1.5, "wrong": 0}
    soundfile.write(tmp_path / "digits" / "55.wav", digits, 8000)
    assert bench.count_false(tmp_path)["wrong"] == 20
    assert bench.count_false(tmp_path / "none") == {"prompts": 0, "minutes": 0, "wrong": 0}


def test_the_report_has_every_case_and_every_language(monkeypatch, tmp_path):
    folders = [tmp_path / "en_US", tmp_path / "ru_RU"]
    counts = {"en_US": (800, 30.25, 0), "ru_RU": (700, 100.5, 3)}
    monkeypatch.setattr(bench, "prompt_folders", lambda: folders)
    monkeypatch.setattr(
        bench, "count_false", lambda path: dict(zip(("prompts", "minutes", "wrong"), counts[path.name], strict=True))
    )
    report = bench.measure(digits=20)
    assert report["found"][next(iter(WITHIN))] == {"found": 20, "wrong": 0}
    text = shown(*bench.tables(report), width=120)
    assert all(name in text for name in report["found"])
    assert cells(text, "ru_RU") == ["ru_RU", "700", "100.5", "3"]
    assert cells(text, "together") == ["together", "1,500", "130.8", "3"]


def test_a_report_says_that_there_are_no_prompts():
    assert NO_PROMPTS in shown(*bench.tables({"digits": 20, "found": {}, "prompts": {}}))


def test_dialling_costs_a_plugin_more_than_talking():
    assert bench.ns_while_dialling(100) > 1.5 * ns_per_hop(
        DtmfPlugin(), conversation_hops(DtmfPlugin.wants, 100, 20), 100
    )
    assert bench.ns_of_python(5) > 1000
