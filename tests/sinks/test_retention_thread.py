import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from strep.errors import SinkError
from strep.sinks.retention import Removed, Retention, RetentionLimits
from strep.sinks.retention_thread import RetentionThread
from tests.sinks.test_retention import NOW_NS, keep, recorded

SECOND_NS = 10**9


class Clock:
    def __init__(self) -> None:
        self.now_ns = NOW_NS

    def __call__(self) -> int:
        return self.now_ns


class Keeper(Retention):
    """A keeper that counts how often it goes over its folder, and of which a test says what it finds."""

    def __init__(self) -> None:
        super().__init__(Path("calls"), RetentionLimits(min_free_bytes=100), lambda _: self.free_bytes)
        self.free_bytes = 100
        self.rounds = 0
        self.error: SinkError | None = None

    def go_over(
        self, now_ns: int, *, dry_run: bool = False, give_way: Callable[[], object] = lambda: None
    ) -> Iterator[Removed]:
        self.rounds += 1
        if self.error:
            raise self.error
        return iter(())


@pytest.fixture
def scene() -> tuple[Keeper, Clock, list[str], RetentionThread]:
    keeper, clock, told = Keeper(), Clock(), list[str]()
    return keeper, clock, told, RetentionThread(keeper, lambda _: None, told.append, clock)


def test_the_folder_is_gone_over_at_first_and_once_a_minute(scene: Any) -> None:
    keeper, clock, told, thread = scene
    rounds = []
    for after_s in (0, 5, 54, 1, 30, 30):
        clock.now_ns += after_s * SECOND_NS
        thread.look()
        rounds.append(keeper.rounds)
    assert rounds == [1, 1, 1, 2, 2, 3]
    clock.now_ns -= 3600 * SECOND_NS  # somebody set the clock
    thread.look()
    assert keeper.rounds == 4
    assert not told


def test_it_is_gone_over_at_once_when_the_file_system_runs_short(scene: Any) -> None:
    keeper, clock, told, thread = scene
    thread.look()
    keeper.free_bytes = 99
    clock.now_ns += 5 * SECOND_NS
    thread.look()
    assert keeper.rounds == 2
    assert told == ["calls: less than 100 bytes are free, and there is no finished recording left to remove"]
    clock.now_ns += 5 * SECOND_NS
    thread.look()
    assert keeper.rounds == 2, "not in vain again before a minute is over"
    clock.now_ns += 60 * SECOND_NS
    thread.look()
    assert (keeper.rounds, len(told)) == (3, 1)
    keeper.free_bytes = 100
    clock.now_ns += 60 * SECOND_NS
    thread.look()
    keeper.free_bytes = 99
    clock.now_ns += 5 * SECOND_NS
    thread.look()
    assert (keeper.rounds, len(told)) == (5, 2)


def test_what_cannot_be_done_is_told_once_until_it_works_again(scene: Any) -> None:
    keeper, clock, told, thread = scene
    for error in (SinkError("no"), SinkError("no"), SinkError("no, really"), None, SinkError("no")):
        keeper.error = error
        thread.look()
        clock.now_ns += 60 * SECOND_NS
    assert told == ["no", "no, really", "no"]


def test_it_removes_in_a_thread_of_its_own_until_it_is_stopped(tmp_path: Path) -> None:
    recorded(tmp_path, 40, 40, 10)
    gone: list[tuple[str, str]] = []
    both = threading.Event()

    def removed(what: Removed) -> None:
        gone.append((what.sidecar.name, threading.current_thread().name))
        if len(gone) == 2:
            both.set()

    limits = RetentionLimits(30)
    thread = RetentionThread(Retention(tmp_path, limits), removed, pytest.fail, lambda: NOW_NS)
    thread.start()
    assert both.wait(30)
    thread.stop()
    assert {name for _, name in gone} == {"strep retention"}
    assert not keep(tmp_path, days=30)
    assert len(list(tmp_path.glob("*.wav"))) == 1
