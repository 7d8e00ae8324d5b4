import errno
import os
from pathlib import Path

import pytest

from strep.sinks.descriptors import DescriptorCache, raise_descriptor_limit


def files(folder: Path, count: int) -> list[str]:
    paths = [folder / str(number) for number in range(count)]
    for path in paths:
        path.write_text(path.name)
    return [str(path) for path in paths]


def test_the_least_recently_used_file_is_closed_and_opened_again_when_needed(tmp_path: Path) -> None:
    first, second, third = files(tmp_path, 3)
    cache = DescriptorCache(limit=2)
    kept = cache.get(first)
    cache.get(second)
    assert cache.get(first) == kept
    cache.get(third)  # second has to go
    assert len(cache) == 2
    assert cache.reopened == 3
    assert os.pread(cache.get(first), 9, 0) == b"0"
    assert cache.reopened == 3
    assert os.pread(cache.get(second), 9, 0) == b"1"
    assert cache.reopened == 4
    cache.close_all()
    assert len(cache) == 0


def test_when_the_system_has_no_descriptor_left_others_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = files(tmp_path, 6)
    cache = DescriptorCache(limit=100)
    system_open = os.open

    def three_at_most(path: str, flags: int, mode: int = 0o777) -> int:
        if len(cache) >= 3:
            raise OSError(errno.EMFILE, "Too many open files")
        return system_open(path, flags, mode)

    monkeypatch.setattr(os, "open", three_at_most)
    contents = [os.pread(cache.get(path), 9, 0).decode() for path in paths]
    assert contents == [str(number) for number in range(6)]
    assert len(cache) == cache.limit <= 3
    cache.close_all()


def test_a_missing_file_is_the_callers_to_know(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        DescriptorCache(limit=2).get(str(tmp_path / "none"))


def test_the_soft_limit_is_raised_to_the_hard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    limits = [(1024, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))
    assert raise_descriptor_limit() == 4096
    assert limits[-1] == (4096, 4096)
    assert DescriptorCache().limit == 2048


def test_a_limit_that_cannot_be_raised_is_lived_with(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    def refuse(_: int, new: tuple[int, int]) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_descriptor_limit() == 256
