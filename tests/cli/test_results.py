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
    "formats": ["PCMU/8000", "TELEPHONE-EVENT/8000", "CN/8000"],
    "lost_packets": 3,
    "gap_s": 0.06,
    "unwritten_s": 0.0,
    "streams": [],
}


def stream(payload_types, *, payload_bytes=1600, undecoded=0):
    return {"payload_types": payload_types, "packets": 10, "payload_bytes": payload_bytes, "undecoded": undecoded}


def document(**changes):
    empty = {"recordings": [], "recording_count": 0, "failures": [], "failure_count": 0}
    return empty | {"datagrams": FATES, "kernel_drops": 2} | changes


def test_a_recording_is_a_row(capsys):
    print_recordings([RECORDING], 1, Path("calls"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1 recording in calls"
    assert lines[3].split() == ["one.wav", "one", "in+out", "1:01.5", "8000", "Hz", "PCMU", "3", "0.06", "s"]


def test_what_could_not_be_written_is_told_of_its_recording(capsys):
    print_recordings([RECORDING | {"unwritten_s": 1.5}, RECORDING | {"gap_s": 0.0}], 2, Path("calls"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[4].split() == ["1.50", "s", "unwritten"]
    assert "unwritten" not in "".join(lines[5:])


def test_formats_are_those_of_the_inbound_direction_first(capsys):
    print_recordings([RECORDING | {"formats": ["PCMU/8000", "CN/8000", "G722/8000", "PCMA/8000"]}], 1, Path("calls"))
    assert " PCMU, G722, PCMA " in capsys.readouterr().out


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
    assert captured.err == "strep: at least 2 calls could not be written in full, first one: No space left on device\n"
    assert captured.out


def test_each_unknown_payload_type_is_named_once(capsys):
    streams = [stream({"116": "unknown", "0": "PCMU/8000"}), stream({"116": "unknown", "98": "unknown"})]
    say_unknown(streams)
    assert capsys.readouterr().err == (
        "strep: payload types 98, 116 are unknown: name them, such as --pt 98=opus/48000/2\n"
    )


def test_nothing_is_said_when_everything_is_known(capsys):
    say_unknown([stream({"0": "PCMU/8000"})])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("one", "example"),
    [
        (stream({"100": "unknown"}, payload_bytes=40, undecoded=10), "telephone-event/8000 (4-byte payloads)"),
        (stream({"0": "PCMU/8000", "100": "unknown"}, undecoded=2), "telephone-event/8000 (a few packets beside PCMU)"),
        (stream({"100": "unknown"}, undecoded=10), "opus/48000/2"),
    ],
)
def test_the_example_is_what_the_packets_look_like(capsys, one, example):
    say_unknown([one])
    assert capsys.readouterr().err == f"strep: payload type 100 is unknown: name it, such as --pt 100={example}\n"


def test_what_is_named_but_not_decoded_is_told(capsys):
    one = stream({"99": "VDVI/8000", "101": "TELEPHONE-EVENT/8000"}, undecoded=8)
    say_unknown([one])
    assert capsys.readouterr().err == "strep: VDVI is not decoded here: a recording is silent there\n"
    print_recordings([RECORDING | {"gap_s": 0, "streams": [one]}], 1, Path("calls"))
    assert "8 undecoded" in capsys.readouterr().out
