"""`strep plot` draws captures and recordings."""

import json
import sys

import numpy as np
import pytest
import soundfile

pytest.importorskip("matplotlib", reason="pictures need matplotlib: pip install 'strep[plot]'")

GAP = {"at_s": 0.01, "length_samples": 160, "sample_rate_hz": 8000, "state": "lost"}


@pytest.mark.thorough
def test_a_capture_becomes_a_picture(strep, capture, tmp_path):
    outcome = strep("plot", str(capture), "--out", "call.png")
    assert outcome.exit_code == 0
    assert outcome.stderr.endswith(": call.png\n")
    assert (tmp_path / "call.png").read_bytes().startswith(b"\x89PNG")


def test_a_recording_becomes_a_picture(strep, capture, tmp_path):
    strep("decode", str(capture), "--out", "calls")
    (recording,) = (tmp_path / "calls").glob("*.wav")
    document = strep("plot", str(recording), "--out", "call.svg", "--json").json
    assert document["picture"] == "call.svg"
    assert document["duration_s"] == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize(
    ("file", "args", "message"),
    [
        ("missing.pcap", (), "cannot read missing.pcap: No such file"),
        ("text.txt", (), "text.txt: expected a capture or an audio file"),
        (None, ("--out", "missing/call.png"), "cannot write missing/call.png: No such file"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(strep, capture, tmp_path, file, args, message):
    (tmp_path / "text.txt").write_text("nothing to hear")
    outcome = strep("plot", file or str(capture), *(args if "--out" in args else ("--out", "call.png", *args)))
    assert outcome.exit_code == 1
    assert outcome.error.startswith(message)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--call", "nobody", "--out", "call.png"), "--call: expected one of "),
        (("--out", "call.nonsense"), "--out: expected a picture (.png, .svg, .pdf), found call.nonsense"),
        (("--out", "call"), "--out: expected a picture (.png, .svg, .pdf), found call"),
    ],
)
def test_an_option_that_cannot_work_is_one_line(strep, capture, args, message):
    outcome = strep("plot", str(capture), *args)
    assert outcome.exit_code == 2
    assert outcome.error.startswith(message)


@pytest.mark.parametrize(
    ("shape", "rate_hz", "message"),
    [
        ((100, 1), 10, "odd.wav: expected a sample rate of 1000 to 384000 Hz, found 10"),
        ((100, 1), 2_000_000_000, "odd.wav: expected a sample rate of 1000 to 384000 Hz, found 2000000000"),
        ((800, 3), 8000, "odd.wav: expected one or two channels, found 3"),
        ((0, 2), 8000, "odd.wav: expected audio, found no samples"),
    ],
)
def test_audio_that_is_no_call_is_one_line(strep, tmp_path, shape, rate_hz, message):
    soundfile.write(tmp_path / "odd.wav", np.ones(shape, np.int16), rate_hz)
    outcome = strep("plot", "odd.wav", "--out", "odd.png")
    assert (outcome.exit_code, outcome.error) == (1, message)
    assert not (tmp_path / "odd.png").exists()


@pytest.mark.parametrize(
    "broken",
    [
        {"streams": [{}]},
        {"streams": [{"channel": 0, "gaps": {"listed": [{"at_s": "soon"}]}}]},
        {"streams": [{"channel": 0, "telephone_events": {"listed": [{"at_s": "soon", "event": 1, "name": "1"}]}}]},
        {"streams": [{"channel": 0, "formats": {"listed": [{"at_s": 1e300, "format": "PCMU/8000"}]}}]},
        {"streams": [{"channel": 0, "source_changes": {"listed": [{"at_s": float("inf")}]}}]},
        {"streams": [{"channel": 0, "gaps": {"listed": [GAP | {"sample_rate_hz": 0}]}}]},
        {"streams": [{"channel": 0, "gaps": {"listed": [GAP | {"length_samples": 10**400}]}}]},
        {"streams": [{"channel": 0, "gaps": {"listed": [GAP | {"state": "received"}]}}]},
        {"streams": 5},
        {"call": [1]},
    ],
)
def test_a_broken_sidecar_is_one_line(strep, tmp_path, broken):
    soundfile.write(tmp_path / "call.wav", np.ones(800, np.int16), 8000)
    (tmp_path / "call.json").write_text(json.dumps({"sidecar_version": 1} | broken))
    outcome = strep("plot", "call.wav", "--out", "call.png")
    assert outcome.exit_code == 1
    assert outcome.error.startswith("call.json: expected what was written with a recording, found ")


def test_what_cannot_be_drawn_is_told_before_the_file_is_read(strep, tmp_path):
    (tmp_path / "text.txt").write_text("nothing to hear")
    assert strep("plot", "text.txt", "--out", "call.nonsense").error.startswith("--out: expected a picture")


def test_the_help_page_says_what_to_install(strep):
    assert "pip install 'strep[plot]'" in strep("plot", "--help").stdout


def test_without_matplotlib_the_error_says_what_to_install(strep, capture, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    outcome = strep("plot", str(capture), "--out", "call.png")
    assert (outcome.exit_code, outcome.error) == (2, "pictures need matplotlib: pip install 'strep[plot]'")
