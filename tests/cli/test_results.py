from pathlib import Path

import pytest
import typer

from strep.cli.recordings import print_recordings
from strep.cli.results import print_results, say_unknown
from strep.wire.fate import Fate

FATES = {fate.label: 0 for fate in Fate} | {"accepted": 5}
RECORDING = {
    "path": "calls/one.wav",
    "call": "one",
    "directions": ["in", "out"],
    "duration_s": 61.5,
    "sample_rate_hz": 8000,
    "formats": ["CN/8000", "PCMU/8000", "TELEPHONE-EVENT/8000"],
    "lost_packets": 3,
    "gap_s": 0.06,
    "streams": [],
}


def document(**changes):
    empty = {"recordings": [], "recording_count": 0, "failures": [], "failure_count": 0}
    return empty | {"datagrams": FATES, "kernel_drops": 2} | changes


def test_a_recording_is_a_row(capsys):
    print_recordings([RECORDING], 1, Path("calls"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1 recording in calls"
    assert lines[3].split() == ["one.wav", "one", "in+out", "1:01.5", "8000", "Hz", "PCMU", "3", "0.06", "s"]


def test_recordings_that_are_not_remembered_are_not_passed_over(capsys):
    print_recordings([RECORDING] * 2, 5, Path("calls"))
    assert capsys.readouterr().out.splitlines()[0] == "5 recordings in calls; the last 2 of them"


def test_what_the_kernel_dropped_is_told_apart_from_the_fates(capsys):
    print_results(document(), Path("calls"), as_json=False)
    assert capsys.readouterr().out == "no recordings\n5 datagrams: 5 accepted; the kernel dropped 2\n"


@pytest.mark.parametrize("as_json", [False, True])
def test_a_recording_that_lacks_something_makes_the_command_fail(capsys, as_json):
    failures = [{"call": "one", "reason": "No space left on device"}, {"call": "two", "reason": "too"}]
    with pytest.raises(typer.Exit) as end:
        print_results(document(failures=failures, failure_count=7), Path("calls"), as_json=as_json)
    assert end.value.exit_code == 1
    captured = capsys.readouterr()
    assert captured.err == "strep: 7 times the system refused to write, first to one: No space left on device\n"
    assert captured.out


def test_each_unknown_payload_type_is_named_once(capsys):
    streams = [
        {"payload_types": {"116": "unknown", "0": "PCMU/8000"}},
        {"payload_types": {"116": "unknown", "98": "unknown"}},
    ]
    say_unknown(streams)
    assert capsys.readouterr().err == (
        "strep: payload type 98, 116 is unknown: tell what it means, such as --pt 98=opus/48000/2\n"
    )


def test_nothing_is_said_when_everything_is_known(capsys):
    say_unknown([{"payload_types": {"0": "PCMU/8000"}}])
    assert capsys.readouterr().err == ""
