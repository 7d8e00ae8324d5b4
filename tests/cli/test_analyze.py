"""`strep analyze` says what is heard."""

import json

import pytest


def test_a_capture_is_analysed(strep, capture):
    outcome = strep("analyze", str(capture), "--plugins", "level,quality", columns=200)
    assert outcome.exit_code == 0
    assert "mos" in outcome.stdout and "rms_dbfs" in outcome.stdout
    assert outcome.stdout.splitlines()[-1].endswith("quality")


def test_every_finding_and_event_is_a_line_of_json(strep, capture, tmp_path):
    outcome = strep("analyze", str(capture), "--plugins", "level", "--json", "--out", "found.jsonl")
    lines = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert [line["sequence"] for line in lines] == list(range(1, len(lines) + 1))
    assert {line["event"] for line in lines} == {"start", "media_format", "level", "stop"}
    assert (tmp_path / "found.jsonl").read_text() == outcome.stdout


def test_recordings_and_several_files_are_analysed(strep, capture, tmp_path):
    strep("decode", str(capture), "--out", "calls")
    (recording,) = (tmp_path / "calls").glob("*.wav")
    outcome = strep("analyze", str(recording), str(capture), "--plugins", "level", "--json")
    stops = [line for line in map(json.loads, outcome.stdout.splitlines()) if line["event"] == "stop"]
    assert len(stops) == 4


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("missing.pcap",), "cannot read missing.pcap"),
        (("text.txt",), "text.txt: expected a capture or an audio file"),
        (("text.txt", "--plugins", "nonsense"), "expected "),
        (("text.txt", "--out", "missing/x.jsonl"), "missing/x.jsonl: No such file"),
    ],
)
def test_what_cannot_be_analysed_is_one_line(strep, tmp_path, args, message):
    (tmp_path / "text.txt").write_text("nothing to hear")
    outcome = strep("analyze", *args)
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert message in outcome.error
