import asyncio
import signal
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from strep.cli import demo_run
from strep.cli.demo_check import check_datagrams, check_recordings
from strep.sinks.recordings import RecordingSink


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Fork and record a call for 6 s, when both parties have spoken on any machine; give the run and the recording.."""
    sink = RecordingSink(tmp_path_factory.mktemp("made"))
    run = asyncio.run(demo_run.fork_and_record("PCMU", 6, sink, lambda done_s: None))
    return run, sink.recordings[0]


def test_a_real_call_passes_every_check(made):
    run, recording = made
    findings = [*check_recordings([recording], run.sent), check_datagrams(run.sent, run.datagrams, run.kernel_drops)]
    assert [(finding.name, finding.passed) for finding in findings] == [
        ("left is the caller", True),
        ("right is the agent", True),
        ("left and right begin together", True),
        ("as long as the call", True),
        ("every datagram arrived", True),
    ]
    assert "ms apart" in findings[2].detail
    assert recording.duration_s > 5.9


def test_people_get_tables_and_verdicts(strep, tmp_path):
    (tmp_path / "strep-demo").mkdir()
    outcome = strep("demo", "--seconds", "1", "--codec", "g722", columns=80)
    assert outcome.exit_code == 0
    lines = outcome.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("forked a G722 call over http://127.0.0.1:")
    assert "1 recording in strep-demo-2" in lines  # never into a folder that is somebody's
    assert [line.split()[0] for line in lines[-5:]] == ["ok"] * 5
    assert list((tmp_path / "strep-demo").iterdir()) == []


@pytest.fixture
def remade(made, monkeypatch, tmp_path):
    """Let the demo find the real call again, without its time, but with a recording that was spoilt."""
    run, recording = made

    def use(spoil):
        async def fork_and_record(encoding, seconds, sink, progress):
            samples, rate_hz = soundfile.read(recording.path, dtype="int16")
            path = tmp_path / "spoilt.wav"
            soundfile.write(path, spoil(samples), rate_hz)
            sink.recordings.append(replace(recording, path=path))
            sink.recording_count += 1
            return run

        monkeypatch.setattr(demo_run, "fork_and_record", fork_and_record)

    return use


def test_programs_get_a_document(strep, remade, made):
    remade(lambda samples: samples)
    outcome = strep("demo", "--json")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    document = outcome.json
    assert document["passed"] is True
    assert [set(check) for check in document["checks"]] == [{"name", "passed", "detail"}] * 5
    (recording,) = document["recordings"]
    assert [(stream["direction"], stream["codec"], stream["lost"]) for stream in recording["streams"]] == [
        ("inbound", "PCMU", 0),
        ("outbound", "PCMU", 0),
    ]
    assert document["datagrams"] == made[0].datagrams
    assert document["target"].startswith("udp:127.0.0.1:")


def swap(samples):
    return samples[:, ::-1]


def shift(samples):
    return np.column_stack((np.roll(samples[:, 0], 48), samples[:, 1]))


def damage(samples):
    samples[16_000, 1] ^= 0x40
    return samples


@pytest.mark.parametrize(
    ("spoil", "lines"),
    [
        (
            swap,
            [
                "FAILED  left is the caller: expected the caller, found the agent: the channels are swapped",
                "FAILED  right is the agent: expected the agent, found the caller: the channels are swapped",
            ],
        ),
        (damage, ["FAILED  right is the agent: ", "samples as sent; the first that differs is "]),
        (shift, ["FAILED  left and right begin together: "]),
    ],
)
def test_a_recording_that_is_not_what_was_sent_fails(strep, remade, spoil, lines):
    remade(spoil)
    outcome = strep("demo")
    assert (outcome.exit_code, outcome.error) == (1, "the recording is not what was sent")
    for line in lines:
        assert line in outcome.stdout


@pytest.mark.parametrize("out", ["file", "file/demo"])
def test_a_file_in_the_way_of_the_folder_is_one_line(strep, tmp_path, out):
    (tmp_path / "file").touch()
    outcome = strep("demo", "--out", out)
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.error.startswith(f"cannot record into {out}: ")


@pytest.mark.parametrize("args", [("--seconds", "0.5"), ("--seconds", "3601"), ("--codec", "mp3")])
def test_a_wrong_use_of_the_command_line_is_told_apart_from_an_error(strep, args):
    assert strep("demo", *args).exit_code == 2


def test_an_interruption_ends_the_call(strep, monkeypatch):
    async def interrupted(seconds, stopped, progress):
        signal.raise_signal(signal.SIGTERM)
        await let_pass(seconds, stopped, progress)

    let_pass = demo_run._let_pass
    monkeypatch.setattr(demo_run, "_let_pass", interrupted)
    outcome = strep("demo", "--seconds", "20")
    assert (outcome.exit_code, outcome.stdout, outcome.error) == (130, "", "interrupted")


def test_a_picture_that_cannot_be_drawn_is_told_before_the_call_begins(strep, tmp_path):
    outcome = strep("demo", "--plot", "call.nonsense")
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert "call.nonsense" in outcome.error
    assert not list(tmp_path.iterdir())
