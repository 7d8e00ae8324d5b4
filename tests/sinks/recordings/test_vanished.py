"""What is deleted, moved or replaced while a call goes on is noticed, told, begun again, and never told as recorded."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from strep.errors import ConfigError
from strep.sinks.file_policy import FilePolicy, LargeFiles, parse_file_mode, parse_fsync
from strep.sinks.recordings import Container, Encoding, RecordingSink
from strep.sinks.recordings.retries import FIRST_DELAY_NS, LONGEST_DELAY_NS, MOST_WAITING, Retries
from strep.sinks.recovery import Outcome, recover
from tests.sinks.left_behind import tree
from tests.sinks.recordings.calls import SECOND, T0, closed, load, name, opened, tone
from tests.sinks.recordings.test_failures import sidecar, speak

VOICE = tone(160_000)


def begin(folder: Path, **options: object) -> RecordingSink:
    sink = RecordingSink(folder, **options)
    sink.event(opened(0))
    speak(sink, {0: VOICE}, 0, 5000)
    return sink


def end(sink: RecordingSink, seconds: int) -> None:
    sink.event(closed(0, length=seconds * 8000, at_ns=seconds * SECOND))
    sink.flush(T0 + seconds * SECOND)
    sink.close()


@pytest.mark.parametrize("how", ["deleted", "renamed", "replaced", "folder"])
@pytest.mark.parametrize("encoding", [Encoding.PCM16, Encoding.ALAW])
def test_a_file_that_is_gone_is_told_and_begun_again(tmp_path: Path, how: str, encoding: Encoding) -> None:
    folder = tmp_path / "calls"
    sink = begin(folder, encoding=encoding)
    path = folder / f"{name()}.wav"
    if how == "deleted":
        path.unlink()
    elif how == "folder":
        shutil.rmtree(folder)
    else:
        path.rename(tmp_path / "elsewhere.wav")
    if how == "replaced":
        path.write_bytes(b"somebody else's")
    speak(sink, {0: VOICE}, 5000, 10_000)
    assert sink.failure_count == 1
    assert f"{path} was deleted, moved or replaced" in sink.failures[0].reason
    end(sink, 10)
    (recording,) = sink.recordings
    assert recording.path.name == (f"{name()}-2.wav" if how == "replaced" else path.name)
    frames, _ = load(recording.path)
    assert len(frames) == 80_000
    document = json.loads(recording.sidecar_path.read_text())
    (entry,) = document["unwritten"]["listed"]
    lost = entry["length_samples"]
    assert entry["position"] == 0
    assert 5 * 8000 - 8000 < lost < 9 * 8000, "noticed within 3 s and a turn, and the rings still held some"
    assert not frames[:lost].any()
    if encoding is Encoding.PCM16:
        assert np.array_equal(frames[lost:, 0], VOICE[lost:80_000])
    if how == "replaced":
        assert path.read_bytes() == b"somebody else's"


def test_a_folder_that_is_gone_before_a_call_begins_is_made_again(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path / "calls")
    (tmp_path / "calls").rmdir()
    sink.event(opened(0))
    speak(sink, {0: VOICE}, 0, 2000)
    end(sink, 2)
    assert np.array_equal(load(tmp_path / "calls" / f"{name()}.wav")[0][:, 0], VOICE[:16_000])
    assert sink.failure_count == 0


def test_a_file_that_is_gone_at_the_end_is_a_failure_and_no_recording(tmp_path: Path) -> None:
    sink = begin(tmp_path)
    (tmp_path / f"{name()}.wav").unlink()
    end(sink, 5)
    assert not sink.recordings
    assert (sink.recording_count, sink.open_count) == (0, 0)
    assert [failure.call for failure in sink.failures] == [name()]
    assert "nothing is left of it" in sink.failures[0].reason
    assert not list(tmp_path.glob("*.wav"))


def test_the_lock_that_went_with_a_folder_is_made_again_by_the_name_that_sidecars_have(tmp_path: Path) -> None:
    folder = tmp_path / "calls"
    sink = begin(folder)
    named = sidecar(folder)["recorder_lock"]
    shutil.rmtree(folder)
    speak(sink, {0: VOICE}, 5000, 10_000)
    assert sidecar(folder)["recorder_lock"] == named
    before = tree(folder)
    assert [finding.outcome for finding in recover(folder).findings] == [Outcome.UNDER_WAY]
    assert tree(folder) == before
    end(sink, 10)
    assert not (folder / named).exists()
    assert not recover(folder).findings


def test_a_folder_that_cannot_be_made_again_is_told_until_it_can(tmp_path: Path) -> None:
    folder = tmp_path / "calls"
    sink = begin(folder)
    shutil.rmtree(folder)
    folder.write_text("in the way")
    speak(sink, {0: VOICE}, 5000, 12_000)
    assert sink.failure_count >= 2
    assert "File exists" in sink.failures[0].reason
    folder.unlink()
    speak(sink, {0: VOICE}, 12_000, 16_000)
    end(sink, 16)
    frames, _ = load(folder / f"{name()}.wav")
    lost = sink.recordings[0].unwritten_samples
    assert 12 * 8000 - 2.4 * 8000 < lost < 16 * 8000, "but for what the rings still held"
    assert np.array_equal(frames[lost:, 0], VOICE[lost : 16 * 8000])


def test_a_part_that_is_gone_is_listed_and_the_others_stay(tmp_path: Path) -> None:
    sink = begin(tmp_path, max_part_bytes=44 + 16_000 * 4)
    (tmp_path / f"{name()}.wav").unlink()
    end(sink, 5)
    (recording,) = sink.recordings
    assert [part.exists() for part in recording.parts] == [True] * 3
    assert recording.unwritten_samples == 16_000
    assert sink.failure_count == 1


def test_a_file_that_is_there_is_looked_at_once_in_a_few_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = begin(tmp_path)
    looked, system_stat = [], os.stat
    monkeypatch.setattr(os, "stat", lambda path, **options: looked.append(str(path)) or system_stat(path, **options))
    speak(sink, {0: VOICE}, 5000, 20_000)
    monkeypatch.undo()
    assert 3 <= looked.count(str(tmp_path / f"{name()}.wav")) <= 5
    sink.close()


def test_a_last_sidecar_that_fails_is_tried_again_until_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = begin(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", no_space)
        sink.event(closed(0, length=40_000, at_ns=5 * SECOND))
        for second in (5, 6, 8):
            sink.flush(T0 + second * SECOND)
        assert sidecar(tmp_path)["complete"] is False
        assert sink.failure_count == 3
    sink.flush(T0 + 11 * SECOND)
    assert sidecar(tmp_path)["complete"] is False, "it is not time yet"
    sink.flush(T0 + 12 * SECOND)
    assert sidecar(tmp_path)["complete"] is True
    sink.close()
    assert sink.failure_count == 3


def test_what_is_tried_again_waits_twice_as_long_each_time_up_to_a_bound() -> None:
    retries, now_ns, delays = Retries(), 0, []
    retries.add(lambda retry: None, now_ns)
    for _ in range(12):
        (retry,) = retries._waiting
        delays.append(retry.due_ns - now_ns)
        now_ns = retry.due_ns
        assert not list(retries.due(now_ns - 1))
        assert list(retries.due(now_ns)) == [retry]
        retries.add(retry.act, now_ns, retry)
    assert delays[:4] == [FIRST_DELAY_NS * factor for factor in (1, 2, 4, 8)]
    assert delays[-1] == LONGEST_DELAY_NS


def test_no_more_than_so_many_wait_to_be_tried_again() -> None:
    retries = Retries()
    assert all(retries.add(lambda retry: None, 0) for _ in range(MOST_WAITING))
    assert not retries.add(lambda retry: None, 0)
    assert len(retries.take_all()) == MOST_WAITING
    assert len(retries) == 0


def no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("container", list(Container))
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_recordings_and_sidecars_have_their_permissions_while_they_grow_and_after(
    tmp_path: Path, container: Container, mode: int
) -> None:
    before = os.umask(0o022)
    try:
        sink = begin(tmp_path, container=container, files=FilePolicy(file_mode=mode))
        growing = {path.suffix: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        assert growing == {".wav": mode, ".json": mode, ".lock": 0o600}
        end(sink, 5)
    finally:
        os.umask(before)
    assert {path.suffix: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        container.suffix: mode,
        ".json": mode,
    }


def test_recordings_are_nobody_elses_unless_told_otherwise(tmp_path: Path) -> None:
    end(begin(tmp_path), 5)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize(("fsync_s", "least", "most"), [(None, 0, 0), (0, 3, 3), (2, 4, 6)])
def test_the_disk_is_waited_for_as_the_policy_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync_s: float | None, least: int, most: int
) -> None:
    synced, system_fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(descriptor) or system_fsync(descriptor))
    sink = begin(tmp_path, files=FilePolicy(fsync_s=fsync_s))
    growing = len(synced)
    assert growing == (2 if fsync_s else 0)
    end(sink, 5)
    assert least <= len(synced) <= most, "the audio, the sidecar and the folder"


def test_an_fsync_that_fails_is_a_failure_and_the_recording_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", no_space)
    sink = begin(tmp_path, files=FilePolicy(fsync_s=1))
    monkeypatch.undo()
    assert sink.failure_count >= 3
    end(sink, 5)
    assert np.array_equal(load(tmp_path / f"{name()}.wav")[0][:, 0], VOICE[:40_000])
    assert sink.recordings[0].unwritten_samples == 0


def test_large_files_become_rf64_where_that_is_asked_for(tmp_path: Path) -> None:
    sink = begin(tmp_path, files=FilePolicy(large_files=LargeFiles.RF64), max_part_bytes=2000)
    end(sink, 5)
    assert [part.name for part in sink.recordings[0].parts] == [f"{name()}.wav"]
    assert np.array_equal(load(tmp_path / f"{name()}.wav")[0][:, 0], VOICE[:40_000])


@pytest.mark.parametrize(("text", "mode"), [("600", 0o600), ("0640", 0o640), ("0o644", 0o644)])
def test_permissions_are_read_as_chmod_takes_them(text: str, mode: int) -> None:
    assert parse_file_mode(text) == mode


@pytest.mark.parametrize(("text", "fsync_s"), [("never", None), ("end", 0), ("10", 10), ("2.5", 2.5)])
def test_when_to_wait_for_the_disk_is_read_from_words_and_seconds(text: str, fsync_s: float | None) -> None:
    assert parse_fsync(text) == fsync_s


@pytest.mark.parametrize("wrong", ["", "rw", "9", "-1"])
def test_what_is_neither_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="octal"):
        FilePolicy(file_mode=parse_file_mode(wrong))
    with pytest.raises(ConfigError, match=r"expected never, end, or a number|fsync_s must be"):
        FilePolicy(fsync_s=parse_fsync(wrong if wrong != "9" else "0.5"))


@pytest.mark.parametrize("options", [{"file_mode": 0o400}, {"file_mode": 0o1600}, {"fsync_s": 0.5}, {"fsync_s": -1}])
def test_a_policy_that_cannot_work_is_refused(options: dict) -> None:
    with pytest.raises(ConfigError, match="must"):
        FilePolicy(**options)
