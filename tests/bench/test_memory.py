"""Streams are held in made-up time, their memory is told per stream, and what grows is not passed."""

import argparse
import mmap
import sys
from pathlib import Path

import pytest

from bench import BenchError, memory
from bench.holding import Held, Replay, resident_bytes
from bench.memory import MOST_BYTES_PER_STREAM, MOST_GROWTH_BYTES, conclude
from strep.audio.block import AudioBlock
from strep.stream.events import Event, StreamClosed, StreamOpened
from tools.traffic import Traffic

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the memory of a process")


class Counter:
    """A sink that counts, and says so often that it has more to do."""

    def __init__(self, busy: int = 0) -> None:
        self.opened = self.closed = self.rows = self.flushes = 0
        self.busy = busy
        self.times: list[int] = []

    def event(self, event: Event) -> None:
        self.opened += isinstance(event, StreamOpened)
        self.closed += isinstance(event, StreamClosed)

    def block(self, block: AudioBlock) -> None:
        self.rows += len(block)

    def flush(self, now_ns: int) -> bool:
        self.times.append(now_ns)
        self.busy -= self.closed > 0
        return self.closed > 0 and self.busy > 0

    def close(self) -> None:
        pass


def test_generations_of_calls_follow_each_other_and_every_packet_is_decoded() -> None:
    sink = Counter()
    replay = Replay([sink])
    for generation in range(2):
        replay.play(Traffic(3, seed=generation), 1)
        assert replay.engine.open_streams == 6
        replay.end()
    assert (sink.opened, sink.closed, sink.rows) == (12, 12, 2 * 6 * 50)
    assert replay.engine.counts()["accepted"] == sink.rows


def test_a_sink_that_has_more_to_do_gets_its_time() -> None:
    sink = Counter(busy=1000)
    replay = Replay([sink])
    replay.play(Traffic(1), 1)
    replay.end()
    assert sink.busy == 0
    assert sink.times == sorted(sink.times)


@linux_only
def test_memory_that_was_written_to_is_resident() -> None:
    pages = (64 << 20) // mmap.PAGESIZE
    # New pages of the kernel's: what is allocated may be memory that the process holds already.
    with mmap.mmap(-1, pages * mmap.PAGESIZE) as written:
        before = resident_bytes()
        written[:: mmap.PAGESIZE] = b"1" * pages
        assert resident_bytes() - before > 60 << 20


@pytest.mark.bench
@linux_only
def test_a_process_holds_streams_and_ends_them(tmp_path: Path) -> None:
    held = Held.of(4, 3, 2, tmp_path)
    assert (held.streams, held.recordings, len(held.open), len(held.ended)) == (4, 4, 2, 2)
    assert min(held.fixed, *held.open, *held.ended) > 10 << 20
    assert not list(tmp_path.iterdir())


def held(*per_stream: int, streams: int = 10, fixed: int = 1 << 20) -> Held:
    resident = [fixed + streams * some for some in per_stream]
    return Held(fixed, resident, resident, streams, 5)


LIMIT = MOST_BYTES_PER_STREAM
GROWTH = int(MOST_GROWTH_BYTES)


def test_what_streams_take_is_told_per_stream_and_per_recording() -> None:
    outcome = conclude(held(1000, 1100, 1200, 1200), held(5000, 5500, 5600, 5610), 4)
    report = outcome.report
    assert outcome.passed
    assert (report["bytes_per_stream"], report["bytes_per_stream_recorded"]) == (1000, 5000)
    assert (report["bytes_per_recording"], report["bytes_after_churn"]) == (8000, 5610)
    assert report["growth_bytes_per_stream"] == 10
    assert report["bytes_by_generation"] == [1000, 1100, 1200, 1200]
    assert (report["fixed_bytes"], report["streams"], report["recordings"]) == (1 << 20, 10, 5)
    assert outcome.tables[0].row_count == 4 + 2


STEADY = (1000, 1000, 1000, 1000)


@pytest.mark.parametrize(
    ("decoded", "recorded"),
    [
        (STEADY, (LIMIT, LIMIT, LIMIT + 1, LIMIT + 1)),
        (STEADY, (1000, 1000, 1000, 1000 + GROWTH + 1)),
        ((1000, 1000, 1000, 1000 + GROWTH + 1), STEADY),
    ],
)
def test_a_stream_that_takes_too_much_or_leaves_something_is_not_passed(
    decoded: tuple[int, ...], recorded: tuple[int, ...]
) -> None:
    assert not conclude(held(*decoded), held(*recorded), 4).passed


@pytest.mark.parametrize(
    "words",
    [["--streams", "3"], ["--streams", "0"], ["--seconds", "2"], ["--generations", "3"], ["--streams", "99998"]],
)
def test_arguments_that_cannot_work_are_refused(words: list[str]) -> None:
    parser = argparse.ArgumentParser()
    memory.add_arguments(parser)
    with pytest.raises(BenchError, match="expected"):
        memory.run(parser.parse_args(words))
