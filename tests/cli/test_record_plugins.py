"""Plugins listen while `strep record` records, and what they find goes into a file."""

import json
import signal

import pytest

from tests.cli.test_record import datagrams, record  # noqa: F401  (a fixture)
from tests.traffic import Sender

CUT_SHORT = Sender().packet()[:20]  # within the STREP header


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_plugins_listen_and_what_they_find_is_written_beside_the_recordings(record, tmp_path):  # noqa: F811
    recording = record("--target", "udp:127.0.0.1:0", "--json", "--plugins", "level,quality=thread")
    recording.send(datagrams())
    code, out, err = recording.stop(signal.SIGINT)
    assert code == 0, err  # a busy machine may be told of
    told = lines(tmp_path / "calls" / "events.jsonl")
    assert [line["sequence"] for line in told] == list(range(1, len(told) + 1))
    assert {line["event"] for line in told} == {"start", "media_format", "level", "quality", "stop"}
    assert {line["direction"] for line in told if line["event"] == "stop"} == {"inbound", "outbound"}
    plugins = json.loads(out)["plugins"]
    assert (plugins["level"]["hops"], plugins["level"]["switched_off"]) == (100, None)


@pytest.mark.thorough
def test_events_alone_go_to_a_file_which_is_appended_to(record, tmp_path):  # noqa: F811
    (tmp_path / "told.jsonl").write_text('{"sequence": 1}\n{"seq')  # somebody was killed here
    recording = record("--target", "udp:127.0.0.1:0", "--events", "told.jsonl", "--duration", "0.1")
    recording.process.wait()
    recording.stop(signal.SIGINT)
    assert (tmp_path / "told.jsonl").read_text() == '{"sequence": 1}\n{"seq\n'


@pytest.mark.parametrize("workers", [(), pytest.param(("--workers", "2"), marks=pytest.mark.thorough)])
def test_what_goes_wrong_is_told_in_the_log_and_the_events_while_it_happens(record, tmp_path, workers):  # noqa: F811
    recording = record("--target", "udp:127.0.0.1:0", "--events", "told.jsonl", *workers)
    recording.send([b"\x80", CUT_SHORT])
    said = {recording.process.stderr.readline() for _ in range(2)}
    assert said == {f"strep: warning: malformed_{which} began: 1 datagram so far\n" for which in ("rtp", "strep")}
    told = []
    while len(told) < 2 and recording.process.poll() is None:  # its watchdog ends it
        told = [line for path in tmp_path.glob("told*.jsonl") for line in lines(path)]
    recording.stop(signal.SIGINT)
    assert sorted((line["event"], line["reason"], line["state"], line["total"]) for line in told) == [
        ("alarm", "malformed_rtp", "raised", 1),
        ("alarm", "malformed_strep", "raised", 1),
    ]


@pytest.mark.thorough
def test_events_on_stdout_have_it_to_themselves(record):  # noqa: F811
    recording = record("--target", "udp:127.0.0.1:0", "--events", "-")
    recording.send(datagrams())
    code, out, _ = recording.stop(signal.SIGINT)
    assert code == 0
    assert [json.loads(line)["event"] for line in out.splitlines()].count("stop") == 2


@pytest.mark.thorough
def test_events_that_cannot_be_written_are_told_and_the_recording_is_whole(record):  # noqa: F811
    recording = record("--target", "udp:127.0.0.1:0", "--events", "/dev/full", "--json")
    recording.send(datagrams())
    code, out, err = recording.stop(signal.SIGINT)
    assert code == 1
    assert "strep: /dev/full: 6 lines of events are missing: No space left on device" in err
    assert json.loads(out)["recordings"][0]["duration_s"] >= 1


@pytest.mark.thorough
def test_each_worker_writes_its_own(record, tmp_path):  # noqa: F811
    recording = record("--target", "udp:127.0.0.1:0", "--workers", "2", "--plugins", "level")
    recording.send(datagrams())
    code, _, _ = recording.stop(signal.SIGINT)
    assert code == 0
    told = [lines(tmp_path / "calls" / f"events-{number}.jsonl") for number in (1, 2)]
    assert sorted(len([line for line in one if line["event"] == "stop"]) for one in told) == [0, 2]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--plugins", "nonsense"), "expected a plugin, dtmf"),
        (("--events", "-", "--json"), "--events - has stdout to itself, so not with --json"),
        (("--events", "-", "--workers", "2"), "so not with --workers"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(strep, tmp_path, args, message):
    outcome = strep("record", "--target", "udp:127.0.0.1:0", "--out", "calls", *args)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert message in outcome.error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_a_file_for_events_that_cannot_be_is_one_line_and_leaves_nothing(strep, tmp_path, workers):
    (tmp_path / "text.txt").write_text("")
    events = ("--plugins", "level", "--events", "text.txt/x.jsonl")
    outcome = strep("record", "--target", "udp:127.0.0.1:0", "--out", "calls", *events, *workers)
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert "text.txt" in outcome.stderr.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]
