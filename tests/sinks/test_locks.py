import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from strep.sinks.locks import Claims, FileLock, RecorderLock, is_lock_name, lock_named


def claims(folder: Path) -> Claims:
    return Claims(RecorderLock(folder))


def test_a_lock_is_held_by_one_and_gone_when_it_is_released(tmp_path: Path) -> None:
    one, other = FileLock(tmp_path / "x.lock"), FileLock(tmp_path / "x.lock")
    assert one.acquire()
    assert not other.acquire()
    one.release()
    assert not list(tmp_path.iterdir())
    assert other.acquire()
    other.release()


def test_a_lock_whose_file_was_removed_while_it_was_taken_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who had it before removes the file between our open and our flock: what we then lock has no name."""
    path, system_flock, removed = tmp_path / "x.lock", fcntl.flock, []

    def late_flock(descriptor: int, operation: int) -> None:
        if not removed:
            removed.append(path)
            path.unlink()
        system_flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late_flock)
    lock = FileLock(path)
    assert lock.acquire()
    assert not FileLock(path).acquire(), "the file that has the name is locked"
    lock.release()


def test_a_recorder_lives_while_it_holds_its_lock(tmp_path: Path) -> None:
    recorder = RecorderLock(tmp_path)
    assert recorder.path is None
    recorder.hold()
    recorder.hold()
    assert recorder.path is not None
    assert is_lock_name(recorder.path.name)
    assert not claims(tmp_path).is_dead(recorder.path)
    path = recorder.path
    recorder.release()
    assert claims(tmp_path).is_dead(path)


def test_a_lock_whose_file_is_deleted_is_made_again_by_its_name(tmp_path: Path) -> None:
    recorder = RecorderLock(tmp_path / "calls")
    recorder.hold()
    path = recorder.path
    assert path
    path.unlink()
    path.parent.rmdir()
    recorder.hold()
    assert recorder.path == path
    assert not claims(path.parent).is_dead(path)
    recorder.release()
    assert not list(path.parent.iterdir())


def test_a_file_that_came_in_place_of_a_lock_is_not_removed(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "x.lock")
    assert lock.acquire()
    lock.path.rename(tmp_path / "y.lock")
    lock.path.write_bytes(b"somebody else's")
    lock.release()
    assert lock.path.exists()


def test_the_lock_of_a_killed_program_is_taken_by_one_other(tmp_path: Path) -> None:
    source = (
        "import sys, time, pathlib; from strep.sinks.locks import RecorderLock\n"
        "lock = RecorderLock(pathlib.Path(sys.argv[1])); lock.hold(); print(lock.path, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", source, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        path = Path(program.stdout.readline().strip())
        assert not claims(tmp_path).is_dead(path)
        program.send_signal(signal.SIGKILL)
    one, other = claims(tmp_path), claims(tmp_path)
    assert one.is_dead(path)
    assert one.is_dead(path)
    assert not other.is_dead(path), "the other one is at work there"
    one.remove(path)
    assert not path.exists()
    one.close()
    assert claims(tmp_path).is_dead(path)


def test_a_lock_stands_for_its_folder_and_those_below_but_not_for_who_asks(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    recorder = RecorderLock(tmp_path / "a")
    recorder.hold()
    assert not claims(tmp_path).is_quiet(below)
    assert not claims(tmp_path).is_quiet(tmp_path / "a")
    assert claims(tmp_path).is_quiet(tmp_path)
    assert Claims(recorder).is_quiet(below)
    recorder.release()
    assert claims(tmp_path).is_quiet(below)


def test_where_there_are_no_locks_a_recorder_records_and_is_believed_to_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    recorder = RecorderLock(tmp_path)
    recorder.hold()
    assert recorder.path is not None
    assert not claims(tmp_path).is_dead(recorder.path)
    recorder.release()
    assert claims(tmp_path).is_quiet(tmp_path)


def test_a_lock_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        RecorderLock(tmp_path / "file" / "calls").hold()


@pytest.mark.parametrize(
    ("relative", "found"),
    [
        (".strep-0123456789abcdef.lock", True),
        ("../../.strep-0123456789abcdef.lock", True),
        ("a/.strep-0123456789abcdef.lock", False),
        ("/.strep-0123456789abcdef.lock", False),
        ("../x.lock", False),
        (".strep-0123456789ABCDEF.lock", False),
        (7, False),
        (None, False),
    ],
)
def test_a_sidecar_names_a_lock_in_its_folder_or_above(tmp_path: Path, relative: object, found: bool) -> None:
    lock = lock_named(tmp_path, relative)
    assert lock == (tmp_path / str(relative) if found else None)
