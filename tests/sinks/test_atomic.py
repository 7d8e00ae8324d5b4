import errno
import os
from pathlib import Path

import pytest

from strep.sinks.atomic import publish, replace_file, temporary_path


def test_a_published_file_has_its_name_and_leaves_no_temporary_one(tmp_path: Path) -> None:
    target = tmp_path / "x.wav"
    temporary = temporary_path(target)
    temporary.write_bytes(b"whole")
    publish(temporary, target)
    assert [path.name for path in tmp_path.iterdir()] == ["x.wav"]
    assert target.read_bytes() == b"whole"


@pytest.mark.parametrize("hard_links", [True, False])
def test_publishing_never_replaces_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard_links: bool) -> None:
    if not hard_links:
        monkeypatch.setattr(os, "link", without_hard_links)
    target = tmp_path / "x.wav"
    target.write_bytes(b"older")
    temporary = temporary_path(target)
    temporary.write_bytes(b"newer")
    with pytest.raises(FileExistsError):
        publish(temporary, target)
    assert target.read_bytes() == b"older"


def test_publishing_works_where_there_are_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", without_hard_links)
    target = tmp_path / "x.wav"
    temporary = temporary_path(target)
    temporary.write_bytes(b"whole")
    publish(temporary, target)
    assert [path.name for path in tmp_path.iterdir()] == ["x.wav"]


def test_a_replacement_that_fails_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "x.json"
    replace_file(target, b"old")

    def refuse(self: Path, other: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        replace_file(target, b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x.json", b"old")]


def without_hard_links(source: object, target: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")
