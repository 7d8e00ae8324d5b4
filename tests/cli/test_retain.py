import json
import os
import signal
import subprocess
import sys
import time

import pytest

from strep.cli.retention import retention, retention_limits
from strep.errors import ConfigError
from strep.sinks.retention import RetentionLimits
from tests.cli.test_record import BOUND_S
from tests.sinks.recordings.calls import name
from tests.sinks.test_retention import recorded

DAY_S = 86_400


@pytest.fixture
def calls(tmp_path):
    """Give a folder of three recordings, 40, 10 and 1 days old."""
    folder = recorded(tmp_path / "calls", 0, 0, 0)
    for call, days in ((1, 40), (2, 10), (3, 1)):
        for path in folder.glob(f"{name(call)}*"):
            os.utime(path, (0, time.time() - days * DAY_S))
    return folder


def recordings(folder):
    return sorted(path.stem for path in folder.glob("*.wav"))


def test_what_ended_too_long_ago_goes(strep, calls):
    outcome = strep("retain", "calls", "--keep-days", "30")
    assert outcome.exit_code == 0
    assert outcome.stdout.splitlines()[-1].startswith("1 recording removed, ")
    assert f"calls/{name(1)}" in outcome.stdout
    assert recordings(calls) == [name(2), name(3)]
    assert not (calls / f"{name(1)}.json").exists()


def test_a_dry_run_only_lists(strep, calls):
    outcome = strep("retain", "calls", "--keep-days", "5", "--dry-run")
    assert outcome.stdout.splitlines()[-1].startswith("2 recordings would be removed, ")
    assert len(recordings(calls)) == 3


def test_one_json_document_says_what_went(strep, calls):
    document = strep("retain", "calls", "--keep-bytes", "0", "--json").json
    assert [gone["sidecar"] for gone in document["removed"]] == [f"calls/{name(call)}.json" for call in (1, 2, 3)]
    assert document["size_bytes"] == sum(gone["size_bytes"] for gone in document["removed"]) > 3 * 8000 * 4
    assert recordings(calls) == []


def test_a_file_system_that_runs_short_gets_room(strep, calls):
    assert len(strep("retain", "calls", "--min-free-bytes", "900000TB", "--json").json["removed"]) == 3
    assert strep("retain", "calls", "--min-free-bytes", "1", "--json").json["removed"] == []


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("17", 17),
        ("5B", 5),
        ("2kB", 2000),
        ("1.5MB", 1_500_000),
        ("3G", 3 * 10**9),
        ("20GiB", 20 << 30),
        ("1 KiB", 1024),
    ],
)
def test_a_size_is_bytes_or_has_a_unit(text, size_bytes):
    assert retention_limits(None, text, None) == RetentionLimits(keep_bytes=size_bytes)


@pytest.mark.parametrize("text", ["", "GB", "-1", "1e9", "5 apples", "0x10"])
def test_what_is_no_size_is_an_error(text):
    with pytest.raises(ConfigError, match="--keep-bytes: expected a size such as 500GB or 20GiB, found "):
        retention_limits(None, text, None)


@pytest.mark.parametrize(
    ("options", "exit_code", "error"),
    [
        (("calls",), 2, "expected --keep-days, --keep-bytes or --min-free-bytes, found none"),
        (("calls", "--keep-days", "-1"), 2, "keep_days must be 0 or more, got -1.0"),
        (("gone", "--keep-days", "1"), 1, "cannot remove old recordings from gone: No such file or directory"),
    ],
)
def test_what_cannot_work_is_one_line(strep, options, exit_code, error):
    outcome = strep("retain", *options)
    assert (outcome.exit_code, outcome.error) == (exit_code, error)


def test_nothing_runs_beside_a_recorder_without_limits(tmp_path):
    with retention(tmp_path / "gone", RetentionLimits(), pytest.fail):
        pass


@pytest.mark.parametrize(
    ("workers", "events"), [(1, "events.jsonl"), pytest.param(2, "events.jsonl", marks=pytest.mark.thorough)]
)
def test_a_recorder_keeps_its_folder_within_limits_and_tells_it(tmp_path, calls, workers, events):
    command = [sys.executable, "-m", "strep.cli", "record", "--target", "udp:127.0.0.1:0", "--out", "calls"]
    command += ["--keep-days", "30", "--events", events, "--workers", str(workers)]
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as program:
        try:
            heard = []
            while not all(
                any(line.startswith(f"strep: {word} ") for line in heard) for word in ("removed", "recording")
            ):
                heard.append(program.stderr.readline())
                assert heard[-1], heard
            program.send_signal(signal.SIGINT)
            program.communicate(timeout=BOUND_S)
        finally:
            program.kill()
    assert [line for line in heard if f"removed {name(1)}, " in line]
    assert recordings(calls) == [name(2), name(3)]
    (told,) = [json.loads(line) for line in (tmp_path / events).read_text().splitlines()]
    assert told["event"] == "recording_removed"
    assert told["files"] == [f"calls/{name(1)}.wav"]
    assert told["time"].endswith("Z")
