import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.errors import ConfigError, SinkError
from strep.sinks.locks import FileLock
from strep.sinks.recordings import CallAbout, Container, RecordingSink
from strep.sinks.recovery import recover
from strep.sinks.retention import LOCK_NAME, Removed, Retention, RetentionLimits, Stored, select_for_removal
from tests.sinks.left_behind import copy_tree, end, record, tree
from tests.sinks.recordings.calls import name

DAY_NS = 86_400 * 10**9
NOW_NS = 20_000 * DAY_NS

RECORDINGS = st.lists(
    st.builds(Stored, st.uuids().map(str), st.integers(0, 1000), st.integers(NOW_NS - 100 * DAY_NS, NOW_NS + DAY_NS)),
    max_size=40,
    unique_by=lambda stored: stored.sidecar,
)
LIMITS = st.builds(
    RetentionLimits,
    st.none() | st.floats(0, 120),
    st.none() | st.integers(0, 20_000),
    st.none() | st.integers(0, 20_000),
)


@given(RECORDINGS, LIMITS, st.integers(0, 20_000), st.sets(st.integers(0, 40)))
def test_just_enough_goes_and_the_oldest_first(
    recordings: list[Stored], limits: RetentionLimits, free_bytes: int, staying: set[int]
) -> None:
    may_go = {stored.sidecar for number, stored in enumerate(recordings) if number not in staying}
    gone = list(select_for_removal(recordings, limits, free_bytes, NOW_NS, lambda s: s.sidecar in may_go))
    rest = sorted((s for s in recordings if s not in gone and s.sidecar in may_go), key=lambda s: s.ended_ns)

    def is_within(removed: list[Stored]) -> bool:
        gone_bytes = sum(s.size_bytes for s in removed)
        kept = [s for s in recordings if s not in removed]
        return (
            (limits.keep_bytes is None or sum(s.size_bytes for s in kept) <= limits.keep_bytes)
            and (limits.min_free_bytes is None or free_bytes + gone_bytes >= limits.min_free_bytes)
            and (
                limits.keep_days is None
                or all(NOW_NS - s.ended_ns <= limits.keep_days * DAY_NS for s in kept if s.sidecar in may_go)
            )
        )

    assert {s.sidecar for s in gone} <= may_go
    assert [s.ended_ns for s in gone] == sorted(s.ended_ns for s in gone)
    assert not rest or not gone or gone[-1].ended_ns <= rest[0].ended_ns
    assert is_within(gone) or not rest, "all that may go has gone, or the limits are kept"
    assert not gone or not is_within(gone[:-1]), "one less would not have been enough"


def test_without_limits_nothing_goes() -> None:
    assert not RetentionLimits()
    stored = [Stored("x", 10**12, 0)]
    assert not list(select_for_removal(stored, RetentionLimits(), 0, NOW_NS, lambda _: True))


@pytest.mark.parametrize("limits", [{"keep_days": -1}, {"keep_bytes": -1}, {"min_free_bytes": -1}])
def test_a_limit_below_0_is_an_error(limits: dict[str, Any]) -> None:
    (name,) = limits
    with pytest.raises(ConfigError, match=f"{name} must be 0 or more, got -1"):
        RetentionLimits(**limits)


def recorded(folder: Path, *days: int, container: Container = Container.WAV, **how: Any) -> Path:
    """Record a call for each number: how many days ago it ended."""
    sink = RecordingSink(folder, container=container, **how)
    for call in range(1, len(days) + 1):
        record(sink, call, seconds=1)
        end(sink, call, seconds=1)
    sink.close()
    for call, ago in enumerate(days, 1):
        for path in folder.rglob(f"{name(call)}*"):
            os.utime(path, ns=(0, NOW_NS - ago * DAY_NS))
    return folder


def keep(folder: Path, *, days: float | None = None, free: int = 0, **options: Any) -> list[Removed]:
    how = {key: options.pop(key) for key in ("keep_bytes", "min_free_bytes") if key in options}
    return list(Retention(folder, RetentionLimits(days, **how), lambda _: free).go_over(NOW_NS, **options))


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_ended_too_long_ago_goes_with_all_its_files(tmp_path: Path) -> None:
    recorded(tmp_path, 10, 20, 40, max_part_bytes=10_000)
    assert (tmp_path / f"{name(3)}-part2.wav").exists()
    (tmp_path / "notes.txt").write_text("mine")
    gone = keep(tmp_path, days=30)
    assert [(removed.sidecar.name, removed.files[0]) for removed in gone] == [(f"{name(3)}.json", f"{name(3)}.wav")]
    assert not [left for left in names(tmp_path) if name(3) in left]
    assert "notes.txt" in names(tmp_path)
    assert not keep(tmp_path, days=30)
    assert len(keep(tmp_path, days=5)) == 2
    assert names(tmp_path) == ["notes.txt"]


def test_subfolders_count_and_the_call_is_told(tmp_path: Path) -> None:
    recorded(tmp_path, 40, about=lambda _: CallAbout({"from": "+49"}, "quarantine"))
    (removed,) = keep(tmp_path, days=30)
    assert removed.call == {"from": "+49"}
    assert removed.describe()["files"] == [str(tmp_path / "quarantine" / f"{name()}.wav")]
    assert names(tmp_path) == []


def test_the_oldest_go_until_all_take_no_more_than_they_may(tmp_path: Path) -> None:
    recorded(tmp_path, 3, 1, 2)
    sizes = sum(path.stat().st_blocks * 512 for path in tmp_path.iterdir())
    assert [removed.sidecar.name for removed in keep(tmp_path, keep_bytes=sizes - 1)] == [f"{name(1)}.json"]
    assert [removed.sidecar.name for removed in keep(tmp_path, keep_bytes=1)] == [f"{name(3)}.json", f"{name(2)}.json"]


def test_the_oldest_go_until_the_file_system_has_room(tmp_path: Path) -> None:
    recorded(tmp_path, 3, 1, 2)
    one = sum(path.stat().st_blocks * 512 for path in tmp_path.glob(f"{name(1)}*"))
    assert not keep(tmp_path, free=100, min_free_bytes=100)
    assert [removed.sidecar.name for removed in keep(tmp_path, free=100, min_free_bytes=101)] == [f"{name(1)}.json"]
    assert len(keep(tmp_path, free=100, min_free_bytes=101 + one)) == 2


def test_what_is_under_way_stays_however_little_room_there_is(tmp_path: Path) -> None:
    recorded(tmp_path, 3)
    sink = RecordingSink(tmp_path, container=Container.FLAC)
    record(sink, 7)
    record(sink, 8)
    assert sink._finishing._converter
    tasks: list[Any] = []
    sink._finishing._converter.submit = lambda *task: bool(tasks.append(task)) or True  # type: ignore[method-assign]
    end(sink, 8)  # waits to be converted
    keeper = Retention(tmp_path, RetentionLimits(keep_bytes=0), lambda _: 0)
    assert [removed.sidecar.name for removed in keeper.go_over(NOW_NS)] == [f"{name(1)}.json"]
    assert {f"{name(7)}.wav", f"{name(8)}.wav"} <= set(names(tmp_path))
    sink.close()
    recover(tmp_path)
    assert len(list(keeper.go_over(NOW_NS))) == 2, "its sidecar was written anew, so it is looked at anew"


def test_what_is_not_ours_or_cannot_be_read_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(tmp_path, 40, 40, 40)
    (tmp_path / f"{name(1)}.json").unlink()
    for call, text in ((2, "no JSON"), (3, '{"sidecar_version": 2, "complete": true, "files": ["../x.wav"]}')):
        (tmp_path / f"{name(call)}.json").write_text(text)
    outside = tmp_path.with_suffix(".wav")
    (tmp_path / "music.json").write_text(json.dumps({"complete": True, "files": ["music.wav"]}))
    (tmp_path / "other.json").write_text(
        json.dumps({"sidecar_version": 2, "complete": True, "files": [f"{name(1)}.wav"]})
    )
    (tmp_path / "music.wav").write_bytes(b"music")
    before = tree(tmp_path)
    keeper = Retention(tmp_path, RetentionLimits(0), lambda _: 0)
    assert not list(keeper.go_over(NOW_NS * 2))
    assert tree(tmp_path) == before
    assert not outside.exists()
    monkeypatch.setattr("strep.sinks.retention.read_finished", None)
    assert not list(keeper.go_over(NOW_NS * 2)), "what had to stay is not read again"


def test_a_dry_run_says_the_same_and_does_nothing(tmp_path: Path) -> None:
    recorded(tmp_path, 40, 20, 50)
    before = tree(tmp_path)
    said = keep(tmp_path, days=30, dry_run=True)
    assert tree(tmp_path) == before
    assert said == keep(tmp_path, days=30)


def test_one_process_at_a_time_removes(tmp_path: Path) -> None:
    recorded(tmp_path, 40)
    lock = FileLock(tmp_path / LOCK_NAME)
    assert lock.acquire()
    with pytest.raises(SinkError, match="another process removes recordings from"):
        keep(tmp_path, days=30)
    assert keep(tmp_path, days=30, dry_run=True)
    lock.release()
    assert keep(tmp_path, days=30)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"cannot remove old recordings from .*: No such file or directory"):
        keep(tmp_path / "gone", days=1)


def test_what_the_system_does_not_remove_stays_and_the_next_one_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path, 50, 40)
    system_unlink = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name == f"{name(1)}.wav":
            raise PermissionError(1, "Operation not permitted")
        system_unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        assert [removed.sidecar.name for removed in keep(tmp_path, days=30)] == [f"{name(2)}.json"]
    assert {f"{name(1)}.wav", f"{name(1)}.json"} <= set(names(tmp_path))
    keep(tmp_path, days=30)
    assert names(tmp_path) == []


def watch(monkeypatch: pytest.MonkeyPatch, take: Callable[[], None]) -> None:
    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            take()
            result = function(*args, **options)
            take()
            return result

        return call

    monkeypatch.setattr(os, "link", watched(os.link))
    monkeypatch.setattr(Path, "unlink", watched(Path.unlink))


@pytest.mark.parametrize("finish", ["retain", "recover"])
def test_a_removal_that_is_killed_at_any_system_call_is_ended_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finish: str
) -> None:
    """Also where nothing would have to go any more: half a recording is of use to nobody."""
    folder = recorded(tmp_path / "calls", 40, 10, max_part_bytes=10_000)
    taken: list[Path] = []
    copying = False

    def take() -> None:
        nonlocal copying
        if not copying:
            copying = True
            taken.append(copy_tree(folder, tmp_path / str(len(taken))))
            copying = False

    whole = tree(folder)
    with monkeypatch.context() as patch:
        watch(patch, take)
        keep(folder, days=30)
    done = tree(folder)
    assert len(taken) >= 10
    states = []
    for killed in taken:
        if finish == "retain":
            keep(killed, days=1000)
        else:
            recover(killed)
        (killed / LOCK_NAME).unlink(missing_ok=True)
        states.append(tree(killed))
    assert states[0] == whole, "it had not begun"
    assert all(state in (whole, done) for state in states)
    assert states.index(done) <= 2, "from its first step on it is ended"


def test_a_new_recording_of_the_same_name_is_not_what_was_being_removed(tmp_path: Path) -> None:
    recorded(tmp_path, 40)
    mark = tmp_path / ".strep-0123456789abcdef.removing"
    shutil.copy(tmp_path / f"{name()}.json", mark)  # no second name of that file, but another file
    before = names(tmp_path)
    keep(tmp_path, days=1000)
    assert names(tmp_path) == [left for left in before if left != mark.name]


def test_without_hard_links_a_recording_goes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    recorded(tmp_path, 40)
    monkeypatch.setattr(os, "link", refuse)
    assert keep(tmp_path, days=30)
    assert names(tmp_path) == []


@pytest.mark.thorough
def test_it_gives_way_between_names_and_removals(tmp_path: Path) -> None:
    recorded(tmp_path, 40, 40, 40)
    for number in range(1100):
        (tmp_path / f"{number}.txt").touch()
    given: list[int] = []
    keep(tmp_path, days=30, give_way=lambda: given.append(len(names(tmp_path))))
    assert len(given) >= 2 + 1 + 3
    assert given[-1] == 1100 + 1, "the lock of who removes"
