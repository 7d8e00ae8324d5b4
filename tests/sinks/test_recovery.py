import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from strep.errors import SinkError
from strep.sinks.recordings import CallAbout, Container, Encoding, FilePolicy, LargeFiles, Layout, RecordingSink
from strep.sinks.recovery import Outcome, Recovery, recover
from strep.sinks.sidecar import write_sidecar
from tests.sinks.left_behind import copy_tree, end, left_behind, record, spoken, tree
from tests.sinks.recordings.calls import load, name
from tests.sinks.recordings.test_kill import record_and_kill, voice


def outcomes(report: Recovery) -> dict[str, Outcome]:
    return {finding.path.name: finding.outcome for finding in report.findings}


def document(folder: Path, call: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"{name(call)}.json").read_text())
    return found


def assert_finished(folder: Path, container: str = "wav") -> None:
    """Nothing hidden is left, every sidecar is complete, and names what is there and no more."""
    sidecars = list(folder.rglob("*.json"))
    named = set()
    for path in sidecars:
        found = json.loads(path.read_text())
        assert (found["complete"], found["recorder_lock"], found["container"]) == (True, None, container)
        assert "superseded" not in found
        frames = sum(soundfile.info(path.parent / audio).frames for audio in found["files"])
        assert frames == found["length_samples"]
        named |= {path.parent / audio for audio in found["files"]}
    assert {path for path in folder.rglob("*") if path.is_file()} == named | set(sidecars)


def test_what_a_killed_recorder_left_becomes_complete(tmp_path: Path) -> None:
    record_and_kill(tmp_path, 211, Encoding.PCM16)
    before = {call: load(tmp_path / f"{name(call)}.wav")[0] for call in (1, 2, 3)}
    report = recover(tmp_path)
    assert report.counts[Outcome.RECOVERED] == 3
    assert_finished(tmp_path)
    for call, frames in before.items():
        found = document(tmp_path, call)
        assert found["recovered"]
        assert found["length_samples"] == len(frames)
        assert found["duration_s"] == round(len(frames) / 8000, 6)
        after, _ = load(tmp_path / f"{name(call)}.wav")
        assert np.array_equal(after, frames)
        assert np.array_equal(after[:, 0], voice(2 * call - 2)[: len(after)])


def test_it_says_when_the_call_ended_and_leaves_null_what_died(tmp_path: Path) -> None:
    left = left_behind(tmp_path)
    recover(left)
    found = document(left)
    assert found["start"] == "2023-11-14T22:13:20.000000Z"
    assert found["end"] == f"2023-11-14T22:13:{20 + found['duration_s']:.6f}Z"
    assert [stream["packets"] for stream in found["streams"]] == [None, None]
    assert found["call_leg_id"] in name()


def test_a_second_run_does_nothing(tmp_path: Path) -> None:
    left = left_behind(tmp_path, calls=3, ended=1, container=Container.FLAC)
    assert recover(left).did_anything
    before = tree(left)
    times = {path: path.stat().st_mtime_ns for path in left.rglob("*")}
    report = recover(left)
    assert not report.findings
    assert tree(left) == before
    assert {path: path.stat().st_mtime_ns for path in left.rglob("*")} == times


def test_a_check_changes_nothing_and_says_what_would_be_done(tmp_path: Path) -> None:
    left = left_behind(tmp_path, calls=2, ended=1, container=Container.FLAC)
    (left / ".strep-0123456789abcdef.tmp").write_bytes(b"half")
    before = tree(left)
    checked = recover(left, check=True)
    assert tree(left) == before
    assert checked.counts[Outcome.CONVERTED] == 2
    assert recover(left).findings == checked.findings


def test_a_recording_under_way_is_not_touched(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    record(sink)
    (tmp_path / ".strep-0123456789abcdef.tmp").write_bytes(b"somebody writes this")
    shutil.copy(tmp_path / f"{name(1)}.wav", tmp_path / f"{name(2)}.wav")  # one that has no sidecar yet
    before = tree(tmp_path)
    report = recover(tmp_path)
    assert outcomes(report) == {f"{name(1)}.json": Outcome.UNDER_WAY, f"{name(2)}.wav": Outcome.UNDER_WAY}
    assert tree(tmp_path) == before
    end(sink)
    sink.close()
    recover(tmp_path)
    assert not document(tmp_path, 1)["recovered"]
    assert document(tmp_path, 2)["recovered"]


@pytest.mark.thorough
def test_what_a_dead_recorder_left_is_finished_beside_one_that_lives(tmp_path: Path) -> None:
    left = left_behind(tmp_path)
    with_live = RecordingSink(left)
    record(with_live, 2)
    report = recover(left)
    assert outcomes(report)[f"{name(1)}.json"] is Outcome.RECOVERED
    assert outcomes(report)[f"{name(2)}.json"] is Outcome.UNDER_WAY
    assert document(left, 1)["complete"]
    assert not document(left, 2)["complete"]
    with_live.close()


def test_a_recording_that_waits_for_its_conversion_is_under_way(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path, container=Container.FLAC)
    record(sink)
    assert sink._finishing._converter
    taken: list[tuple[Any, Any]] = []
    sink._finishing._converter.submit = lambda *task: bool(taken.append(task)) or True  # type: ignore[method-assign]
    end(sink)
    assert document(tmp_path)["complete"]
    assert outcomes(recover(tmp_path)) == {f"{name()}.json": Outcome.UNDER_WAY}
    sink.close()
    assert outcomes(recover(tmp_path)) == {f"{name()}.json": Outcome.CONVERTED}
    assert_finished(tmp_path, "flac")


def test_subfolders_are_gone_over_too(tmp_path: Path) -> None:
    left = left_behind(tmp_path, about=CallAbout({"from": "+49"}, "quarantine"))
    assert document(left / "quarantine")["recorder_lock"].startswith("../.strep-")
    live = RecordingSink(left)
    record(live, 2)
    live_lock = live._settings.lock.path
    assert live_lock
    found = document(left / "quarantine")
    write_sidecar(left / "quarantine" / f"{name(3)}.json", found | {"recorder_lock": f"../{live_lock.name}"})
    report = recover(left / "quarantine")
    assert outcomes(report) == {f"{name(1)}.json": Outcome.RECOVERED, f"{name(3)}.json": Outcome.UNDER_WAY}
    live.close()
    recover(left)
    assert document(left / "quarantine")["call"] == {"from": "+49"}


@pytest.mark.parametrize("container", [Container.FLAC, Container.OGG_OPUS])
@pytest.mark.parametrize("ended", [0, 1])
def test_what_was_to_be_converted_is(tmp_path: Path, container: Container, ended: int) -> None:
    left = left_behind(tmp_path, ended=ended, container=container, max_part_bytes=40_000)
    assert document(left)["container"] == "wav"
    assert document(left)["requested_container"] == container.value
    recover(left)
    assert_finished(left, container.value)
    frames, _ = load(left / f"{name()}{container.suffix}")
    if container is Container.FLAC:
        assert len(frames) > 16_000
        assert np.array_equal(frames[:, 0], spoken(1, 0)[: len(frames)])
    assert document(left)["recovered"] is not bool(ended), "one that was complete is not recovered but converted"


def test_conversions_can_be_left_to_a_later_run(tmp_path: Path) -> None:
    left = left_behind(tmp_path, calls=2, ended=1, container=Container.FLAC)
    first = recover(left, converts=False)
    assert first.counts[Outcome.RECOVERED] == 1
    assert not first.counts[Outcome.CONVERTED]
    assert document(left, 2)["complete"]
    assert recover(left).counts[Outcome.CONVERTED] == 2
    assert_finished(left, "flac")


def test_a_file_in_the_way_of_a_conversion_stays(tmp_path: Path) -> None:
    left = left_behind(tmp_path, ended=1, container=Container.FLAC)
    (left / f"{name()}.flac").write_bytes(b"mine")
    report = recover(left)
    assert outcomes(report)[f"{name()}.json"] is Outcome.LEFT_ALONE
    assert (left / f"{name()}.flac").read_bytes() == b"mine"
    assert document(left)["files"] == [f"{name()}.wav"]


def test_parts_that_came_after_the_sidecar_are_found(tmp_path: Path) -> None:
    left = left_behind(tmp_path, max_part_bytes=30_000)
    assert document(left)["files"] == [f"{name()}.wav"], "it was written when the file was begun"
    numbers = ("", "-part2", "-part3", "-part4")
    assert sorted(path.stem for path in left.glob("*.wav")) == sorted(f"{name()}{number}" for number in numbers)
    (left / f"{name()}-part3.wav").rename(left / f"{name()}-part3-2.wav")  # so it is called where the name is taken
    shutil.copy(left / f"{name()}.wav", left / f"{name()}-part3.wav")
    report = recover(left)
    assert document(left)["files"] == [f"{name()}{part}.wav" for part in ("", "-part2", "-part3-2", "-part4")]
    frames = np.concatenate([load(left / file)[0] for file in document(left)["files"]])
    assert np.array_equal(frames[:, 0], spoken(1, 0)[: len(frames)])
    assert document(left)["length_samples"] == len(frames)
    assert report.counts[Outcome.LEFT_ALONE] == 0


def test_a_pipe_of_a_recordings_name_is_left_alone_and_not_waited_for(tmp_path: Path) -> None:
    left = left_behind(tmp_path, calls=2)
    (left / f"{name()}.wav").unlink()
    os.mkfifo(left / f"{name()}.wav")
    report = recover(left)
    assert outcomes(report)[f"{name(1)}.json"] is Outcome.LEFT_ALONE
    assert outcomes(report)[f"{name(2)}.json"] is Outcome.RECOVERED


def test_a_header_counts_what_the_file_holds(tmp_path: Path) -> None:
    left = left_behind(tmp_path)
    path = left / f"{name()}.wav"
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + struct.pack("<I", 36) + whole[8:40] + struct.pack("<I", 0) + whole[44:] + b"\1\2\3")
    recover(left)
    frames, _ = load(path)
    assert len(frames) == (len(whole) - 44) // 4 == document(left)["length_samples"]
    path.write_bytes(path.read_bytes()[:-4000])  # a power cut: the header came to the disk, and the samples did not
    write_sidecar(left / f"{name()}.json", document(left) | {"complete": False})
    recover(left)
    assert len(load(path)[0]) == len(frames) - 1000 == document(left)["length_samples"]


def test_a_recording_that_had_no_sidecar_yet_gets_one(tmp_path: Path) -> None:
    left = left_behind(tmp_path, layout=Layout.MONO)
    (left / f"{name()}-in.json").unlink()
    (left / f"{name()}-out.json").write_bytes(b"")  # what a power cut leaves
    report = recover(left)
    assert report.counts[Outcome.RECOVERED] == 2
    assert_finished(left)
    found = json.loads((left / f"{name()}-in.json").read_text())
    assert f"{found['call_leg_id']}-{found['leg']}" == name()
    assert (found["layout"], found["start"], found["call"], found["streams"]) == ("mono", None, None, [])


def test_what_is_not_ours_or_broken_is_left_alone_with_a_reason(tmp_path: Path) -> None:
    left = left_behind(tmp_path, calls=4)
    soundfile.write(left / "music.wav", np.zeros((100, 2), np.int16), 44_100)
    (left / f"{name(1)}.wav").write_bytes(b"no audio at all")
    (left / f"{name(2)}.wav").unlink()
    (left / f"{name(3)}.json").write_text('{"sidecar_version": 2, "complete": false, "files": ["../music.wav"]}')
    (left / f"{name(4)}.json").write_text("no JSON at all")
    (left / "settings.json").write_text("{}")
    (left / ".strep-service.state").write_text("{}")
    before = tree(left)
    report = recover(left)
    reasons = {finding.path.name: finding.reason for finding in report.findings if finding.reason}
    assert set(reasons) == {f"{name(call)}.json" for call in (1, 2, 3, 4)} | {"music.wav"}
    assert "WAV file" in reasons[f"{name(1)}.json"]
    assert "is not there" in reasons[f"{name(2)}.json"]
    assert "'../music.wav'" in reasons[f"{name(3)}.json"]
    assert "no sidecar" in reasons["music.wav"]
    after = tree(left)
    assert {path: content for path, content in before.items() if not path.endswith(".lock")} == after


def test_a_disk_that_refuses_is_told_and_the_next_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = left_behind(tmp_path, calls=2)

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("strep.sinks.recovery.write_sidecar", refuse)
        report = recover(left)
    assert report.counts[Outcome.FAILED] == 2
    assert {finding.reason for finding in report.findings if finding.reason} == {"No space left on device"}
    recover(left)
    assert_finished(left)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"cannot look into .*: No such file or directory"):
        recover(tmp_path / "gone")


def test_permissions_of_a_recording_are_those_of_its_sidecar(tmp_path: Path) -> None:
    left = left_behind(tmp_path)
    (left / f"{name()}.wav").chmod(0o600)
    recover(left)
    assert (left / f"{name()}.json").stat().st_mode & 0o777 == 0o600


def snapshots(monkeypatch: pytest.MonkeyPatch, folder: Path, copies: Path) -> list[Path]:
    """Copy a folder before and after every system call that changes something there: what a kill would leave."""
    taken: list[Path] = []
    copying = False

    def take() -> None:
        nonlocal copying
        if not copying:  # which makes system calls itself
            copying = True
            taken.append(copy_tree(folder, copies / str(len(taken))))
            copying = False

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            take()
            result = function(*args, **options)
            take()
            return result

        return call

    for system_call in ("pwrite", "link", "close", "fsync"):
        monkeypatch.setattr(os, system_call, watched(getattr(os, system_call)))
    for method in ("replace", "unlink", "write_bytes", "touch"):
        monkeypatch.setattr(Path, method, watched(getattr(Path, method)))
    monkeypatch.setattr(soundfile.SoundFile, "write", watched(soundfile.SoundFile.write))
    return taken


@pytest.mark.parametrize(
    "container",
    [Container.WAV, *(pytest.param(one, marks=pytest.mark.thorough) for one in (Container.FLAC, Container.OGG_OPUS))],
)
def test_a_recovery_that_is_killed_at_any_system_call_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, container: Container
) -> None:
    left = left_behind(tmp_path, calls=3, ended=1, container=container, max_part_bytes=40_000)
    path = left / f"{name(2)}.wav"
    path.write_bytes(path.read_bytes()[:4] + bytes(4) + path.read_bytes()[8:])
    (left / f"{name(3)}.json").unlink()
    with monkeypatch.context() as patch:
        taken = snapshots(patch, left, tmp_path / "killed")
        recover(left)
    assert len(taken) > 20
    done = {path: content for path, content in tree(left).items() if not path.endswith(".opus")}
    for killed in taken:
        recover(killed)
        # An Ogg stream has a random number: its length is compared below.
        assert {path: content for path, content in tree(killed).items() if not path.endswith(".opus")} == done
        for opus in left.glob("*.opus"):
            assert soundfile.info(killed / opus.name).frames == soundfile.info(opus).frames
        assert not recover(killed).findings


@pytest.mark.thorough
def test_a_killed_recorder_can_be_recovered_while_another_kill_comes(tmp_path: Path) -> None:
    """Two recorders, one killed after the other, in one folder."""
    for _ in range(2):
        record_and_kill(tmp_path, 60, Encoding.ULAW)
    assert len(list(tmp_path.glob(".strep-*.lock"))) == 2
    assert recover(tmp_path).counts[Outcome.RECOVERED] == 6
    assert_finished(tmp_path)


@pytest.mark.parametrize("size_bytes", [None, 5 << 30])
def test_what_may_become_rf64_is_finished_as_large_as_it_is(tmp_path: Path, size_bytes: int | None) -> None:
    left = left_behind(tmp_path, files=FilePolicy(large_files=LargeFiles.RF64))
    audio = left / f"{name()}.wav"
    if size_bytes:
        os.truncate(audio, size_bytes)
    recover(left)
    assert_finished(left)
    with audio.open("rb") as file:
        head = file.read(4)
    assert head == (b"RF64" if size_bytes else b"RIFF")
    assert document(left)["length_samples"] == (audio.stat().st_size - 80) // 4
    assert not recover(left).findings


def test_a_last_sidecar_that_could_never_be_written_is_written_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    sink = RecordingSink(tmp_path)
    record(sink)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", refuse)
        end(sink)
        sink.close()
    assert not document(tmp_path)["complete"]
    assert recover(tmp_path).counts[Outcome.RECOVERED] == 1
    assert_finished(tmp_path)
    assert document(tmp_path)["length_samples"] == 24_000


@pytest.mark.parametrize("has_sidecar", [True, False])
def test_what_it_writes_has_the_permissions_of_the_recording(tmp_path: Path, *, has_sidecar: bool) -> None:
    left = left_behind(tmp_path, calls=2, ended=1, container=Container.FLAC, files=FilePolicy(file_mode=0o640))
    if not has_sidecar:
        (left / f"{name(2)}.json").unlink()
    recover(left)
    audio = f"{name(2)}.flac" if has_sidecar else f"{name(2)}.wav"  # nobody knows any more what was asked for
    names = [f"{name(1)}.flac", f"{name(1)}.json", audio, f"{name(2)}.json"]
    assert {path.name: path.stat().st_mode & 0o777 for path in left.iterdir()} == dict.fromkeys(names, 0o640)


def test_a_sidecar_whose_file_vanished_is_left_alone_and_says_so(tmp_path: Path) -> None:
    left = left_behind(tmp_path)
    (left / f"{name()}.wav").unlink()
    (finding,) = (finding for finding in recover(left).findings if finding.path.suffix == ".json")
    assert (finding.outcome, finding.reason) == (Outcome.LEFT_ALONE, f"{name()}.wav is not there")
    assert not document(left)["complete"]
