"""`strep analyze` says what is heard."""

import json
import sys
import textwrap

import pytest

from strep.plugins import conformance, each

PLUGIN = """
from strep.plugins.base import BlockPlugin, PluginConfig

class Config(PluginConfig):
    after: int

class Fails(BlockPlugin):
    NAME = "fails"
    CONFIG = Config
    calls = 0

    def process(self, hops):
        self.calls += 1
        if self.calls > self.config.after:
            raise ValueError(f"no more than {self.config.after}")
        return ()
"""


def test_a_capture_is_analysed(strep, capture):
    outcome = strep("analyze", str(capture), "--plugins", "level,quality", columns=200)
    assert outcome.exit_code == 0
    assert "mos" in outcome.stdout and "rms_dbfs" in outcome.stdout
    assert outcome.stdout.splitlines()[-1].endswith("quality")


def test_the_table_is_in_order_of_time(strep, capture):
    outcome = strep("analyze", str(capture), "--plugins", "level", "--set", "level.interval_s=0.5", columns=200)
    at = [float(line.split(" s ")[0].split()[-1]) for line in outcome.stdout.splitlines() if "rms_dbfs" in line]
    assert len(at) >= 8
    assert at == sorted(at)


def test_every_finding_and_event_is_a_line_of_json(strep, capture, tmp_path):
    outcome = strep("analyze", str(capture), "--plugins", "level", "--json", "--out", "found.jsonl")
    lines = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert [line["sequence"] for line in lines] == list(range(1, len(lines) + 1))
    assert {line["event"] for line in lines} == {"start", "media_format", "level", "stop"}
    assert {line["file"] for line in lines} == {str(capture)}
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
        (("text.txt", "--plugins", "nonsense"), "expected a plugin, dtmf, echo"),
        (("text.txt", "--plugins", "level,"), "expected names, separated by commas, found 'level,'"),
        (("text.txt", "--plugins", "level=fast"), "expected a plugin as NAME or NAME=inline|thread|process, found"),
        (("text.txt", "--set", "voice.interval_s"), "expected PLUGIN.KEY=VALUE, found 'voice.interval_s'"),
        (("text.txt", "--set", "voice.interval_s=0"), "configuration of plugin voice: interval_s"),
        (("text.txt", "--set", "quality.interval_s=5"), "expected the name of a plugin that listens, found quality"),
        (("text.txt", "--out", "text.txt"), "expected a file of its own, found one that is to be read"),
    ],
)
def test_an_option_that_cannot_work_is_one_line(strep, tmp_path, args, message):
    (tmp_path / "text.txt").write_text("nothing to hear")
    outcome = strep("analyze", *args)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert message in outcome.error
    assert (tmp_path / "text.txt").read_text() == "nothing to hear"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("missing.pcap",), "cannot read missing.pcap"),
        (("text.txt",), "text.txt: expected a capture or an audio file"),
        (("text.txt", "--out", "missing/x.jsonl"), "missing/x.jsonl: No such file"),
    ],
)
def test_what_cannot_be_analysed_is_one_line(strep, tmp_path, args, message):
    (tmp_path / "text.txt").write_text("nothing to hear")
    outcome = strep("analyze", *args)
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert message in outcome.error
    assert (tmp_path / "text.txt").read_text() == "nothing to hear"


def test_one_that_is_missing_is_told_before_anything_is_read(strep, capture):
    outcome = strep("analyze", str(capture), "missing.pcap", "--json")
    assert (outcome.exit_code, outcome.stdout) == (1, "")


def test_what_says_whose_a_recording_is_is_not_written_over(strep, capture, tmp_path):
    strep("decode", str(capture), "--out", "calls")
    (recording,) = (tmp_path / "calls").glob("*.wav")
    before = recording.with_suffix(".json").read_bytes()
    outcome = strep("analyze", str(recording), "--out", str(recording.with_suffix(".json")))
    assert (outcome.exit_code, recording.with_suffix(".json").read_bytes()) == (2, before)


def test_what_was_found_before_a_file_that_cannot_be_read_is_told(strep, capture, tmp_path):
    (tmp_path / "text.txt").write_text("nothing to hear")
    outcome = strep("analyze", str(capture), "text.txt", "--plugins", "level", columns=200)
    assert outcome.exit_code == 1
    assert "rms_dbfs" in outcome.stdout
    assert "text.txt: expected a capture" in outcome.error


def test_the_example_of_a_plugin_of_ones_own_finds_something(strep, capture, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_loudest", raising=False)
    begins, _, rest = each.__doc__.partition("    from dataclasses")
    assert begins.strip() and "strep analyze call.pcap --plugins my_loudest:Loudest`" in rest
    example = textwrap.dedent("    from dataclasses" + rest.partition("\n\nAs my_loudest.py")[0])
    (tmp_path / "my_loudest.py").write_text(example)
    outcome = strep("analyze", "call.pcap", "--plugins", "my_loudest:Loudest", "--json")
    found = [line for line in map(json.loads, outcome.stdout.splitlines()) if line["event"] == "peak"]
    assert {line["direction"] for line in found} == {"inbound", "outbound"}
    assert all(line["level"] > 0 and line["duration_ms"] == 2000 for line in found)
    conformance.check(sys.modules["my_loudest"].Loudest)


def test_a_plugin_of_ones_own_lies_where_one_is_and_what_becomes_of_it_is_told(strep, capture, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_plugins.py").write_text(PLUGIN)
    asked = ("analyze", str(capture), "--plugins", "my_plugins:Fails=thread,level", "--set", "my_plugins:Fails.after=3")
    outcome = strep(*asked, columns=200)
    assert outcome.exit_code == 1
    assert "fails was switched off: 10 errors in a row, the last one ValueError('no more than 3')" in outcome.stderr
    assert "plugin fails missed " in outcome.stderr
    assert "rms_dbfs" in outcome.stdout
